"""Each kind of difference between log, screens and Temporal, provoked for real and repaired."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from structlog.testing import capture_logs
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from activities.folding import newest
from activities.queue import RecorderQueue
from audit.entry import open_record, parse_entry
from audit.submission import format_submission
from domain.snapshot import format_task
from domain.task import Task
from gateway import reconciling
from gateway.comparing import Difference, Process, Reconciled
from gateway.reconciling import Repaired, Scene, reconcile, repair
from gateway.watching import reconcile_once
from store import queries, tree
from store.engine import writing
from tests.support.clients import connect
from tests.support.histories import assigned
from tests.support.patience import PATIENCE
from tests.support.running import Running, running
from tests.support.temporal import TemporalServer, start_server
from tests.support.world import World, spki_of
from workflows.messages import TASK_QUEUE, Answer, Follow, Submit, TaskStart


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporalServer]:
    started = start_server(tmp_path / "temporal")
    yield started
    started.kill()


@dataclass
class Bench:
    """A running service with one task, everything sequenced, and nothing that differs."""

    service: Running
    task: Task

    @property
    def scene(self) -> Scene:
        started = self.service.service
        return Scene(started.client, started.engine, TASK_QUEUE, self.service.clock, pause=0.5)

    async def reconcile(self) -> Reconciled:
        self.sequence()
        return await reconcile(self.scene)

    async def found(self) -> list[tuple[str, str]]:
        return kinds(await self.reconcile())

    async def repaired(self, *, terminate_foreign: bool = False) -> Repaired:
        result = await self.reconcile()
        driver = self.service.service.driver
        return await repair(self.scene, result, driver, terminate_foreign=terminate_foreign)

    async def until_found(self, *expected: tuple[str, str]) -> None:
        """Wait until this is all that differs; the server lists changes a moment later."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if await self.found() == list(expected):
                    return
                await asyncio.sleep(0.1)

    async def listed(self, task: Task) -> None:
        """Wait until the server lists the task's workflow as one that knows its last step."""
        await self.service.follow(task)
        await until_listed(self.scene, {task.id: task.seq})

    async def until_same(self) -> None:
        await self.until_found()

    def sequence(self) -> None:
        with writing(self.service.service.engine) as connection:
            tree.sequence(connection, 1_000)

    def sql(self, *statements: str) -> None:
        with writing(self.service.service.engine) as connection:
            for statement in statements:
                connection.execute(text(statement))

    def title(self) -> str:
        with self.service.service.engine.connect() as connection:
            return shown_title(connection)


def shown_title(connection: Connection) -> str:
    return queries.list_tasks(connection)[0].title


def kinds(result: Reconciled) -> list[tuple[str, str]]:
    return [(each.kind, each.subject) for each in result.differences]


@pytest.fixture
async def bench(server: TemporalServer, database_url: str) -> AsyncIterator[Bench]:
    world = World(database_url, start=datetime.now(UTC))
    client = await connect(server.address)
    async with running(world, client, takeover=timedelta(seconds=1)) as started:
        task = await assigned(started)
        await started.follow(task)
        made = Bench(started, task)
        await made.until_same()
        yield made
    world.close()


async def test_a_log_its_screens_and_its_workflows_that_agree(bench: Bench) -> None:
    result = await bench.reconcile()
    assert result.differences == ()
    size = len(bench.service.world.rows())
    assert (result.size, result.tasks, result.workflows) == (size, 1, 1)


async def until_listed(scene: Scene, known: Mapping[str, int]) -> None:
    """Wait until each of these workflows is listed as one that knows so many entries."""
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = await reconciling._running(scene.client, scene.task_queue)
            seqs = {each.id: each.seq for each in listed}
            if all(seqs.get(task, 0) >= seq for task, seq in known.items()):
                return
            await asyncio.sleep(0.05)


