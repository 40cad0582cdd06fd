"""The read model again, from the log alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Engine, delete

from activities.folding import advance_row, fold, follow_rows, step_of
from activities.words import marks
from domain.attestation import CHAIN as ATTESTATIONS
from domain.attestation import SYSTEM_CHAINS
from domain.directory import CHAIN, Directory
from domain.secrecy import is_protected
from domain.step import evolve
from domain.task import Task
from store import ledger
from store.engine import writing
from store.schema import READ_MODEL, agency, task

_BATCH = 500
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    entries: int
    tasks: int
    agencies: int


def rebuild(engine: Engine, progress: Callable[[int], None] = lambda _entries: None) -> Rebuilt:
    """Empty the read model and fold every entry into it anew, in one transaction.

    ``progress`` is told the number of entries read. Raises ValueError when the log is broken: then
    nothing has changed, and `audit verify` names the entry.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            # Else a task registered meanwhile would be shown as it was when the fold passed it.
            connection.exec_driver_sql("LOCK TABLE task, agency IN EXCLUSIVE MODE")
        for table in READ_MODEL:
            connection.execute(delete(table))
        entries, directory, tasks = fold_all(connection, progress)
        for batch in _batches(list(tasks.values())):
            ledger.show(connection, batch, _titles(connection, batch))
        ledger.show_agencies(connection, directory.agencies.values())
    return Rebuilt(entries, len(tasks), len(directory.agencies))


def rebuild_tasks(engine: Engine, tasks: Sequence[str]) -> None:
    """The rows of these tasks again; none for one that the log does not have. Raises ValueError."""
    for batch in _batches(tasks):
        with writing(engine) as connection:
            # No title is read here that is being erased there.
            ledger.lock(connection, {*batch, ATTESTATIONS})
            connection.execute(delete(task).where(task.c.id.in_(batch)))
            found = [rows for name in batch if (rows := ledger.read_chain(connection, name))]
            folded = [fold(rows) for rows in found]
            ledger.show(connection, folded, _titles(connection, folded))


def rebuild_agencies(engine: Engine) -> None:
    """All rows of agencies again."""
    with writing(engine) as connection:
        ledger.lock(connection, [CHAIN])
        connection.execute(delete(agency))
        directory = follow_rows(Directory(), ledger.read_chain(connection, CHAIN))
        ledger.show_agencies(connection, directory.agencies.values())


def fold_all(
    connection: Connection, progress: Callable[[int], None] = lambda _entries: None
) -> tuple[int, Directory, dict[str, Task]]:
    """How many entries there are, and the directory and the tasks that they lead to."""
    tasks: dict[str, Task] = {}
    directory = Directory()
    number = 0
    for number, row in enumerate(ledger.read_all(connection), start=1):
        if row.chain == CHAIN:
            advance_row(directory, row)
        elif row.chain not in SYSTEM_CHAINS:
            tasks[row.chain] = evolve(tasks.get(row.chain), step_of(row.data, row.leaf))
        if number % _BATCH == 0:
            progress(number)
    progress(number)
    return number, directory, tasks


def _titles(connection: Connection, tasks: Sequence[Task]) -> dict[str, str]:
    """What listings show: the title, or of a protected task the mark of its document."""
    shown = marks(connection, [each.id for each in tasks if is_protected(each.secrecy)])
    return {each.id: shown.get(each.id) or _title(connection, each.id) for each in tasks}


def _title(connection: Connection, task: str) -> str:
    first = ledger.read_chain(connection, task)[0]
    opening = ledger.read_openings(connection, first.leaf).get("title")
    return opening.value if opening else ""


def _batches(tasks: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(tasks), _BATCH):
        yield tasks[start : start + _BATCH]
