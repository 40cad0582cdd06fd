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

from domain.refusal import Refused
from store.ledger import Row

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('dondoc sequencer', 0))")
_SIZE = text("SELECT coalesce(max(idx) + 1, 0) FROM leaf")
_SEQUENCE = text(
    "INSERT INTO leaf (idx, entry)"
    " SELECT :size + row_number() OVER (ORDER BY entry) - 1, entry"
    " FROM (SELECT entry FROM unsequenced ORDER BY entry LIMIT :limit) AS next"
)
_STRIKE = text("DELETE FROM unsequenced WHERE entry IN (SELECT entry FROM leaf WHERE idx >= :size)")
# ruff: disable[S608] - what is put into these statements stands here
_SUPERFLUOUS = "EXISTS (SELECT 1 FROM leaf WHERE leaf.entry = unsequenced.entry)"
_FORGOTTEN = (
    "SELECT id FROM entry AS e"
    " WHERE NOT EXISTS (SELECT 1 FROM leaf WHERE leaf.entry = e.id)"
    " AND NOT EXISTS (SELECT 1 FROM unsequenced AS u WHERE u.entry = e.id)"
)
_HAS_FORGOTTEN = text(
    f"SELECT EXISTS ({_FORGOTTEN}) OR EXISTS (SELECT 1 FROM unsequenced WHERE {_SUPERFLUOUS})"
)
_QUEUE_FORGOTTEN = text(f"INSERT INTO unsequenced (entry) {_FORGOTTEN}")
_STRIKE_SUPERFLUOUS = text(f"DELETE FROM unsequenced WHERE {_SUPERFLUOUS}")
# ruff: enable[S608]
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
_CHAIN_UP_TO = text(
    "SELECT e.chain, e.seq, e.prev, e.leaf, e.command, e.data"
    " FROM entry AS e JOIN leaf ON leaf.entry = e.id"
    " WHERE e.chain = :chain AND leaf.idx < :size ORDER BY e.seq"
)
_NEWEST = text(
    "SELECT e.seq, leaf.idx, e.data FROM entry AS e JOIN leaf ON leaf.entry = e.id"
    " WHERE e.chain = :chain AND e.seq < :before AND leaf.idx < :size"
    " ORDER BY e.seq DESC LIMIT :few"
)
_HEADS = text(
    "SELECT e.chain, e.seq, e.leaf FROM entry AS e"
    " JOIN (SELECT chain, max(seq) AS seq, min(leaf.idx) AS began"
    " FROM entry JOIN leaf ON leaf.entry = entry.id WHERE leaf.idx < :size GROUP BY chain) AS last"
    " ON last.chain = e.chain AND last.seq = e.seq ORDER BY last.began"
)
_OTHERS = text(
    "SELECT 1 FROM leaf JOIN entry AS e ON e.id = leaf.entry"
    " WHERE leaf.idx >= :start AND leaf.idx < :end AND e.chain <> :chain LIMIT 1"
)
_BEHIND = text(
    "SELECT (SELECT count(*) FROM leaf WHERE idx >= :size) + (SELECT count(*) FROM unsequenced)"
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
_STAMPED = text(
    "SELECT c.size, c.note, t.token FROM timestamp AS t JOIN checkpoint AS c ON c.size = t.size"
    " WHERE t.size <= :size ORDER BY t.size DESC LIMIT 1"
)
_PLACED = (
    "SELECT idx, row_number() OVER (ORDER BY idx) - 1 AS place"
    " FROM leaf JOIN entry AS e ON e.id = leaf.entry"
)
_GAP = text(f"SELECT min(place) FROM ({_PLACED}) AS placed WHERE idx <> place")  # noqa: S608 - see above
_COUNT = text("SELECT count(*) FROM leaf JOIN entry AS e ON e.id = leaf.entry")
READ_AT_ONCE = 1_024
_FEW = 16
_BEHIND_ALL = 2**31 - 1


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


def has_forgotten(connection: Connection) -> bool:
    """Whether `queue_forgotten` has something to do. Looks at every entry; needs no lock."""
    return bool(connection.scalar(_HAS_FORGOTTEN))


def queue_forgotten(connection: Connection) -> int:
    """Queue entries that got past the database's own note of them, and no placed one a second time.

    Tables that were filled by hand, from a copy, may have either. Lock first. Looks at every entry.
    """
    connection.execute(_STRIKE_SUPERFLUOUS)
    return connection.execute(_QUEUE_FORGOTTEN).rowcount


def tree_size(connection: Connection) -> int:
    """How many entries have a place."""
    return int(connection.scalar(_SIZE) or 0)


def read_leaves(connection: Connection, start: int, end: int) -> Iterator[Row]:
    """The entries with places from ``start`` up to but not including ``end``, in order.

    Raises Refused when a place has none: past its guards something was taken out of the database.
    """
    for at in range(start, end, READ_AT_ONCE):
        upto = min(at + READ_AT_ONCE, end)
        rows = connection.execute(_LEAVES, {"start": at, "end": upto}).all()
        for index in range(at, upto):
            # Else the entries behind a gap would move up, each into its neighbour's place.
            if index - at >= len(rows) or rows[index - at][0] != index:
                raise Refused("log_has_gap", index=index)
            yield Row(*rows[index - at][1:])


def first_gap(connection: Connection) -> int | None:
    """The first place that has no entry though there are later places; None when all have."""
    gap: int | None = connection.scalar(_GAP)
    if gap is None:
        # Then they follow on each other, and the last ones may be missing.
        count = int(connection.scalar(_COUNT) or 0)
        return count if count < tree_size(connection) else None
    return gap


@dataclass(frozen=True, slots=True)
class InOrder:
    """Every entry in the order of the log; those without a place come last."""

    connection: Connection

    def __iter__(self) -> Iterator[Row]:
        yield from read_leaves(self.connection, 0, tree_size(self.connection))
        yield from read_tail(self.connection)


def read_tail(connection: Connection) -> list[Row]:
    """The entries that have no place yet, in the order in which they will get one."""
    return [Row(*row) for row in connection.execute(_TAIL)]


def index_of(connection: Connection, leaf: str) -> int | None:
    """The place of the entry with this leaf hash (hex); None when it has none."""
    index: int | None = connection.scalar(_INDEX, {"leaf": leaf})
    return index


def chain_with_indexes(connection: Connection, chain: str) -> list[tuple[int | None, bytes]]:
    """The entries of a chain in order, each with its place, or None while it has none."""
    rows = connection.execute(_CHAIN_INDEXES, {"chain": chain})
    return [(index, bytes(data)) for index, data in rows]


def newest_first(connection: Connection, chain: str, size: int) -> Iterator[tuple[int, bytes]]:
    """The entries of a chain among the first ``size`` of the log, each with its place, from the
    last one back; a few are read at a time, as the log's own chains grow for ever.
    """
    wanted = {"chain": chain, "size": size, "few": _FEW}
    before = _BEHIND_ALL
    while rows := connection.execute(_NEWEST, {**wanted, "before": before}).all():
        yield from ((index, bytes(data)) for _seq, index, data in rows)
        before = rows[-1][0]


def chain_up_to(connection: Connection, chain: str, size: int) -> list[Row]:
    """The entries of a chain among the first ``size`` of the log."""
    rows = connection.execute(_CHAIN_UP_TO, {"chain": chain, "size": size})
    return [Row(*row) for row in rows]


def heads_at(connection: Connection, size: int) -> list[tuple[str, int, str]]:
    """Every chain among the first ``size`` entries, with its last seq and leaf hash (hex), in the
    order in which they began.
    """
    rows = connection.execute(_HEADS, {"size": size})
    return [(chain, seq, leaf) for chain, seq, leaf in rows]


def has_others(connection: Connection, start: int, end: int, chain: str) -> bool:
    """Whether any of the entries with places from ``start`` to ``end`` is of another chain."""
    parameters = {"start": start, "end": end, "chain": chain}
    return connection.scalar(_OTHERS, parameters) is not None


def count_behind(connection: Connection, size: int) -> int:
    """How many entries there are besides the first ``size``, with and without a place."""
    return int(connection.scalar(_BEHIND, {"size": size}) or 0)


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


def last_stamped(connection: Connection, size: int) -> tuple[Persisted, bytes] | None:
    """The newest stamped checkpoint of up to ``size`` entries, and its time-stamp."""
    row = connection.execute(_STAMPED, {"size": size}).first()
    return (Persisted(row[0], bytes(row[1])), bytes(row[2])) if row else None
