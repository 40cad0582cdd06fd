"""The read model again, from the log alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete

from activities.folding import follow_row, step_of
from domain.directory import CHAIN, Directory
from domain.step import evolve
from domain.task import Task
from store import ledger
from store.engine import writing
from store.schema import READ_MODEL

_BATCH = 500


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
        entries, directory, tasks = _fold_all(connection, progress)
        for batch in _batches(list(tasks.values())):
            ledger.show(connection, batch, {t.id: _title(connection, t.id) for t in batch})
        ledger.show_agencies(connection, directory.agencies.values())
    return Rebuilt(entries, len(tasks), len(directory.agencies))


def _fold_all(
    connection: Connection, progress: Callable[[int], None]
) -> tuple[int, Directory, dict[str, Task]]:
    tasks: dict[str, Task] = {}
    directory = Directory()
    number = 0
    for number, row in enumerate(ledger.read_all(connection), start=1):
        if row.chain == CHAIN:
            directory = follow_row(directory, row)
        else:
            tasks[row.chain] = evolve(tasks.get(row.chain), step_of(row.data, row.leaf))
        if number % _BATCH == 0:
            progress(number)
    progress(number)
    return number, directory, tasks


def _title(connection: Connection, task: str) -> str:
    first = ledger.read_chain(connection, task)[0]
    opening = ledger.read_openings(connection, first.leaf).get("title")
    return opening.value if opening else ""


def _batches(tasks: list[Task]) -> Iterator[list[Task]]:
    for start in range(0, len(tasks), _BATCH):
        yield tasks[start : start + _BATCH]
