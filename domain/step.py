"""One recorded step of a task, and what it makes of the task.

`evolve` never judges: what the log holds has happened. The same function folds the log in
`rebuild`, moves the workflow on, and lets an auditor follow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from domain.instants import parse_instant
from domain.lifecycle import EVENTS
from domain.snapshot import parse_clocks
from domain.task import (
    Clock,
    Pending,
    Priority,
    Role,
    Secrecy,
    State,
    Task,
    Terms,
    Timeliness,
    parse_recurrence,
)

_ASSIGNEES = frozenset({Role.OFFICER, Role.APPROVER})
DECISIONS = frozenset({
    "keep", "correct", "reassign", "grant_extension", "grant_withdrawal", "refuse", "evaluate",
    "recall",
})  # fmt: skip
"""Steps by which Office or monitor decide on what the assignee did."""

WARNINGS = frozenset({"near_due", "dispute"})
"""Clocks that owe nothing: a warning is given, a window closes."""


@dataclass(frozen=True, slots=True)
class Step:
    """``clocks`` are the deadlines set (a Clock) and cleared (None) by this step."""

    task: str
    header: str
    event: str
    agency: str
    role: str
    arguments: Mapping[str, Any]
    command: str
    person: str
    behalf: str | None
    received_at: datetime
    recorded_at: datetime
    to: State
    clocks: Mapping[str, Clock | None]
    seq: int
    leaf: str


def read_step(
    task: str, header: str, leaf: str, command: Mapping[str, Any], record: Mapping[str, Any]
) -> Step:
    """The step that the two predicates of a verified entry tell of."""
    return Step(
        task=task,
        header=header,
        event=command["event"],
        agency=command["on_behalf"]["agency"],
        role=command["on_behalf"]["role"],
        arguments=command["arguments"],
        command=command["id"],
        person=record["person"],
        behalf=command["on_behalf"]["for"],
        received_at=parse_instant(record["received_at"]),
        recorded_at=parse_instant(record["recorded_at"]),
        to=State(record["to"]),
        clocks=parse_clocks(record["clocks"]),
        seq=record["seq"],
        leaf=leaf,
    )


def evolve(task: Task | None, step: Step) -> Task:
    """The task after ``step``; ``task`` is None before it was registered.

    Raises ValueError when the step does not follow on the task: the log is damaged or out of order.
    """
    expected = 1 if task is None else task.seq + 1
    if step.seq != expected or (task is None) != (step.event == "register"):
        raise ValueError(f"step {step.seq} of {step.task} does not follow {expected - 1}")
    if task is None:
        return _registered(step)
    moved = _moved(task, step)
    if step.event == "lapse":
        return _lapsed(moved, step.arguments["clock"], task.clocks[step.arguments["clock"]])
    change = _CHANGES.get(step.event)
    return change(moved, step) if change else moved


def is_update(name: str) -> bool:
    """Whether the clock of this name awaits a progress report (Art. 6.2b)."""
    return name == "update" or name.startswith("update_")


def answered_update(task: Task, reported: datetime) -> str | None:
    """The running update clock that a report of that instant answers once endorsed, or None.

    A report first makes good everything that was missed; only when nothing was does it answer the
    next point, and that only once its period has begun. So no report counts for two periods, and
    none for a period to come.
    """
    if any(map(is_update, task.missed)):
        return None
    running = {
        name: clock.due
        for name, clock in task.clocks.items()
        if is_update(name) and clock.since <= reported
    }
    return min(running, key=lambda name: running[name], default=None)


def _registered(step: Step) -> Task:
    arguments = step.arguments
    due_on, updates = arguments.get("due_on"), arguments.get("updates")
    return Task(
        id=step.task,
        header=step.header,
        document=arguments["document"],
        secrecy=Secrecy(arguments["secrecy"]),
        priority=Priority(arguments["priority"]),
        lead=arguments["lead"],
        coordinators=tuple(arguments["coordinators"]),
        monitor=arguments["monitor"],
        office=step.agency,
        terms=Terms(
            date.fromisoformat(due_on) if due_on else None,
            parse_recurrence(updates) if updates else None,
        ),
        state=step.to,
        seq=1,
        head=step.leaf,
        version=1,
        seen=step.leaf,
        recorded_at=step.recorded_at,
    )


def _moved(task: Task, step: Step) -> Task:
    """State, chain position and clocks: what every step changes in the same way."""
    clocks = {name: clock for name, clock in task.clocks.items() if name not in step.clocks}
    clocks |= {name: clock for name, clock in step.clocks.items() if clock is not None}
    substantive = EVENTS[step.event].substantive
    return replace(
        task,
        state=step.to,
        seq=step.seq,
        head=step.leaf,
        version=task.version + substantive,
        seen=step.leaf if substantive else task.seen,
        recorded_at=step.recorded_at,
        clocks=clocks,
        hands=_with(task.hands, step) if step.role in _ASSIGNEES else task.hands,
        judges=_with(task.judges, step) if step.event in DECISIONS else task.judges,
    )


def _with(people: tuple[str, ...], step: Step) -> tuple[str, ...]:
    """These, and whoever acted in the step or whose place was taken in it."""
    new = {step.person} | ({step.behalf} if step.behalf else set())
    return tuple(sorted({*people, *new}))


def _transfer(task: Task, step: Step) -> Task:
    return replace(task, transferred_at=step.received_at)


def _answered(*names: str) -> Callable[[Task, Step], Task]:
    """What was received in time is not missed, though the clock's entry came first."""

    def change(task: Task, step: Step) -> Task:
        met = {
            name
            for name in names
            if name in task.missed and step.received_at <= task.missed[name].due
        }
        return replace(task, missed=_without(task.missed, *met))

    return change


