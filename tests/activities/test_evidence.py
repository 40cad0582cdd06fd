"""A step that names files is recorded only when they are kept; the log needs them never again."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from activities.evidence import digests_in, named
from activities.queue import RecorderQueue
from activities.rebuilding import rebuild
from activities.recorder import Handed, Recorded, Recorder
from audit.entry import open_command, parse_entry
from domain.refusal import Refused
from domain.task import Task
from evidence.staging import Unavailable
from tests.support.world import World

HERE, GONE, LOST = (f"sha256:{digit * 64}" for digit in "abc")


class Files:
    """Which digests are kept, as a store would say."""

    def __init__(self) -> None:
        self.kept = {HERE}
        self.asked: list[Sequence[str]] = []
        self.away = False

    def missing(self, digests: Sequence[str]) -> Sequence[str]:
        self.asked.append(tuple(digests))
        if self.away:
            raise Unavailable("away")
        return [digest for digest in digests if digest not in self.kept]


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def world(database_url: str, files: Files) -> Iterator[World]:
    made = World(database_url)
    made.recorder = Recorder(
        made.engine, made.keys, made.calendar, lambda: made.now, missing=files.missing
    )
    yield made
    made.close()


def submit(world: World, task: Task, *digests: str, role: str = "officer") -> Recorded | Refused:
    arguments = {"summary": "Xong", "evidence": list(digests)}
    return world.hand_in(world.submission(task, "submit", arguments, role=role))


def code_of(answer: Recorded | Refused) -> str | None:
    return answer.code if isinstance(answer, Refused) else None


def test_a_step_is_recorded_when_its_files_are_kept(world: World) -> None:
    assert code_of(submit(world, world.in_progress(), HERE)) is None


def test_a_step_whose_files_are_missing_is_refused_and_names_them(
    world: World, files: Files
) -> None:
    task = world.in_progress()
    answer = submit(world, task, HERE, GONE, LOST)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.facts) == ("evidence_missing", {"digests": f"{GONE}, {LOST}"})
    assert len(world.chain(task.id)) == task.seq
    files.kept |= {GONE, LOST}
    assert code_of(submit(world, task, HERE, GONE, LOST)) is None


def test_whether_a_file_is_kept_is_told_only_to_who_may_take_the_step(world: World) -> None:
    task = world.in_progress()
    for digest in (HERE, GONE):
        assert code_of(submit(world, task, digest, role="other_officer")) == "other_agency"
    assert code_of(submit(world, world.assigned("T-2"), GONE)) == "wrong_state"


def test_a_recorded_step_is_answered_alike_though_its_file_was_lost_since(
    world: World, files: Files
) -> None:
    task = world.in_progress()
    arguments = {"summary": "Xong", "evidence": [HERE]}
    submission = world.submission(task, "submit", arguments, role="officer")
    first = world.hand_in(submission)
    files.kept.clear()
    again = world.hand_in(submission)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert again.entry == first.entry


@pytest.mark.parametrize("secrecy", ["secret", "top_secret"])
def test_files_of_a_protected_task_are_not_taken(world: World, secrecy: str) -> None:
    task = world.in_progress(secrecy=secrecy)
    answer = submit(world, task, HERE)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.facts) == (
        "evidence_protected",
        {"task": task.id, "secrecy": secrecy},
    )
    assert (
        code_of(
            world.hand_in(world.submission(task, "submit", {"summary": "Xong"}, role="officer"))
        )
        is None
    )


def test_storage_that_is_away_harms_no_other_step(world: World, files: Files) -> None:
    task, other = world.in_progress(), world.assigned("T-2")
    files.away = True
    arguments = {"summary": "Xong", "evidence": [HERE]}
    submission = world.submission(task, "submit", arguments, role="officer")
    confirm = world.submission(other, "confirm", role="officer")
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    try:
        answers: list[Future[Recorded]] = [
            queue.submit(Handed(each, world.now)) for each in (submission, confirm)
        ]
        with pytest.raises(Unavailable):
            answers[0].result(20)
        assert answers[1].result(20).entry is not None
        files.away = False
        assert queue.submit(Handed(submission, world.now)).result(20).entry is not None
    finally:
        queue.stop()


def test_steps_without_files_ask_for_none(world: World, files: Files) -> None:
    world.done()
    assert files.asked == []


def test_at_most_as_many_files_are_asked_for_as_a_step_may_name() -> None:
    many = [f"sha256:{number:064x}" for number in range(101)]
    assert digests_in("submit", {"evidence": many}) == tuple(many[:100])


def test_the_log_names_its_files_and_nothing_else_of_them(world: World) -> None:
    task = world.in_progress()
    submit(world, task, HERE, HERE)
    with world.engine.connect() as connection:
        found = [each for each in named(connection) if each is not None]
    assert [(each.digest, each.task, each.seq) for each in found] == [(HERE, task.id, task.seq + 1)]
    command = open_command(parse_entry(world.chain(task.id)[-1].data).command)
    assert set(json.loads(json.dumps(command.predicate["arguments"]))) == {"summary", "evidence"}


def test_rebuilding_needs_no_file(world: World, files: Files) -> None:
    submit(world, world.in_progress(), HERE)
    files.kept.clear()
    files.asked.clear()
    rebuild(world.engine)
    assert world.another_recorder().task("D1-1") is not None
    assert files.asked == []


@pytest.mark.parametrize(
    "evidence", [None, "sha256:", 7, [7, None, "x", "sha256:" + "A" * 64], {"a": HERE}]
)
def test_what_is_no_digest_is_nobodys_file(evidence: object) -> None:
    assert digests_in("submit", {"evidence": evidence}) == ()
    assert digests_in("confirm", {"evidence": [HERE]}) == ()
    assert digests_in("no such step", {"evidence": [HERE]}) == ()
