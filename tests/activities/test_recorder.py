"""The arbiter on both databases: once each, in order, all or nothing, never changed after."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from activities.queue import Asker, RecorderQueue, Stopped
from activities.recorder import Handed, Job, Recorded, Recorder, Timeout
from activities.signing import LogKeys
from audit.entry import command_digest, open_command, open_record, parse_entry
from domain.calendars import load
from domain.refusal import Refused
from domain.task import State
from gateway.composing import Signer, compose, compose_change
from store.engine import open_engine, writing
from store.upgrade import upgrade
from tests.support.patience import PATIENCE
from tests.support.world import HEADER, START, World, key_of, person_of, pq_key_of, spki_of


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def test_the_same_bytes_twice_are_recorded_once_and_answered_alike(world: World) -> None:
    task = world.assigned()
    submission = world.submission(task, "confirm", role="officer")
    first, second = world.hand_in(submission), world.hand_in(submission)
    assert isinstance(first, Recorded)
    assert isinstance(second, Recorded)
    assert first.entry == second.entry
    assert second.entries == ()
    assert len(world.chain(task.id)) == 3


def test_a_repeated_command_is_answered_with_its_entry_whatever_has_happened_since(
    world: World,
) -> None:
    task = world.assigned()
    submission = world.submission(task, "confirm", role="officer")
    first = world.hand_in(submission)
    world.do(world.recorder.task(task.id) or task, "start", role="officer")
    world.forward(days=30)
    again = world.hand_in(submission)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert again.entry == first.entry


def test_other_bytes_under_a_used_command_id_are_refused(world: World) -> None:
    task = world.assigned()
    command_id = lambda size: b"\1" * size  # noqa: E731 - a source of chance without any
    signer = world.people["officer"]
    for event_name, expected in (("confirm", None), ("start", "command_id_reused")):
        now = world.recorder.task(task.id)
        assert now is not None
        submission = compose(world.origin, now, event_name, {}, signer, world.now, command_id)
        answer = world.hand_in(submission)
        assert (answer.code if isinstance(answer, Refused) else None) == expected


def test_a_batch_answers_each_job_and_a_refusal_harms_no_other(world: World) -> None:
    tasks = [world.assigned(f"T-{number}") for number in range(4)]
    jobs = [Handed(world.submission(t, "confirm", role="officer"), world.now) for t in tasks]
    wrong = Handed(world.submission(tasks[1], "start", role="officer"), world.now)
    answers = world.recorder.record([*jobs[:2], wrong, *jobs[2:]])
    assert [isinstance(answer, Refused) for answer in answers] == [False, False, True, False, False]
    assert all(world.recorder.task(task.id).state is State.CONFIRMED for task in tasks)  # type: ignore[union-attr]


def test_two_steps_of_one_task_in_one_batch_are_chained(world: World) -> None:
    task = world.assigned()
    confirm = world.submission(task, "confirm", role="officer")
    urge = world.submission(task, "urge", {"channel": "phone"}, role="monitor")
    answers = world.recorder.record([Handed(urge, world.now), Handed(confirm, world.now)])
    assert not any(isinstance(answer, Refused) for answer in answers)
    chain = world.chain(task.id)
    assert [row.prev for row in chain[1:]] == [row.leaf for row in chain[:-1]]


def test_what_ran_out_is_recorded_before_the_step_that_came_too_late(world: World) -> None:
    task = world.assigned()
    world.forward(days=2)
    task = world.do(task, "confirm", role="officer")
    events = [
        str(open_command(parse_entry(row.data).command).predicate["event"])
        for row in world.chain(task.id)
    ]
    assert events == ["register", "transfer", "lapse", "lapse", "confirm"]
    assert "confirm" in task.missed


def test_a_refused_step_leaves_the_lapses_that_it_made_visible(world: World) -> None:
    task = world.assigned()
    world.forward(days=2)
    answer = world.hand_in(world.submission(task, "approve", role="approver"))
    assert isinstance(answer, Refused)
    assert len(world.chain(task.id)) == 4


def test_nobody_is_late_who_stood_at_the_door_in_time(world: World) -> None:
    task = world.assigned()
    before = task.clocks["confirm"].due - timedelta(seconds=1)
    world.forward(days=1)
    submission = world.submission(task, "confirm", role="officer", issued_at=before)
    world.tick(task)
    answer = world.hand_in(submission, received_at=before)
    assert isinstance(answer, Recorded)
    assert answer.task is not None
    assert "confirm" not in answer.task.missed


def test_a_timer_that_is_early_or_forged_makes_nobody_late(world: World) -> None:
    task = world.assigned()
    ahead = world.recorder.record([Timeout(task.id, world.now + timedelta(days=400))])[0]
    assert isinstance(ahead, Recorded)
    assert ahead.entries == ()


def test_the_clock_of_the_machine_set_back_does_not_turn_the_log_back(world: World) -> None:
    task = world.assigned()
    world.now -= timedelta(hours=1)
    submission = world.submission(task, "confirm", role="officer", issued_at=world.now)
    answer = world.hand_in(submission)
    assert isinstance(answer, Recorded)
    times = [
        open_record(parse_entry(row.data).record).text("recorded_at")
        for row in world.chain(task.id)
    ]
    assert times == sorted(times)


def test_two_recorders_at_once_make_one_chain(world: World) -> None:
    """As two services on one database do; each has its own cache."""
    tasks = [world.assigned(f"T-{number}") for number in range(6)]
    submissions = [
        [world.submission(task, "urge", {"channel": "phone"}, role="monitor") for _ in range(4)]
        for task in tasks
    ]
    recorders = [world.another_recorder() for _ in range(2)]
    start = threading.Barrier(2)

    def work(recorder: Recorder, number: int) -> list[Recorded | Refused]:
        start.wait()
        return [
            recorder.record([Handed(submission, world.now)])[0]
            for several in submissions
            for submission in several[number::2]
        ]

    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(work, recorders, range(2))]
    assert not [answer for side in answers for answer in side if isinstance(answer, Refused)]
    for task in tasks:
        chain = world.chain(task.id)
        assert [row.seq for row in chain] == [1, 2, 3, 4, 5, 6]
        assert [row.prev for row in chain[1:]] == [row.leaf for row in chain[:-1]]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET seq = 9 WHERE seq = 2",
        "DELETE FROM entry WHERE seq = 2",
        "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 2",
        "TRUNCATE entry CASCADE",
    ],
)
def test_the_database_refuses_to_change_the_log(world: World, statement: str) -> None:
    world.assigned()
    before = world.rows()
    with pytest.raises(DBAPIError), writing(world.engine) as connection:
        connection.execute(text(statement))
    assert world.rows() == before


def test_a_command_for_another_log_or_another_task_is_refused(world: World) -> None:
    task, other = world.assigned("T-1"), world.assigned("T-2", number="13")
    signer = world.people["officer"]
    elsewhere = compose("other.example/log", task, "confirm", {}, signer, world.now)
    assert _code(world.hand_in(elsewhere)) == "other_log"
    mixed = compose(
        world.origin, replace(task, id=other.id), "confirm", {}, signer, world.now, world.random
    )
    assert _code(world.hand_in(mixed)) == "other_task"


def test_a_key_that_nobody_enrolled_signs_nothing(world: World) -> None:
    task = world.assigned()
    stranger = Signer(key_of("stranger"), "snv", "officer")
    submission = compose(world.origin, task, "confirm", {}, stranger, world.now)
    assert _code(world.hand_in(submission)) == "unknown_key"


def test_words_that_do_not_fit_their_commitment_are_refused(world: World) -> None:
    task = world.assigned()
    good = world.submission(task, "dispute", {"reason": "Một lý do"}, role="officer")
    other = world.submission(task, "dispute", {"reason": "Lý do khác"}, role="officer")
    swapped = type(good)(good.command, other.openings)
    assert _code(world.hand_in(swapped)) == "opening_wrong"
    assert _code(world.hand_in(type(good)(good.command))) == "opening_missing"


@pytest.mark.parametrize(
    ("spki", "code"),
    [
        ("A", "base64"),
        (spki_of(key_of("log")), "key_in_use"),
        (spki_of(key_of("snv.officer")), "key_in_use"),
        (
            "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "public_key_of_small_order",
        ),
    ],
)
def test_an_unfit_key_is_not_enrolled(world: World, spki: str, code: str) -> None:
    world.add_people(person_of("snv.new", ("snv", "officer")))
    proved = {spki_of(key_of(who)): key_of(who) for who in ("log", "snv.officer")}
    proof = world.proof("snv.new", proved.get(spki, key_of("snv.new")))
    arguments = {"person": "snv.new", "spki": spki, "proof": proof}
    submission = compose_change(
        world.origin, world.founding, "enrol", arguments, world.administrator, world.now
    )
    assert _code(world.hand_in(submission)) == code


def test_a_guessed_clock_command_id_blocks_no_deadline(world: World) -> None:
    """Somebody who could name the clock's next command could use its id up."""
    task = world.assigned()
    ids = [open_command(parse_entry(row.data).command).text("id") for row in world.chain(task.id)]
    world.forward(days=2)
    task = world.tick(task)
    lapse = parse_entry(world.chain(task.id)[-1].data)
    assert open_command(lapse.command).text("id") not in ids
    assert command_digest(lapse.command) == open_record(lapse.record).text("command")


