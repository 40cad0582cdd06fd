"""The log about itself: heads, reconciliations and erasures pass the recorder like all else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from activities.folding import attested, newest
from activities.rebuilding import rebuild, rebuild_tasks
from activities.recorder import Attest, Handed, Recorded, Timeout
from audit.commitment import Opening
from audit.entry import open_command, open_record, parse_entry
from audit.head_proofs import heads_root
from audit.report import Report
from domain.attestation import DIFFERENCES
from domain.refusal import Refused
from domain.replay import Illegal, Replay
from gateway.composing import compose_change
from store import ledger, queries
from tests.support.forging import audit, record_again
from tests.support.refusals import other_statements, refused
from tests.support.world import HEADER, World, key_of

COUNTS = dict.fromkeys(DIFFERENCES, 0)
CHAIN = "attestations"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def heads(world: World, size: int) -> dict[str, object]:
    """What is true of the first entries of this log."""
    found = {row.chain: (row.seq, row.leaf) for row in world.rows()[:size]}
    return {"size": size, "chains": len(found), "root": heads_root(found).hex()}


def refusal(answer: object) -> str:
    assert isinstance(answer, Refused)
    return answer.code


def texts(world: World, task: str, seq: int = 1) -> dict[str, Opening]:
    with world.engine.connect() as connection:
        return ledger.read_openings(connection, world.chain(task)[seq - 1].leaf)


def shown_title(world: World, task: str) -> str:
    with world.engine.connect() as connection:
        return next(row.title for row in queries.list_tasks(connection) if row.id == task)


def outbox(world: World) -> dict[str, int]:
    with world.engine.connect() as connection:
        return queries.posted(connection)


def sound(world: World) -> Report:
    report = audit(world)
    assert report.findings == ()
    return report


def test_the_service_states_its_heads_with_the_clocks_key(world: World) -> None:
    recorded = world.attest("heads", heads(world, 5))
    assert isinstance(recorded, Recorded)
    assert recorded.task is None
    (row,) = world.chain(CHAIN)
    entry = parse_entry(row.data)
    command, record = open_command(entry.command), open_record(entry.record)
    assert entry.command.verify(world.keys.clock.public)
    assert command.subject.name == CHAIN
    assert command.predicate["on_behalf"] == {"agency": "clock", "for": None, "role": "clock"}
    assert command.predicate["seen"] is None
    assert (record.predicate["from"], record.predicate["to"]) == (None, "recorded")
    assert (record.predicate["person"], record.predicate["clocks"]) == ("clock", {})
    with world.engine.connect() as connection:
        assert (attested(connection).seq, attested(connection).size) == (1, 5)
    sound(world)


def test_no_workflow_and_no_screen_hears_of_it(world: World) -> None:
    world.assigned("T-1")
    before = outbox(world)
    world.attest("heads", heads(world, 5))
    world.attest("reconciled", {"size": 9, "tasks": 1, "workflows": 1, "differences": COUNTS})
    world.erase("T-1", 1, "title")
    assert outbox(world) == before
    with world.engine.connect() as connection:
        assert [row.id for row in queries.list_tasks(connection)] == ["T-1"]
    assert world.recorder.task(CHAIN) is None
    assert isinstance(world.recorder.record([Timeout(CHAIN, world.now)])[0], Recorded)
    assert rebuild(world.engine).tasks == 1
    sound(world)


def test_a_smaller_size_is_refused_by_a_recorder_that_has_just_started(world: World) -> None:
    world.attest("heads", heads(world, 5))
    world.recorder = world.another_recorder()
    assert refusal(world.attest("heads", heads(world, 4))) == "heads_not_newer"
    assert refusal(world.attest("heads", heads(world, 5))) == "heads_not_newer"
    assert isinstance(world.attest("heads", heads(world, 6)), Recorded)


def test_two_services_state_one_size_once(world: World) -> None:
    jobs = [
        Attest("heads", heads(world, 5), world.now),
        Attest("heads", heads(world, 5), world.now),
    ]
    first, second = world.recorder.record(jobs)
    assert isinstance(first, Recorded)
    # The very same words at the same instant are another command, behind the first.
    assert refusal(second) == "heads_not_newer"


def test_the_last_statement_is_found_behind_many_others(world: World) -> None:
    world.attest("heads", heads(world, 5))
    done = {"size": 9, "tasks": 0, "workflows": 0, "differences": COUNTS}
    for _ in range(80):
        world.forward(seconds=1)
        world.attest("reconciled", done)
    with world.engine.connect() as connection:
        assert (attested(connection).seq, attested(connection).size) == (81, 5)
        last = newest(connection, "reconciled")
        assert last is not None
        assert last.row.seq == 81
        assert newest(connection, "erase") is None


def test_an_attestation_signed_by_a_person_is_refused(world: World) -> None:
    world.registered("T-1")
    leaf = world.chain("T-1")[0].leaf
    erasure = {"leaf": leaf, "field": "title", "reason": "privacy"}
    for event, arguments in (("heads", heads(world, 5)), ("erase", erasure)):
        submission = world.attestation(event, arguments, world.people["office"])
        assert refusal(world.hand_in(submission)) == "key_of_other_purpose"
    assert "title" in texts(world, "T-1")


def test_clock_and_administrator_keep_to_their_own_events(world: World) -> None:
    world.registered("T-1")
    clock = replace(world.administrator, key=world.keys.clock)
    erasure = {"leaf": world.chain("T-1")[0].leaf, "field": "title", "reason": "privacy"}
    for event, arguments, signer in (
        ("heads", heads(world, 5), world.administrator),
        ("erase", erasure, clock),
        ("enrol", {}, world.administrator),
        ("lapse", {}, clock),
    ):
        code = refusal(world.hand_in(world.attestation(event, arguments, signer)))
        assert code in {"key_of_other_purpose", "unknown_event"}
    assert refusal(world.attest("erase", erasure)) == "key_of_other_purpose"
    assert other_statements(world) == []
    # What the service itself could not state is nobody's refused command.
    assert [each["actor"] for each in refused(world)] == [
        "administrator", "clock", "administrator", "clock",
    ]  # fmt: skip


def test_no_task_is_called_like_a_chain_about_the_log(world: World) -> None:
    answer = world.hand_in(world.submission(CHAIN, "register", HEADER, role="office"))
    assert refusal(answer) == "subject_unknown"


def test_erased_words_are_gone_and_the_log_verifies(world: World) -> None:
    task = world.in_progress("T-1")
    world.do(task, "report", {"summary": "Một nửa"}, role="officer")
    assert shown_title(world, "T-1") == HEADER["title"]
    world.erase("T-1", 1, "title")
    assert set(texts(world, "T-1")) == {"document_title"}
    assert shown_title(world, "T-1") == ""
    world.erase("T-1", 5, "summary", "secrecy")
    assert texts(world, "T-1", 5) == {}
    report = sound(world)
    assert report.erased == 2
    # The task goes on as if nothing had been.
    world.do(world.recorder.task("T-1") or "", "submit", {"summary": "Xong"}, role="officer")
    assert shown_title(world, "T-1") == ""


def test_the_rebuilt_screens_do_not_know_the_erased_title_either(world: World) -> None:
    world.assigned("T-1")
    world.assigned("T-2")
    world.erase("T-1", 1, "title")
    rebuild(world.engine)
    assert (shown_title(world, "T-1"), shown_title(world, "T-2")) == ("", HEADER["title"])
    rebuild_tasks(world.engine, ["T-1", "T-2"])
    assert (shown_title(world, "T-1"), shown_title(world, "T-2")) == ("", HEADER["title"])


@pytest.mark.parametrize("field", ["reason", "Title", "lead"])
def test_what_is_not_there_cannot_be_erased(world: World, field: str) -> None:
    world.registered("T-1")
    with pytest.raises(Refused, match="nothing_to_erase"):
        world.erase("T-1", 1, field)
    assert other_statements(world) == []


def test_nothing_is_erased_twice(world: World) -> None:
    world.registered("T-1")
    world.erase("T-1", 1, "title")
    with pytest.raises(Refused, match="nothing_to_erase"):
        world.erase("T-1", 1, "title")
    world.registered("T-2")
    leaf = world.chain("T-2")[0].leaf
    arguments = {"leaf": leaf, "field": "title", "reason": "mistake"}
    both = [Handed(world.attestation("erase", arguments), world.now) for _ in range(2)]
    first, second = world.recorder.record(both)
    assert isinstance(first, Recorded)
    assert refusal(second) == "nothing_to_erase"
    assert len(other_statements(world)) == 2


def test_the_same_erasure_handed_in_again_is_answered_with_its_entry(world: World) -> None:
    world.registered("T-1")
    leaf = world.chain("T-1")[0].leaf
    submission = world.attestation("erase", {"leaf": leaf, "field": "title", "reason": "mistake"})
    first = world.hand_in(submission)
    assert isinstance(first, Recorded)
    world.recorder = world.another_recorder()
    again = world.hand_in(submission)
    assert isinstance(again, Recorded)
    assert (again.entry, again.entries) == (first.entry, ())


def test_an_erasure_meant_for_another_log_or_another_chain_of_attestations_is_refused(
    world: World,
) -> None:
    world.registered("T-1")
    arguments = {"leaf": world.chain("T-1")[0].leaf, "field": "title", "reason": "mistake"}
    world.origin = "another.example/log"
    foreign = world.attestation("erase", arguments)
    world.origin = "dondoc.example/log"
    before = world.attestation("erase", arguments)
    assert refusal(world.hand_in(foreign)) == "other_log"
    world.attest("heads", heads(world, 5))
    # Signed while the chain had no entry: its header is another one now.
    assert refusal(world.hand_in(before)) == "other_task"
    assert "title" in texts(world, "T-1")


def test_words_that_ride_along_with_a_chain_about_the_log_are_refused(world: World) -> None:
    world.registered("T-1")
    opening = Opening("title", "smuggled in", bytes(32))
    arguments = {"leaf": world.chain("T-1")[0].leaf, "field": "title", "reason": "mistake"}
    laden = replace(world.attestation("erase", arguments), openings=(opening,))
    assert refusal(world.hand_in(laden)) == "opening_missing"


def test_a_change_of_the_directory_handed_in_again_is_answered_too(world: World) -> None:
    arguments = {"agency": "y", "name_vi": "Y", "name_en": "Y", "parent": None}
    submission = compose_change(
        world.origin, world.founding, "add_agency", arguments, world.administrator, world.now
    )
    first, again = world.hand_in(submission), world.hand_in(submission)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert again.entry == first.entry


def test_a_replay_judges_attestations_again(world: World) -> None:
    world.attest("heads", heads(world, 5))
    world.forward(minutes=10)
    world.attest("heads", heads(world, 6))
    rows = world.rows()
    replay = Replay()
    for row in rows[:-1]:
        judged(replay, row)
    for changes in ({"person": "administrator"}, {"to": "done"}, {"from": "recorded"}):
        (name,) = changes
        with pytest.raises(Illegal) as illegal:
            judged(replay, record_again(rows[-1], key_of("log"), **changes))
        assert illegal.value.code == f"{name}_differs"
    judged(replay, rows[-1])
    assert replay.attested.size == 6
    with pytest.raises(Illegal) as illegal:
        judged(replay, rows[-1])
    assert illegal.value.code == "heads_not_newer"


def judged(replay: Replay, row: ledger.Row) -> None:
    entry = parse_entry(row.data)
    command, record = open_command(entry.command), open_record(entry.record)
    replay(row.chain, command.subject.digest, row.leaf, command.predicate, record.predicate)


def test_words_and_entry_go_together_or_not_at_all(world: World) -> None:
    world.registered("T-1")
    leaf = world.chain("T-1")[0].leaf
    submission = world.attestation("erase", {"leaf": leaf, "field": "title", "reason": "mistake"})

    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "before_commit":
            raise Killed

    world.recorder._probe = kill
    with pytest.raises(Killed):
        world.hand_in(submission)
    world.recorder = world.another_recorder()
    assert world.chain(CHAIN) == []
    assert "title" in texts(world, "T-1")
    assert shown_title(world, "T-1") == HEADER["title"]
    assert isinstance(world.hand_in(submission), Recorded)
    assert shown_title(world, "T-1") == ""


def test_erased_words_leave_the_files_of_sqlite(tmp_path: Path) -> None:
    """As bytes: neither the database nor its write-ahead log has them any more."""
    file = tmp_path / "log.sqlite"
    world = World(f"sqlite:///{file}")
    words = [f"Chuyện riêng số {number:04d}" for number in range(60)]
    for number, title in enumerate(words):
        world.assigned(f"T-{number}", title=title, content=title * (number + 1))
    for number in range(30):
        world.do(world.recorder.task(f"T-{number}") or "", "confirm", role="officer")
    assert holding(file, words) == set(words)
    for number in range(0, 60, 3):
        world.erase(f"T-{number}", 1, "title")
        world.erase(f"T-{number}", 1, "content")
    assert holding(file, words) == {w for n, w in enumerate(words) if n % 3}
    world.close()


def test_words_that_a_reader_still_holds_are_erased_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    world = World(f"sqlite:///{file}")
    world.assigned("T-1", title="Chuyện riêng")
    world.assigned("T-2", title="Chuyện khác")
    with world.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM entry")).all()
        world.erase("T-1", 1, "title")
        assert set(texts(world, "T-1")) == {"document_title"}
    # The next erasure, or a restart, clears the write-ahead log.
    world.erase("T-2", 1, "title")
    assert holding(file, ["Chuyện riêng", "Chuyện khác"]) == set()
    world.close()


def holding(file: Path, words: list[str]) -> set[str]:
    """The words that are somewhere in the files of a database."""
    data = b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    return {each for each in words if each.encode() in data}
