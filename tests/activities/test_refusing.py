"""Refused commands become entries: of whom, saying what, how many, and what happens to the rest."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, OperationalError

from activities.queue import RecorderQueue
from activities.recorder import Attest, Handed, Job, Recorded, SumUp, Turned
from audit.commitment import Opening
from audit.entry import Subject, command_digest, open_command
from audit.signing import sign_command
from audit.submission import Submission
from domain.attestation import DIFFERENCES
from domain.refusal import Refused
from domain.refusals import OF_ALL, PER_ACTOR
from domain.refused import SUMMED
from domain.replay import Illegal, Replay
from domain.task import State, Task
from gateway.composing import Signer, compose
from tests.activities.test_attesting import judged
from tests.support.forging import audit, record_again
from tests.support.patience import PATIENCE
from tests.support.refusals import codes, refused, stated
from tests.support.world import World, key_of

HOUR = timedelta(hours=1)
RECONCILED = {
    "size": 7, "tasks": 1, "workflows": 1, "differences": dict.fromkeys(DIFFERENCES, 0),
}  # fmt: skip


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def wrong(world: World, task: Task | str, number: int = 0, role: str = "approver") -> Submission:
    """A command in good order that is refused: there is nothing to approve yet. Each differs."""
    signer = world.people[role]
    chance = lambda size: number.to_bytes(size, "big")  # noqa: E731 - a source of chance
    return compose(world.origin, task, "approve", {}, signer, world.now, chance)


def forged(world: World, task: Task, number: int, *, claims: str = "officer") -> Submission:
    """A command that names somebody's key, under a signature of another one."""
    mine = wrong(world, task, number).command
    statement = open_command(mine)
    envelope = sign_command(statement.subject, statement.predicate, key_of("mallory"))
    theirs = key_of("snv.officer").public.id if claims == "officer" else key_of(claims).public.id
    payload = envelope.payload.replace(key_of("mallory").public.id.encode(), theirs.encode())
    return Submission(envelope._replace(payload=payload))


def garbage(world: World) -> Turned:
    return Turned(Refused("not_json"), world.now)


def sum_up(world: World, *, at_once: bool = False) -> None:
    assert isinstance(world.recorder.record([SumUp(at_once)])[0], Recorded)


def most_in_an_hour(times: list[str]) -> int:
    instants = [datetime.fromisoformat(each) for each in times]
    return max((sum(a <= b <= a + HOUR for b in instants) for a in instants), default=0)


def test_a_refused_command_is_an_entry_that_says_what_is_known(world: World) -> None:
    task = world.assigned("T-1")
    submission = wrong(world, task)
    assert isinstance(world.hand_in(submission), Refused)
    assert refused(world) == [
        {
            "at": "2026-03-02T02:00:00.000000Z",
            "code": "wrong_state",
            "chain": "T-1",
            "event": "approve",
            "actor": "snv.approver",
            "claimed": None,
            "agency": "snv",
            "role": "approver",
            "command": command_digest(submission.command),
            "door": "door",
        }
    ]
    assert audit(world).ok


def test_the_clock_signs_it_and_the_log_records_it(world: World) -> None:
    world.hand_in(wrong(world, world.assigned("T-1")))
    (row,) = world.chain("attestations")
    replay = Replay()
    for each in world.rows()[:-1]:
        judged(replay, each)
    for changes in ({"person": "snv.approver"}, {"to": "done"}):
        with pytest.raises(Illegal):
            judged(replay, record_again(row, key_of("log"), **changes))
        assert replay.refusals == 0
    judged(replay, row)
    assert replay.refusals == 1


def test_a_refusal_changes_no_task_and_tells_no_workflow(world: World) -> None:
    task = world.assigned("T-1")
    before = world.chain("T-1")
    world.hand_in(wrong(world, task))
    assert world.chain("T-1") == before
    assert world.recorder.task("T-1") == task
    assert world.recorder.task("attestations") is None


