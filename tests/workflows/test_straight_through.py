"""Straight at Temporal, past the door: whatever is no command by whom it should be is refused and
recorded, and the workflow goes on as if nothing had come.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from audit.entry import command_digest, open_command
from audit.signing import sign_command
from audit.submission import Submission, format_submission
from domain.task import State, Task
from gateway.composing import Signer, compose
from tests.support.forging import audit
from tests.support.histories import assigned
from tests.support.refusals import refused
from tests.support.running import Running, running
from tests.support.world import World, key_of
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


def text(submission: Submission) -> str:
    return format_submission(submission).decode()


async def refused_update(
    service: Running, task: Task, *given: Any, name: str = "submit"
) -> ApplicationError:
    """What an update is answered with that must be refused."""
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await service.handle(task).execute_update(name, args=given)
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "refused"
    return cause


async def unharmed(service: Running, task: Task) -> None:
    """The workflow stands where it stood, takes the next step, and the log verifies."""
    known = await service.known(task)
    assert (known.seq, known.state) == (task.seq, task.state)
    service.world.now = service.clock()
    submission = service.world.submission(task, "confirm", role="officer")
    answer = await service.handle(task).execute_update(
        "submit", Submit(text(submission)), result_type=Answer
    )
    assert answer.snapshot is not None
    assert answer.snapshot["state"] == "confirmed"
    assert (await service.known(task)).state is State.CONFIRMED
    assert audit(service.world).ok


async def begun(service: Running, name: str = "T-1") -> Task:
    task = await assigned(service, name)
    await service.follow(task)
    service.world.now = service.clock()
    return task


async def recorded(service: Running, task: Task, number: int) -> list[dict[str, Any]]:
    """What the log says of refusals, once the workflow has dealt with all signals before."""
    await service.known(task)
    await service.until(task, lambda _task: len(refused(service.world)) >= number)
    entries = refused(service.world)
    assert len(entries) == number
    assert all(each["door"] == "workflow" for each in entries)
    return entries


RAW: tuple[tuple[Any, ...], ...] = (
    (),
    (None,),
    ("confirm",),
    (5,),
    ([],),
    ({},),
    ({"submission": 5},),
    ({"task": "T-1", "event": "confirm"},),
    (b"\x00\xff",),
    (RawValue(Payload(metadata={"encoding": b"unheard/of"}, data=b"\x00")),),
    ("one", "two"),
    (Submit("{}"), Submit("{}")),
)


async def test_a_raw_update_is_refused_and_recorded(service: Running) -> None:
    task = await begun(service)
    for given in RAW:
        assert (await refused_update(service, task, *given)).message == "not_a_command"
    for name in ("confirm", "follow", "cancel"):
        cause = await refused_update(service, task, {"by": "me"}, name=name)
        assert cause.message == "not_a_command"
    entries = await recorded(service, task, len(RAW) + 3)
    assert {each["code"] for each in entries} == {"not_a_command"}
    assert {each["chain"] for each in entries} == {"T-1"}
    assert {each["actor"] for each in entries} == {None}
    await unharmed(service, task)


async def test_a_raw_signal_is_recorded_as_refused(service: Running) -> None:
    task = await begun(service)
    handle = service.handle(task)
    for given in RAW:
        await handle.signal("submit_signal", args=given)
    for name in ("confirm", "submit"):
        await handle.signal(name, "the officer confirms")
    entries = await recorded(service, task, len(RAW) + 2)
    assert {each["code"] for each in entries} == {"not_a_command"}
    await unharmed(service, task)


async def test_raw_signals_where_entries_are_expected_are_passed_over(service: Running) -> None:
    """The log's own messages are no commands: whatever else comes there is nobody's command."""
    task = await begun(service)
    for given in RAW:
        await service.handle(task).signal("follow", args=given)
    await service.handle(task).signal("follow", Follow(["garbage"]))
    await recorded(service, task, 0)
    await unharmed(service, task)


async def test_garbage_that_does_not_parse_is_refused_and_recorded(service: Running) -> None:
    task = await begun(service)
    good = text(service.world.submission(task, "confirm", role="officer"))
    garbage = {
        "not_json": ["", "no submission", good[:-1], "\ud800", " " + good],
        "submission_fields": ["{}", "[]", good.replace('"v":1', '"v":2')],
        "submission_too_large": ["x" * 300_000],
    }
    expected = []
    for code, texts in garbage.items():
        for each in texts:
            assert (await refused_update(service, task, Submit(each))).message == code
            expected.append(code)
    entries = await recorded(service, task, len(expected))
    assert [each["code"] for each in entries] == expected
    assert {each["command"] for each in entries} == {None}
    await unharmed(service, task)


def _forged(world: World, task: Task) -> Submission:
    """The officer's command, said to be signed with the officer's key, and signed with another."""
    genuine = world.submission(task, "confirm", role="officer").command
    other = sign_command(
        open_command(genuine).subject, open_command(genuine).predicate, key_of("mallory")
    )
    return Submission(genuine._replace(signature=other.signature))


def _strangers(world: World, task: Task) -> Submission:
    stranger = Signer(key_of("mallory"), "snv", "officer")
    return compose(world.origin, task, "confirm", {}, stranger, world.now)


def _anothers(world: World, task: Task) -> Submission:
    """By a person of another agency, under the own name."""
    return world.submission(task, "confirm", role="other_officer")


def _above_oneself(world: World, task: Task) -> Submission:
    """By a person who claims a role of somebody else's."""
    signer = replace(world.people["other_officer"], agency="snv")
    return compose(world.origin, task, "confirm", {}, signer, world.now)