async def test_steps_in_flight_raise_no_alarm(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on its way at the first look has come by the second one, however busy the machine."""
    look = reconciling._look

    async def look_in_time(scene: Scene, since: Mapping[str, int] | None) -> object:
        if since is not None:
            await until_listed(scene, since)
        return await look(scene, since)

    monkeypatch.setattr(reconciling, "_look", look_in_time)

    async def work() -> None:
        task = bench.task
        for event in ("confirm", "start"):
            task = await bench.service.do(task, event, role="officer")
        for number in range(20):
            summary = {"summary": f"Lần {number}"}
            task = await bench.service.do(task, "report", summary, role="officer")
            await assigned(bench.service, f"N-{number}")

    working = asyncio.create_task(work())
    while not working.done():
        assert await bench.found() == []
    await working


async def test_a_step_between_the_two_questions_is_not_taken_for_a_loss(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time, a step is recorded and delivered after the log was read, before the list is."""
    steps, listed = iter(["confirm", "start"]), reconciling._running
    task = bench.task

    async def running_after_a_step(client: Client, queue: str) -> list[Process]:
        nonlocal task
        task = await bench.service.do(task, next(steps), role="officer")
        await bench.service.follow(task)
        async with asyncio.timeout(PATIENCE):
            while True:
                running = await listed(client, queue)
                if running[0].seq == task.seq:
                    return running
                await asyncio.sleep(0.05)

    monkeypatch.setattr(reconciling, "_running", running_after_a_step)
    # Something does differ, so that two looks are taken.
    bench.sql("UPDATE agency SET name_en = 'X' WHERE id = 'snv'")
    assert await bench.found() == [("row_differs", "agency/snv")]
    assert next(steps, None) is None


@pytest.mark.parametrize(
    "change",
    [
        "state = 'done'",
        "title = 'Một tên khác'",
        "next_due = NULL",
        "seq = seq + 1",
        "snapshot = replace(snapshot, '20', '19')",
        "snapshot = '{'",
    ],
)
async def test_a_row_changed_by_hand_is_found_and_made_again(bench: Bench, change: str) -> None:
    title = bench.title()
    bench.sql(f"UPDATE task SET {change}")
    assert await bench.found() == [("row_differs", "T-1")]
    assert (await bench.repaired()).rows == 1
    assert await bench.found() == []
    assert bench.title() == title


async def test_rows_taken_away_or_put_in_are_found_and_put_right(bench: Bench) -> None:
    columns = "document, lead, state, overdue, due_on, seq, snapshot, title"
    bench.sql(f"INSERT INTO task (id, {columns}) SELECT 'T-0', {columns} FROM task")
    assert await bench.found() == [("row_unexplained", "T-0")]
    bench.sql("DELETE FROM task WHERE id = 'T-1'")
    assert await bench.found() == [("row_missing", "T-1"), ("row_unexplained", "T-0")]
    await bench.repaired()
    assert await bench.found() == []


async def test_the_names_of_agencies_are_compared_too(bench: Bench) -> None:
    bench.sql(
        "UPDATE agency SET name_en = 'Ministry of Silly Walks' WHERE id = 'snv'",
        "DELETE FROM agency WHERE id = 'vp'",
        "INSERT INTO agency (id, name_vi, name_en) VALUES ('zz', 'Z', 'Z')",
    )
    assert await bench.found() == [
        ("row_differs", "agency/snv"),
        ("row_missing", "agency/vp"),
        ("row_unexplained", "agency/zz"),
    ]
    await bench.repaired()
    assert await bench.found() == []


async def test_an_erased_title_is_no_difference_and_stays_erased(bench: Bench) -> None:
    bench.service.world.now = bench.service.clock()
    bench.service.world.erase("T-1", 1, "title")
    assert await bench.found() == []
    bench.sql("UPDATE task SET title = 'Tên đã xóa'")
    assert await bench.found() == [("row_differs", "T-1")]
    await bench.repaired()
    assert bench.title() == ""


async def test_a_terminated_workflow_is_told_from_a_missing_one(bench: Bench) -> None:
    await bench.service.handle("T-1").terminate("somebody's mistake")
    await bench.until_found(("workflow_terminated", "T-1"))
    result = await bench.reconcile()
    assert result.differences == (Difference("workflow_terminated", "T-1", "terminated"),)
    assert (await bench.repaired()).driven == 1
    await bench.until_same()


async def test_a_task_that_never_had_a_workflow_is_found(bench: Bench) -> None:
    bench.service.world.now = bench.service.clock()
    task = await unheard(bench, "T-2")
    await bench.until_found(("workflow_missing", task))
    await bench.repaired()
    await bench.until_same()
    assert (await bench.service.known(task)).seq == 1


async def unheard(bench: Bench, name: str) -> str:
    """A task whose registration nobody will tell of: the note is struck before it is read."""
    world = bench.service.world
    today = world.now.date()
    header = {
        "issued_on": (today - timedelta(days=1)).isoformat(),
        "due_on": (today + timedelta(days=20)).isoformat(),
    }
    driver = bench.service.service.driver
    sweep, driver._posted = driver._posted, dict  # type: ignore[method-assign]
    world.registered(name, **header)
    bench.sql(f"DELETE FROM outbox WHERE task = '{name}'")
    driver._posted = sweep  # type: ignore[method-assign]
    return name


async def test_a_workflow_that_nobody_told_is_behind(bench: Bench) -> None:
    world, driver = bench.service.world, bench.service.service.driver
    world.now = bench.service.clock()
    sweep, driver._posted = driver._posted, dict  # type: ignore[method-assign]
    task = world.do(bench.task, "confirm", role="officer")
    bench.sql("DELETE FROM outbox")
    driver._posted = sweep  # type: ignore[method-assign]
    result = await bench.reconcile()
    assert kinds(result) == [("workflow_behind", "T-1")]
    assert "2 entries" in result.differences[0].detail
    await bench.repaired()
    assert (await bench.service.follow(task)).seq == 3
    await bench.until_same()


async def test_a_workflow_that_was_reset_and_lags_is_named_so(bench: Bench) -> None:
    task = await bench.service.do(bench.task, "confirm", role="officer")
    await bench.service.follow(task)
    await reset(bench)
    await bench.until_found(("workflow_reset", "T-1"))
    await bench.repaired()
    await bench.service.follow(task)
    await bench.until_same()


async def reset(bench: Bench) -> None:
    """To its beginning, and without the signals that came since."""
    client = bench.service.service.client
    events = [event async for event in bench.service.handle("T-1").fetch_history_events()]
    completed = (EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,)
    first = next(event.event_id for event in events if event.event_type in completed)
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id="T-1"),
            workflow_task_finish_event_id=first,
            request_id="reset",
            reason="an operator tries something",
            reset_reapply_exclude_types=[
                ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
            ],
        )
    )