def test_a_forged_command_accuses_nobody(world: World) -> None:
    task = world.assigned("T-1")
    assert isinstance(world.hand_in(forged(world, task, 1)), Refused)
    (entry,) = refused(world)
    assert (entry["code"], entry["actor"]) == ("signature_wrong", None)
    assert entry["claimed"] == key_of("snv.officer").public.id[:16]
    assert (entry["agency"], entry["role"]) == (None, None)


def test_a_key_that_nobody_has_is_not_even_claimed(world: World) -> None:
    task = world.assigned("T-1")
    stranger = Signer(key_of("stranger"), "snv", "officer")
    world.hand_in(compose(world.origin, task, "confirm", {}, stranger, world.now))
    (entry,) = refused(world)
    assert (entry["code"], entry["actor"], entry["claimed"]) == ("unknown_key", None, None)


def test_what_a_key_signs_after_it_was_revoked_is_not_its_persons(world: World) -> None:
    task = world.assigned("T-1")
    world.revoke(key_of("snv.approver"))
    world.hand_in(wrong(world, task))
    (entry,) = refused(world)
    assert (entry["code"], entry["actor"]) == ("key_revoked", None)
    assert entry["claimed"] == key_of("snv.approver").public.id[:16]


def test_a_command_for_another_log_does_not_accuse_whoever_signed_it(world: World) -> None:
    """Anybody who saw it there can bring it here."""
    task = world.assigned("T-1")
    signer = world.people["officer"]
    world.hand_in(compose("other.example/log", task, "confirm", {}, signer, world.now))
    (entry,) = refused(world)
    assert (entry["code"], entry["actor"]) == ("other_log", None)
    assert entry["claimed"] == signer.key.public.id[:16]


def test_words_that_somebody_made_up_are_not_kept(world: World) -> None:
    """As the id of a task, the name of a step, an agency, a role."""
    secret = "ke-hoach-mat"
    signer = replace(world.people["officer"], agency=secret, role=secret)
    task = replace(world.assigned("T-1"), id=secret)
    world.hand_in(compose(world.origin, task, "confirm", {}, signer, world.now))
    command = open_command(wrong(world, task).command)
    predicate = {**command.predicate, "event": secret, "log": world.origin}
    subject = Subject(f"task:{secret}", command.subject.digest)
    world.hand_in(Submission(sign_command(subject, predicate, signer.key)))
    assert codes(world) == ["other_task", "unknown_event"]
    assert not any(secret in str(each.values()) for each in refused(world))
    assert {each["actor"] for each in refused(world)} == {"snv.officer"}
    assert audit(world).ok


def test_of_the_highest_secrecy_the_code_alone_is_kept(world: World) -> None:
    task = world.assigned("T-1")
    envelope = wrong(world, task).command
    told = Turned(Refused("secrecy_forbidden"), world.now, "door", "T-1", envelope)
    assert isinstance(world.recorder.record([told])[0], Refused)
    (entry,) = refused(world)
    assert {name for name, value in entry.items() if value is not None} == {"at", "code"}
    assert audit(world).ok


def test_what_can_not_be_read_is_recorded_as_such(world: World) -> None:
    answer = world.recorder.record([garbage(world)])[0]
    assert isinstance(answer, Refused)
    (entry,) = refused(world)
    assert (entry["code"], entry["command"], entry["actor"]) == ("not_json", None, None)


def test_the_same_command_refused_again_for_the_same_reason_is_one_entry(world: World) -> None:
    task = world.assigned("T-1")
    submission = world.submission(task, "confirm", role="approver")
    for _ in range(3):
        world.hand_in(submission)
    # A restart has not seen it, but the log has.
    world.recorder = world.another_recorder()
    world.hand_in(submission)
    world.recorder.record([Handed(submission, world.now), Handed(submission, world.now)])
    assert codes(world) == ["role_may_not"]
    world.forward(hours=25)
    world.hand_in(submission)
    assert codes(world) == ["role_may_not", "issued_too_long_ago"]
    sum_up(world, at_once=True)
    assert stated(world, SUMMED) == []


