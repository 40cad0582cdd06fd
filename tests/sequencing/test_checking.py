"""What the database says of the log's order and its checkpoints is held against itself and against
what is published.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from activities.recorder import Attest, Recorded
from audit.head_proofs import heads_root
from audit.report import Check, Report
from audit.share import NOTHING
from sequencing import attesting
from sequencing.checking import check_order
from sequencing.signing import keys_at
from store import tree
from store.engine import writing
from tests.support.attacking import published as published_files
from tests.support.attacking import signers_of
from tests.support.copying import copied
from tests.support.publishing import Published, published
from tests.support.world import FOUNDED, World, key_of


@pytest.fixture(name="log")
def _log(database_url: str, tmp_path: Path) -> Iterator[Published]:
    """Three checkpoints; one entry states the heads."""
    world = World(database_url)
    log = published(world, tmp_path / "tree")
    world.assigned("T-1")
    log.publish()
    log.state_heads()
    world.assigned("T-2")
    log.publish()
    yield log
    world.close()


def checked(log: Published) -> Report:
    published = log.files.published()
    with log.world.engine.connect() as connection:
        origin = log.world.origin
        return check_order(NOTHING, connection, published, origin, partial(keys_at, origin))


def codes(log: Published) -> list[tuple[int, str]]:
    return [(finding.check.value, finding.code) for finding in checked(log).findings]


def tamper(world: World, *statements: str) -> None:
    """What somebody does to whom the database belongs: the guards are no hindrance."""
    with writing(world.engine) as connection:
        unguard(connection)
        for statement in statements:
            connection.execute(text(statement))


def unguard(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
        for name in names.scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        return
    for table in ("entry", "leaf", "checkpoint"):
        connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))


def test_a_sound_log_passes_and_waiting_entries_are_no_error(log: Published) -> None:
    size = len(log.world.rows())
    for task in ("T-3", "T-4"):
        report = checked(log)
        assert report.findings == ()
        assert report.passed == {Check.TREE: size, Check.CHECKPOINT: 3, Check.HEADS: 1}
        log.world.assigned(task)
    log.files.root.rename(log.files.root.with_name("elsewhere"))
    assert codes(log) == []


def test_a_tail_that_was_cut_everywhere_is_remembered_by_what_is_published(log: Published) -> None:
    size = len(log.world.rows())
    last = "SELECT entry FROM leaf WHERE idx >= :cut"
    cut = size - 2
    tamper(
        log.world,
        "DELETE FROM outbox",
        *(f"DELETE FROM {table} WHERE {column} IN (SELECT leaf FROM entry WHERE id IN"
          f" ({last.replace(':cut', str(cut))}))" for table, column in (("opening", "leaf"),)),
        f"DELETE FROM checkpoint WHERE size > {cut}",
        "DELETE FROM task WHERE id = 'T-2'",
        f"DELETE FROM leaf WHERE idx >= {cut}",
        "DELETE FROM entry WHERE chain = 'T-2'",
    )  # fmt: skip
    assert len(log.world.rows()) == cut
    report = checked(log)
    assert [finding.code for finding in report.findings] == ["log_behind_checkpoint"]
    assert report.findings[0].detail == f"{size}, here {cut}"
    (log.files.root / "checkpoint").unlink()
    assert codes(log) == []


def test_leaves_that_were_cut_below_a_checkpoint_are_missing(log: Published) -> None:
    size = len(log.world.rows())
    tamper(log.world, f"DELETE FROM leaf WHERE idx = {size - 1}")
    report = checked(log)
    assert [(finding.check, finding.code, finding.detail) for finding in report.findings] == [
        (Check.TREE, "leaves_missing", f"{size - 1} of {size}")
    ]
    # What is left was still looked at.
    assert report.passed[Check.TREE] == size - 1
    assert report.passed[Check.CHECKPOINT] == 2


def test_leaves_that_changed_places_give_another_root(log: Published) -> None:
    size = len(log.world.rows())
    tamper(
        log.world,
        f"UPDATE leaf SET idx = -1 WHERE idx = {FOUNDED + 1}",
        f"UPDATE leaf SET idx = {FOUNDED + 1} WHERE idx = {size - 1}",
        f"UPDATE leaf SET idx = {size - 1} WHERE idx = -1",
    )
    assert (10, "root_differs") in codes(log)
    assert (11, "log_forked") in codes(log)


@pytest.mark.parametrize("index", [0, 3, 15])
def test_a_place_that_was_taken_out_between_others_is_a_gap(log: Published, index: int) -> None:
    tamper(log.world, f"DELETE FROM leaf WHERE idx = {index}")
    report = checked(log)
    assert [(finding.code, finding.detail) for finding in report.findings] == [
        ("log_has_gap", f"index {index}")
    ]
    assert report.passed[Check.TREE] == index


@pytest.mark.parametrize("index", [3, 16])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_an_entry_that_was_taken_from_its_place_leaves_a_gap(log: Published, index: int) -> None:
    tamper(
        log.world,
        "ALTER TABLE leaf DROP CONSTRAINT leaf_entry_fkey",
        f"DELETE FROM entry WHERE id = (SELECT entry FROM leaf WHERE idx = {index})",
    )
    assert [finding.detail for finding in checked(log).findings] == [f"index {index}"]


def test_changed_bytes_of_an_entry_are_named(log: Published) -> None:
    row = log.world.chain("T-1")[0]
    with writing(log.world.engine) as connection:
        unguard(connection)
        connection.execute(
            text("UPDATE entry SET data = :data WHERE leaf = :leaf"),
            {"data": row.data.replace(b"record", b"recorD", 1), "leaf": row.leaf},
        )
    report = checked(log)
    first = report.findings[0]
    assert (first.code, first.chain, first.seq, first.index) == (
        "entry_altered", "T-1", 1, FOUNDED,
    )  # fmt: skip
    assert {finding.code for finding in report.findings[1:]} == {"root_differs", "log_forked"}


def test_an_exchanged_checkpoint_is_noticed(log: Published) -> None:
    """One that another key signed, one over another tree, and one in the place of another."""
    rows = [row.data for row in log.world.rows()]
    size = len(rows)
    others = {
        "checkpoint_signature_missing": published_files(rows, signers_of(key_of("somebody"))),
        "root_differs": published_files([*rows[1:], rows[0]], signers_of()),
    }
    sound = log.files.published()
    for code, files in others.items():
        _exchange(log.world, size, files["checkpoint"])
        found = [(f.code, f.detail.split(":")[0]) for f in checked(log).findings]
        assert found == [(code, f"of {size} entries")]
    with log.world.engine.connect() as connection:
        earlier = tree.read_checkpoint(connection, size - 2)
    assert earlier is not None
    _exchange(log.world, size, earlier)
    assert codes(log) == [(10, "root_differs")]
    assert sound is not None
    _exchange(log.world, size, b"no note")
    assert [code for _check, code in codes(log)] == ["note_blank_line"]
    _exchange(log.world, size, sound)
    assert codes(log) == []


def _exchange(world: World, size: int, note: bytes) -> None:
    with writing(world.engine) as connection:
        unguard(connection)
        connection.execute(
            text("UPDATE checkpoint SET note = :note WHERE size = :size"),
            {"note": note, "size": size},
        )


def test_a_published_checkpoint_of_other_keys_or_of_another_tree_is_noticed(
    log: Published,
) -> None:
    rows = [row.data for row in log.world.rows()]
    place = log.files.root / "checkpoint"
    sound = place.read_bytes()
    for code, entries, signers in (
        ("checkpoint_signature_missing", rows, signers_of(key_of("somebody"))),
        ("log_forked", [*rows[1:], rows[0]], signers_of()),
        ("log_forked", rows[:-1], signers_of()),
    ):
        place.write_bytes(published_files(entries, signers)["checkpoint"])
        assert codes(log) == [(11, code)]
    place.write_bytes(sound[:-10])
    assert [check for check, _code in codes(log)] == [11]
    place.write_bytes(sound)
    assert codes(log) == []


def test_a_false_statement_about_the_heads_is_named(log: Published) -> None:
    """The service signs it, with a root over other heads than there were."""
    world = log.world
    with world.engine.connect() as connection:
        last = tree.last_checkpoint(connection)
        assert last is not None
        heads = tree.heads_at(connection, last.size)
    seq, leaf = heads["T-1"]
    lie = heads_root({**heads, "T-1": (seq - 1, leaf)}).hex()
    due = attesting.heads_due(world.engine, lambda: world.now)
    assert due is not None
    answer = world.recorder.record([Attest(due.event, {**due.arguments, "root": lie}, world.now)])
    assert isinstance(answer[0], Recorded)
    log.publish()
    (finding,) = checked(log).findings
    assert (finding.check, finding.code, finding.chain, finding.seq) == (
        Check.HEADS, "heads_differ", "attestations", 2,
    )  # fmt: skip


def test_a_copy_that_went_on_by_itself_does_not_fit_what_is_published(
    log: Published, tmp_path: Path
) -> None:
    url = log.world.engine.url.render_as_string(hide_password=False)
    log.world.engine.dispose()
    with copied(url, tmp_path) as copy:
        log.world.assigned("T-3")
        log.publish()
        world = World(copy)
        other = published(world, tmp_path / "other")
        world.assigned("T-4")
        other.publish()
        assert codes(Published(world, log.files)) == [(11, "log_forked")]
        world.close()
