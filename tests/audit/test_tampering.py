"""What is done to a log afterwards, by whom, and how the verifier names it."""

import base64
import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from audit.commitment import Opening
from audit.entry import (
    Entry,
    command_digest,
    format_entry,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
)
from audit.founding import Anchors
from audit.once import CommandIds
from audit.private_keys import PrivateKey
from audit.signing import sign_command, sign_record
from audit.stored import Check, Finding
from audit.stored import StoredRun as Run
from audit.tally import Tally
from domain.instants import format_instant, parse_instant
from domain.replay import Replay
from gateway.composing import Signer, compose, compose_change, prove_enrolment
from store import ledger
from store.engine import writing
from store.ledger import Row
from tests.support.forging import (
    audit,
    audit_with_read_model,
    chained_again,
    forged,
    position,
    record_again,
    with_bytes,
)
from tests.support.world import ORIGIN, World, key_of, spki_of

TASK = "D1-1"


@pytest.fixture(scope="module", name="world")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two tasks; the first has let its confirmation lapse, and was urged afterwards."""
    world = World(f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}")
    task = world.assigned(TASK)
    world.in_progress("D1-2")
    world.forward(hours=7)
    task = world.tick(task)
    task = world.do(task, "urge", {"channel": "phone"}, role="monitor")
    world.do(task, "confirm", role="officer")
    yield world
    world.close()


@pytest.fixture(name="rows")
def _rows(world: World) -> list[Row]:
    return world.rows()


def first(finding: Finding | None) -> tuple[Check, str, str, int]:
    assert finding is not None, "nothing was found"
    return finding.check, finding.code, finding.chain, finding.seq


def test_the_untouched_log_passes_every_check(world: World, rows: list[Row]) -> None:
    report = audit_with_read_model(world)
    assert report.ok
    assert report.entries == len(rows)
    assert report.chains == 3
    of_entries = [check for check in Check if check <= Check.RULES]
    assert {check: report.passed[check] for check in of_entries} == (
        dict.fromkeys(of_entries, len(rows))
    )
    assert report.passed[Check.READ_MODEL] == 2
    assert (report.opened, report.erased) == (4, 0)


def run_up_to(world: World, rows: list[Row], index: int) -> Run:
    """A verification that has accepted all entries before ``index``."""
    openings = openings_of(world, rows)
    anchors = Anchors(world.origin, world.keys.log.public)
    run = Run(anchors, lambda leaf: openings.get(leaf, {}), Replay())
    for row in rows[:index]:
        run.take(row)
    assert not run.report().findings
    return run


def openings_of(world: World, rows: list[Row]) -> dict[str, dict[str, Opening]]:
    with world.engine.connect() as connection:
        return {row.leaf: ledger.read_openings(connection, row.leaf) for row in rows}


def finding_in(run: Run, row: Row) -> Finding | None:
    """What the verification finds in ``row``, itself left as it was."""
    attempt = copy.copy(run)
    attempt._tally, attempt._commands = Tally(), CommandIds()
    attempt.take(row)
    return attempt.report().first


def test_a_flipped_bit_in_any_byte_of_any_entry_is_found_there(
    world: World, rows: list[Row]
) -> None:
    checks: Counter[Check] = Counter()
    for index, row in enumerate(rows):
        run = run_up_to(world, rows, index)
        for place in range(len(row.data)):
            data = bytearray(row.data)
            data[place] ^= 1 << (place + index) % 8
            finding = finding_in(run, with_bytes(row, bytes(data)))
            assert finding is not None, (row.chain, row.seq, place)
            assert (finding.chain, finding.seq) == (row.chain, row.seq)
            checks[finding.check] += 1
    assert set(checks) >= {Check.FORM, Check.RECORD_SIGNATURE, Check.COMMAND_SIGNATURE}


def test_an_entry_cut_off_anywhere_is_found_there(world: World, rows: list[Row]) -> None:
    for index, row in enumerate(rows):
        run = run_up_to(world, rows, index)
        for size in range(len(row.data)):
            finding = finding_in(run, with_bytes(row, row.data[:size]))
            assert finding is not None, (row.chain, row.seq, size)
            assert (finding.check, finding.chain, finding.seq) == (Check.FORM, row.chain, row.seq)


def test_every_bit_of_one_entry_in_the_database_is_guarded_end_to_end(
    world: World, rows: list[Row]
) -> None:
    index = position(rows, TASK, 2)
    for place in range(0, len(rows[index].data), 97):
        for bit in range(8):
            data = bytearray(rows[index].data)
            data[place] ^= 1 << bit
            report = audit(world, [*rows[:index], with_bytes(rows[index], bytes(data)),
                                   *rows[index + 1 :]])  # fmt: skip
            assert report.first is not None
            assert (report.first.chain, report.first.seq) == (TASK, 2)
            assert report.heads["D1-2"].seq == 4, "other chains go on"


@pytest.mark.parametrize(
    ("column", "value"),
    [("chain", "D1-9"), ("seq", 9), ("prev", "f" * 64), ("leaf", "f" * 64), ("command", "f" * 32),
     ("seq", None), ("seq", "2"), ("data", None), ("data", "text"), ("leaf", b"x")],
)  # fmt: skip
def test_a_changed_column_is_found(world: World, rows: list[Row], column: str, value: Any) -> None:
    index = position(rows, TASK, 2)
    changed: Any = {column: value}
    report = audit(world, [*rows[:index], replace(rows[index], **changed), *rows[index + 1 :]])
    assert report.first is not None
    assert report.first.check in {Check.FORM, Check.BINDING}


def test_an_entry_changed_in_the_database_is_named(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    world.assigned(TASK)
    with writing(world.engine) as connection:
        connection.execute(text("DROP TRIGGER entry_no_update"))
        connection.execute(
            text("UPDATE entry SET data = CAST(replace(CAST(data AS TEXT), 'A', 'B') AS BLOB)"
                 " WHERE chain = :chain AND seq = 2"), {"chain": TASK},
        )  # fmt: skip
    report = audit(world)
    world.close()
    assert report.first is not None
    assert (report.first.chain, report.first.seq) == (TASK, 2)


@pytest.mark.parametrize("seq", [1, 2, 3, 4])
def test_a_removed_entry_is_named_by_its_seq(world: World, rows: list[Row], seq: int) -> None:
    index = position(rows, TASK, seq)
    report = audit(world, [*rows[:index], *rows[index + 1 :]])
    assert first(report.first) == (Check.CHAIN, "entry_missing", TASK, seq)
    assert report.first is not None
    assert report.first.leaf == rows[index].leaf
    assert len(report.findings) == 1


def test_a_removed_founding_is_named_first(world: World, rows: list[Row]) -> None:
    report = audit(world, rows[1:])
    assert first(report.first) == (Check.CHAIN, "entry_missing", "directory", 1)


def test_a_removed_enrolment_is_named_before_what_it_breaks(world: World, rows: list[Row]) -> None:
    index = position(rows, "directory", 7)
    report = audit(world, [*rows[:index], *rows[index + 1 :]])
    assert first(report.first) == (Check.CHAIN, "entry_missing", "directory", 7)
    assert any("the directory is broken at 7" in finding.detail for finding in report.findings)


def test_a_tail_cut_off_shows_in_the_read_model(world: World, rows: list[Row]) -> None:
    index = position(rows, TASK, 5)
    report = audit_with_read_model(world, [*rows[:index], *rows[index + 1 :]])
    assert first(report.first) == (Check.READ_MODEL, "tail_missing", TASK, 5)


def test_a_chain_removed_as_a_whole_shows_in_the_read_model(world: World, rows: list[Row]) -> None:
    report = audit_with_read_model(world, [row for row in rows if row.chain != TASK])
    assert first(report.first) == (Check.READ_MODEL, "chain_missing", TASK, 1)


def test_bytes_exchanged_between_two_entries_are_named(world: World, rows: list[Row]) -> None:
    a, b = position(rows, TASK, 2), position(rows, TASK, 3)
    rows[a], rows[b] = (
        replace(rows[a], data=rows[b].data),
        replace(rows[b], data=rows[a].data),
    )
    report = audit(world, rows)
    assert first(report.first) == (Check.BINDING, "stored_seq_differs", TASK, 2)
    assert report.first is not None
    assert f"{TASK} entry 3" in report.first.detail


def test_bytes_exchanged_between_two_tasks_are_named_on_both_sides(
    world: World, rows: list[Row]
) -> None:
    a, b = position(rows, TASK, 2), position(rows, "D1-2", 2)
    rows[a], rows[b] = (
        with_bytes(rows[a], rows[b].data),
        with_bytes(rows[b], rows[a].data),
    )
    report = audit(world, rows)
    assert {(finding.chain, finding.seq) for finding in report.findings} == {
        (TASK, 2),
        ("D1-2", 2),
    }


def test_two_entries_that_changed_places_are_named(world: World, rows: list[Row]) -> None:
    a, b = position(rows, TASK, 2), position(rows, TASK, 3)
    rows[a], rows[b] = rows[b], rows[a]
    report = audit(world, rows)
    assert first(report.first) == (Check.CHAIN, "entry_out_of_order", TASK, 2)


def test_an_entry_that_stands_twice_is_named(world: World, rows: list[Row]) -> None:
    index = position(rows, TASK, 2)
    report = audit(world, [*rows[: index + 1], rows[index], *rows[index + 1 :]])
    assert first(report.first) == (Check.CHAIN, "entry_repeated", TASK, 2)


def test_a_command_recorded_a_second_time_by_the_log_itself_is_found(
    world: World, rows: list[Row]
) -> None:
    # To urge changes nothing that a command binds to: only its id tells the copy from the first.
    urged = parse_entry(rows[position(rows, TASK, 4)].data)
    row = forged(world, rows, urged.command, world.keys.log, person="ttt.monitor")
    report = audit(world, [*rows, row])
    assert first(report.first) == (Check.ONCE, "command_repeated", TASK, row.seq)


def test_a_command_replayed_on_another_task_is_found(world: World, rows: list[Row]) -> None:
    transferred = parse_entry(rows[position(rows, TASK, 2)].data).command
    last = [row for row in rows if row.chain == "D1-2"][-1]
    entry = parse_entry(last.data)
    record = open_record(entry.record)
    claims = {
        **record.predicate,
        "command": command_digest(transferred),
        "person": "vp.office",
        "prev": last.leaf,
        "seq": last.seq + 1,
    }
    signed = sign_record(record.subject, claims, world.keys.log)
    data = format_entry(Entry(transferred, signed))
    identity = open_command(transferred).text("id")
    row = Row("D1-2", last.seq + 1, last.leaf, leaf_hash(data), identity, data)
    report = audit(world, [*rows, row])
    assert first(report.first) == (Check.BINDING, "subject_differs", "D1-2", last.seq + 1)


def test_a_record_signed_by_another_key_is_found(world: World, rows: list[Row]) -> None:
    index = position(rows, TASK, 3)
    for key in (key_of("stranger"), world.keys.clock, world.people["office"].key):
        changed = [*rows[:index], record_again(rows[index], key), *rows[index + 1 :]]
        report = audit(world, changed)
        assert first(report.first) == (
            Check.RECORD_SIGNATURE, "record_signature_wrong", TASK, 3,
        )  # fmt: skip


def resigned(row: Row, world: World, key: PrivateKey) -> Row:
    """The entry with its command signed by ``key``, its record by the log's own."""
    entry = parse_entry(row.data)
    statement = open_command(entry.command)
    command = sign_command(statement.subject, dict(statement.predicate), key)
    record = {**open_record(entry.record).predicate, "command": command_digest(command)}
    data = format_entry(Entry(command, sign_record(statement.subject, record, world.keys.log)))
    return with_bytes(row, data)