def test_a_repeated_command_is_no_refusal(world: World) -> None:
    task = world.assigned("T-1")
    submission = world.submission(task, "confirm", role="officer")
    answers = [world.hand_in(submission) for _ in range(3)]
    assert len({each.entry for each in answers if isinstance(each, Recorded)}) == 1
    assert refused(world) == []


def test_refusals_stand_behind_what_was_accepted_with_them(world: World) -> None:
    tasks = [world.assigned(f"T-{number}") for number in range(3)]
    good = [Handed(world.submission(t, "confirm", role="officer"), world.now) for t in tasks]
    bad = [Handed(wrong(world, task, number), world.now) for number, task in enumerate(tasks)]
    before = len(world.rows())
    answers = world.recorder.record([bad[0], good[0], bad[1], good[1], garbage(world), good[2]])
    accepted = [isinstance(each, Recorded) for each in answers]
    assert accepted == [False, True, False, True, False, True]
    chains = [row.chain for row in world.rows()[before:]]
    assert chains == ["T-0", "T-1", "T-2", "attestations", "attestations", "attestations"]
    assert audit(world).ok


def test_a_refusal_that_can_not_be_written_costs_no_accepted_step(world: World) -> None:
    task = world.assigned("T-1")
    good = Handed(world.submission(task, "confirm", role="officer"), world.now)

    def break_it(_connection: object, _cursor: object, _statement: str, parameters: Any,
                 *_: object) -> None:  # fmt: skip
        if "attestations" in str(parameters) and "INSERT INTO entry" in _statement:
            raise DBAPIError("no room", None, Exception("no room"))

    event.listen(world.engine, "before_cursor_execute", break_it)
    bad = Handed(wrong(world, task), world.now)
    answers = world.recorder.record([bad, good])
    event.remove(world.engine, "before_cursor_execute", break_it)
    assert isinstance(answers[1], Recorded)
    assert len(world.chain("T-1")) == 3
    assert refused(world) == []
    # It was counted, and comes out with the next sum.
    sum_up(world, at_once=True)
    (stating,) = stated(world, SUMMED)
    assert (stating["total"], stating["counts"]) == (1, {"wrong_state": 1})
    assert audit(world).ok


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_a_kill_beside_the_commit_leaves_one_entry_once_it_is_handed_in_again(
    world: World, point: str
) -> None:
    task = world.assigned("T-1")
    bad = Handed(wrong(world, task), world.now)
    good = Handed(world.submission(task, "confirm", role="officer"), world.now)

    class Killed(BaseException):
        pass

    def kill(at: str) -> None:
        if at == point:
            raise Killed

    world.recorder._probe = kill
    with pytest.raises(Killed):
        world.recorder.record([bad, good])
    assert len(refused(world)) == (1 if point == "after_commit" else 0)
    world.recorder = world.another_recorder()
    assert isinstance(world.recorder.record([bad, good])[1], Recorded)
    assert codes(world) == ["wrong_state"]
    assert audit(world).ok


@pytest.mark.parametrize("pages", [0, 4, 10, 24])
def test_no_receipt_is_given_without_its_entry_when_the_disk_is_full(
    tmp_path: Path, pages: int
) -> None:
    """Wherever among the refusals that is: SQLite may undo the accepted step with them."""
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    task = world.assigned("T-1")
    good = Handed(world.submission(task, "confirm", role="officer"), world.now)
    bad = [Handed(wrong(world, task, number), world.now) for number in range(20)]
    world.engine.dispose()

    def limit(connection: Any, _record: object, _proxy: object) -> None:
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {used + pages}")

    event.listen(world.engine, "checkout", limit)
    try:
        answer = world.recorder.record([good, *bad])[0]
    except OperationalError:
        answer = None
    event.remove(world.engine, "checkout", limit)
    world.engine.dispose()
    assert len(world.chain("T-1")) == (3 if isinstance(answer, Recorded) else 2)
    assert audit(world).ok
    assert isinstance(world.hand_in(good.submission), Recorded)
    world.close()