def _of_another_log(world: World, task: Task) -> Submission:
    signer = world.people["officer"]
    return compose("other.example/log", task, "confirm", {}, signer, world.now)


def _out_of_order(world: World, task: Task) -> Submission:
    return world.submission(task, "approve", role="approver")


OFFICER = key_of("snv.officer").public.id[:16]


@pytest.mark.parametrize(
    ("make", "code", "actor", "claimed"),
    [
        (_forged, "signature_wrong", None, OFFICER),
        (_strangers, "unknown_key", None, None),
        (_anothers, "other_agency", "sxd.officer", None),
        (_above_oneself, "role_not_held", "sxd.officer", None),
        (_of_another_log, "other_log", None, OFFICER),
        (_out_of_order, "wrong_state", "snv.approver", None),
    ],
)
async def test_a_command_by_the_wrong_person_or_for_elsewhere_is_refused_and_recorded(
    service: Running,
    make: Callable[[World, Task], Submission],
    code: str,
    actor: str | None,
    claimed: str | None,
) -> None:
    task = await begun(service)
    submission = make(service.world, task)
    assert (await refused_update(service, task, Submit(text(submission)))).message == code
    await service.handle(task).signal("submit_signal", Submit(text(submission)))
    # Twice refused for one reason, and said once.
    (entry,) = await recorded(service, task, 1)
    assert (entry["code"], entry["chain"]) == (code, "T-1")
    assert (entry["actor"], entry["claimed"]) == (actor, claimed)
    assert entry["command"] == command_digest(submission.command)
    await unharmed(service, task)


async def test_a_replayed_command_has_the_same_receipt_and_is_no_refusal(service: Running) -> None:
    task = await begun(service)
    submission = service.world.submission(task, "urge", {"channel": "phone"}, role="monitor")
    handle = service.handle(task)
    answers = [
        await handle.execute_update("submit", Submit(text(submission)), result_type=Answer)
        for _ in range(3)
    ]
    await handle.signal("submit_signal", Submit(text(submission)))
    assert len({answer.entry for answer in answers}) == 1
    await recorded(service, task, 0)
    assert len(service.world.chain("T-1")) == 3


async def test_a_command_replayed_at_another_tasks_workflow_is_refused_and_accuses_nobody(
    service: Running,
) -> None:
    """Recorded or not: whoever has seen it can bring it there."""
    task, other = await begun(service), await begun(service, "T-2")
    done = service.world.submission(task, "urge", {"channel": "phone"}, role="monitor")
    await service.handle(task).execute_update("submit", Submit(text(done)), result_type=Answer)
    fresh = service.world.submission(task, "confirm", role="officer")
    for submission in (done, fresh):
        assert (await refused_update(service, other, Submit(text(submission)))).message == (
            "other_task"
        )
    entries = await recorded(service, other, 2)
    assert [each["chain"] for each in entries] == ["T-2", "T-2"]
    assert [each["actor"] for each in entries] == [None, None]
    assert entries[1]["claimed"] == OFFICER
    assert len(service.world.chain("T-2")) == 2
    await unharmed(service, other)


async def test_changes_of_the_directory_are_for_no_tasks_workflow(service: Running) -> None:
    task = await begun(service)
    erasure = service.world.attestation("erase", {"leaf": "00" * 32, "field": "a", "reason": "b"})
    assert (await refused_update(service, task, Submit(text(erasure)))).message == "other_task"
    (entry,) = await recorded(service, task, 1)
    assert (entry["chain"], entry["event"], entry["actor"]) == ("T-1", "erase", None)
    await unharmed(service, task)


async def test_a_flood_straight_at_a_workflow_leaves_it_working(service: Running) -> None:
    task = await begun(service)
    handle = service.handle(task)
    for number in range(300):
        await handle.signal("submit_signal", Submit(f"garbage {number}"))
    await service.until(task, lambda _task: len(refused(service.world)) >= 20)
    await unharmed(service, task)
    assert len(refused(service.world)) == 20