async def test_a_log_that_lost_its_end_is_found_by_what_the_workflow_knows(bench: Bench) -> None:
    task = await bench.service.do(bench.task, "confirm", role="officer")
    await bench.listed(task)
    cut_off(bench, task)
    result = await bench.reconcile()
    assert kinds(result) == [
        ("row_differs", "T-1"),
        ("update_without_entry", "T-1"),
        ("workflow_ahead", "T-1"),
    ]
    assert result.differences[2].detail == "it knows 3 entries, the log has 2"
    # What the log lost no repair brings back.
    await bench.repaired()
    assert ("workflow_ahead", "T-1") in await bench.found()


def cut_off(bench: Bench, task: Task) -> None:
    """Remove the last entry from the log: what a database restored from a backup would lack."""
    bench.sequence()
    chosen = f"(SELECT id FROM entry WHERE chain = '{task.id}' AND seq = {task.seq})"
    guards = {
        "sqlite": ("DROP TRIGGER entry_no_delete", "DROP TRIGGER leaf_no_delete"),
        "postgresql": (
            "ALTER TABLE entry DISABLE TRIGGER USER", "ALTER TABLE leaf DISABLE TRIGGER USER",
        ),
    }  # fmt: skip
    bench.sql(
        *guards[bench.scene.engine.dialect.name],
        f"DELETE FROM leaf WHERE entry = {chosen}",
        f"DELETE FROM entry WHERE chain = '{task.id}' AND seq = {task.seq}",
    )


@pytest.mark.parametrize("way", ["update", "signal"])
async def test_a_receipt_given_through_temporal_that_is_not_in_the_log_is_found(
    bench: Bench, way: str
) -> None:
    service = bench.service
    service.world.now = service.clock()
    submission = service.world.submission(bench.task, "confirm", role="officer")
    words = Submit(format_submission(submission).decode())
    if way == "update":
        answer = await service.handle("T-1").execute_update("submit", words, result_type=Answer)
        assert answer.entry is not None
    else:
        await service.handle("T-1").signal("submit_signal", words)
    confirmed = await service.until("T-1", lambda task: task.seq == 3)
    await service.follow(confirmed)
    await bench.until_same()
    cut_off(bench, confirmed)
    # Another step takes its number: the counts agree again, the entries do not.
    service.service.recorder._tasks.clear()
    service.world.now = service.clock()
    service.world.recorder = service.world.another_recorder()
    service.world.do(bench.task, "confirm", role="officer")
    found = await bench.found()
    assert ("update_without_entry", "T-1") in found
    assert ("workflow_ahead", "T-1") not in found


