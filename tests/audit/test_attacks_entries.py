"""Attacks on entries, as carried out by whoever could. `docs/attacks.md` lists them.

The attacker runs the log: has its database, its key for records and those for checkpoints, and
publishes what he likes. What he lacks is the keys of people, and what outsiders remember.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from activities.recorder import Recorded
from audit.commitment import Opening
from audit.entry import Entry, command_digest, format_entry, open_command, open_record, parse_entry
from audit.report import Check
from audit.signing import sign_record
from audit.submission import Submission
from domain.refusal import Refused
from store.engine import writing
from store.ledger import Row
from tests.support.attacking import (
    Operator,
    about,
    first,
    published,
)
from tests.support.forging import (
    audit_with_read_model,
    chained_again,
    forged,
    position,
    record_again,
    with_bytes,
)
from tests.support.world import World, key_of

TASK, OTHER = "D1-1", "D1-2"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture(scope="module", name="operator")
def _operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Two tasks; the first let its confirmation lapse, and was urged afterwards."""
    place = tmp_path_factory.mktemp("log")
    world = World(f"sqlite:///{place / 'log.sqlite'}")
    task = world.assigned(TASK)
    world.in_progress(OTHER)
    world.forward(hours=7)
    task = world.tick(task)
    task = world.do(task, "urge", {"channel": "phone"}, role="monitor")
    world.do(task, "confirm", role="officer")
    yield Operator(world, place)
    world.close()


@pytest.fixture(name="rows")
def _rows(operator: Operator) -> list[Row]:
    return operator.world.rows()


def test_the_log_as_it_was_written_holds(operator: Operator, rows: list[Row]) -> None:
    found = operator.verdict(rows, operator.note(rows[:-2]), processes=1)
    assert found.ok, found.report.findings
    assert (found.report.entries, found.report.opened) == (len(rows), 4)


def test_an_entry_edited_in_the_published_files_is_named_by_its_index(
    operator: Operator, rows: list[Row]
) -> None:
    files = published([row.data for row in rows], operator.signers)
    index = position(rows, TASK, 2)
    bundle = next(name for name in files if name.startswith("tile/entries/"))
    changed = rows[index].data.replace(b"A", b"B", 1)
    files[bundle] = files[bundle].replace(rows[index].data, changed)
    assert first(operator.audited(files))[1:] == ("entry_not_of_tile", TASK, 0, index)


def test_an_entry_edited_with_its_tile_is_named_though_only_the_root_is_signed(
    operator: Operator, rows: list[Row]
) -> None:
    index = position(rows, TASK, 2)
    changed = [*rows]
    changed[index] = record_again(rows[index], key_of("stranger"), person="snv.officer")
    files = published([row.data for row in changed], operator.signers)
    files["checkpoint"] = operator.note(rows)
    found = operator.audited(files)
    assert first(found)[:2] == (Check.TREE, "root_differs")
    finding = about(found, Check.RECORD_SIGNATURE)
    assert (finding.code, finding.chain, finding.index) == ("record_signature_wrong", TASK, index)
    assert found.report.passed[Check.TREE] == 0


def test_a_deadline_edited_by_the_operator_is_named_by_its_index(
    operator: Operator, rows: list[Row]
) -> None:
    index = position(rows, TASK, 2)
    clocks = open_record(parse_entry(rows[index].data).record).predicate["clocks"]
    assert isinstance(clocks, dict)
    confirm = clocks["confirm"]
    assert isinstance(confirm, dict)
    later = {**clocks, "confirm": {**confirm, "due": "2026-03-09T02:00:00.000000Z"}}
    log_key = operator.world.keys.log
    rows[index] = record_again(rows[index], log_key, clocks=later)
    found = operator.verdict(chained_again(rows, TASK, log_key))
    assert first(found) == (Check.RULES, "clock_differs", TASK, 2, index)


def test_a_deleted_entry_is_named(operator: Operator, rows: list[Row]) -> None:
    index = position(rows, TASK, 2)
    found = operator.verdict([*rows[:index], *rows[index + 1 :]])
    behind = position(rows, TASK, 3) - 1
    assert first(found) == (Check.CHAIN, "entry_missing", TASK, 2, behind)
    assert found.report.findings[0].leaf == rows[index].leaf


def test_an_inserted_entry_is_named(operator: Operator, rows: list[Row]) -> None:
    task = operator.world.recorder.task(TASK)
    assert task is not None
    command = operator.world.submission(task, "start", role="officer").command
    row = forged(operator.world, rows, command, key_of("stranger"), person="snv.officer")
    found = operator.verdict([*rows[:-1], row, rows[-1]])
    assert first(found)[1:] == ("record_signature_wrong", TASK, 0, len(rows) - 1)


def test_reordered_entries_are_named(operator: Operator, rows: list[Row]) -> None:
    a, b = position(rows, TASK, 2), position(rows, TASK, 3)
    rows[a], rows[b] = rows[b], rows[a]
    assert first(operator.verdict(rows)) == (Check.CHAIN, "entry_missing", TASK, 2, a)


