"""Many open tasks with timers, and many deadlines in one minute: `make bench-scale`."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as hour
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from activities.recorder import Handed, Recorded
from audit.entry import open_record, parse_entry
from bench.figures import percentile
from bench.lives import arguments
from bench.machine import load, rss_mib
from bench.servers import Temporal, temporal
from domain.calendar import Calendar, Hours
from domain.instants import parse_instant
from domain.task import Task
from domain.timetable import CONFIRM_HOURS
from tests.support.clients import connect
from tests.support.world import World
from workflows.messages import TASK_QUEUE

_AT_ONCE = 20
_EVERY_HOUR = Hours(frozenset(range(7)), ((hour(0, 0), hour(23, 59)),))
_RUNNING = "WorkflowType = 'Task' AND ExecutionStatus = 'Running'"

Say = Callable[[str], None]


@dataclass
class Found:
    """What the run measured."""

    tasks: int
    deadlines: int
    recorded_per_second: float = 0
    started_per_second: float = 0
    memory_mib: dict[str, dict[str, float]] = field(default_factory=dict)
    store_mib: dict[str, float] = field(default_factory=dict)
    lag_seconds: list[float] = field(default_factory=list)
    spread_seconds: float = 0
    restart: dict[str, float] = field(default_factory=dict)


@dataclass
class Host:
    """The service's process and what it says."""

    process: asyncio.subprocess.Process

    async def heard(self, what: str) -> dict[str, Any]:
        """The next line of this kind."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            said: dict[str, Any] = json.loads(line)
            if said["what"] == what:
                return said
        raise RuntimeError(f"the service ended with status {await self.process.wait()}")

    async def stop(self) -> None:
        """Let it drain, and wait for its end."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.process.wait()


