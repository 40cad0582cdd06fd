"""The servers that are measured: Temporal as the product starts it, PostgreSQL as it flushes."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import find_process
from embedded.temporal import Ports, temporal_server
from tests.support.postgres import (
    SUPERUSER,
    PostgresServer,
    Unprivileged,
    _answers,
    _version,
    _within_reach,
    find_binaries,
)
from tests.support.processes import DidNotStart, stop, wait_until_ready
from tests.support.temporal import free_port

DURABILITY = {
    "sqlite": "WAL, synchronous=FULL: flushed at each commit",
    "postgresql": "fsync=on, synchronous_commit=on: flushed at each commit",
}


@dataclass(frozen=True, slots=True)
class Temporal:
    """A running server, and its process."""

    address: str
    pid: int


@asynccontextmanager
async def temporal(directory: Path) -> AsyncIterator[Temporal]:
    """The embedded Temporal server, started as `dondoc up` starts it; its store is a file there."""
    store = directory / "temporal.sqlite"
    ports = Ports(free_port(), free_port(), free_port(), free_port())
    async with temporal_server(store, ports, directory / "temporal.log") as address:
        yield Temporal(address, find_process(str(store)))


@contextmanager
def durable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that flushes each commit, unlike the tests' one; gone afterwards."""
    user = Unprivileged.find()
    with tempfile.TemporaryDirectory(prefix="dondoc-pg-") as name:
        directory = Path(name)
        os.chown(directory, user.uid, user.gid)
        binaries = _within_reach(find_binaries(), directory, user)
        log = directory / "log"
        command = [str(binaries / "initdb"), "--pgdata", str(directory / "data")]
        command += ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-locale"]
        if user.popen(command, directory=directory, log=log).wait(60) != 0:
            raise DidNotStart(f"initdb failed:\n{log.read_text(errors='replace')[-2000:]}")
        command = [str(binaries / "postgres"), "-D", str(directory / "data")]
        command += ["-c", "listen_addresses=", "-c", f"unix_socket_directories={directory}"]
        process = user.popen(command, directory=directory, log=log)
        try:
            wait_until_ready(process, lambda: _answers(directory), log=log, seconds=60)
            yield PostgresServer(process, directory, _version(binaries))
        finally:
            stop(process, signal.SIGINT)