@pytest.mark.parametrize(
    ("signer", "check", "code"),
    [
        ("stranger", Check.COMMAND_SIGNATURE, "key_not_enrolled"),
        ("log", Check.COMMAND_SIGNATURE, "key_of_other_purpose"),
        ("checkpoint", Check.COMMAND_SIGNATURE, "key_of_other_purpose"),
        ("clock", Check.COMMAND_SIGNATURE, "key_of_other_purpose"),
        ("administrator", Check.COMMAND_SIGNATURE, "key_of_other_purpose"),
        ("snv.officer", Check.BINDING, "person_differs"),
    ],
)
def test_a_command_signed_by_whoever_else_is_found(
    world: World, rows: list[Row], signer: str, check: Check, code: str
) -> None:
    index = position(rows, TASK, 2)
    row = resigned(rows[index], world, key_of(signer))
    report = audit(world, [*rows[:index], row, *rows[index + 1 :]])
    assert first(report.first) == (check, code, TASK, 2)


def test_a_command_under_the_name_of_another_key_is_found(world: World, rows: list[Row]) -> None:
    index = position(rows, TASK, 2)
    entry = parse_entry(rows[index].data)
    other = world.people["officer"].key.public.id
    data = format_entry(Entry(entry.command._replace(keyid=other), entry.record))
    report = audit(world, [*rows[:index], with_bytes(rows[index], data), *rows[index + 1 :]])
    assert first(report.first) == (
        Check.COMMAND_SIGNATURE, "command_signature_wrong", TASK, 2,
    )  # fmt: skip


