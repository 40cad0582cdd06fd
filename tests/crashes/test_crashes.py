"""Whatever is killed at whatever point: one entry, and log, read model and workflow agree.

Each test runs the service in a process of its own, has something killed at a named point, starts
again what was killed as a supervisor would, and does nothing else by hand.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as hour
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from temporalio.client import Client

from activities.folding import fold
from audit.submission import Submission, format_submission
from domain.calendar import Calendar, Hours
from domain.calendars import load
from domain.snapshot import format_task, parse_task
from domain.task import State, Task
from domain.timetable import confirm_clock
from store import ledger, queries
from tests.support.clients import connect
from tests.support.crashing import Plan, started
from tests.support.patience import PATIENCE
from tests.support.temporal import TemporalServer, free_port, start_server
from tests.support.world import HEADER, World
from workflows.messages import Submit

POINTS = (
    "received",
    "prepared",
    "before_commit",
    "after_commit",
    "before_signal",
    "after_signal",
    "before_strike",
)
CASES = [
    *(("sqlite", victim, point) for victim in ("worker", "temporal") for point in POINTS),
    *(("postgres", victim, point) for victim in ("worker", "database") for point in POINTS),
]
CLOCK_CASES = [
    ("sqlite", "worker", "before_commit"),
    ("sqlite", "worker", "after_commit"),
    ("sqlite", "temporal", "before_commit"),
    ("sqlite", "temporal", "after_commit"),
    ("postgres", "database", "before_commit"),
    ("postgres", "database", "after_commit"),
]
_LOOK = 0.2
"""Seconds between two looks: each is a workflow task, and the machine has other things to do."""
ROUND_THE_CLOCK = Hours(frozenset(range(7)), ((hour(0, 0), hour(23, 59)),))


@dataclass
class Stage:
    """The servers, the log, and the process under test."""

    directory: Path
    temporal: TemporalServer
    world: World
    url: str
    door_port: int
    process: ForkServerProcess | None = None
    connected: Client | None = None

    @property
    def armed(self) -> Path:
        return self.directory / "armed"

    async def client(self) -> Client:
        """Of the server at this address, which may have been killed and started again meanwhile."""
        if self.connected is None:
            self.connected = await connect(self.temporal.address)
        return self.connected

    def start(self, victim: str, point: str) -> None:
        """Start the service, and wait until its door is open."""
        ready = self.directory / "ready"
        ready.unlink(missing_ok=True)
        plan = Plan(
            self.url, self.temporal.address, self.world.origin, self.door_port, point, victim,
            self.temporal.pid, str(self.armed), str(ready),
        )  # fmt: skip
        self.process = started(plan)
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            assert self.process.exitcode in {None, -9}, "the service did not start"
            if self.process.exitcode == -9:
                return
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def start_again_what_died(self, victim: str, point: str) -> None:
        """What a supervisor does."""
        if not self.temporal.is_alive:
            self.temporal = start_server(self.temporal.directory, self.temporal.port)
        if self.process is not None and self.process.exitcode is not None:
            self.start(victim, point)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Which database the case wants; its parameter."""
    kind: str = request.param
    return kind


