"""The order of the log and its checkpoints, inside a transaction of the caller.

Entries get their places in the order of their ids among those that can be seen. Ids commit out of
order, so no id is ever taken for a watermark: what has no place yet stands in `unsequenced`, where
the database itself puts each entry that is inserted. An entry's id is taken after its chain and the
directory were locked, so the places within a chain, and those of a key and of what it signed,
follow in the right order.

Every guard stands in the SQL: a place is given once, a checkpoint follows on the last one or is not
inserted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from store.ledger import Row

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('dondoc sequencer', 0))")
_SIZE = text("SELECT coalesce(max(idx) + 1, 0) FROM leaf")
_SEQUENCE = text(
    "INSERT INTO leaf (idx, entry)"
    " SELECT :size + row_number() OVER (ORDER BY entry) - 1, entry"
    " FROM (SELECT entry FROM unsequenced ORDER BY entry LIMIT :limit) AS next"
)
_STRIKE = text("DELETE FROM unsequenced WHERE entry IN (SELECT entry FROM leaf WHERE idx >= :size)")
_FORGOTTEN = text(
    "INSERT INTO unsequenced (entry) SELECT id FROM entry AS e"
    " WHERE NOT EXISTS (SELECT 1 FROM leaf WHERE leaf.entry = e.id)"
    " AND NOT EXISTS (SELECT 1 FROM unsequenced AS u WHERE u.entry = e.id)"
)
_LEAVES = text(
    "SELECT leaf.idx, e.chain, e.seq, e.prev, e.leaf, e.command, e.data"
    " FROM leaf JOIN entry AS e ON e.id = leaf.entry"
    " WHERE leaf.idx >= :start AND leaf.idx < :end ORDER BY leaf.idx"
)
_TAIL = text(
    "SELECT e.chain, e.seq, e.prev, e.leaf, e.command, e.data FROM entry AS e"
    " WHERE NOT EXISTS (SELECT 1 FROM leaf WHERE leaf.entry = e.id) ORDER BY e.id"
)
_INDEX = text("SELECT leaf.idx FROM leaf JOIN entry AS e ON e.id = leaf.entry WHERE e.leaf = :leaf")
_CHAIN_INDEXES = text(
    "SELECT leaf.idx, e.data FROM entry AS e LEFT JOIN leaf ON leaf.entry = e.id"
    " WHERE e.chain = :chain ORDER BY e.seq"
)
_HEADS = text(
    "SELECT e.chain, e.seq, e.leaf FROM entry AS e"
    " JOIN (SELECT chain, max(seq) AS seq FROM entry JOIN leaf ON leaf.entry = entry.id"
    " WHERE leaf.idx < :size GROUP BY chain) AS last ON last.chain = e.chain AND last.seq = e.seq"
)
_PERSIST = text(
    "INSERT INTO checkpoint (size, after, note) SELECT :size, :after, :note"
    " WHERE (SELECT coalesce(max(size), 0) FROM checkpoint) = :after"
    " AND (SELECT coalesce(max(idx) + 1, 0) FROM leaf) >= :size"
)
_LAST = text("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")
_NOTE = text("SELECT note FROM checkpoint WHERE size = :size")
_NOTES = text("SELECT size, note FROM checkpoint WHERE size > :after ORDER BY size")
_COSIGN = text(
    "INSERT INTO cosignature (size, witness, lines) VALUES (:size, :witness, :lines)"
    " ON CONFLICT (size, witness) DO NOTHING"
)
_COSIGNED = text("SELECT witness, lines FROM cosignature WHERE size = :size ORDER BY witness")
_STAMP = text(
    "INSERT INTO timestamp (size, token) VALUES (:size, :token) ON CONFLICT (size) DO NOTHING"
)
_STAMPED = text("SELECT token FROM timestamp WHERE size = :size")
READ_AT_ONCE = 1_024


@dataclass(frozen=True, slots=True)
class Persisted:
    """A checkpoint as the database holds it: the size of its tree, and the note."""

    size: int
    note: bytes


class Outrun(Exception):
    """Another sequencer has signed a checkpoint in the meantime: look again, then go on."""


def lock(connection: Connection) -> None:
    """Keep other sequencers out until the transaction ends. SQLite's write lock does already."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def sequence(connection: Connection, limit: int) -> int:
    """Give up to ``limit`` entries their places. Lock first. Returns how many there were."""
    size = tree_size(connection)
    placed = connection.execute(_SEQUENCE, {"size": size, "limit": limit}).rowcount
    if placed:
        connection.execute(_STRIKE, {"size": size})
    return placed