def test_a_step_inserted_with_a_forged_record_is_found(world: World, rows: list[Row]) -> None:
    task = world.recorder.task(TASK)
    assert task is not None
    command = world.submission(task, "start", role="officer").command
    row = forged(world, rows, command, key_of("stranger"), person="snv.officer", to="in_progress")
    report = audit(world, [*rows, row])
    assert first(report.first) == (
        Check.RECORD_SIGNATURE, "record_signature_wrong", TASK, row.seq,
    )  # fmt: skip


def test_an_illegal_step_that_the_log_itself_recorded_is_found(
    world: World, rows: list[Row]
) -> None:
    task = world.recorder.task(TASK)
    assert task is not None
    command = world.submission(task, "approve", role="approver").command
    row = forged(world, rows, command, world.keys.log, person="snv.approver", to="done")
    report = audit(world, [*rows, row])
    assert first(report.first) == (Check.RULES, "wrong_state", TASK, row.seq)


def test_a_lapse_signed_by_a_person_is_found(world: World, rows: list[Row]) -> None:
    task = world.recorder.task(TASK)
    assert task is not None
    due = format_instant(task.clocks["dispute"].due)
    signer = world.people["officer"]
    command = compose(
        world.origin, task, "lapse", {"clock": "dispute", "due": due}, signer, world.now
    ).command
    row = forged(world, rows, command, world.keys.log, person="snv.officer")
    report = audit(world, [*rows, row])
    assert first(report.first) == (
        Check.COMMAND_SIGNATURE, "key_of_other_purpose", TASK, row.seq,
    )  # fmt: skip


