"""What is asked of the read model and the outbox. Nothing here writes to the log."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select, text

from domain.snapshot import parse_task
from domain.task import OPEN_STATES, Task
from store import schema


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of a listing. Instants are fixed-width UTC text. Of a protected task ``title`` is
    the number and symbol of its document.
    """

    id: str
    title: str
    lead: str
    state: str
    overdue: bool
    timeliness: str | None
    due_on: str | None
    next_clock: str | None
    next_due: str | None
    seq: int
    secrecy: str


_T = schema.task.c
_SUMMARY = (
    _T.id, _T.title, _T.lead, _T.state, _T.overdue, _T.timeliness, _T.due_on, _T.next_clock,
    _T.next_due, _T.seq, _T.secrecy,
)  # fmt: skip


def list_tasks(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    agency: str | None = None,
    overdue: bool = False,
    limit: int = 1_000,
) -> list[Summary]:
    """Tasks by nearest deadline; those without one come last."""
    query: Select[Any] = select(*_SUMMARY)
    if states:
        query = query.where(_T.state.in_(states))
    if agency:
        query = query.where(_T.lead == agency)
    if overdue:
        query = query.where(_T.overdue)
    query = query.order_by(_T.next_due.is_(None), _T.next_due, _T.id).limit(limit)
    return [Summary(*row) for row in connection.execute(query)]


def find_tasks(connection: Connection, prefix: str, limit: int = 10) -> list[str]:
    """The ids that begin with ``prefix``: one means that it names a task."""
    query = select(_T.id).where(_T.id.startswith(prefix, autoescape=True)).order_by(_T.id)
    return list(connection.scalars(query.limit(limit)))


def get_task(connection: Connection, task: str) -> Task | None:
    """A task as the read model has it."""
    snapshot = connection.scalar(select(_T.snapshot).where(_T.id == task))
    return parse_task(json.loads(snapshot)) if snapshot else None


def each_task(connection: Connection) -> Iterator[Task]:
    """Every task as the read model has it, by id."""
    for snapshot in connection.scalars(select(_T.snapshot).order_by(_T.id)):
        yield parse_task(json.loads(snapshot))


def counts(connection: Connection) -> dict[str, int]:
    """Tasks by state, and those overdue under ``overdue``."""
    by_state = select(_T.state, func.count()).group_by(_T.state)
    counted: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_state)}
    overdue = select(func.count()).select_from(schema.task).where(_T.overdue)
    return counted | {"overdue": connection.scalar(overdue) or 0}


def running_deadlines(connection: Connection) -> int:
    """How many tasks have a deadline ahead."""
    query = select(func.count()).select_from(schema.task).where(_T.next_due.is_not(None))
    return connection.scalar(query) or 0


def agencies(connection: Connection) -> dict[str, tuple[str, str]]:
    """Vietnamese and English name by agency id."""
    rows = connection.execute(
        select(schema.agency.c.id, schema.agency.c.name_vi, schema.agency.c.name_en)
    )
    return {id_: (vi, en) for id_, vi, en in rows}


def driven(connection: Connection) -> dict[str, int]:
    """The tasks that need a running workflow, open or with a deadline ahead, and their last seq."""
    query = select(_T.id, _T.seq).where(
        _T.state.in_(sorted(map(str, OPEN_STATES))) | _T.next_due.is_not(None)
    )
    return {row.id: row.seq for row in connection.execute(query)}


def posted(connection: Connection, limit: int = 1_000) -> dict[str, int]:
    """Tasks in the outbox, with the seq up to which their workflow has to hear."""
    query = select(schema.outbox.c.task, schema.outbox.c.seq).limit(limit)
    return {row.task: row.seq for row in connection.execute(query)}


def unpost(connection: Connection, delivered: Mapping[str, int]) -> None:
    """Strike from the outbox what has been delivered, unless more has come in since."""
    query = text("DELETE FROM outbox WHERE task = :task AND seq <= :seq")
    connection.execute(query, [{"task": t, "seq": s} for t, s in sorted(delivered.items())])


def last_entries(connection: Connection, limit: int) -> list[bytes]:
    """The newest entries, newest first."""
    query = select(schema.entry.c.data).order_by(schema.entry.c.id.desc()).limit(limit)
    return [bytes(data) for data in connection.scalars(query)]


def shown_tasks(connection: Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each task of the read model with its snapshot, to be held against the log.

    The columns beside the snapshot are what listings show: one that says something else is put in
    the place of the snapshot's field, so that the difference is found. A snapshot that can't be
    read is an empty one.
    """
    columns = (
        _T.lead, _T.state, _T.overdue, _T.timeliness, _T.due_on, _T.seq, _T.document, _T.secrecy,
    )  # fmt: skip
    query = select(_T.id, _T.snapshot, *columns).order_by(_T.id)
    for row in connection.execute(query):
        listed = {column.name: getattr(row, column.name) for column in columns}
        try:
            snapshot = dict(json.loads(row.snapshot))
        except (ValueError, TypeError):
            yield row.id, {}
        else:
            yield row.id, {**snapshot, **listed}