def test_a_duplicated_entry_is_named(operator: Operator, rows: list[Row]) -> None:
    index = position(rows, TASK, 2)
    found = operator.verdict([*rows[: index + 1], rows[index], *rows[index + 1 :]])
    assert first(found) == (Check.CHAIN, "entry_repeated", TASK, 2, index + 1)


def test_a_command_replayed_on_the_same_task_is_answered_with_its_first_entry(
    operator: Operator, rows: list[Row]
) -> None:
    urged = rows[position(rows, TASK, 4)]
    before = operator.world.rows()
    answer = operator.world.hand_in(Submission(parse_entry(urged.data).command))
    assert isinstance(answer, Recorded)
    assert (answer.entry, answer.entries) == (urged.data, ())
    assert operator.world.rows() == before


def test_a_command_replayed_by_the_operator_is_named(operator: Operator, rows: list[Row]) -> None:
    urged = parse_entry(rows[position(rows, TASK, 4)].data)
    again = forged(
        operator.world, rows, urged.command, operator.world.keys.log, person="ttt.monitor"
    )
    found = operator.verdict([*rows, again])
    assert first(found) == (Check.ONCE, "command_repeated", TASK, again.seq, len(rows))


def test_a_command_for_an_earlier_version_of_the_task_is_refused(operator: Operator) -> None:
    world = operator.world
    seen = world.assigned("D1-3")
    world.do(seen, "confirm", role="officer")
    late = world.submission(seen, "start", role="officer")
    answer = world.hand_in(late)
    assert isinstance(answer, Refused)
    assert answer.code == "out_of_date"


def test_a_command_replayed_on_another_task_is_named(operator: Operator, rows: list[Row]) -> None:
    transferred = parse_entry(rows[position(rows, TASK, 2)].data).command
    last = [row for row in rows if row.chain == OTHER][-1]
    record = open_record(parse_entry(last.data).record)
    claims = {**record.predicate, "command": command_digest(transferred), "prev": last.leaf,
              "person": "vp.office", "seq": last.seq + 1}  # fmt: skip
    signed = sign_record(record.subject, claims, operator.world.keys.log)
    row = with_bytes(last, format_entry(Entry(transferred, signed)))
    found = operator.verdict([*rows, row])
    assert first(found)[1:] == ("subject_differs", TASK, last.seq + 1, len(rows))


def test_a_command_replayed_on_another_log_is_refused_and_named(
    operator: Operator, rows: list[Row], tmp_path: Path
) -> None:
    other = World(f"sqlite:///{tmp_path / 'log.sqlite'}", origin="another.example/log")
    task = other.assigned(TASK)
    foreign = other.submission(task, "confirm", role="officer")
    other.close()
    refused = operator.world.hand_in(foreign)
    assert isinstance(refused, Refused)
    assert refused.code == "other_log"
    row = forged(operator.world, rows, foreign.command, operator.world.keys.log,
                 person="snv.officer", to="confirmed")  # fmt: skip
    assert first(operator.verdict([*rows, row]))[:3] == (Check.BINDING, "other_log", TASK)


def test_a_commitment_exchanged_for_other_words_is_named(
    operator: Operator, rows: list[Row]
) -> None:
    index = position(rows, TASK, 1)
    leaf, words = rows[index].leaf, operator.words()[rows[index].leaf]
    swapped = operator.words()[rows[position(rows, OTHER, 1)].leaf]["title"]
    other = replace(words["title"], value="Một nhiệm vụ khác")
    for lie in (swapped, other):
        found = operator.verdict(rows, words={leaf: {**words, "title": lie}})
        assert first(found) == (Check.OPENINGS, "opening_wrong", TASK, 1, index)


def test_erased_words_cannot_be_guessed_from_the_log(operator: Operator, rows: list[Row]) -> None:
    words = operator.words()[rows[position(rows, TASK, 1)].leaf]["title"]
    command = open_command(parse_entry(rows[position(rows, TASK, 1)].data).command)
    arguments = command.predicate["arguments"]
    assert isinstance(arguments, dict)
    guessed = [
        Opening(words.field, words.value, salt)
        for salt in (b"", bytes(32), command.text("id").encode(), command.text("key").encode()[:32])
    ]
    assert words.opens(str(arguments["title"]))
    assert not any(guess.opens(str(arguments["title"])) for guess in guessed)
    erased = operator.verdict(rows, words={row.leaf: {} for row in rows})
    assert erased.ok
    assert erased.report.opened == 0
    assert erased.report.erased >= 4


def test_a_row_of_the_read_model_changed_by_hand_is_named(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    world.assigned(TASK)
    with writing(world.engine) as connection:
        done = text("UPDATE task SET snapshot = json_set(snapshot, '$.state', 'done')")
        connection.execute(done)
    finding = audit_with_read_model(world).first
    world.close()
    assert finding is not None
    assert (finding.check, finding.code, finding.chain, finding.detail) == (
        Check.READ_MODEL, "row_differs", TASK, "state",
    )  # fmt: skip
