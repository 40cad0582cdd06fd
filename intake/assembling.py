"""Raw rows to drafts, with everything that is wrong in them noted at once."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from domain.directory import Agency
from domain.refusal import Refused
from intake.agencies import Agencies
from intake.documents import Document, Documents
from intake.drafts import Draft, Intake, RowError
from intake.identity import item_of_place
from intake.limits import MAX_TASKS
from intake.raw import Cell, Desk, RawRow
from intake.tasks import RowTask, read_task
from intake.words import is_highest_marking, says_highest


@dataclass(frozen=True, slots=True)
class Setting:
    """What rows are judged against.

    ``known``: ids of tasks that are registered already; their due days may have passed since.
    """

    today: date
    agencies: Iterable[Agency] | None = None
    known: Container[str] = frozenset()


def assemble(rows: Sequence[RawRow], setting: Setting, errors: Iterable[RowError] = ()) -> Intake:
    """The drafts of ``rows``, or all errors: those found while reading, and those found here.

    Raises Refused("secrecy_forbidden") before anything else is looked at.
    """
    refuse_highest_secrecy(rows)
    noted = list(errors)
    tasks = list(_tasks(rows, setting, noted))
    drafts = _drafts(tasks, setting)
    if noted:
        # What is wrong with a row is said once, not for each of its agencies.
        once = {(error.row, error.column, error.code): error for error in noted}
        return Intake(errors=tuple(sorted(once.values(), key=lambda error: error.row)))
    return Intake(drafts=tuple(drafts))


def refuse_highest_secrecy(rows: Iterable[RawRow]) -> None:
    """Art. 5: tuyệt mật must never enter. The refusal names the row, and nothing of what was read
    there.
    """
    for row in rows:
        for name, cell in row.cells.items():
            for text in _strings(cell):
                if is_highest_marking(text) or (name == "secrecy" and says_highest(text)):
                    place = row.lines.get(name, row.row)
                    raise Refused("secrecy_forbidden", **({"row": place} if place else {}))


def _strings(cell: Cell) -> Iterator[str]:
    if isinstance(cell, str):
        yield cell
    elif isinstance(cell, list):
        yield from cell
    elif isinstance(cell, dict):
        yield from cell
        yield from cell.values()


def _tasks(rows: Sequence[RawRow], setting: Setting, errors: list[RowError]) -> Iterator[RowTask]:
    documents, agencies = Documents(setting.today), Agencies(setting.agencies)
    document: Document | None = None
    for row in rows:
        desk = Desk(row, errors)
        if not row.inherits:
            document = documents.read(desk)
        task = read_task(desk, document, agencies)
        if task is not None:
            yield task


def _drafts(tasks: Sequence[RowTask], setting: Setting) -> list[Draft]:
    keyed = {task.document.id for task in tasks if task.item is not None}
    places: Counter[str] = Counter()
    ids: dict[str, RowTask] = {}
    seen: dict[tuple[str, ...], RowTask] = {}
    drafts = []
    for task in tasks:
        document = task.document
        places[document.id] += 1
        if task.item is None and document.id in keyed and "key" not in task.desk.noted:
            task.desk.note("key", "key_missing")
        for lead in task.leads:
            draft = _draft(task, task.item or item_of_place(places[document.id]), lead)
            drafts.append(draft)
            _check_once(task, draft, ids, seen)
            _check_due(task, draft, setting)
        if len(drafts) > MAX_TASKS:
            raise Refused("too_many_rows", limit=MAX_TASKS)
    return drafts


def _draft(task: RowTask, item: str, lead: str) -> Draft:
    arguments = {**task.document.fields, **task.fields, "lead": lead}
    return Draft(task.task_id(item, lead), arguments, task.desk.row.row)


def _check_once(
    task: RowTask, draft: Draft, ids: dict[str, RowTask], seen: dict[tuple[str, ...], RowTask]
) -> None:
    first = ids.setdefault(draft.task, task)
    if first is not task and task.item is not None:
        task.desk.note("key", "duplicate_key", first=first.desk.row.row)
    first = seen.setdefault(task.sameness(draft.arguments["lead"]), task)
    if first is not task and "title" not in task.desk.noted:
        task.desk.note("title", "duplicate_task", first=first.desk.row.row)


def _check_due(task: RowTask, draft: Draft, setting: Setting) -> None:
    due_on = draft.arguments.get("due_on")
    if due_on is None or draft.task in setting.known:
        return
    if date.fromisoformat(due_on) < setting.today:
        today = setting.today.isoformat()
        task.desk.note("due_on", "due_before_assignment", due_on=due_on, today=today)