def test_a_transaction_that_sqlite_ended_by_itself_gives_no_receipts(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    task = world.assigned("T-1")

    def end_it(connection: Connection, _cursor: object, statement: str, parameters: Any,
               *_: object) -> None:  # fmt: skip
        if "attestations" in str(parameters) and "INSERT INTO entry" in statement:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.rollback()
            raise OperationalError("disk I/O error", None, Exception("disk I/O error"))

    event.listen(world.engine, "before_cursor_execute", end_it)
    good = Handed(world.submission(task, "confirm", role="officer"), world.now)
    with pytest.raises(OperationalError):
        world.recorder.record([good, Handed(wrong(world, task), world.now)])
    event.remove(world.engine, "before_cursor_execute", end_it)
    assert len(world.chain("T-1")) == 2
    assert isinstance(world.hand_in(good.submission), Recorded)
    world.close()


def test_of_too_many_refusals_the_rest_is_summed(world: World) -> None:
    task = world.assigned("T-1")
    for number in range(50):
        world.hand_in(wrong(world, task, number))
    assert len(refused(world)) == PER_ACTOR.burst
    sum_up(world)
    assert stated(world, SUMMED) == [], "the bucket has no room yet"
    world.forward(minutes=5)
    sum_up(world)
    assert stated(world, SUMMED) == [
        {
            "since": "2026-03-02T02:00:00.000000Z",
            "until": "2026-03-02T02:00:00.000000Z",
            "total": 30,
            "counts": {"wrong_state": 30},
            "actors": {"snv.approver": 30},
        }
    ]
    sum_up(world, at_once=True)
    assert len(stated(world, SUMMED)) == 1
    assert audit(world).ok


async def test_the_service_states_sums_by_itself(world: World) -> None:
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    turn = asyncio.create_task(queue.keep_summed(0.01))
    answers = [asyncio.wrap_future(queue.submit(garbage(world))) for _ in range(30)]
    await asyncio.gather(*answers, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert stated(world, SUMMED) == []
    world.forward(minutes=5)
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(0.02)
            if stated(world, SUMMED):
                break
    turn.cancel()
    await asyncio.to_thread(queue.stop)
    assert [each["total"] for each in stated(world, SUMMED)] == [10]


def test_one_persons_refusals_leave_the_room_of_others_alone(world: World) -> None:
    task = world.assigned("T-1")
    for number in range(30):
        world.hand_in(wrong(world, task, number))
        world.recorder.record([garbage(world)])
    world.hand_in(wrong(world, task, 100, "other_approver"))
    actors = [each["actor"] for each in refused(world)]
    assert (actors.count("snv.approver"), actors.count(None)) == (20, 20)
    assert actors[-1] == "sxd.approver"


def test_a_restart_gives_no_more_room(world: World) -> None:
    task = world.assigned("T-1")
    for number in range(60):
        world.hand_in(wrong(world, task, number))
        if number % 7 == 0:
            world.recorder = world.another_recorder()
    assert len(refused(world)) == PER_ACTOR.burst
    world.forward(minutes=1)
    world.recorder = world.another_recorder()
    for number in range(60, 70):
        world.hand_in(wrong(world, task, number))
    assert len(refused(world)) <= PER_ACTOR.burst + 1


def test_services_on_one_log_share_the_bound(world: World) -> None:
    task = world.assigned("T-1")
    recorders = [world.another_recorder() for _ in range(2)]

    def work(which: int) -> None:
        for number in range(40):
            job = Handed(wrong(world, task, 1_000 * which + number), world.now)
            recorders[which].record([job])

    with ThreadPoolExecutor(2) as pool:
        [*pool.map(work, range(2))]
    assert len(refused(world)) == PER_ACTOR.burst
    assert audit(world).ok


def test_services_that_record_and_refuse_at_once_hinder_each_other_nowhere(world: World) -> None:
    """Each batch locks tasks of its own, and only then, if at all, the chain of attestations."""
    tasks = [world.assigned(f"T-{number}") for number in range(12)]
    recorders = [world.another_recorder() for _ in range(2)]
    urge = {"channel": "phone"}
    batches: list[list[Job]] = [
        [
            Handed(world.submission(task, "urge", urge, role="monitor"), world.now),
            Handed(wrong(world, task, number), world.now),
            Attest("reconciled", {**RECONCILED, "tasks": number}, world.now),
            garbage(world),
        ]
        for number, task in enumerate(tasks * 2)
    ]

    def work(which: int) -> list[object]:
        mine = [*batches[which::2], *batches[1 - which :: 2]]
        return [each for batch in mine for each in recorders[which].record(batch)[::2]]

    with ThreadPoolExecutor(2) as pool:
        answers = [each for found in pool.map(work, range(2)) for each in found]
    assert all(isinstance(each, Recorded) for each in answers)
    assert all(len(world.chain(task.id)) == 4 for task in tasks)
    assert len(refused(world)) == 40
    assert audit(world).ok


def test_in_hours_of_bad_commands_none_has_more_entries_than_the_bound(world: World) -> None:
    task = world.assigned("T-1", due_on=None)
    for number in range(200):
        world.forward(minutes=1 if number % 90 else 30)
        jobs = [Handed(wrong(world, task, 10 * number + each), world.now) for each in range(3)]
        world.recorder.record([*jobs, garbage(world), SumUp()])
    entries = refused(world)
    for actor in ("snv.approver", None):
        times = [each["at"] for each in entries if each["actor"] == actor]
        assert 60 < most_in_an_hour(times) <= PER_ACTOR.most(HOUR)
    sum_up(world, at_once=True)
    sums = stated(world, SUMMED)
    assert len(entries) + sum(each["total"] for each in sums) == 200 * 4
    assert audit(world).ok


async def test_ten_thousand_bad_commands_do_not_keep_good_ones_out(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    tasks = [world.assigned(f"T-{number}") for number in range(20)]
    pool = [forged(world, tasks[0], number) for number in range(500)]
    pool += [wrong(world, tasks[1], number) for number in range(500)]
    world.hand_in(pool[0])
    before = len(refused(world))
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    bad, good = [], []
    for number in range(10_000):
        if number % 500 == 0:
            task = tasks[number // 500]
            confirm = world.submission(task, "confirm", role="officer")
            good.append(asyncio.wrap_future(queue.submit(Handed(confirm, world.now))))
        job = Handed(pool[number % 1_000], world.now) if number % 2 else garbage(world)
        bad.append(asyncio.wrap_future(queue.submit(job)))
        if number % 1_000 == 999:
            await asyncio.gather(*bad, return_exceptions=True)
    assert all(isinstance(each, Recorded) for each in await asyncio.gather(*good))
    answers = await asyncio.gather(*bad, return_exceptions=True)
    assert {type(each) for each in answers} == {Refused}
    await asyncio.to_thread(queue.stop)
    entries, sums = refused(world), stated(world, SUMMED)
    assert before + 30 < len(entries) <= OF_ALL.burst
    assert max(
        [each["actor"] for each in entries].count(actor) for actor in ("snv.approver", None)
    ) <= PER_ACTOR.burst  # fmt: skip
    assert len(sums) == 1, "a clean stop states what was only counted"
    assert sums[0]["total"] > 5_000
    assert {task.state for task in map(world.recorder.task, (t.id for t in tasks)) if task} == {
        State.CONFIRMED
    }
    assert audit(world).ok
    world.close()


def test_words_come_into_no_entry(world: World) -> None:
    task = world.assigned("T-1")
    words = "Chuyện rất riêng"
    submission = world.submission(task, "dispute", {"reason": words}, role="other_officer")
    tampered = replace(submission, openings=(Opening("reason", words + "!", bytes(32)),))
    for each in (submission, tampered):
        assert isinstance(world.hand_in(each), Refused)
    assert len(refused(world)) == 2
    assert all(words not in str(each) for each in refused(world))