def _keep(task: Task, step: Step) -> Task:
    return replace(_answered("settle")(task, step), kept=True)


def _correct(task: Task, step: Step) -> Task:
    answered = _answered("settle")(task, step)
    due_on = step.arguments.get("due_on")
    return _with_term(answered, date.fromisoformat(due_on)) if due_on else answered


def _reassign(task: Task, step: Step) -> Task:
    """The other agency starts afresh; what the first one owed stays in the history."""
    return replace(
        task,
        lead=step.arguments["lead"],
        transferred_at=step.received_at,
        missed={name: clock for name, clock in task.missed.items() if name == "due"},
        pending={},
        kept=False,
    )


def _propose(item: str) -> Callable[[Task, Step], Task]:
    def change(task: Task, step: Step) -> Task:
        asked = step.arguments.get("due_on")
        day = date.fromisoformat(asked) if asked else None
        entered = Pending(step.person, step.received_at, step.command, day, behalf=step.behalf)
        return replace(task, pending={**task.pending, item: entered})

    return change


def _endorse(task: Task, step: Step) -> Task:
    item = step.arguments["item"]
    entered = task.pending[item]
    if item in {"extension", "withdrawal"}:
        pending = {**task.pending, item: replace(entered, endorsed=True)}
        return replace(task, pending=pending)
    made_good = filter(is_update, task.missed) if item == "report" else ()
    return replace(
        task, pending=_without(task.pending, item), missed=_without(task.missed, *made_good)
    )


def _drop_item(task: Task, step: Step) -> Task:
    return replace(task, pending=_without(task.pending, step.arguments["item"]))


def _submit(task: Task, step: Step) -> Task:
    submitted = _propose("result")(task, step)
    due = task.missed.get("due")
    late = due is not None and step.received_at > due.due
    return replace(submitted, submitted_at=step.received_at, overdue=late)


def _approve(task: Task, _step: Step) -> Task:
    """On time is decided by when the result stood at the door, not by when it was approved."""
    submitted = task.pending["result"].at
    late = "due" in task.missed and submitted > task.missed["due"].due
    final = task.missed.get("final_update")
    met = ["final_update"] if final is not None and submitted <= final.due else []
    return replace(
        task,
        missed=_without(task.missed, *met),
        # Nobody can grant any more what was asked for the work.
        pending=_without(task.pending, "result", "extension", "withdrawal"),
        timeliness=Timeliness.LATE if late else Timeliness.ON_TIME,
        overdue=False,
    )


def _send_back(task: Task, _step: Step) -> Task:
    pending = _without(task.pending, "result")
    return replace(task, pending=pending, submitted_at=None, overdue="due" in task.missed)


def _grant_extension(task: Task, step: Step) -> Task:
    asked = task.pending["extension"].due_on
    granted = step.arguments.get("due_on")
    day = date.fromisoformat(granted) if granted else asked
    pending = _without(task.pending, "extension")
    return replace(_with_term(task, day), pending=pending)


def _with_term(task: Task, due_on: date | None) -> Task:
    """A new due day: what hung on the old one is no longer missed, unless it is missed again."""
    missed = _without(task.missed, "due", "near_due", "final_update")
    return replace(task, terms=replace(task.terms, due_on=due_on), missed=missed, overdue=False)


def _evaluate(task: Task, step: Step) -> Task:
    overdue = [name for name in task.missed if name.startswith("evaluate")]
    overdue.sort(key=lambda name: task.missed[name].due)
    missed = _without(task.missed, *overdue[:1])
    return replace(task, rating=step.arguments["rating"], missed=missed)


def _withdraw(task: Task, _step: Step) -> Task:
    return replace(task, pending={}, overdue=False)


def _lapsed(task: Task, name: str, clock: Clock) -> Task:
    """A deadline has passed. A result that stood at the door in time keeps its task in time."""
    if name == "dispute":
        return replace(task, dispute_closed=clock)
    if name in WARNINGS:
        return task
    result = task.pending.get("result")
    in_time = result is not None and result.at <= clock.due
    overdue = task.overdue or (name == "due" and not in_time)
    return replace(task, missed={**task.missed, name: clock}, overdue=overdue)


def _without(mapping: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in names}


_CHANGES: Mapping[str, Callable[[Task, Step], Task]] = {
    "transfer": _transfer,
    "confirm": _answered("confirm"),
    "dispute": _answered("confirm"),
    "keep": _keep,
    "correct": _correct,
    "reassign": _reassign,
    "report": _propose("report"),
    "submit": _submit,
    "approve": _approve,
    "send_back": _send_back,
    "endorse": _endorse,
    "decline": _drop_item,
    "ask_extension": _propose("extension"),
    "ask_withdrawal": _propose("withdrawal"),
    "grant_extension": _grant_extension,
    "grant_withdrawal": _withdraw,
    "refuse": _drop_item,
    "explain": _propose("explanation"),
    "evaluate": _evaluate,
    "recall": _withdraw,
}
