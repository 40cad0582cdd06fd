"""What the file itself refuses, whatever a program asks of it."""

import sqlite3
from pathlib import Path

import pytest

from audit.checkpoint import Checkpoint
from tests.support.witnessing import NOW, ORIGIN, Log
from witness import store as stores
from witness.home import Home
from witness.judging import Evidence, Head, Kind
from witness.refused import Refused
from witness.store import Cosigned, Store


def head(log: Log) -> Head:
    note = log.note()
    return Head(log.checkpoint(), note.decode().split("\n\n")[0] + "\n", note)


def cosigned(log: Log) -> Cosigned:
    return Cosigned(head(log), NOW, b"lines")


@pytest.mark.parametrize("table", ["cosigned", "forks"])
@pytest.mark.parametrize("change", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
def test_rows_are_only_added(home: Home, log: Log, table: str, change: str) -> None:
    store = Store(home.store)
    with store.writing() as writing:
        writing.add(cosigned(log))
        writing.keep(Evidence(Kind.FORK, head(log), head(log.branch(8)), (), ("k",)), NOW)
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        store._connection.execute(change.format(table))
    store.close()


def test_nothing_is_replaced(home: Home, log: Log) -> None:
    store = Store(home.store)
    with store.writing() as writing:
        writing.add(cosigned(log))
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        store._connection.execute("INSERT OR REPLACE INTO cosigned SELECT * FROM cosigned")
    store.close()


def test_the_file_itself_never_goes_back(home: Home, log: Log) -> None:
    store = Store(home.store)
    with store.writing() as writing:
        writing.add(cosigned(log))
    for other in (log.cut(5), log.branch(8)):
        with pytest.raises(sqlite3.IntegrityError, match="never goes back"):  # noqa: SIM117 the inner one raises
            with store.writing() as writing:
                writing.add(cosigned(other))
    latest = store.latest(ORIGIN)
    assert latest is not None
    assert latest.head == head(log)
    store.close()


def test_what_fails_in_the_middle_leaves_nothing(home: Home, log: Log) -> None:
    store = Store(home.store)

    def fail() -> None:
        with store.writing() as writing:
            writing.add(cosigned(log))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.latest(ORIGIN) is None
    store.close()


def test_evidence_can_not_fill_the_disk(
    home: Home, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MAX_EVIDENCE", 2)
    store = Store(home.store)
    with store.writing() as writing:
        for kind in Kind:
            kept = [
                writing.keep(Evidence(kind, head(log), head(log.branch(8, mark)), (), ("k",)), NOW)
                for mark in "abc"
            ]
            assert kept == [True, True, False]
    store.close()


def test_the_largest_tree_fits(home: Home, log: Log) -> None:
    tree = Checkpoint(ORIGIN, 2**63 - 1, bytes(32))
    text = f"{ORIGIN}\n{tree.size}\n{'A' * 43}=\n"
    note = text.encode() + log.note().partition(b"\n\n")[1][:1] + log.note().partition(b"\n\n")[2]
    store = Store(home.store)
    with store.writing() as writing:
        writing.add(Cosigned(Head(tree, text, note), NOW, b"lines"))
    latest = store.latest(ORIGIN)
    assert latest is not None
    assert latest.head.checkpoint == tree
    store.close()


def test_a_lost_store_is_not_replaced_by_an_empty_one(home: Home) -> None:
    home.store.unlink()
    with pytest.raises(Refused, match="witness_store_missing"):
        Store(home.store)
    assert not home.store.exists()


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(Refused, match="witness_store_version"):
        Store(other)


def test_making_it_twice_changes_nothing(home: Home, log: Log) -> None:
    store = Store(home.store)
    with store.writing() as writing:
        writing.add(cosigned(log))
    stores.create(home.store)
    assert store.latest(ORIGIN) is not None
    store.close()


def test_a_damaged_store_is_refused(home: Home) -> None:
    home.store.write_bytes(b"this is no database" * 100)
    with pytest.raises(Refused, match="witness_store_unreadable"):
        Store(home.store)


def test_each_commit_is_flushed_to_the_disk(home: Home) -> None:
    store = Store(home.store)
    asked = ("journal_mode", "synchronous", "recursive_triggers")
    found = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
    assert found == ["wal", 2, 1]
    store.close()
