"""What an attacker does to a log: entries written anew, records signed again, rows moved.

The strongest attacker here holds the log's own key and the database: an operator. What such a one
cannot do is sign for a person.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from audit.commitment import Opening
from audit.dsse import Envelope
from audit.entry import (
    Entry,
    command_digest,
    format_entry,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
)
from audit.private_keys import PrivateKey
from audit.read_model import check_read_model
from audit.signing import sign_record
from audit.stored import Report, verify
from domain.instants import format_instant
from domain.replay import Replay
from store import ledger
from store.ledger import Row
from tests.support.world import World

Openings = Mapping[str, Mapping[str, Opening]]


def audit(
    world: World, rows: Iterable[Row] | None = None, openings: Openings | None = None
) -> Report:
    """Verify ``rows``, by default those of the database, with their openings: checks 1 to 8."""
    with world.engine.connect() as connection:

        def stored(leaf: str) -> Mapping[str, Opening]:
            if openings is not None:
                return openings.get(leaf, {})
            return ledger.read_openings(connection, leaf)

        return verify(
            world.rows() if rows is None else rows,
            origin=world.origin,
            log_key=world.keys.log.public,
            openings=stored,
            judge=Replay(),
        )


def audit_with_read_model(world: World, rows: Iterable[Row] | None = None) -> Report:
    """Checks 1 to 9, the read model as the database holds it."""
    replay = Replay()
    with world.engine.connect() as connection:
        report = verify(
            world.rows() if rows is None else rows,
            origin=world.origin,
            log_key=world.keys.log.public,
            openings=lambda leaf: ledger.read_openings(connection, leaf),
            judge=replay,
        )
        shown = connection.execute(text("SELECT id, snapshot FROM task ORDER BY id")).all()
    tasks = [(task, json.loads(snapshot)) for task, snapshot in shown]
    return check_read_model(report, tasks, replay.snapshot)


def position(rows: Sequence[Row], chain: str, seq: int) -> int:
    """Where in the table an entry stands."""
    return next(i for i, row in enumerate(rows) if (row.chain, row.seq) == (chain, seq))


def with_bytes(row: Row, data: bytes) -> Row:
    """The row with other bytes, and with the leaf hash of those: no column gives them away."""
    return replace(row, data=data, leaf=leaf_hash(data))


def record_again(row: Row, key: PrivateKey, **changes: Any) -> Row:
    """The same command under a record that says something else, signed by ``key``."""
    entry = parse_entry(row.data)
    record = open_record(entry.record)
    predicate = {**record.predicate, **changes}
    data = format_entry(Entry(entry.command, sign_record(record.subject, predicate, key)))
    return Row(row.chain, predicate["seq"], predicate["prev"], leaf_hash(data), row.command, data)


def chained_again(rows: Sequence[Row], chain: str, key: PrivateKey) -> list[Row]:
    """The rows with the records of one chain signed anew, so that seq and prev fit once more."""
    result, seq, prev = [], 0, "0" * 64
    for row in rows:
        if row.chain != chain:
            result.append(row)
            continue
        seq += 1
        if (row.seq, row.prev) != (seq, prev):
            row = record_again(row, key, seq=seq, prev=prev)  # noqa: PLW2901 - the row, as forged
        prev = row.leaf
        result.append(row)
    return result


def forged(
    world: World, rows: Sequence[Row], command: Envelope, key: PrivateKey, **changes: Any
) -> Row:
    """An entry behind the chain's last one, with a record by ``key`` that claims ``changes``.

    Without changes it claims to be received and recorded now, and to leave everything as it was.
    """
    statement = open_command(command)
    chain = statement.subject.name.removeprefix("task:")
    last = [row for row in rows if row.chain == chain][-1]
    before = open_record(parse_entry(last.data).record).predicate
    predicate = {
        **before,
        "clocks": {},
        "command": command_digest(command),
        "from": before["to"],
        "prev": last.leaf,
        "received_at": format_instant(world.now),
        "recorded_at": format_instant(world.now),
        "seq": last.seq + 1,
        **changes,
    }
    data = format_entry(Entry(command, sign_record(statement.subject, predicate, key)))
    return Row(
        chain, predicate["seq"], last.leaf, leaf_hash(data), str(statement.predicate["id"]), data
    )
