"""What counts is when a command stood at the door, however much later it is recorded."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from activities.queue import RecorderQueue
from activities.recorder import Handed, Recorded, Timeout
from activities.stamping import MAX_AGE, MAX_AHEAD
from audit.entry import open_record, parse_entry
from audit.private_keys import PrivateKey
from audit.stamp import Stamp, sign_stamp
from audit.submission import Submission, format_submission
from domain.instants import format_instant
from domain.refusal import Refused
from domain.task import State, Task
from gateway.door import NotRecorded
from tests.support.world import ORIGIN, World, key_of


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def stamped(
    submission: Submission, at: datetime, by: PrivateKey | None = None, origin: str = ORIGIN
) -> Submission:
    instant = format_instant(at)
    stamp = sign_stamp(origin, submission.command, instant, by or key_of("door"))
    return replace(submission, stamp=stamp)


def recorded(world: World, submission: Submission) -> Task:
    answer = world.recorder.record([Handed(submission, world.now)])[0]
    assert isinstance(answer, Recorded), answer
    assert answer.task is not None
    return answer.task


def code(world: World, submission: Submission) -> str:
    answer = world.recorder.record([Handed(submission, world.now)])[0]
    assert isinstance(answer, Refused), answer
    return answer.code


def test_a_command_is_judged_by_its_stamp_and_not_by_when_it_is_recorded(world: World) -> None:
    task = world.assigned("D1-1")
    due = task.clocks["confirm"].due
    confirm = stamped(world.submission(task, "confirm", role="officer"), due)
    world.forward_to(due + timedelta(hours=20))
    task = recorded(world, confirm)
    assert task.state is State.CONFIRMED
    assert "confirm" not in task.missed
    record = open_record(parse_entry(world.rows()[-1].data).record)
    assert record.text("received_at") == format_instant(due)
    assert record.text("recorded_at") == format_instant(world.now)


def test_nobody_is_late_because_the_clock_was_recorded_first(world: World) -> None:
    task = world.assigned("D1-1")
    due = task.clocks["confirm"].due
    confirm = stamped(world.submission(task, "confirm", role="officer"), due)
    world.forward_to(due + timedelta(hours=20))
    lapsed = world.recorder.record([Timeout(task.id, world.now)])[0]
    assert isinstance(lapsed, Recorded)
    assert lapsed.task is not None
    assert "confirm" in lapsed.task.missed
    task = recorded(world, confirm)
    assert (task.state, "confirm" in task.missed) == (State.CONFIRMED, False)


def test_without_a_stamp_the_same_command_is_late(world: World) -> None:
    task = world.assigned("D1-1")
    due = task.clocks["confirm"].due
    world.forward_to(due)
    confirm = world.submission(task, "confirm", role="officer")
    world.forward(hours=20)
    assert "confirm" in recorded(world, confirm).missed


def test_a_stamp_of_another_key_command_or_log_does_not_count(world: World) -> None:
    task = world.assigned("D1-1")
    confirm = world.submission(task, "confirm", role="officer")
    urge = world.submission(task, "urge", {"channel": "phone"}, role="monitor")
    earlier = world.now - timedelta(hours=3)
    assert code(world, stamped(confirm, earlier, key_of("clock"))) == "stamp_wrong"
    assert code(world, stamped(confirm, earlier, key_of("snv.officer"))) == "stamp_wrong"
    assert code(world, stamped(confirm, earlier, origin="other.example/log")) == "stamp_wrong"
    moved = replace(confirm, stamp=stamped(urge, earlier).stamp)
    assert code(world, moved) == "stamp_wrong"
    backdated = stamped(confirm, world.now)
    assert backdated.stamp is not None
    lying = Stamp(format_instant(earlier), backdated.stamp.signature)
    assert code(world, replace(confirm, stamp=lying)) == "stamp_wrong"


def test_a_stamp_is_bounded_by_the_recorders_own_watch(world: World) -> None:
    task = world.assigned("D1-1")
    confirm = world.submission(task, "confirm", role="officer")
    late = timedelta(seconds=1)
    assert code(world, stamped(confirm, world.now + MAX_AHEAD + late)) == "stamp_in_future"
    assert code(world, stamped(confirm, world.now - MAX_AGE - late)) == "stamp_too_old"
    task = recorded(world, stamped(confirm, world.now + MAX_AHEAD))
    record = open_record(parse_entry(world.rows()[-1].data).record)
    assert record.text("received_at") == format_instant(world.now)


def test_a_key_that_was_revoked_meanwhile_does_not_count_whatever_the_stamp(world: World) -> None:
    task = world.assigned("D1-1")
    confirm = stamped(world.submission(task, "confirm", role="officer"), world.now)
    world.forward(hours=1)
    world.revoke(key_of("snv.officer"), "left")
    assert code(world, confirm) == "key_revoked"


async def test_what_could_not_be_recorded_goes_back_stamped_and_counts_as_received_then(
    world: World,
) -> None:
    task = world.assigned("D1-1")
    due = task.clocks["confirm"].due
    world.forward_to(due)
    confirm = format_submission(world.submission(task, "confirm", role="officer"))
    down = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    down.stop()
    with pytest.raises(NotRecorded) as raised:
        await world.door(down).submit_bytes(confirm)
    kept = format_submission(raised.value.submission)
    world.forward(days=2)
    up = RecorderQueue(world.another_recorder(), lambda _recorded, _asker: None)
    try:
        answer = await world.door(up).submit_bytes(kept)
    finally:
        up.stop()
    assert answer.task is not None
    assert (answer.task.state, "confirm" in answer.task.missed) == (State.CONFIRMED, False)