async def test_what_only_looks_like_a_receipt_is_none(bench: Bench) -> None:
    forged = bench.service.world.rows()[-1].data.decode()[:-10] + '0"}],"v":1}'
    await bench.service.handle("T-1").signal("follow", Follow(["nonsense", forged]))
    await bench.service.follow(bench.task)
    assert await bench.found() == []


async def test_workflows_that_are_nobodys_are_found_and_end_only_when_told(bench: Bench) -> None:
    client, key = bench.service.service.client, spki_of(bench.service.world.keys.log)
    start = TaskStart("X-1", key, {**format_task(bench.task), "id": "X-1"})
    await client.start_workflow("Task", start, id="X-1", task_queue=TASK_QUEUE)
    await client.start_workflow("Mining", id="X-2", task_queue=TASK_QUEUE)
    await client.start_workflow("Task", start, id="X-3", task_queue="elsewhere")
    await client.start_workflow("Other", id="Y-1", task_queue="elsewhere")
    foreign = [("workflow_foreign", name) for name in ("X-1", "X-2", "X-3")]
    await bench.until_found(*foreign)
    assert (await bench.repaired()).terminated == 0
    assert (await bench.repaired(terminate_foreign=True)).terminated == 3
    await bench.until_same()
    description = await client.get_workflow_handle("Y-1").describe()
    assert description.status is WorkflowExecutionStatus.RUNNING


async def test_entries_without_a_place_are_found_when_they_have_waited(bench: Bench) -> None:
    task = await bench.service.do(bench.task, "confirm", role="officer")
    await bench.service.follow(task)
    assert kinds(await reconcile(bench.scene)) == []
    later = Scene(
        bench.scene.client,
        bench.scene.engine,
        TASK_QUEUE,
        lambda: bench.service.clock() + timedelta(minutes=2),
        pause=0,
    )
    assert kinds(await reconcile(later)) == [("entry_unsequenced", "T-1/3")]
    bench.sql("DELETE FROM unsequenced")
    assert kinds(await reconcile(later)) == [("entry_forgotten", "T-1/3")]
    assert (await bench.repaired()).queued == 1
    assert await bench.found() == []


async def test_a_result_is_recorded_and_each_difference_is_an_alarm(bench: Bench) -> None:
    bench.sql("UPDATE task SET state = 'done'")
    bench.sequence()
    queue = RecorderQueue(bench.service.service.recorder, lambda _recorded, _asker: None)
    with capture_logs() as logs:
        result = await reconcile_once(bench.scene, queue)
    await asyncio.to_thread(queue.stop)
    alarms = [each for each in logs if each["log_level"] == "error"]
    assert {"kind": "row_differs", "subject": "T-1"}.items() <= alarms[0].items()
    assert alarms[-1]["row_differs"] == 1
    with bench.scene.engine.connect() as connection:
        recorded = newest(connection, "reconciled")
    assert recorded is not None
    assert recorded.arguments == result.arguments
    assert recorded.arguments["differences"]["row_differs"] == 1
    person = open_record(parse_entry(recorded.row.data).record).predicate["person"]
    assert person == "clock"


async def test_the_service_reconciles_by_itself(server: TemporalServer, tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    client = await connect(server.address)
    every = timedelta(seconds=1)
    async with running(world, client, reconcile_every=every) as service:
        await service.follow(await assigned(service))
        async with asyncio.timeout(PATIENCE):
            while True:
                await asyncio.sleep(0.1)
                attested = world.chain("attestations")
                if len(attested) > 1:
                    break
    times = [instant(row.data) for row in attested]
    assert times[1] - times[0] >= every
    world.close()


def instant(data: bytes) -> datetime:
    return datetime.fromisoformat(open_record(parse_entry(data).record).text("recorded_at"))
