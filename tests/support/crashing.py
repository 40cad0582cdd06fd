"""A service in a process of its own that pulls a plug at one named point of a step, once.

What to kill: ``worker`` (this process), ``temporal`` (the server's process) or ``database`` (every
PostgreSQL backend of this database, which takes the whole server into crash recovery).
"""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from activities.recorder import Probe
from activities.signing import LogKeys
from tests.support.clients import connect
from tests.support.world import key_of
from worker import Settings, service


@dataclass(frozen=True)
class Plan:
    """``armed`` is a file that exists until the plug has been pulled; ``ready`` one that appears
    when the service takes commands.
    """

    database_url: str
    address: str
    origin: str
    door_port: int
    point: str
    victim: str
    temporal_pid: int
    armed: str
    ready: str


def probe_of(plan: Plan) -> Probe:
    """The probe that waits for its point."""

    def probe(point: str) -> None:
        if point != plan.point:
            return
        try:
            Path(plan.armed).unlink()
        except FileNotFoundError:
            return
        if plan.victim == "worker":
            os.kill(os.getpid(), signal.SIGKILL)
        elif plan.victim == "temporal":
            os.kill(plan.temporal_pid, signal.SIGKILL)
        else:
            kill_backends(plan.database_url)

    return probe


def kill_backends(url: str) -> None:
    """``kill -9`` for everybody who is connected to this database."""
    address = make_url(url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False)) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()
    for (pid,) in found:
        # After the first the server ends the others by itself.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def started(plan: Plan) -> ForkServerProcess:
    """The service under way. It is forked from a process that has loaded everything and done
    nothing, since loading takes longer than most of these tests.
    """
    process = _PROCESSES.Process(target=_run, args=(plan,), daemon=True)
    process.start()
    return process


def _run(plan: Plan) -> None:
    asyncio.run(_serve(plan))


async def _serve(plan: Plan) -> None:
    keys = LogKeys(plan.origin, key_of("log"), key_of("clock"), key_of("door"))
    settings = Settings(
        plan.database_url, keys, door_port=plan.door_port, takeover=timedelta(seconds=1)
    )
    client = await connect(plan.address)
    async with service(settings, client, probe=probe_of(plan)):
        await asyncio.to_thread(Path(plan.ready).touch)
        await asyncio.Event().wait()