@pytest.fixture
def stage(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Stage]:
    url = (
        f"sqlite:///{tmp_path / 'log.sqlite'}"
        if database == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    temporal = start_server(tmp_path / "temporal")
    world = World(url, start=datetime.now(UTC))
    made = Stage(tmp_path, temporal, world, url, free_port())
    yield made
    made.stop()
    made.temporal.kill()
    world.close()


def assigned(world: World, transferred: datetime | None = None) -> Task:
    """A task that was transferred some time ago."""
    world.now = datetime.now(UTC)
    today = world.now.date()
    header = {
        **HEADER,
        "issued_on": (today - timedelta(days=3)).isoformat(),
        "due_on": (today + timedelta(days=40)).isoformat(),
    }
    registered = world.do("T-1", "register", header, role="office")
    return world.do(registered, "transfer", role="office", received_at=transferred or world.now)


async def hand_in_until_answered(
    stage: Stage, submission: Submission, case: tuple[str, str]
) -> bytes:
    """What a person's client does: the same bytes again until the receipt comes."""
    data = format_submission(submission)
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
        while True:
            try:
                answer = await client.post(
                    f"http://127.0.0.1:{stage.door_port}/commands", content=data, timeout=5
                )
                if answer.status_code == httpx.codes.OK:
                    return answer.content
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
            except httpx.TransportError:
                pass
            await asyncio.to_thread(stage.start_again_what_died, *case)
            await asyncio.sleep(0.05)


async def agree(stage: Stage, seq: int, case: tuple[str, str]) -> Task:
    """Wait until the workflow knows the log's last step, then compare everything with the log."""
    known = None
    async with asyncio.timeout(PATIENCE):
        while known is None or known.seq < seq or stage.armed.exists() or outbox_waits(stage):
            await asyncio.to_thread(stage.start_again_what_died, *case)
            # Whatever is being killed may say anything.
            with suppress(Exception):
                known = await workflow_knows(stage)
            await asyncio.sleep(_LOOK)
    stage.world.engine.dispose()
    with stage.world.engine.connect() as connection:
        chain = ledger.read_chain(connection, "T-1")
        shown = queries.get_task(connection, "T-1")
    logged = fold(chain)
    assert [row.seq for row in chain] == list(range(1, seq + 1))
    assert format_task(logged) == format_task(known)
    assert shown is not None
    assert format_task(logged) == format_task(shown)
    return logged


async def workflow_knows(stage: Stage) -> Task:
    timeout = timedelta(seconds=5)
    handle = (await stage.client()).get_workflow_handle("T-1")
    return parse_task(await handle.query("task", rpc_timeout=timeout))


def outbox_waits(stage: Stage) -> bool:
    """Whether something is still to be delivered; a database that is down has not said no."""
    try:
        with stage.world.engine.connect() as connection:
            return bool(queries.posted(connection))
    except OperationalError:
        return True


@pytest.mark.parametrize(("database", "victim", "point"), CASES, indirect=["database"])
async def test_a_persons_step_survives_a_kill(stage: Stage, victim: str, point: str) -> None:
    task = assigned(stage.world)
    # The first run only brings the workflow up, so that the kill meets the step alone.
    await asyncio.to_thread(stage.start, victim, point)
    await agree_unarmed(stage)
    stage.armed.touch()
    submission = stage.world.submission(
        task, "confirm", role="officer", issued_at=datetime.now(UTC)
    )
    receipt = await hand_in_until_answered(stage, submission, (victim, point))
    task = await agree(stage, 3, (victim, point))
    assert not stage.armed.exists()
    assert task.state is State.CONFIRMED
    with stage.world.engine.connect() as connection:
        assert ledger.read_chain(connection, "T-1")[-1].data == receipt


async def agree_unarmed(stage: Stage) -> None:
    known = None
    async with asyncio.timeout(PATIENCE):
        while known is None or outbox_waits(stage):
            with suppress(Exception):
                known = await workflow_knows(stage)
            await asyncio.sleep(_LOOK)


def round_the_clock(plain: Calendar) -> Calendar:
    """Every hour of every day is worked: but for the minute before midnight, which cannot be."""
    return Calendar(
        version=plain.version, hours=ROUND_THE_CLOCK, special={},
        settled_from=plain.settled_from, settled_until=plain.settled_until,
    )  # fmt: skip


def transferred_for(due: datetime, calendar: Calendar) -> datetime:
    """When a task was transferred whose confirmation runs out then: some four hours before."""
    transferred = due - timedelta(hours=4)
    while (late := confirm_clock(transferred, calendar).due - due) > timedelta():
        transferred -= late
    return transferred


@pytest.mark.parametrize("after", [1, 30, 60, 3_600, 14_340, 14_400, 14_401, 43_200])
def test_at_any_hour_a_confirmation_can_be_made_to_run_out(after: int) -> None:
    """Also when midnight, at 17:00 here, lies between the transfer and that."""
    calendar = round_the_clock(load())
    due = datetime(2026, 3, 4, 17, 0, tzinfo=UTC) + timedelta(seconds=after)
    assert confirm_clock(transferred_for(due, calendar), calendar).due == due


@pytest.mark.parametrize(("database", "victim", "point"), CLOCK_CASES, indirect=["database"])
async def test_a_deadlines_step_survives_a_kill(stage: Stage, victim: str, point: str) -> None:
    """The confirmation runs out within seconds of the service's start."""
    stage.world.calendar = round_the_clock(stage.world.calendar)
    stage.world.recorder = stage.world.another_recorder()
    soon = datetime.now(UTC) + timedelta(seconds=2)
    assigned(stage.world, transferred_for(soon, stage.world.calendar))
    stage.armed.touch()
    await asyncio.to_thread(stage.start, victim, point)
    task = await agree(stage, 3, (victim, point))
    assert "confirm" in task.missed


@pytest.mark.parametrize(
    ("database", "victim", "point"), [("sqlite", "worker", "after_commit")], indirect=["database"]
)
async def test_a_step_sent_straight_to_temporal_survives_a_kill(
    stage: Stage, victim: str, point: str
) -> None:
    """The worker dies after the commit; nobody hands the command in again."""
    task = assigned(stage.world)
    await asyncio.to_thread(stage.start, victim, point)
    await agree_unarmed(stage)
    stage.armed.touch()
    submission = stage.world.submission(
        task, "confirm", role="officer", issued_at=datetime.now(UTC)
    )
    client = await stage.client()
    await client.get_workflow_handle("T-1").signal(
        "submit_signal", Submit(format_submission(submission).decode())
    )
    task = await agree(stage, 3, (victim, point))
    assert task.state is State.CONFIRMED
