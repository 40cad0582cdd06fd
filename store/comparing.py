"""What a comparison of the log with everything else asks of the database. Reads only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select, text

from store.ledger import Row

_TITLES = text(
    "SELECT e.chain, o.value FROM opening AS o JOIN entry AS e ON e.leaf = o.leaf"
    " WHERE o.field = 'title' AND e.seq = 1"
)
_UNPLACED = text(
    "SELECT e.chain, e.seq, e.prev, e.leaf, e.command, e.data, u.entry IS NOT NULL AS queued"
    " FROM entry AS e LEFT JOIN unsequenced AS u ON u.entry = e.id"
    " WHERE NOT EXISTS (SELECT 1 FROM leaf WHERE leaf.entry = e.id) ORDER BY e.id"
)
_LENGTHS = text("SELECT chain, max(seq) AS seq FROM entry GROUP BY chain")
_KNOWN = {
    "sqlite": text("SELECT leaf FROM entry WHERE leaf IN (SELECT value FROM json_each(:leaves))"),
    "postgresql": text("SELECT leaf FROM entry WHERE leaf = ANY(CAST(:leaves AS text[]))"),
}


def titles(connection: Connection) -> dict[str, str]:
    """The titles of all tasks, as far as they were not erased."""
    return {row.chain: row.value for row in connection.execute(_TITLES)}


def lengths(connection: Connection) -> dict[str, int]:
    """How many entries each chain has."""
    return {row.chain: row.seq for row in connection.execute(_LENGTHS)}


def shown(connection: Connection, table: Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a table of the read model, by its id. A snapshot is read; one that can't be read
    stays the text that it is.
    """
    for row in connection.execute(select(table).order_by(table.c.id)).mappings():
        yield row["id"], readable(dict(row))


def readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its snapshot read: equal ones may be written in different ways."""
    fields = dict(row)
    try:
        if "snapshot" in fields:
            fields["snapshot"] = json.loads(fields["snapshot"])
    except (ValueError, TypeError):
        pass
    return fields


def unplaced(connection: Connection) -> Iterator[tuple[Row, bool]]:
    """The entries that have no place in the tree, oldest first, and whether they are queued for
    one.
    """
    for row in connection.execute(_UNPLACED):
        yield Row(*row[:-1]), bool(row.queued)


def known_leaves(connection: Connection, leaves: Sequence[str]) -> set[str]:
    """Those of ``leaves`` (hashes) that the log has."""
    dialect = connection.dialect.name
    asked = json.dumps(list(leaves)) if dialect == "sqlite" else list(leaves)
    return set(connection.scalars(_KNOWN[dialect], {"leaves": asked}))
