"""However a workflow came to lag behind the log, it catches up by itself, timers and all."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from activities.rebuilding import rebuild
from domain.snapshot import format_task
from domain.task import State
from gateway.driver import Driver
from gateway.rehydration import rehydrate
from store import queries, schema
from store.engine import writing
from store.schema import READ_MODEL
from tests.support.clients import connect
from tests.support.histories import assigned
from tests.support.running import Running, running
from tests.support.temporal import TemporalServer, start_server
from tests.support.world import World
from workflows.messages import TASK_QUEUE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporalServer]:
    started = start_server(tmp_path / "temporal")
    yield started
    started.kill()


@pytest.fixture
async def service(server: TemporalServer, tmp_path: Path) -> AsyncIterator[Running]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    client = await connect(server.address)
    async with running(world, client, takeover=timedelta(seconds=1)) as started:
        yield started
    world.close()


async def rehydrated(service: Running) -> None:
    """What the service does every minute, now."""
    started = service.service
    await rehydrate(started.client, started.engine, started.driver)


async def test_steps_taken_while_temporal_is_down_reach_the_workflow_when_it_is_back(
    service: Running, server: TemporalServer, tmp_path: Path
) -> None:
    task = await assigned(service)
    await service.follow(task)
    server.kill()
    for event in ("confirm", "start"):
        task = await service.do(task, event, role="officer")
    again = start_server(tmp_path / "temporal", server.port)
    try:
        known = await service.follow(task)
        assert format_task(known) == format_task(task)
    finally:
        again.kill()


async def test_a_terminated_workflow_comes_back_with_its_deadlines(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    await service.handle(task).terminate("somebody's mistake")
    await rehydrated(service)
    known = await service.follow(task)
    assert known.clocks == task.clocks
    description = await service.handle(task).describe()
    events = [event async for event in service.handle(task).fetch_history_events()]
    timers = [e for e in events if e.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    armed = timers[-1].timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
    nearest = task.next_clock
    assert nearest is not None
    assert description.start_time is not None
    assert abs(description.start_time + armed - nearest[1].due) < timedelta(seconds=5)


async def test_a_note_is_struck_whoever_told_the_workflow(
    server: TemporalServer, tmp_path: Path
) -> None:
    """The comparison may come before the sweep, which then finds that the workflow was told."""
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    today = world.now.date().isoformat()
    task = world.registered("T-1", issued_on=today, due_on=None)
    client = await connect(server.address)
    driver = Driver(client, world.engine, world.recorder.directory, TASK_QUEUE)
    await driver.drive([task.id])
    await driver.drained()
    with world.engine.connect() as connection:
        assert queries.posted(connection) == {}
    world.close()


async def test_the_next_step_revives_a_terminated_workflow(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    await service.handle(task).terminate("somebody's mistake")
    task = await service.do(task, "confirm", role="officer")
    assert (await service.follow(task)).state is State.CONFIRMED


async def test_a_workflow_that_was_reset_to_its_beginning_catches_up(service: Running) -> None:
    task = await assigned(service)
    for event in ("confirm", "start"):
        task = await service.do(task, event, role="officer")
        await service.follow(task)
    client = service.service.client
    events = [event async for event in service.handle(task).fetch_history_events()]
    completed = (EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,)
    first = next(event.event_id for event in events if event.event_type in completed)
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=task.id),
            workflow_task_finish_event_id=first,
            request_id="reset",
            reason="an operator tries something",
        )
    )
    task = await service.do(task, "submit", {"summary": "Đã xong"}, role="officer")
    known = await service.follow(task)
    assert format_task(known) == format_task(task)
    assert [row.seq for row in service.world.chain(task.id)] == [1, 2, 3, 4, 5]


async def test_a_lost_temporal_store_costs_nothing(
    service: Running, server: TemporalServer, tmp_path: Path
) -> None:
    tasks = [await assigned(service, f"T-{number}") for number in range(5)]
    tasks[0] = await service.do(tasks[0], "confirm", role="officer")
    await service.follow(tasks[0])
    server.kill()
    for file in (tmp_path / "temporal").glob("temporal.sqlite*"):
        file.unlink()
    again = start_server(tmp_path / "temporal", server.port)
    try:
        await rehydrated(service)
        for task in tasks:
            known = await service.follow(task)
            assert format_task(known) == format_task(task)
    finally:
        again.kill()


async def test_the_read_model_is_rebuilt_from_the_log_alone(service: Running) -> None:
    task = await assigned(service)
    task = await service.do(task, "confirm", role="officer")
    engine = service.service.engine
    with engine.connect() as connection:
        before = queries.list_tasks(connection), queries.agencies(connection)
    with writing(engine) as connection:
        for table in READ_MODEL:
            connection.execute(delete(table))
    rebuilt = rebuild(engine)
    with engine.connect() as connection:
        assert (queries.list_tasks(connection), queries.agencies(connection)) == before
        shown = queries.get_task(connection, task.id)
    assert shown is not None
    assert format_task(shown) == format_task(task)
    assert rebuilt.tasks == 1


async def test_a_row_changed_on_the_screen_moves_no_timer(service: Running) -> None:
    """A workflow that starts again takes its deadlines from the log."""
    task = await assigned(service)
    await service.follow(task)
    changed = json.dumps(format_task(task)).replace(f'"{task.clocks["confirm"].due:%Y}-', '"2099-')
    with writing(service.service.engine) as connection:
        connection.execute(update(schema.task).values(snapshot=changed))
    await service.handle(task).terminate("and the row was changed")
    await rehydrated(service)
    known = await service.follow(task)
    assert known.clocks == task.clocks


async def test_one_chain_that_cannot_be_read_hinders_no_other(service: Running) -> None:
    broken, sound = await assigned(service, "T-1"), await assigned(service, "T-2")
    await service.follow(sound)
    await service.handle(sound).terminate("somebody's mistake")
    with writing(service.service.engine) as connection:
        connection.exec_driver_sql("DROP TRIGGER entry_no_update")
        values = {"data": b"{}"}
        connection.execute(
            update(schema.entry).where(schema.entry.c.chain == broken.id).values(**values)
        )
        connection.execute(insert(schema.outbox).values(task=broken.id, seq=9))
    await rehydrated(service)
    assert (await service.follow(sound)).clocks == sound.clocks


async def test_a_workflow_that_nobody_will_tell_any_more_is_found_behind(service: Running) -> None:
    """Its entry is recorded, and the note that it must be told of it is gone."""
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    task = service.world.do(task, "confirm", role="officer")
    with writing(service.service.engine) as connection:
        queries.unpost(connection, {task.id: task.seq})
    await rehydrated(service)
    assert (await service.follow(task)).state is State.CONFIRMED
