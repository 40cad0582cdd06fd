"""Every deadline that a task ever had, with what it hung on: folded from the task's own entries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from audit.entry import open_command, open_record, parse_entry
from domain import calendars
from domain.refusal import Refused
from domain.snapshot import parse_clocks
from domain.step import WARNINGS, evolve, read_step
from domain.task import Clock, Priority, Task, Terms
from domain.timetable import RULES, explain
from domain.working_time import Computation
from store.ledger import Row

Outcome = Literal["running", "missed", "made_good", "passed", "met", "renewed", "dropped"]

_MET_BY: Mapping[str, frozenset[str]] = {
    "confirm": frozenset({"confirm", "dispute"}),
    "dispute": frozenset({"dispute", "start"}),
    "settle": frozenset({"keep", "correct", "reassign"}),
    "update": frozenset({"endorse"}),
    "update_half": frozenset({"endorse"}),
    "update_three_quarters": frozenset({"endorse"}),
    "final_update": frozenset({"submit"}),
    "due": frozenset({"approve"}),
    "evaluate": frozenset({"evaluate"}),
}
"""The steps that answer a deadline; any other that ends it makes it fall away."""

_URGENCY: Mapping[str, int] = {"running": 0, "missed": 1}


@dataclass(frozen=True, slots=True)
class Deadline:
    """One deadline of the past or present.

    ``terms``, ``priority``, ``transferred_at`` and ``calendar`` are those it was computed from, as
    they stood behind entry ``set_by``. ``ended_by`` is the entry that ended it, with its event.
    """

    name: str
    clock: Clock
    set_by: int
    terms: Terms
    priority: Priority
    transferred_at: datetime
    calendar: str
    outcome: Outcome = "running"
    ended_by: tuple[int, str] | None = None

    @property
    def source(self) -> str:
        """The article where the rule stands."""
        rule = RULES.get(self.clock.rule)
        return rule.source if rule else ""

    def computation(self) -> Computation:
        """The deadline computed again, with the calendar that its entry names. Raises Refused."""
        return explain(
            self.clock.rule,
            self.clock,
            self.terms,
            self.priority,
            self.transferred_at,
            calendars.load(self.calendar),
        )


def all_deadlines(rows: Iterable[Row]) -> list[Deadline]:
    """The deadlines of a task's chain: running ones, missed ones, then those of the past."""
    task: Task | None = None
    running: dict[str, Deadline] = {}
    ended: list[Deadline] = []
    for row in rows:
        entry = parse_entry(row.data)
        command, record = open_command(entry.command), open_record(entry.record)
        step = read_step(
            row.chain, command.subject.digest, row.leaf, command.predicate, record.predicate
        )
        task = evolve(task, step)
        clocks = record.predicate["clocks"]
        for name, clock in parse_clocks(clocks if isinstance(clocks, dict) else {}).items():
            if (old := running.pop(name, None)) is not None:
                renewed = clock is not None
                outcome = _outcome(old, step.event, step.arguments, renewed=renewed)
                ended.append(replace(old, outcome=outcome, ended_by=(step.seq, step.event)))
            if clock is not None:
                running[name] = Deadline(
                    name,
                    clock,
                    step.seq,
                    task.terms,
                    task.priority,
                    task.transferred_at or step.received_at,
                    record.text("calendar"),
                )
    found = [*(_made_good(each, task) for each in ended), *running.values()]
    return sorted(found, key=lambda d: (_URGENCY.get(d.outcome, 2), d.clock.due, d.set_by, d.name))


def checked(deadline: Deadline) -> tuple[Computation | None, str]:
    """The computation, and ``same``, ``differs`` or the code of why it can't be made."""
    try:
        computation = deadline.computation()
    except Refused as refusal:
        return None, refusal.code
    return computation, "same" if computation.due == deadline.clock.due else "differs"


def _outcome(
    deadline: Deadline, event: str, arguments: Mapping[str, object], *, renewed: bool
) -> Outcome:
    if event == "lapse" and arguments.get("clock") == deadline.name:
        return "passed" if deadline.name in WARNINGS else "missed"
    kind = deadline.name.partition(":")[0]
    if event in _MET_BY.get(kind, frozenset()):
        return "met"
    return "renewed" if renewed else "dropped"


def _made_good(deadline: Deadline, task: Task | None) -> Deadline:
    """What was missed and is no longer owed."""
    owed = task.missed.get(deadline.name) if task else None
    if deadline.outcome == "missed" and (owed is None or owed.due != deadline.clock.due):
        return replace(deadline, outcome="made_good")
    return deadline