def test_a_lapse_before_its_time_is_found_even_by_the_clocks_key(
    world: World, rows: list[Row]
) -> None:
    task = world.recorder.task(TASK)
    assert task is not None
    due = task.clocks["dispute"].due
    signer = Signer(world.keys.clock, "clock", "clock")
    arguments = {"clock": "dispute", "due": format_instant(due)}
    command = compose(world.origin, task, "lapse", arguments, signer, due).command
    row = forged(world, rows, command, world.keys.log, person="clock",
                 clocks={"dispute": None}, received_at=format_instant(due))  # fmt: skip
    report = audit(world, [*rows, row])
    assert first(report.first) == (Check.CHAIN, "recorded_before_received", TASK, row.seq)
    row = forged(world, rows, command, world.keys.log, person="clock", clocks={"dispute": None})
    report = audit(world, [*rows, row])
    assert first(report.first) == (Check.RULES, "received_at_differs", TASK, row.seq)


def test_a_deadline_moved_by_one_minute_is_found_although_the_log_signed_it(
    world: World, rows: list[Row]
) -> None:
    index = position(rows, TASK, 2)
    clocks = json.loads(parse_entry(rows[index].data).record.payload)["predicate"]["clocks"]
    due = parse_instant(clocks["confirm"]["due"])
    clocks["confirm"]["due"] = format_instant(due.replace(minute=due.minute + 1))
    rows[index] = record_again(rows[index], world.keys.log, clocks=clocks)
    report = audit(world, chained_again(rows, TASK, world.keys.log))
    assert first(report.first) == (Check.RULES, "clock_differs", TASK, 2)