@dataclass
class Site:
    """The log, the servers, and where the service runs."""

    world: World
    url: str
    temporal: Temporal
    client: Client
    directory: Path
    say: Say

    @asynccontextmanager
    async def host(self) -> AsyncIterator[Host]:
        """The service in its own process."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.hosting", self.url, self.temporal.address,
            self.world.origin, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        host = Host(process)
        try:
            await host.heard("open")
            yield host
        finally:
            await host.stop()

    def open_tasks(self, names: Sequence[str], received_at: datetime | None = None) -> list[Task]:
        """Register and transfer tasks, some in each transaction, as an import does."""
        opened: list[Task] = []
        for at in range(0, len(names), _AT_ONCE):
            self.world.now = datetime.now(UTC)
            some = names[at : at + _AT_ONCE]
            registered = self._record(some, "register", self.world.now)
            opened += self._record(registered, "transfer", received_at or self.world.now)
        return opened

    def _record(
        self, targets: Sequence[Task] | Sequence[str], event: str, at: datetime
    ) -> list[Task]:
        filled = arguments(event, self.world.now)
        jobs = [
            Handed(self.world.submission(each, event, filled, role="office", issued_at=at), at)
            for each in targets
        ]
        answers = self.world.recorder.record(jobs)
        return [each.task for each in answers if isinstance(each, Recorded) and each.task]

    def waiting(self) -> int:
        """Tasks whose workflow has not been told of everything."""
        with self.world.engine.connect() as connection:
            return connection.scalar(text("SELECT count(*) FROM outbox")) or 0

    async def backlog(self) -> int:
        """Workflow tasks that no worker has taken yet."""
        answer = await self.client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self.client.namespace,
                task_queue=TaskQueue(name=TASK_QUEUE),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                report_stats=True,
            )
        )
        return answer.stats.approximate_backlog_count

    async def until_armed(self, of: int) -> None:
        """Wait until every workflow has been started and has had its first turn, which sets its
        timer; say how far it is.
        """
        said, calm = perf_counter(), 0
        while calm < 3:
            left = await asyncio.to_thread(self.waiting)
            behind = await self.backlog()
            calm = 0 if left or behind else calm + 1
            if perf_counter() - said > 5:
                said = perf_counter()
                self.say(f"   {of - left} of {of} told, {behind} waiting for their turn")
            await asyncio.sleep(0.2)


def round_the_clock(plain: Calendar) -> Calendar:
    """A calendar that works at every hour: four working hours end four hours later."""
    return Calendar(
        version=plain.version, hours=_EVERY_HOUR, special={},
        settled_from=plain.settled_from, settled_until=plain.settled_until,
    )  # fmt: skip


async def measure(site: Site, found: Found) -> None:
    """Open the tasks, let the deadlines pass, start again."""
    first = min(max(found.tasks // 10, _AT_ONCE), found.tasks - found.deadlines)
    async with site.host() as host:
        site.say(f"opening {first} tasks, to see how fast it goes")
        begun = perf_counter()
        site.open_tasks([f"A-{number}" for number in range(first)])
        await site.until_armed(first)
        rate = first / (perf_counter() - begun)
        due, armed = await _arm(site, found, rate, first)
        await _open_the_rest(site, found, first + found.deadlines)
        await _weigh(site, found, host, f"{found.tasks} open tasks")
        await _lapse(site, found, due, armed)
        await _weigh(site, found, host, f"{found.deadlines} deadlines later")
    await _restart(site, found)
    found.store_mib = {
        "temporal": _mib(site.directory, "temporal.sqlite*"),
        "log": _mib(site.directory, "log.sqlite*"),
    }


async def _arm(site: Site, found: Found, rate: float, first: int) -> tuple[datetime, list[str]]:
    """Tasks whose confirmation runs out at one instant, some time after all others have started.

    They are opened before the others: by then the worker has forgotten them, and has to replay.
    """
    left = found.tasks - first
    ahead = timedelta(seconds=left / rate * 1.35 + 20)
    due = datetime.now(UTC) + ahead
    site.say(
        f"{rate:.0f} tasks a second; {found.deadlines} deadlines at {due:%H:%M:%S} UTC,"
        f" in {ahead.total_seconds():.0f} s"
    )
    armed = await asyncio.to_thread(
        site.open_tasks,
        [f"D-{number}" for number in range(found.deadlines)],
        due - timedelta(hours=CONFIRM_HOURS),
    )
    assert len(armed) == found.deadlines
    return max(task.clocks["confirm"].due for task in armed), [task.id for task in armed]


async def _open_the_rest(site: Site, found: Found, opened: int) -> None:
    rest = found.tasks - opened
    begun = perf_counter()
    before = await asyncio.to_thread(site.waiting)
    if rest:
        recording = perf_counter()
        await asyncio.to_thread(site.open_tasks, [f"R-{number}" for number in range(rest)])
        found.recorded_per_second = rest / (perf_counter() - recording)
    await site.until_armed(rest + before)
    found.started_per_second = (rest + before) / (perf_counter() - begun)
    running = (await site.client.count_workflows(_RUNNING)).count
    site.say(f"{running} workflows are running, {found.started_per_second:.0f} started a second")


async def _weigh(site: Site, found: Found, host: Host, when: str) -> None:
    processes = {"temporal": site.temporal.pid, "service": host.process.pid}
    found.memory_mib[when] = {name: rss_mib(pid) for name, pid in processes.items()} | {
        f"{name}, at most": rss_mib(pid, "VmHWM") for name, pid in processes.items()
    }


async def _lapse(site: Site, found: Found, due: datetime, armed: Sequence[str]) -> None:
    """Wait until every deadline has its entry, and see how late each was recorded."""
    wait = (due - datetime.now(UTC)).total_seconds()
    site.say(f"waiting {wait:.0f} s for {len(armed)} deadlines")
    assert wait > 0, "the deadlines passed before all tasks had started: give more time"
    await asyncio.sleep(wait)
    async with asyncio.timeout(180):
        while (done := await asyncio.to_thread(_lapsed, site)) < len(armed):
            site.say(f"   {done} of {len(armed)} recorded")
            await asyncio.sleep(2)
    recorded = [_recorded_at(data) for data in _lapses(site)]
    found.lag_seconds = [(at - due).total_seconds() for at in recorded]
    found.spread_seconds = (max(recorded) - min(recorded)).total_seconds()
    await site.until_armed(len(armed))


def _lapsed(site: Site) -> int:
    with site.world.engine.connect() as connection:
        return connection.scalar(
            text("SELECT count(*) FROM entry WHERE chain LIKE 'D-%' AND seq = 3")
        ) or 0  # fmt: skip


def _lapses(site: Site) -> list[bytes]:
    with site.world.engine.connect() as connection:
        return list(
            connection.scalars(text("SELECT data FROM entry WHERE chain LIKE 'D-%' AND seq = 3"))
        )


def _recorded_at(data: bytes) -> datetime:
    return parse_instant(open_record(parse_entry(data).record).text("recorded_at"))


async def _restart(site: Site, found: Found) -> None:
    """Start the service anew, until it has found that no workflow is missing or behind."""
    site.say("starting the service anew")
    begun = perf_counter()
    async with site.host() as host:
        found.restart["door open"] = perf_counter() - begun
        while True:
            compared = await host.heard("compared")
            found.restart.setdefault("first comparison", perf_counter() - begun)
            found.restart.setdefault("found missing", compared["missing"])
            found.restart.setdefault("found behind", compared["behind"])
            if not compared["missing"] and not compared["behind"]:
                found.restart["nothing missing"] = perf_counter() - begun
                return


def _mib(directory: Path, pattern: str) -> float:
    return sum(path.stat().st_size for path in directory.glob(pattern)) / 2**20


def show(console: Console, found: Found) -> None:
    """Print the table."""
    table = Table(title=f"{found.tasks} open tasks with timers", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row(
        "registered and transferred, two entries each, while others start",
        f"{found.recorded_per_second:.0f}/s",
    )
    table.add_row("workflows started, each with its timer set", f"{found.started_per_second:.0f}/s")
    for when, each in found.memory_mib.items():
        for name, mib in each.items():
            table.add_row(f"resident, {when}: {name}", f"{mib:.0f} MiB")
    for name, mib in found.store_mib.items():
        table.add_row(f"on disk: {name}", f"{mib:.0f} MiB")
    lag = found.lag_seconds
    table.add_row(
        f"lag of {found.deadlines} deadlines of one instant: p50 / p99 / max",
        f"{median(lag):.1f} / {percentile(lag, 99):.1f} / {max(lag):.1f} s",
    )
    table.add_row("   that is, recorded", f"{len(lag) / found.spread_seconds:.0f}/s")
    for name, value in found.restart.items():
        unit = "" if name.startswith("found") else " s"
        table.add_row(f"restart: {name}", f"{value:.{1 if unit else 0}f}{unit}")
    console.print(table)


async def run(found: Found, say: Say) -> None:
    """Set up the servers and the log, then measure."""
    with TemporaryDirectory(prefix="dondoc-bench-") as name:
        directory = Path(name)
        url = f"sqlite:///{directory / 'log.sqlite'}"
        async with temporal(directory) as server:
            world = World(url, start=datetime.now(UTC))
            world.calendar = round_the_clock(world.calendar)
            world.recorder = world.another_recorder()
            try:
                client = await connect(server.address)
                await measure(Site(world, url, server, client, directory, say), found)
            finally:
                world.close()


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--deadlines", type=int, default=1_000, help="of these tasks")
    parser.add_argument("--json", action="store_true", help="every measurement, as JSON")
    given = parser.parse_args()
    if not _AT_ONCE <= given.deadlines <= given.tasks - _AT_ONCE:
        parser.error(f"--deadlines: from {_AT_ONCE} to {_AT_ONCE} less than --tasks")
    progress, begun, before = Console(stderr=True), perf_counter(), load()
    found = Found(given.tasks, given.deadlines)
    asyncio.run(run(found, progress.print))
    if given.json:
        json.dump(asdict(found), sys.stdout, indent=1)
        return
    show(Console(), found)
    print(f"{perf_counter() - begun:.0f} s in all; load before {before}, after {load()}")


if __name__ == "__main__":
    main()
