"""Reading and appending the log, and the rows that go with it, inside a transaction of the caller.

Appending is guarded twice: chains are locked before their heads are read, and the unique columns of
`entry` (command, chain and seq, chain and prev) refuse what slips past.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from audit.chains import ATTESTATIONS, DIRECTORY
from audit.commitment import Opening
from domain.instants import format_instant
from domain.snapshot import format_task
from domain.task import Task


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as the database holds it."""

    chain: str
    seq: int
    prev: str
    leaf: str
    command: str
    data: bytes


_COLUMNS = "chain, seq, prev, leaf, command, data"
# ruff: disable[S608] - the only thing put into these statements is the line above
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(chain, 0))"
    " FROM (SELECT unnest(CAST(:chains AS text[])) AS chain ORDER BY 1) AS sorted"
)
_SHARE = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:chain, 0))")
# A list goes in as one value: an IN that expands would be compiled again for every step.
_AMONG = {
    "sqlite": "IN (SELECT value FROM json_each(:names))",
    "postgresql": "= ANY(CAST(:names AS text[]))",
}
_HEADS = {
    dialect: text(
        f"SELECT chain, seq, leaf FROM entry AS e WHERE chain {among}"
        " AND seq = (SELECT max(seq) FROM entry WHERE chain = e.chain)"
    )
    for dialect, among in _AMONG.items()
}
_COMMANDS = {
    dialect: text(f"SELECT {_COLUMNS} FROM entry WHERE command {among}")
    for dialect, among in _AMONG.items()
}
_FIRST = {
    dialect: text(f"SELECT chain, data FROM entry WHERE seq = 1 AND chain {among}")
    for dialect, among in _AMONG.items()
}
_CHAIN = text(f"SELECT {_COLUMNS} FROM entry WHERE chain = :chain AND seq > :after ORDER BY seq")
_ALL = text(f"SELECT {_COLUMNS} FROM entry WHERE id > :after ORDER BY id LIMIT :limit")
_INSERT = text(
    f"INSERT INTO entry ({_COLUMNS}) VALUES (:chain, :seq, :prev, :leaf, :command, :data)"
)
# ruff: enable[S608]
_OPEN = text("INSERT INTO opening (leaf, field, salt, value) VALUES (:leaf, :field, :salt, :value)")
_OPENED = text("SELECT 1 FROM opening WHERE leaf = :leaf AND field = :field")
_ERASE = text("DELETE FROM opening WHERE leaf = :leaf AND field = :field")
# Of a protected task listings show no title, but the document's mark.
_BLANK = text(
    "UPDATE task SET title = '' WHERE secrecy = 'normal'"
    " AND id = (SELECT chain FROM entry WHERE leaf = :leaf)"
)
_STRIKE = text(
    "DELETE FROM opening WHERE leaf IN"
    " (SELECT leaf FROM entry WHERE chain = :chain AND seq <= :through)"
)
_BLANK_TASK = text("UPDATE task SET title = '' WHERE secrecy = 'normal' AND id = :chain")
_POST = text(
    "INSERT INTO outbox (task, seq) VALUES (:task, :seq)"
    " ON CONFLICT (task) DO UPDATE SET seq = excluded.seq"
)
_SHOW = text(
    "INSERT INTO task (id, document, lead, state, overdue, timeliness, due_on, next_clock,"
    " next_due, seq, snapshot, title, secrecy) VALUES (:id, :document, :lead, :state, :overdue,"
    " :timeliness, :due_on, :next_clock, :next_due, :seq, :snapshot, :title, :secrecy)"
    " ON CONFLICT (id) DO UPDATE SET lead = excluded.lead, state = excluded.state,"
    " overdue = excluded.overdue, timeliness = excluded.timeliness, due_on = excluded.due_on,"
    " next_clock = excluded.next_clock, next_due = excluded.next_due, seq = excluded.seq,"
    " snapshot = excluded.snapshot"
)
_AGENCY = text(
    "INSERT INTO agency (id, name_vi, name_en) VALUES (:id, :name_vi, :name_en)"
    " ON CONFLICT (id) DO UPDATE SET name_vi = excluded.name_vi, name_en = excluded.name_en"
)


def lock(connection: Connection, chains: Iterable[str]) -> None:
    """Keep other writers from these chains until the transaction ends.

    PostgreSQL locks each chain, in one order for everybody. The directory is shared by all who do
    not change it, and comes first: no step is judged by a directory that changes meanwhile, so in
    the order of the log a key stands before what it signed, and its revocation behind. The chain of
    attestations comes last, so that it may also be locked after the others: whether something was
    refused shows only then. SQLite's write lock is taken already.
    """
    if connection.dialect.name != "postgresql":
        return
    wanted = set(chains)
    if DIRECTORY in wanted:
        connection.execute(_LOCK, {"chains": [DIRECTORY]})
    else:
        connection.execute(_SHARE, {"chain": DIRECTORY})
    if tasks := wanted - {DIRECTORY, ATTESTATIONS}:
        connection.execute(_LOCK, {"chains": sorted(tasks)}).all()
    if ATTESTATIONS in wanted:
        connection.execute(_LOCK, {"chains": [ATTESTATIONS]})


def heads(connection: Connection, chains: Iterable[str]) -> dict[str, tuple[int, str]]:
    """The last seq and leaf hash of each chain that has one. Lock first."""
    rows = connection.execute(_HEADS[connection.dialect.name], _named(connection, set(chains)))
    return {chain: (seq, leaf) for chain, seq, leaf in rows}