def test_a_lapse_left_out_is_found_although_the_log_signed_the_chain_anew(
    world: World, rows: list[Row]
) -> None:
    index = position(rows, TASK, 3)
    assert open_command(parse_entry(rows[index].data).command).predicate["event"] == "lapse"
    shorter = [*rows[:index], *rows[index + 1 :]]
    report = audit(world, chained_again(shorter, TASK, world.keys.log))
    assert first(report.first) == (Check.RULES, "deadline_not_recorded", TASK, 3)


@pytest.mark.parametrize(
    ("changes", "check", "code"),
    [
        ({"person": "snv.approver"}, Check.BINDING, "person_differs"),
        ({"log": "another.example/log"}, Check.BINDING, "other_log"),
        ({"command": "0" * 64}, Check.BINDING, "command_not_as_recorded"),
        ({"prev": "0" * 64}, Check.CHAIN, "prev_differs"),
        ({"from": "confirmed"}, Check.CHAIN, "from_differs"),
        ({"to": "done"}, Check.RULES, "to_differs"),
        ({"rules": "08-QC/TW.0"}, Check.RULES, "unknown_rules"),
        ({"calendar": "vn-1999"}, Check.RULES, "unknown_calendar"),
        ({"clocks": {"due": None}}, Check.RULES, "clock_differs"),
        ({"received_at": "2026-03-01T00:00:00.000000Z"}, Check.RULES, "issued_in_future"),
        ({"recorded_at": "2026-03-02T01:00:00.000000Z"}, Check.CHAIN, "recorded_before_received"),
        ({"received_at": "2026-02-02T01:00:00.000000Z",
          "recorded_at": "2026-02-02T01:00:00.000000Z"}, Check.CHAIN, "recorded_before_previous"),
        ({"recorded_at": "yesterday"}, Check.FORM, "malformed_record"),
        ({"to": None}, Check.FORM, "malformed_record"),
    ],
)  # fmt: skip
def test_a_record_that_claims_something_else_is_found_although_the_log_signed_it(
    world: World, rows: list[Row], changes: dict[str, Any], check: Check, code: str
) -> None:
    index = position(rows, TASK, 4)
    row = replace(record_again(rows[index], world.keys.log, **changes), prev=rows[index].prev)
    if "prev" in changes:
        row = replace(row, prev=changes["prev"])
    report = audit(world, [*rows[:index], row, *rows[index + 1 :]])
    assert first(report.first) == (check, code, TASK, 4)


def test_a_log_verified_under_another_name_is_refused(world: World, rows: list[Row]) -> None:
    world_elsewhere = copy.copy(world)
    world_elsewhere.origin = "another.example/log"
    report = audit(world_elsewhere, rows)
    assert first(report.first) == (Check.BINDING, "other_log", "directory", 1)


def changed_directory(world: World, rows: list[Row], arguments: dict[str, Any]) -> Finding:
    submission = compose_change(
        world.origin, world.founding, "enrol", arguments, world.administrator, world.now
    )
    row = forged(world, rows, submission.command, world.keys.log, **{"from": None})
    found = audit(world, [*rows, row]).first
    assert found is not None
    return found


def enrolment(key: PrivateKey) -> dict[str, Any]:
    """The arguments for a new key of snv.approver: what a colluding administrator would sign."""
    proof = prove_enrolment(ORIGIN, "snv.approver", key)
    return {"person": "snv.approver", "spki": spki_of(key), "proof": proof}


@pytest.mark.parametrize("holder", ["log", "clock", "administrator", "snv.officer"])
def test_a_key_that_is_somebodys_already_cannot_be_enrolled(
    world: World, rows: list[Row], holder: str
) -> None:
    found = changed_directory(world, rows, enrolment(key_of(holder)))
    assert (found.check, found.code) == (Check.COMMAND_SIGNATURE, "key_in_use")


def test_a_weak_key_cannot_be_enrolled(world: World, rows: list[Row]) -> None:
    header = key_of("any").public.spki[:-32]
    weak = base64.b64encode(header + (1).to_bytes(32, "little")).decode()
    found = changed_directory(world, rows, {**enrolment(key_of("any")), "spki": weak})
    assert (found.check, found.code) == (Check.COMMAND_SIGNATURE, "public_key_of_small_order")