def queue_forgotten(connection: Connection) -> int:
    """Queue entries that got past the database's own note of them. Looks at every entry."""
    return connection.execute(_FORGOTTEN).rowcount


def tree_size(connection: Connection) -> int:
    """How many entries have a place."""
    return int(connection.scalar(_SIZE) or 0)


def read_leaves(connection: Connection, start: int, end: int) -> Iterator[Row]:
    """The entries with places from ``start`` up to but not including ``end``, in order."""
    for at in range(start, end, READ_AT_ONCE):
        upto = min(at + READ_AT_ONCE, end)
        for row in connection.execute(_LEAVES, {"start": at, "end": upto}).all():
            yield Row(*row[1:])


def read_tail(connection: Connection) -> list[Row]:
    """The entries that have no place yet, in the order in which they will get one."""
    return [Row(*row) for row in connection.execute(_TAIL)]


def index_of(connection: Connection, leaf: str) -> int | None:
    """The place of the entry with this leaf hash (hex); None when it has none."""
    return connection.scalar(_INDEX, {"leaf": leaf})


def chain_with_indexes(connection: Connection, chain: str) -> list[tuple[int | None, bytes]]:
    """The entries of a chain in order, each with its place, or None while it has none."""
    rows = connection.execute(_CHAIN_INDEXES, {"chain": chain})
    return [(index, bytes(data)) for index, data in rows]


def heads_at(connection: Connection, size: int) -> dict[str, tuple[int, str]]:
    """The last seq and leaf hash (hex) of every chain among the first ``size`` entries."""
    rows = connection.execute(_HEADS, {"size": size})
    return {chain: (seq, leaf) for chain, seq, leaf in rows}


def persist(connection: Connection, size: int, after: int, note: bytes) -> None:
    """Keep a checkpoint that follows on the one of size ``after``. Raises Outrun."""
    parameters = {"size": size, "after": after, "note": note}
    if connection.execute(_PERSIST, parameters).rowcount != 1:
        raise Outrun


def last_checkpoint(connection: Connection) -> Persisted | None:
    """The newest checkpoint; None while there is none."""
    row = connection.execute(_LAST).first()
    return Persisted(row[0], bytes(row[1])) if row else None


def read_checkpoint(connection: Connection, size: int) -> bytes | None:
    """The note of the checkpoint of this very size."""
    note = connection.scalar(_NOTE, {"size": size})
    return None if note is None else bytes(note)


def read_checkpoints(connection: Connection, after: int = 0) -> Iterator[Persisted]:
    """The checkpoints of more than ``after`` entries, by size."""
    for size, note in connection.execute(_NOTES, {"after": after}):
        yield Persisted(size, bytes(note))


def add_cosignature(connection: Connection, size: int, witness: str, lines: bytes) -> None:
    """Keep what a witness signed; its first answer counts."""
    connection.execute(_COSIGN, {"size": size, "witness": witness, "lines": lines})


def read_cosignatures(connection: Connection, size: int) -> dict[str, bytes]:
    """The signature lines under a checkpoint, by witness."""
    return {name: bytes(lines) for name, lines in connection.execute(_COSIGNED, {"size": size})}


def add_timestamp(connection: Connection, size: int, token: bytes) -> None:
    """Keep the answer of a time-stamping authority."""
    connection.execute(_STAMP, {"size": size, "token": token})


def read_timestamp(connection: Connection, size: int) -> bytes | None:
    """The time-stamp of a checkpoint, when there is one."""
    token = connection.scalar(_STAMPED, {"size": size})
    return None if token is None else bytes(token)
