"""What a witness remembers: an SQLite file of its own, to which rows are only ever added.

cosigned   each checkpoint that it cosigned, and its lines: what is signed is here first
forks      pairs of heads that the log signed and that contradict each other

`Store.writing` is one transaction from the look at the last head to the new row, and SQLite lets
one writer in at a time, from whatever thread or process: so no two cosigned trees were ever
compared with the same predecessor. A trigger says the same in SQL, should a program forget it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from audit.checkpoint import Checkpoint, parse_checkpoint
from audit.merkle import HASH_BYTES
from audit.note import parse_note
from witness.judging import Evidence, Head, Kind
from witness.refused import Refused

PATIENCE_SECONDS = 10.0
MAX_EVIDENCE = 1_000
"""Of each kind for each log: one is enough, and none may fill the disk."""

_VERSION = 1
_TABLES = """
CREATE TABLE cosigned (
    number  INTEGER PRIMARY KEY,
    origin  TEXT    NOT NULL,
    size    INTEGER NOT NULL CHECK (size >= 0),
    root    BLOB    NOT NULL CHECK (length(root) = 32),
    at      INTEGER NOT NULL,
    note    BLOB    NOT NULL,
    lines   BLOB    NOT NULL
) STRICT;
CREATE INDEX cosigned_by_size ON cosigned (origin, size);
CREATE TABLE forks (
    number  INTEGER PRIMARY KEY,
    origin  TEXT    NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('fork', 'suspicion')),
    first   BLOB    NOT NULL,
    second  BLOB    NOT NULL,
    proof   BLOB    NOT NULL,
    vkeys   TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    pair    TEXT    NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER cosigned_grows BEFORE INSERT ON cosigned WHEN EXISTS (
    SELECT 1 FROM cosigned WHERE origin = NEW.origin
    AND (size > NEW.size OR (size = NEW.size AND root <> NEW.root))
) BEGIN SELECT RAISE(ABORT, 'a witness never goes back'); END;
CREATE TRIGGER cosigned_no_update BEFORE UPDATE ON cosigned
    BEGIN SELECT RAISE(ABORT, 'rows are only added'); END;
CREATE TRIGGER cosigned_no_delete BEFORE DELETE ON cosigned
    BEGIN SELECT RAISE(ABORT, 'rows are only added'); END;
CREATE TRIGGER forks_no_update BEFORE UPDATE ON forks
    BEGIN SELECT RAISE(ABORT, 'rows are only added'); END;
CREATE TRIGGER forks_no_delete BEFORE DELETE ON forks
    BEGIN SELECT RAISE(ABORT, 'rows are only added'); END;
"""


@dataclass(frozen=True, slots=True)
class Cosigned:
    head: Head
    at: int
    lines: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Evidence, when it was handed in, and whether the second head was cosigned after all."""

    number: int
    evidence: Evidence
    at: int
    settled: bool


def create(path: Path) -> None:
    """Make the file. An existing one is left as it is."""
    with closing(_connected(path, "rwc")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == 0:
            for statement in _statements(_TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")


class Store:
    """One connection, for the threads of this process in turn."""

    def __init__(self, path: Path) -> None:
        """Raises Refused: a witness without its memory must not start over under its old keys."""
        if not path.is_file():
            raise Refused("witness_store_missing", path=str(path))
        try:
            self._connection = _connected(path, "rw")
        except sqlite3.DatabaseError as error:
            raise Refused("witness_store_unreadable", path=str(path), reason=str(error)) from error
        self._lock = Lock()
        version = _version(self._connection)
        if version != _VERSION:
            self._connection.close()
            raise Refused("witness_store_version", path=str(path), found=version)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator["Writing"]:
        """One transaction, alone; on the disk when the context ends without an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writing(self._connection)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def latest(self, origin: str) -> Cosigned | None:
        with self._lock:
            return Writing(self._connection).latest(origin)

    def kept(self) -> tuple[Kept, ...]:
        """All evidence, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT number, kind, first, second, proof, vkeys, at FROM forks ORDER BY number"
            ).fetchall()
            writing = Writing(self._connection)
            return tuple(_kept(row, writing) for row in rows)


class Writing:
    """What may be done in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def latest(self, origin: str) -> Cosigned | None:
        return self._one("WHERE origin = ? ORDER BY number DESC", origin)

    def at_size(self, origin: str, size: int) -> Cosigned | None:
        return self._one("WHERE origin = ? AND size = ?", origin, size)

    def add(self, cosigned: Cosigned) -> None:
        tree = cosigned.head.checkpoint
        self._connection.execute(
            "INSERT INTO cosigned (origin, size, root, at, note, lines) VALUES (?, ?, ?, ?, ?, ?)",
            (tree.origin, tree.size, tree.root, cosigned.at, cosigned.head.note, cosigned.lines),
        )

    def keep(self, evidence: Evidence, at: int) -> bool:
        """Whether it is new."""
        first, second = evidence.first.checkpoint, evidence.second.checkpoint
        kind = evidence.kind.value
        pair = f"{kind} {_named(first)} {_named(second)}"
        added = self._connection.execute(
            "INSERT INTO forks (origin, kind, first, second, proof, vkeys, at, pair) "
            "SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM forks "
            "WHERE origin = ? AND kind = ?) < ? ON CONFLICT (pair) DO NOTHING",
            (first.origin, kind, evidence.first.note, evidence.second.note,
             b"".join(evidence.proof), "\n".join(evidence.vkeys), at, pair,
             first.origin, kind, MAX_EVIDENCE),
        )  # fmt: skip
        return added.rowcount == 1

    def _one(self, which: str, *values: str | int) -> Cosigned | None:
        query = f"SELECT note, at, lines FROM cosigned {which} LIMIT 1"  # noqa: S608 our own words
        row = self._connection.execute(query, values).fetchone()
        return Cosigned(_head(row[0]), row[1], row[2]) if row else None


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        # recursive_triggers: without it INSERT OR REPLACE walks past the triggers.
        for setting in ("journal_mode = WAL", "synchronous = FULL", "recursive_triggers = ON"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """One by one: `executescript` would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _head(data: bytes) -> Head:
    text = parse_note(data).text
    return Head(parse_checkpoint(text), text, data)


def _kept(row: tuple[int, str, bytes, bytes, bytes, str, int], writing: Writing) -> Kept:
    number, kind, first, second, joined, vkeys, at = row
    proof = tuple(joined[i : i + HASH_BYTES] for i in range(0, len(joined), HASH_BYTES))
    evidence = Evidence(Kind(kind), _head(first), _head(second), proof, tuple(vkeys.split("\n")))
    tree = evidence.second.checkpoint
    cosigned = writing.at_size(tree.origin, tree.size)
    settled = cosigned is not None and cosigned.head.checkpoint == tree
    return Kept(number, evidence, at, settled)


def _named(tree: Checkpoint) -> str:
    return f"{tree.origin} {tree.size} {tree.root.hex()}"