def by_command(connection: Connection, commands: Sequence[str]) -> dict[str, Row]:
    """The entries of those of ``commands`` that were recorded already."""
    rows = connection.execute(_COMMANDS[connection.dialect.name], _named(connection, commands))
    return {row.command: Row(*row) for row in rows}


def read_chain(connection: Connection, chain: str, after: int = 0) -> list[Row]:
    """The entries of one chain behind seq ``after``, in order."""
    return [Row(*row) for row in connection.execute(_CHAIN, {"chain": chain, "after": after})]


def first_entries(connection: Connection, chains: Iterable[str]) -> dict[str, bytes]:
    """The first entry of each of these chains, by chain."""
    rows = connection.execute(_FIRST[connection.dialect.name], _named(connection, set(chains)))
    return {chain: bytes(data) for chain, data in rows}


@dataclass(frozen=True, slots=True)
class AllRows:
    """Every entry in the order of the table, read in batches so that memory stays small."""

    connection: Connection
    batch: int = 1_000

    def __iter__(self) -> Iterator[Row]:
        after = 0
        query = text(str(_ALL).replace("SELECT ", "SELECT id, ", 1))
        while rows := self.connection.execute(query, {"after": after, "limit": self.batch}).all():
            after = rows[-1][0]
            for row in rows:
                yield Row(*row[1:])


def read_all(connection: Connection) -> AllRows:
    """Every entry; may be read as often as one likes."""
    return AllRows(connection)


def read_openings(connection: Connection, leaf: str) -> dict[str, Opening]:
    """What the commitments of an entry commit to, by field; erased and sealed ones are missing."""
    rows = connection.execute(
        text("SELECT field, value, salt FROM opening WHERE leaf = :leaf"), {"leaf": leaf}
    )
    return {field: Opening(field, value, bytes(salt)) for field, value, salt in rows}


def is_opened(connection: Connection, leaf: str, field: str) -> bool:
    """Whether the words behind this commitment are there, in clear."""
    return connection.scalar(_OPENED, {"leaf": leaf, "field": field}) is not None


def erase(connection: Connection, leaf: str, field: str) -> None:
    """Take away the words behind one commitment, and the copy that listings show."""
    connection.execute(_ERASE, {"leaf": leaf, "field": field})
    if field == "title":
        connection.execute(_BLANK, {"leaf": leaf})


def erase_all(connection: Connection, chain: str, through: int) -> None:
    """The same for all words that stand in clear beside a chain, up to the entry ``through``."""
    connection.execute(_STRIKE, {"chain": chain, "through": through})
    connection.execute(_BLANK_TASK, {"chain": chain})


def append(
    connection: Connection, rows: Sequence[Row], openings: Mapping[str, Sequence[Opening]]
) -> None:
    """Insert entries, and the openings by leaf hash. Raises IntegrityError on a lost race."""
    _execute(connection, _INSERT, [_as_parameters(row) for row in rows])
    opened = [
        {"leaf": leaf, "field": opening.field, "salt": opening.salt, "value": opening.value}
        for leaf, several in openings.items()
        for opening in several
    ]
    if opened:
        _execute(connection, _OPEN, opened)


def post(connection: Connection, tasks: Iterable[Task]) -> None:
    """Note that the workflows of these tasks have something to hear."""
    if posted := [{"task": task.id, "seq": task.seq} for task in tasks]:
        _execute(connection, _POST, posted)


def show(connection: Connection, tasks: Iterable[Task], titles: Mapping[str, str]) -> None:
    """Bring the read model's rows up to date; a title is needed for a new task only."""
    if shown := [task_row(task, titles.get(task.id, "")) for task in tasks]:
        _execute(connection, _SHOW, shown)


def show_agencies(connection: Connection, agencies: Iterable[Any]) -> None:
    """Bring the agencies' rows up to date."""
    if shown := list(map(agency_row, agencies)):
        connection.execute(_AGENCY, shown)


def _execute(connection: Connection, statement: TextClause, rows: Sequence[dict[str, Any]]) -> None:
    """A statement for each row. For one alone the drivers have a shorter way than for many."""
    connection.execute(statement, rows[0] if len(rows) == 1 else rows)


def _named(connection: Connection, names: Iterable[str]) -> dict[str, Any]:
    """The parameter for `_AMONG`: PostgreSQL takes an array, SQLite JSON."""
    listed = sorted(names)
    return {"names": json.dumps(listed) if connection.dialect.name == "sqlite" else listed}


def _as_parameters(row: Row) -> dict[str, object]:
    return {
        "chain": row.chain,
        "seq": row.seq,
        "prev": row.prev,
        "leaf": row.leaf,
        "command": row.command,
        "data": row.data,
    }


def agency_row(agency: Any) -> dict[str, object]:  # noqa: ANN401 - whatever has these fields
    """The row that listings show of an agency."""
    return {"id": agency.id, "name_vi": agency.name_vi, "name_en": agency.name_en}


def task_row(task: Task, title: str) -> dict[str, object]:
    """The row that listings show of a task."""
    name, clock = task.next_clock or (None, None)
    return {
        "id": task.id,
        "document": task.document,
        "lead": task.lead,
        "state": str(task.state),
        "overdue": task.overdue,
        "timeliness": str(task.timeliness) if task.timeliness else None,
        "due_on": task.terms.due_on.isoformat() if task.terms.due_on else None,
        "next_clock": name,
        "next_due": format_instant(clock.due) if clock else None,
        "seq": task.seq,
        "snapshot": json.dumps(format_task(task), ensure_ascii=False, separators=(",", ":")),
        "title": title,
        "secrecy": str(task.secrecy),
    }