def test_a_stranger_cannot_found_an_empty_log(database_url: str) -> None:
    """The door is open a moment before the log is founded, and its name is no secret."""
    engine = open_engine(database_url)
    upgrade(engine)
    keys = LogKeys("empty.example/log", key_of("log"), key_of("clock"), key_of("door"))
    recorder = Recorder(engine, keys, load(), lambda: START)
    mallory = key_of("mallory")
    founding = {
        "administrator": spki_of(mallory),
        "checkpoint": spki_of(key_of("mallory's checkpoint")),
        "checkpoint_pq": spki_of(pq_key_of("mallory's checkpoint")),
        "clock": spki_of(key_of("mallory's clock")),
        "door": spki_of(key_of("mallory's door")),
        "log": spki_of(key_of("mallory's log")),
    }
    signer = Signer(mallory, "log", "administrator")
    submission = compose_change(keys.origin, None, "found", founding, signer, START)
    assert _code(recorder.record([Handed(submission, START)])[0]) == "other_log"
    engine.dispose()


def test_a_change_of_the_directory_under_another_header_is_refused(world: World) -> None:
    arguments = {"agency": "new", "name_vi": "Mới", "name_en": "New", "parent": None}
    other = {**world.founding, "clock": spki_of(key_of("other"))}
    signer = world.administrator
    submission = compose_change(world.origin, other, "add_agency", arguments, signer, world.now)
    assert _code(world.hand_in(submission)) == "other_task"


