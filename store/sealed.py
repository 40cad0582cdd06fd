"""Sealed words, and the keys to them: what is written, read and erased beside the log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

_SEAL = text("INSERT INTO sealed (leaf, field, box) VALUES (:leaf, :field, :box)")
_WRAP = text("INSERT INTO data_key (leaf, recipient, wrapped) VALUES (:leaf, :recipient, :wrapped)")
_BOXES = text("SELECT field, box FROM sealed WHERE leaf = :leaf")
_KEYS = text("SELECT recipient, wrapped FROM data_key WHERE leaf = :leaf")
_CHAIN = text("SELECT chain FROM entry WHERE leaf = :leaf")
_FOUND = text("SELECT 1 FROM sealed WHERE leaf = :leaf AND field = :field")
_ANY = text("SELECT 1 FROM sealed LIMIT 1")
_ERASE = text("DELETE FROM sealed WHERE leaf = :leaf AND field = :field")
_IDLE = text(
    "DELETE FROM data_key WHERE leaf = :leaf"
    " AND NOT EXISTS (SELECT 1 FROM sealed WHERE sealed.leaf = data_key.leaf)"
)
_OF_CHAIN = "(SELECT leaf FROM entry WHERE chain = :chain AND seq <= :through)"
# ruff: disable[S608] - the only thing put into these statements is the line above
_SHRED = (
    text(f"DELETE FROM data_key WHERE leaf IN {_OF_CHAIN}"),
    text(f"DELETE FROM sealed WHERE leaf IN {_OF_CHAIN}"),
)
_WORDS = text(
    f"SELECT 1 FROM sealed WHERE leaf IN {_OF_CHAIN}"
    f" UNION ALL SELECT 1 FROM opening WHERE leaf IN {_OF_CHAIN} LIMIT 1"
)
# ruff: enable[S608]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is sealed of one entry: boxes by field, and the key to them by the id of whose key can
    unwrap it.
    """

    boxes: Mapping[str, bytes] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)


def append(connection: Connection, leaf: str, sealed: Sealed) -> None:
    """Insert boxes and keys of the entry with this leaf hash, which comes first."""
    boxes = [{"leaf": leaf, "field": name, "box": box} for name, box in sealed.boxes.items()]
    keys = [
        {"leaf": leaf, "recipient": recipient, "wrapped": wrapped}
        for recipient, wrapped in sealed.keys.items()
    ]
    for statement, rows in ((_SEAL, boxes), (_WRAP, keys)):
        if rows:
            connection.execute(statement, rows)


def read(connection: Connection, leaf: str) -> Sealed:
    """What is sealed of one entry; nothing for most."""
    boxes = _pairs(connection.execute(_BOXES, {"leaf": leaf}))
    return Sealed(boxes, _pairs(connection.execute(_KEYS, {"leaf": leaf})) if boxes else {})


def chain_of(connection: Connection, leaf: str) -> str:
    """The chain that an entry of the log belongs to."""
    return str(connection.scalar(_CHAIN, {"leaf": leaf}))


def is_sealed(connection: Connection, leaf: str, name: str) -> bool:
    """Whether words rest sealed behind this commitment."""
    return connection.scalar(_FOUND, {"leaf": leaf, "field": name}) is not None


def is_any(connection: Connection) -> bool:
    """Whether anything is sealed at all: most logs are read without looking here for each entry."""
    return connection.scalar(_ANY) is not None


def erase(connection: Connection, leaf: str, name: str) -> None:
    """Take away one box, and the key to an entry's boxes with the last of them."""
    connection.execute(_ERASE, {"leaf": leaf, "field": name})
    connection.execute(_IDLE, {"leaf": leaf})


def has_words(connection: Connection, chain: str, through: int) -> bool:
    """Whether any entry of a chain up to ``through`` has words, sealed or in clear."""
    return connection.scalar(_WORDS, {"chain": chain, "through": through}) is not None


def shred(connection: Connection, chain: str, through: int) -> None:
    """Destroy the keys to the boxes of a chain's entries up to ``through``, and the boxes."""
    for statement in _SHRED:
        connection.execute(statement, {"chain": chain, "through": through})


def _pairs(rows: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    return {name: bytes(data) for name, data in rows}
