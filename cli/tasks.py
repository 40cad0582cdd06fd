"""`dondoc task list` and `dondoc task show`: what the read model has, service or no service."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import TaskId, check_choice
from cli.reading import ReadAs, reader_of
from cli.session import Session
from domain.instants import parse_instant
from domain.possible import possible
from domain.refusal import Refused
from domain.task import State, Task

if TYPE_CHECKING:
    from activities.words import Words
    from store.queries import Summary

_LEFT_OUT = frozenset({"column_agency", "column_left"})
"""What a narrow terminal does without; `dondoc task show` has it."""


def list_tasks(
    session: Session,
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="opt_state")
    ] = None,
    agency: Annotated[str | None, typer.Option("--agency", metavar="ID", help="opt_lead")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="opt_overdue")] = False,  # noqa: FBT002 - a switch
    limit: Annotated[int, typer.Option("--limit", min=1, help="opt_limit")] = 100,
) -> None:
    """Tasks by nearest deadline."""
    from store import queries  # noqa: PLC0415 - not for --help

    states = [check_choice(session, each, tuple(State), "--state") for each in state or []]
    with session.reading() as connection:
        found = queries.list_tasks(
            connection, states=states, agency=agency, overdue=overdue, limit=limit + 1
        )
        names = queries.agencies(connection)
    if agency is not None and agency not in names:
        raise Refused("unknown_agency", agency=agency[:80])
    # One more was asked for, to know whether that is all.
    is_cut, found = len(found) > limit, found[:limit]
    session.out.document([asdict(summary) for summary in found])
    if not found:
        session.out.line(session.texts("no_tasks_found"))
        return
    if session.out.as_json:
        return
    rows = [_row(session, each, names, session.now) for each in found]
    columns = [c for c in rows[0] if not (session.out.is_narrow and c in _LEFT_OUT)]
    session.out.table(columns, [[row[column] for column in columns] for row in rows])
    session.out.line(session.texts("tasks_cut" if is_cut else "tasks_found", tasks=len(found)))


def show(session: Session, task: TaskId, as_: ReadAs = None) -> None:
    """One task: what was ordered, where it stands, what may be done now."""
    from activities.words import words_of  # noqa: PLC0415 - not for --help
    from cli.finding import find_task  # noqa: PLC0415 - likewise
    from domain.snapshot import format_task  # noqa: PLC0415 - likewise
    from store import ledger, queries  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        found = find_task(connection, task)
        names = queries.agencies(connection)
        first = ledger.read_chain(connection, found.id)[0]
        read = words_of(connection, first.leaf, reader_of(session, connection, found.secrecy, as_))
    words = {name: opening.value for name, opening in read.opened.items()}
    closed = sorted(read.closed | read.damaged)
    steps = _steps(found)
    session.out.document({**format_task(found), "texts": words, "sealed": closed, "allowed": steps})
    words |= {name: unopened(session, read, name) for name in closed}
    _show(session, found, words, names, steps)


def _row(
    session: Session, task: "Summary", names: dict[str, tuple[str, str]], now: datetime
) -> dict[str, str]:
    from embedded.titles import shown_title  # noqa: PLC0415 - not for --help

    texts = session.texts
    due = parse_instant(task.next_due) if task.next_due else None
    state = texts.name("state", task.state)
    marks = [texts("overdue")] if task.overdue else []
    marks += [texts.name("timeliness", task.timeliness)] if task.timeliness else []
    return {
        "column_task": task.id,
        "column_state": ", ".join([state, *marks]),
        "column_agency": _agency(session, names, task.lead),
        "column_deadline": texts.clock(task.next_clock) if task.next_clock else "",
        "column_due": texts.instant(due, session.zone) if due else "",
        "column_left": texts.time_left(due - now) if due else "",
        "column_title": shown_title(texts, task),
    }


def unopened(session: Session, read: "Words", name: str) -> str:
    """What stands in the place of words that were not erased, but are not shown either."""
    return session.texts("sealed_damaged" if name in read.damaged else "sealed")


def _agency(session: Session, names: dict[str, tuple[str, str]], agency: str) -> str:
    vietnamese, english = names.get(agency, (agency, agency))
    return english if session.texts.language == "en" else vietnamese


def _steps(task: Task) -> list[str]:
    """The steps that a person may take now, as commands."""
    return [name.replace("_", "-") for name in possible(task)]


def _show(
    session: Session,
    task: Task,
    words: dict[str, str],
    names: dict[str, tuple[str, str]],
    steps: list[str],
) -> None:
    texts, line = session.texts, session.out.line
    line(f"{task.id}  {words.get('title', texts('erased'))}", "bold")
    for label, value in _facts(session, task, words, names):
        if value:
            line(f"  {label}: {value}")
    for name, clock in sorted(task.clocks.items(), key=lambda item: item[1].due):
        due = f"{texts.weekday(clock.due, session.zone)} {texts.instant(clock.due, session.zone)}"
        line(f"  {texts.clock(name)}: {due} ({texts.time_left(clock.due - session.now)})")
    for name, clock in sorted(task.missed.items(), key=lambda item: item[1].due):
        due = texts.instant(clock.due, session.zone)
        line(f"  {texts.clock(name)}: {due} ({texts('outcome_missed')})", "red")
    for name, item in task.pending.items():
        stage = texts("waits_office" if item.endorsed else "waits_approver")
        line(f"  {texts.name('item', name)}: {stage} ({item.by})")
    line(f"  {texts('allowed_now')}: {', '.join(steps)}" if steps else f"  {texts('closed')}")


def _facts(
    session: Session, task: Task, words: dict[str, str], names: dict[str, tuple[str, str]]
) -> list[tuple[str, Any]]:
    texts = session.texts

    def agency(id_: str) -> str:
        return _agency(session, names, id_)

    state = [texts.name("state", task.state)]
    state += [texts("overdue")] if task.overdue else []
    state += [texts.name("timeliness", task.timeliness)] if task.timeliness else []
    due_on = task.terms.due_on
    return [
        (texts("column_state"), ", ".join(state)),
        (texts("field_document"), f"{task.document}  {words.get('document_title', '')}".strip()),
        (texts("field_signatory"), words.get("signatory", "")),
        (texts("field_secrecy"), texts.name("secrecy", task.secrecy)),
        (texts("field_priority"), texts.name("priority", task.priority)),
        (texts("field_lead"), agency(task.lead)),
        (texts("field_coordinators"), ", ".join(map(agency, task.coordinators))),
        (texts("field_monitor"), agency(task.monitor)),
        (texts("field_due_on"), f"{due_on:%d/%m/%Y}" if due_on else texts("no_due_day")),
        (texts("field_content"), words.get("content", "")),
        (texts("field_products"), words.get("products", "")),
        (texts("field_rating"), texts.name("rating", task.rating) if task.rating else ""),
    ]