def test_a_clock_that_steps_back_between_receipt_and_record_is_not_recorded(world: World) -> None:
    task = world.assigned()
    received = world.now + timedelta(seconds=5)
    world.forward(seconds=5)
    submission = world.submission(task, "confirm", role="officer")
    times = iter([received, received, *[received - timedelta(seconds=1)] * 9])
    recorder = Recorder(world.engine, world.keys, world.calendar, lambda: next(times))
    answer = recorder.record([Handed(submission, received)])[0]
    assert isinstance(answer, Recorded)
    record = open_record(parse_entry(world.chain(task.id)[-1].data).record)
    assert record.text("recorded_at") >= record.text("received_at")


def test_a_task_id_that_temporal_could_not_take_is_refused(world: World) -> None:
    for name in ("a" * 121, "-", "a b", "directory"):
        submission = world.submission(name, "register", HEADER, role="office")
        assert _code(world.hand_in(submission)) in {"subject_unknown", "unknown_event"}


def test_a_dispute_in_time_is_heard_although_the_window_was_closed_meanwhile(
    world: World,
) -> None:
    task = world.assigned()
    in_time = task.clocks["dispute"].due - timedelta(seconds=1)
    world.forward_to(task.clocks["dispute"].due + timedelta(seconds=1))
    reason = {"reason": "Không thuộc thẩm quyền"}
    dispute = world.submission(task, "dispute", reason, role="officer", issued_at=in_time)
    world.tick(task)
    assert isinstance(world.hand_in(dispute, received_at=in_time), Recorded)


