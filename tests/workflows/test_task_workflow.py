"""The workflow of a task on a real Temporal server, its clock moved on where time must pass."""

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.folding import step_of
from audit.entry import Entry, command_digest, format_entry, open_command, open_record, parse_entry
from audit.signing import sign_record
from audit.submission import format_submission
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.task import State, Task, Timeliness
from tests.support.canary import Canary
from tests.support.histories import assigned, begun, past
from tests.support.running import Running, running
from tests.support.world import HEADER, World, key_of
from workflows.messages import Answer, Follow, Submit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    yield made
    made.close()


@pytest.fixture
async def service(world: World, time_skipping: WorkflowEnvironment) -> AsyncIterator[Running]:
    async with running(world, time_skipping.client) as started:
        yield started


async def test_a_task_walks_from_assigned_to_done_on_time(service: Running) -> None:
    task = await begun(service)
    task = await service.do(task, "submit", {"summary": "Đã xong"}, role="officer")
    task = await service.do(task, "approve", role="approver")
    assert (task.state, task.timeliness) == (State.DONE, Timeliness.ON_TIME)
    task = await service.do(task, "evaluate", {"rating": "met"}, role="monitor")
    await service.follow(task)
    assert await service.handle(task).result() == "done"


async def test_a_deadline_that_passes_makes_the_task_overdue_and_the_result_late(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await past(service, time_skipping, await begun(service), "due")
    assert task.overdue
    task = await service.do(task, "submit", {"summary": "Đã xong, chậm"}, role="officer")
    task = await service.do(task, "approve", role="approver")
    assert (task.state, task.timeliness) == (State.DONE, Timeliness.LATE)


async def test_a_disputed_task_is_reassigned_and_done_by_the_other_agency(service: Running) -> None:
    task = await assigned(service)
    task = await service.do(task, "dispute", {"reason": "Không thuộc thẩm quyền"}, role="officer")
    task = await service.do(task, "reassign", {"reason": "Đúng việc", "lead": "sxd"}, role="office")
    assert (task.state, task.lead) == (State.ASSIGNED, "sxd")
    for event in ("confirm", "start"):
        task = await service.do(task, event, role="other_officer")
    task = await service.do(task, "submit", {"summary": "Xong"}, role="other_officer")
    task = await service.do(task, "approve", role="other_approver")
    assert task.state is State.DONE
    known = await service.follow(task)
    assert (known.seq, known.lead) == (8, "sxd")


async def test_a_missed_confirmation_is_an_entry_signed_by_the_clock(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await past(service, time_skipping, await assigned(service), "confirm")
    assert "confirm" in task.missed
    entry = parse_entry(service.world.chain(task.id)[-1].data)
    assert open_command(entry.command).predicate["event"] == "lapse"
    assert entry.command.verify(service.world.keys.clock.public)
    assert entry.record.verify(service.world.keys.log.public)


async def test_a_result_handed_in_before_the_deadline_is_on_time_whenever_it_is_approved(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    task = await begun(service)
    task = await service.do(task, "submit", {"summary": "Đã xong"}, role="officer")
    task = await past(service, time_skipping, task, "due")
    assert not task.overdue
    task = await service.do(task, "approve", role="approver")
    assert task.timeliness is Timeliness.ON_TIME


async def test_a_command_sent_straight_through_temporal_is_recorded_like_any_other(
    service: Running,
) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    submission = service.world.submission(task, "confirm", role="officer")
    text = format_submission(submission).decode()
    handle = service.handle(task)
    answer = await handle.execute_update("submit", Submit(text), result_type=Answer)
    assert answer.snapshot is not None
    assert answer.snapshot["state"] == "confirmed"
    again = await handle.execute_update("submit", Submit(text), result_type=Answer)
    assert again.entry == answer.entry
    await handle.signal("submit_signal", Submit(text))
    assert len(service.world.chain(task.id)) == 3


async def test_a_refusal_comes_back_through_temporal_with_its_reason(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    submission = service.world.submission(task, "approve", role="approver")
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await service.handle(task).execute_update(
            "submit", Submit(format_submission(submission).decode())
        )
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.message == "wrong_state"


async def test_what_names_the_highest_secrecy_is_turned_down_before_the_history_has_it(
    service: Running,
) -> None:
    task = await assigned(service)
    await service.follow(task)
    canary = Canary("through Temporal")
    body = f'{{"secrecy": "tuyệt mật", "title": "{canary.words}"}}'
    carried = base64.b64encode(body.encode()).decode()
    handle = service.handle(task)
    for text in (body, f'{{"command": {{"payload": "{carried}"}}}}'):
        with pytest.raises(WorkflowUpdateFailedError) as failure:
            await handle.execute_update("submit", Submit(text))
        cause = failure.value.cause
        assert isinstance(cause, ApplicationError)
        assert cause.message == "secrecy_forbidden"
    events = [event async for event in handle.fetch_history_events()]
    assert not canary.in_bytes(b"".join(event.SerializeToString() for event in events))
    assert len(service.world.chain(task.id)) == 2


async def test_words_of_a_protected_task_do_not_pass_through_temporal(service: Running) -> None:
    task = await assigned(service, secrecy="secret")
    await service.follow(task)
    service.world.now = service.clock()
    canary, handle = Canary("words through Temporal"), service.handle(task)
    submission = service.world.submission(task, "dispute", {"reason": canary.words}, role="officer")
    text = format_submission(submission).decode()
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await handle.execute_update("submit", Submit(text))
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.message == "words_by_door_only"
    events = [event async for event in handle.fetch_history_events()]
    assert not canary.in_bytes(b"".join(event.SerializeToString() for event in events))
    # A signal is in the history before anybody can look at it; it is not recorded, either.
    await handle.signal("submit_signal", Submit(text))
    plain = service.world.submission(task, "confirm", role="officer")
    done = await handle.execute_update(
        "submit", Submit(format_submission(plain).decode()), result_type=Answer
    )
    assert done.snapshot is not None
    assert (done.snapshot["state"], len(service.world.chain(task.id))) == ("confirmed", 3)
    task = await service.do(
        await service.known(task), "dispute", {"reason": canary.words}, role="officer"
    )
    await service.follow(task)


async def test_garbage_and_forged_entries_in_a_signal_change_nothing(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    mine = service.world.chain(task.id)[-1].data.decode()
    other = await assigned(service, "T-2")
    theirs = service.world.chain(other.id)[-1].data.decode()
    forged = mine.replace('"v":1', '"v":2')
    await service.handle(task).signal("follow", Follow(["", "{}", forged, theirs, mine]))
    for text in ("not a submission", "\ud800"):
        await service.handle(task).signal("submit_signal", Submit(text))
    known = await service.known(task)
    assert known.seq == task.seq
    task = await service.do(task, "confirm", role="officer")
    assert (await service.follow(task)).state is State.CONFIRMED


async def test_an_entry_that_another_key_signed_moves_no_workflow(service: Running) -> None:
    """Well formed, of this task, next in line, and the command in it is genuine."""
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    command = service.world.submission(task, "confirm", role="officer").command
    last = open_record(parse_entry(service.world.chain(task.id)[-1].data).record)
    claim = {
        **last.predicate,
        "command": command_digest(command),
        "from": "assigned",
        "to": "confirmed",
        "prev": task.head,
        "seq": task.seq + 1,
        "clocks": {},
    }
    forged = Entry(command, sign_record(last.subject, claim, key_of("mallory")))
    genuine = Entry(command, sign_record(last.subject, claim, service.world.keys.log))
    handle = service.handle(task)
    await handle.signal("follow", Follow([format_entry(forged).decode()]))
    assert (await service.known(task)).state is State.ASSIGNED
    # The same claim under the log's own key is believed: nothing but the key was wrong.
    await handle.signal("follow", Follow([format_entry(genuine).decode()]))
    assert (await service.known(task)).state is State.CONFIRMED


async def test_an_entry_that_was_lost_on_the_way_is_looked_up_in_the_log(service: Running) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    # Recorded by somebody else, and the workflow hears only of the step after it.
    task = service.world.do(task, "confirm", role="officer")
    task = await service.do(task, "start", role="officer")
    assert (await service.follow(task)).state is State.IN_PROGRESS


async def test_what_another_process_recorded_reaches_the_workflow_by_itself(
    service: Running,
) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    task = service.world.do(task, "confirm", role="officer")
    assert (await service.follow(task)).state is State.CONFIRMED


async def test_a_workflow_shows_operators_state_agency_deadline_and_sequence(
    service: Running,
) -> None:
    task = await assigned(service)
    await service.follow(task)
    description = await service.handle(task).describe()
    shown = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    nearest = task.next_clock
    assert nearest is not None
    assert shown["DondocState"] == "assigned"
    assert shown["DondocAgency"] == "snv"
    assert shown["DondocSequence"] == task.seq
    assert shown["DondocOverdue"] is False
    assert shown["DondocNextDeadline"] == nearest[1].due
    assert HEADER["title"] not in str(description.raw_description)


async def test_a_withdrawn_task_ends_its_workflow(service: Running) -> None:
    task = await assigned(service)
    task = await service.do(task, "recall", {"reason": "Giao nhầm"}, role="office")
    await service.follow(task)
    assert await service.handle(task).result() == "withdrawn"
    with pytest.raises(Refused, match="wrong_state"):
        await service.do(task, "confirm", role="officer")


@pytest.mark.long
async def test_a_standing_task_lives_five_years_in_one_chain_and_several_runs(
    service: Running, time_skipping: WorkflowEnvironment
) -> None:
    """Sixty monthly points; one report in five months, the points between are missed."""
    task = await begun(service, due_on=None, updates={"every": "month", "before_day": 10})
    first_run = (await service.handle(task).describe()).run_id
    started = service.clock()
    points: list[datetime] = []
    for _ in range(12):
        # Past the fifth point from here and before the sixth, on whatever day this begins.
        wait = task.clocks["update"].due - service.clock() + timedelta(days=135)
        await service.forward(time_skipping, task, wait)
        task = await service.until(task, lambda now: now.clocks["update"].due > service.clock())
        points = _points(service, task)
        task = await service.do(task, "report", {"summary": "Báo cáo quý"}, role="officer")
        task = await service.do(task, "endorse", {"item": "report"}, role="approver")
        await service.follow(task)
    assert service.clock() - started > timedelta(days=5 * 365 - 35)
    assert len(points) == 60
    assert points == sorted(points)
    assert all(
        point.astimezone(service.world.calendar.timezone).day in range(10, 14) for point in points
    )
    chain = service.world.chain(task.id)
    assert [row.seq for row in chain] == list(range(1, task.seq + 1))
    description = await service.handle(task).describe()
    assert description.status is WorkflowExecutionStatus.RUNNING
    assert description.run_id != first_run
    assert description.history_length < 400
    runs = [run async for run in service.service.client.list_workflows("WorkflowId = 'T-1'")]
    assert len(runs) >= 3


def _points(service: Running, task: Task) -> list[datetime]:
    steps = [step_of(row.data, row.leaf) for row in service.world.chain(task.id)]
    return [
        parse_instant(step.arguments["due"])
        for step in steps
        if step.event == "lapse" and step.arguments["clock"] == "update"
    ]
