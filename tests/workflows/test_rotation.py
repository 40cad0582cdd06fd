"""The log gets another key for records while tasks are under way: nobody has to tell workflows."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from audit.private_keys import PrivateKey
from domain.task import State, Task
from gateway.rehydration import rehydrate
from store import queries
from store.engine import writing
from tests.support.forging import forged
from tests.support.histories import assigned, past
from tests.support.running import Running, running
from tests.support.world import World, key_of, spki_of
from workflows.messages import LOOK_UP, Follow, TaskStart

NEW, NEWER = key_of("log 2"), key_of("log 3")
A_LITTLE = timedelta(seconds=90)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    yield made
    made.close()


@pytest.fixture
async def service(world: World, time_skipping: WorkflowEnvironment) -> AsyncIterator[Running]:
    async with running(world, time_skipping.client) as started:
        yield started


async def runs(service: Running, task: Task) -> list[WorkflowHistory]:
    """The histories of all runs of a task's workflow, the first one first."""
    found: list[WorkflowHistory] = []
    wanted: str | None = (await service.handle(task).describe()).run_id
    while wanted:
        handle = service.service.client.get_workflow_handle(task.id, run_id=wanted)
        found.insert(0, await handle.fetch_history())
        started = found[0].events[0].workflow_execution_started_event_attributes
        wanted = started.continued_execution_run_id
    return found


async def looks(service: Running, task: Task) -> list[int]:
    """How often each run of a task's workflow looked into the log."""
    marker = EventType.EVENT_TYPE_MARKER_RECORDED
    return [
        sum(e.event_type == marker and LOOK_UP in str(e) for e in history.events)
        for history in await runs(service, task)
    ]


async def told(service: Running, task: Task) -> TaskStart:
    """What the task's present run was started with."""
    started = (await runs(service, task))[-1].events[0].workflow_execution_started_event_attributes
    converter = service.service.client.data_converter
    values = await converter.decode(started.input.payloads, [TaskStart])
    start = values[0]
    assert isinstance(start, TaskStart)
    return start


def forgery(service: Running, task: Task, key: PrivateKey) -> Follow:
    """The next step of the task, well formed, under a record that the log never signed."""
    service.world.now = service.clock()
    command = service.world.submission(task, "confirm", role="officer").command
    row = forged(service.world, service.world.rows(), command, key, to="confirmed")
    return Follow([row.data.decode()])


async def flood(service: Running, task: Task, signals: int) -> None:
    for number in range(signals):
        follow = forgery(service, task, key_of(f"stranger {number}"))
        await service.handle(task).signal("follow", follow)


async def rolled(service: Running, task: Task) -> None:
    """Fill the run with signals that say nothing, until the workflow goes on in a new one."""
    first = (await service.handle(task).describe()).run_id
    while (await service.handle(task).describe()).run_id == first:
        for _ in range(50):
            await service.handle(task).signal("follow", Follow([]))
        await service.known(task)


async def test_a_task_under_way_goes_on_after_a_rotation_with_its_deadlines(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.rotate(NEW)
    task = await service.do(task, "confirm", role="officer")
    known = await service.follow(task)
    assert (known.state, known.clocks) == (State.CONFIRMED, task.clocks)
    task = await past(service, time_skipping, task, "due")
    assert task.overdue
    assert (await service.follow(task)).overdue
    for event in ("start", "report"):
        arguments = {"summary": "Một nửa"} if event == "report" else None
        task = await service.do(task, event, arguments, role="officer")
        await service.follow(task)
    # Once, at the first entry by the new key; from then on it is known.
    assert await looks(service, task) == [1]


async def test_a_deadline_that_comes_right_after_a_rotation_is_kept(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.rotate(NEW)
    task = await past(service, time_skipping, task, "confirm")
    assert "confirm" in (await service.follow(task)).missed
    task = await service.do(task, "confirm", role="officer")
    assert (await service.follow(task)).state is State.CONFIRMED


async def test_a_key_exchanged_twice_is_learned_at_once(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    for key in (NEW, NEWER):
        service.rotate(key)
    task = await service.do(task, "confirm", role="officer")
    await service.follow(task)
    assert await looks(service, task) == [1]


async def test_the_key_of_before_is_not_believed_any_more(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.rotate(NEW)
    task = await service.do(task, "confirm", role="officer")
    await service.follow(task)
    stolen = service.world.keys.log
    await service.handle(task).signal("follow", forgery(service, task, stolen))
    assert (await service.known(task)).seq == task.seq


async def test_forged_entries_change_nothing_and_make_no_flood_of_look_ups(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await assigned(service)
    await service.follow(task)
    await flood(service, task, 400)
    assert await service.known(task) == task
    counted = await looks(service, task)
    assert len(counted) >= 2
    assert max(counted) == 1
    # Its deadline comes all the same.
    task = await past(service, time_skipping, task, "confirm")
    assert "confirm" in (await service.follow(task)).missed


async def test_a_rotation_right_after_a_forgery_is_learned_a_little_later(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await assigned(service)
    await service.follow(task)
    await flood(service, task, 1)
    assert await service.known(task) == task
    service.rotate(NEW)
    later = await service.do(task, "confirm", role="officer")
    await service.service.driver.drained()
    assert (await service.known(task)).seq == task.seq
    await service.forward(time_skipping, task, A_LITTLE)
    assert (await service.follow(later)).state is State.CONFIRMED
    assert await looks(service, task) == [2]


async def test_a_new_run_knows_the_new_key(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.rotate(NEW)
    task = await service.do(task, "confirm", role="officer")
    await service.follow(task)
    await rolled(service, task)
    task = await service.do(task, "start", role="officer")
    await service.follow(task)
    assert (await told(service, task)).log_key == spki_of(NEW)
    assert await looks(service, task) == [1, 0]


async def test_a_doubt_that_is_still_open_goes_on_into_the_new_run(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    await flood(service, task, 1)
    assert await service.known(task) == task
    service.rotate(NEW)
    task = await service.do(task, "confirm", role="officer")
    await service.service.driver.drained()
    await rolled(service, task)
    assert (await service.follow(task)).state is State.CONFIRMED
    assert await looks(service, task) == [1, 1]


async def test_a_rotation_while_no_worker_runs_is_learned_when_one_is_back(
    world: World, time_skipping: WorkflowEnvironment
) -> None:
    client = time_skipping.client
    async with running(world, client) as service:
        task = await assigned(service)
        await service.follow(task)
    service.rotate(NEW)
    task = world.do(task, "confirm", role="officer")
    async with running(world, client, service.clock) as service:
        assert (await service.follow(task)).state is State.CONFIRMED
        task = await past(service, time_skipping, task, "due")
        assert (await service.follow(task)).overdue


async def test_a_workflow_brought_back_after_a_rotation_is_told_the_new_key(
    service: Running,
) -> None:
    task, other = await assigned(service), await assigned(service, "T-2")
    for each in (task, other):
        await service.follow(each)
    await service.handle(task).terminate("somebody's mistake")
    service.rotate(NEW)
    # Of this step its workflow hears by nothing but the comparison.
    other = service.world.do(other, "confirm", role="officer")
    started = service.service
    with writing(started.engine) as connection:
        queries.unpost(connection, {other.id: other.seq})
    await rehydrate(started.client, started.engine, started.driver)
    assert (await service.follow(other)).state is State.CONFIRMED
    assert (await told(service, task)).log_key == spki_of(NEW)
    task = await service.do(task, "confirm", role="officer")
    assert (await service.follow(task)).state is State.CONFIRMED
    assert await looks(service, task) == [0]