async def test_a_giver_who_stops_waiting_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    tasks = [world.assigned(f"T-{number}") for number in range(2)]
    jobs = [Handed(world.submission(t, "confirm", role="officer"), world.now) for t in tasks]
    busy, record = threading.Event(), world.recorder.record

    def noted(jobs: Sequence[Job]) -> Sequence[Recorded | Refused]:
        busy.set()
        return record(jobs)

    monkeypatch.setattr(world.recorder, "record", noted)
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    with writing(world.engine):
        # The recorder is busy with the first job; its giver goes away.
        first = asyncio.create_task(queue.record(jobs[0]))
        assert await asyncio.to_thread(busy.wait, PATIENCE)
        first.cancel()
    second = await asyncio.wait_for(queue.record(jobs[1]), PATIENCE)
    assert second.chain == "T-1"
    queue.stop()
    world.close()


async def test_a_listener_that_fails_does_not_cost_the_receipt(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    task = world.assigned()

    def fail(_recorded: Recorded, _asker: Asker) -> None:
        raise RuntimeError("the loop is closed")

    queue = RecorderQueue(world.recorder, fail)
    job = Handed(world.submission(task, "confirm", role="officer"), world.now)
    assert (await asyncio.wait_for(queue.record(job), PATIENCE)).chain == task.id
    queue.stop()
    world.close()


def test_a_full_disk_loses_nothing_and_says_so(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    task = world.assigned()
    submission = world.submission(task, "dispute", {"reason": "lý do " * 600}, role="officer")

    def fill(connection: object, _record: object, _proxy: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    event.listen(world.engine, "checkout", fill)
    before = world.rows()
    with pytest.raises(OperationalError, match="full"):
        _register_many(world)
    event.remove(world.engine, "checkout", fill)
    world.engine.dispose()
    assert world.rows()[: len(before)] == before
    assert isinstance(world.hand_in(submission), Recorded)
    world.close()


def test_the_queue_answers_in_order_and_drains_when_stopped(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    tasks = [world.assigned(f"T-{number}") for number in range(30)]
    heard: list[str] = []
    queue = RecorderQueue(world.recorder, lambda recorded, _asker: heard.append(recorded.chain))
    answers = [
        queue.submit(Handed(world.submission(task, "confirm", role="officer"), world.now))
        for task in tasks
    ]
    queue.stop()
    assert [answer.result().chain for answer in answers] == [task.id for task in tasks] == heard
    with pytest.raises(Stopped):
        queue.submit(Timeout("T-1", world.now))
    world.close()


def _register_many(world: World) -> None:
    for number in range(50):
        world.registered(f"T-{number}")


def _code(answer: Recorded | Refused) -> str:
    assert isinstance(answer, Refused)
    return answer.code


@pytest.mark.parametrize("later", [(), ("snv.one",), ("snv.one", "snv.two")])
def test_a_directory_that_was_set_back_under_a_running_recorder_is_read_anew(
    tmp_path: Path, later: tuple[str, ...]
) -> None:
    """Nobody whom only the newer log knew has any right in the older one, however it went on."""
    file = tmp_path / "log.sqlite"
    running = World(f"sqlite:///{file}")
    running.close()
    yesterday = file.read_bytes()
    running.add_people(person_of("snv.today", ("snv", "officer")))
    assert "snv.today" in running.recorder.directory().people
    running.close()
    for name in tmp_path.glob("log.sqlite*"):
        name.unlink()
    file.write_bytes(yesterday)
    other = World(f"sqlite:///{file}")
    for person in later:
        other.add_people(person_of(person, ("snv", "officer")))
    found, genuine = running.recorder.directory(), other.recorder.directory()
    assert (found.head, found.people.keys()) == (genuine.head, genuine.people.keys())
    running.close()
    other.close()
