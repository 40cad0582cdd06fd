"""What entries lead to: a chain folded into its task, the directory's chain into the directory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from activities.unsealing import chain_of
from audit.entry import open_command, open_record, parse_entry
from domain import attestation
from domain import directory as directories
from domain.attestation import Attested
from domain.directory import Directory
from domain.instants import parse_instant
from domain.step import Step, evolve, read_step
from domain.task import Task
from store import ledger
from store.ledger import Row

_LOOK_BACK = 64


def fold(rows: Sequence[Row], task: Task | None = None) -> Task:
    """The task that entries lead to, from the first or from ``task`` on. Raises ValueError for a
    broken chain.
    """
    for row in rows:
        task = evolve(task, step_of(row.data, row.leaf))
    if task is None:
        raise ValueError("an empty chain")
    return task


def caught_up(known: Task | None, connection: Connection, chain: str) -> Task:
    """The task with what others recorded since; from the beginning when the log was exchanged."""
    later = ledger.read_chain(connection, chain, known.seq) if known else []
    if known is None or not later or later[0].prev != known.head:
        return fold(ledger.read_chain(connection, chain))
    return fold(later, known)


def step_of(data: bytes, leaf: str) -> Step:
    """The step that an entry of our own log tells of."""
    entry = parse_entry(data)
    command, record = open_command(entry.command), open_record(entry.record)
    task = chain_of(command.subject.name)
    return read_step(task, command.subject.digest, leaf, command.predicate, record.predicate)


def follow_rows(directory: Directory, rows: Iterable[Row]) -> Directory:
    """The directory after more entries of its chain."""
    after = directory.copy()
    for row in rows:
        advance_row(after, row)
    return after


def advance_row(directory: Directory, row: Row) -> None:
    """The same for one entry, on a directory that is the caller's own."""
    entry = parse_entry(row.data)
    predicate = open_command(entry.command).predicate
    arguments = predicate["arguments"]
    assert isinstance(arguments, dict)  # noqa: S101 - `open_command` has checked it
    at = parse_instant(open_record(entry.record).text("received_at"))
    directories.advance(directory, str(predicate["event"]), arguments, row.leaf, at)


@dataclass(frozen=True, slots=True)
class Attestation:
    """An entry of the log's own chain, and what it states."""

    row: Row
    arguments: Mapping[str, Any]


def attested(connection: Connection) -> Attested:
    """What the log has said about itself so far."""
    seq, head = ledger.heads(connection, [attestation.CHAIN]).get(attestation.CHAIN, (0, ""))
    last = newest(connection, attestation.HEADS)
    return Attested(seq, head, last.arguments["size"] if last else 0)


def newest(connection: Connection, event: str) -> Attestation | None:
    """The last attestation of this kind. Looks from the end: the chain grows for ever."""
    seq, _ = ledger.heads(connection, [attestation.CHAIN]).get(attestation.CHAIN, (0, ""))
    back = _LOOK_BACK
    while True:
        after = max(seq - back, 0)
        for row in reversed(ledger.read_chain(connection, attestation.CHAIN, after)):
            predicate = open_command(parse_entry(row.data).command).predicate
            if predicate["event"] == event and isinstance(predicate["arguments"], dict):
                return Attestation(row, predicate["arguments"])
        if after == 0:
            return None
        back *= 4


def header_of(row: Row) -> str:
    """The digest that names the chain of an entry."""
    return open_command(parse_entry(row.data).command).subject.digest


def recorded_at(row: Row) -> datetime:
    """When an entry was recorded (UTC)."""
    return parse_instant(open_record(parse_entry(row.data).record).text("recorded_at"))