def test_only_the_administrator_changes_the_directory(world: World, rows: list[Row]) -> None:
    arguments = enrolment(key_of("new"))
    submission = compose_change(
        world.origin, world.founding, "enrol", arguments, world.people["office"], world.now
    )
    row = forged(world, rows, submission.command, world.keys.log, **{"from": None})
    found = audit(world, [*rows, row]).first
    assert found is not None
    assert (found.check, found.code) == (Check.COMMAND_SIGNATURE, "key_of_other_purpose")


def test_a_key_counts_from_its_enrolment_on_and_not_before(world: World, rows: list[Row]) -> None:
    # The office's enrolment is moved behind what the office did.
    index = position(rows, "directory", 7)
    moved = [*rows[:index], *rows[index + 1 :], rows[index]]
    codes = {(finding.chain, finding.code) for finding in audit(world, moved).findings}
    assert codes == {
        ("directory", "entry_out_of_order"),
        (TASK, "key_not_enrolled"),
        ("D1-2", "key_not_enrolled"),
    }


def test_words_that_do_not_fit_their_commitment_are_found(world: World, rows: list[Row]) -> None:
    openings = openings_of(world, rows)
    leaf = rows[position(rows, TASK, 1)].leaf
    title = openings[leaf]["title"]
    for forgery in (
        replace(title, value="Việc khác"),
        replace(title, salt=bytes(32)),
        replace(title, salt=title.salt[:31]),
        replace(title, field="summary"),
        replace(title, value="\ud800"),
        replace(title, salt="text"),  # type: ignore[arg-type]  # a database may hold anything
    ):
        report = audit(world, rows, {**openings, leaf: {**openings[leaf], "title": forgery}})
        assert first(report.first) == (Check.OPENINGS, "opening_wrong", TASK, 1)
    extra = {**openings[leaf], "content": title}
    report = audit(world, rows, {**openings, leaf: extra})
    assert first(report.first) == (Check.OPENINGS, "opening_unasked", TASK, 1)


def test_a_salt_that_is_no_salt_in_the_database_is_found(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    world.assigned(TASK)
    with writing(world.engine) as connection:
        connection.execute(text("DROP TRIGGER opening_no_update"))
        connection.execute(text("UPDATE opening SET salt = 'text' WHERE field = 'title'"))
    report = audit(world)
    world.close()
    assert first(report.first) == (Check.OPENINGS, "opening_unreadable", TASK, 1)


def test_erased_words_are_counted_and_the_log_still_verifies(world: World, rows: list[Row]) -> None:
    report = audit(world, rows, {})
    assert report.ok
    assert (report.opened, report.erased) == (0, 4)


@pytest.fixture(name="shown")
def _shown(tmp_path: Path) -> Iterator[World]:
    """A log of two tasks whose read model a test may change."""
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    world.assigned(TASK)
    world.assigned("D1-2")
    yield world
    world.close()


@pytest.mark.parametrize(
    ("field", "value", "code", "seq"),
    [
        ("state", "done", "row_differs", 2),
        ("clocks", {}, "row_differs", 2),
        ("extra", None, "row_differs", 2),
        ("seq", 3, "tail_missing", 3),
        ("seq", 1, "row_behind", 2),
        ("seq", None, "row_malformed", 0),
    ],
)
def test_a_row_of_the_read_model_that_was_changed_is_named(
    shown: World, field: str, value: object, code: str, seq: int
) -> None:
    with writing(shown.engine) as connection:
        row = connection.execute(text("SELECT snapshot FROM task WHERE id = 'D1-2'")).scalar_one()
        snapshot = json.dumps({**json.loads(row), field: value})
        connection.execute(
            text("UPDATE task SET snapshot = :snapshot WHERE id = 'D1-2'"), {"snapshot": snapshot}
        )
    report = audit_with_read_model(shown)
    assert first(report.first) == (Check.READ_MODEL, code, "D1-2", seq)
    assert report.passed[Check.READ_MODEL] == 1


def test_a_row_of_a_task_that_the_log_does_not_know_is_named(shown: World) -> None:
    with writing(shown.engine) as connection:
        connection.execute(text("UPDATE task SET id = 'D9-9' WHERE id = 'D1-2'"))
    report = audit_with_read_model(shown)
    assert [first(finding) for finding in report.findings] == [
        (Check.READ_MODEL, "chain_missing", "D9-9", 1),
        (Check.READ_MODEL, "row_missing", "D1-2", 2),
    ]
