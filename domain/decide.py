"""Whether a command is allowed, and what it does: the state it leads to and the clocks it moves.

The one place where a step is judged. It runs when the step is recorded, and again, with the same
inputs from the log, when an auditor verifies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NoReturn

from domain import authority, timetable
from domain.calendar import Calendar
from domain.command import Actor, Command, check_arguments
from domain.lifecycle import EVENTS, destination
from domain.possible import possible
from domain.refusal import Refused
from domain.step import DECISIONS, answered_update
from domain.task import Clock, Pending, Role, Secrecy, State, Task, Terms

RULES_VERSION = "08-QC/TW.1"
"""Names the rules of this module and of `domain.timetable` in every record."""

MAX_AHEAD = timedelta(minutes=5)
MAX_BEHIND = timedelta(hours=24)
"""How far a giver's watch may differ from the door's."""

MAX_YEARS = 50
"""A due day further away is a slip of the pen."""

Clocks = dict[str, Clock | None]


@dataclass(frozen=True, slots=True)
class Decision:
    to: State
    clocks: Mapping[str, Clock | None]


@dataclass(frozen=True, slots=True)
class _Case:
    """What a judgement looks at."""

    task: Task
    command: Command
    actor: Actor
    at: datetime
    calendar: Calendar

    def day(self, name: str) -> date | None:
        text = self.command.arguments.get(name)
        return date.fromisoformat(text) if text else None


def decide(
    task: Task | None, command: Command, actor: Actor, received_at: datetime, calendar: Calendar
) -> Decision:
    """Judge ``command`` at ``received_at`` (UTC). Raises Refused, saying why.

    ``calendar`` holds the working hours of the agency that the task's clocks run for.
    """
    event = EVENTS.get(command.event)
    if event is None:
        raise Refused("unknown_event", event=command.event)
    to = destination(command.event, task.state if task else None)
    if to is None:
        _refuse_state(task, command)
    check_arguments(command.event, command.arguments)
    check_issued(command, received_at)
    level = task.secrecy if task else Secrecy(command.arguments["secrecy"])
    authority.check(command.event, actor.role, actor.agency, task, level, actor.clearance)
    if task is None:
        _check_header(command, received_at, calendar)
        return Decision(to, {})
    _check_side(task, command, actor)
    if event.substantive or command.seen is not None:
        _check_seen(task, command)
    judge = _JUDGES.get(command.event, _no_clocks)
    return Decision(to, judge(_Case(task, command, actor, received_at, calendar)))


def due_clocks(task: Task, at: datetime) -> tuple[str, ...]:
    """The clocks that have run out before ``at``, earliest first. What stands exactly on its
    deadline is in time.
    """
    passed = [(clock.due, name) for name, clock in task.clocks.items() if clock.due < at]
    return tuple(name for _, name in sorted(passed))


def _refuse_state(task: Task | None, command: Command) -> NoReturn:
    if task is None:
        raise Refused("unknown_task", task=command.task)
    if command.event == "register":
        raise Refused("task_exists", task=task.id)
    offered = ",".join(possible(task))
    raise Refused("wrong_state", event=command.event, state=task.state, allowed=offered)


def check_issued(command: Command, received_at: datetime) -> None:
    """Hold the giver's watch against the door's. Raises Refused."""
    if command.issued_at > received_at + MAX_AHEAD:
        raise Refused("issued_in_future", issued=command.issued_at.isoformat())
    if command.issued_at < received_at - MAX_BEHIND and command.event != "lapse":
        raise Refused("issued_too_long_ago", issued=command.issued_at.isoformat())


def _check_header(command: Command, at: datetime, calendar: Calendar) -> None:
    arguments = command.arguments
    today = calendar.local_day(at)
    issued_on = date.fromisoformat(arguments["issued_on"])
    if issued_on > today:
        raise Refused("document_from_future", issued_on=issued_on.isoformat())
    if arguments["secrecy"] != "normal" and {"content", "products", "summary"} & arguments.keys():
        raise Refused("protected_content", secrecy=arguments["secrecy"])
    _check_monitor(arguments["lead"], arguments["monitor"])
    due_on = arguments.get("due_on")
    if due_on and date.fromisoformat(due_on) < today:
        raise Refused("due_before_assignment", due_on=due_on, today=today.isoformat())
    if due_on and date.fromisoformat(due_on).year > today.year + MAX_YEARS:
        raise Refused("due_too_far", due_on=due_on, years=MAX_YEARS)


def _check_monitor(lead: str, monitor: str) -> None:
    """Who carries a task out does not evaluate how (Art. 6.3)."""
    if lead == monitor:
        raise Refused("monitor_is_lead", agency=lead)


def _check_seen(task: Task, command: Command) -> None:
    if command.seen != (task.version, task.seen):
        seen = command.seen[0] if command.seen else 0
        raise Refused("out_of_date", seen=seen, version=task.version)


def _no_clocks(_case: _Case) -> Clocks:
    return {}


def _all_cleared(case: _Case) -> Clocks:
    return dict.fromkeys(case.task.clocks)


def _transfer(case: _Case) -> Clocks:
    task = case.task
    _check_due(case, task.terms.due_on)
    return dict(timetable.clocks_at_transfer(task.terms, task.priority, case.at, case.calendar))


def _confirm(case: _Case) -> Clocks:
    """Art. 6.2a: receipt opens the window for a dispute anew, unless receipt itself is late."""
    clock = case.task.clocks.get("confirm", case.task.missed.get("confirm"))
    late = clock is not None and case.at > clock.due
    window = timetable.dispute_clock(case.at, case.calendar)
    reopened: Clocks = {} if late or case.task.kept else {"dispute": window}
    return _cleared(case, "confirm") | reopened


def _dispute(case: _Case) -> Clocks:
    """Art. 6.2a: within 8 working hours of receipt, and not again once the Office has decided."""
    if case.task.kept:
        raise Refused("dispute_settled", task=case.task.id)
    window = case.task.clocks.get("dispute", case.task.dispute_closed)
    if window is None or case.at > window.due:
        raise Refused("dispute_window_closed", task=case.task.id)
    return _cleared(case, "confirm", "dispute") | {
        "settle": timetable.settle_clock(case.at, case.calendar)
    }


def _keep(case: _Case) -> Clocks:
    return _cleared(case, "settle") | {"confirm": timetable.confirm_clock(case.at, case.calendar)}


def _correct(case: _Case) -> Clocks:
    if case.task.secrecy is not Secrecy.NORMAL and "content" in case.command.arguments:
        raise Refused("protected_content", secrecy=case.task.secrecy)
    due_on = case.day("due_on")
    replanned: Clocks = _replanned(case, due_on) if due_on else {}
    return replanned | _keep(case) | {"dispute": timetable.dispute_clock(case.at, case.calendar)}


def _reassign(case: _Case) -> Clocks:
    task, lead = case.task, case.command.arguments["lead"]
    if lead == task.lead:
        raise Refused("same_agency", agency=lead)
    _check_monitor(lead, task.monitor)
    afresh = _afresh(case)
    # A term that is over by its day may still run to the next working day: those clocks go on.
    kept = () if afresh else ("due", "final_update")
    return {
        **{name: None for name in task.clocks if name not in kept},
        **afresh,
        "confirm": timetable.confirm_clock(case.at, case.calendar),
        "dispute": timetable.dispute_clock(case.at, case.calendar),
    }


def _afresh(case: _Case) -> Clocks:
    """The term's clocks for the other agency; a term that is over already has none left to run."""
    task = case.task
    if task.terms.due_on is not None and task.terms.due_on < case.calendar.local_day(case.at):
        return {}
    return dict(timetable.terms_clocks(task.terms, task.priority, case.at, case.at, case.calendar))


def _start(case: _Case) -> Clocks:
    return _cleared(case, "dispute")


def _approve(case: _Case) -> Clocks:
    _check_maker(case, case.task.pending["result"])
    kept = {name for name in case.task.clocks if name.startswith("evaluate")}
    cleared: Clocks = {name: None for name in case.task.clocks if name not in kept}
    return cleared | _evaluation(case)


def _send_back(case: _Case) -> Clocks:
    _check_maker(case, case.task.pending["result"])
    return {}


def _endorse(case: _Case) -> Clocks:
    item = case.command.arguments["item"]
    pending = _pending(case, item)
    _check_maker(case, pending)
    if pending.endorsed:
        raise Refused("already_endorsed", item=item)
    if item != "report":
        return {}
    name = answered_update(case.task, pending.at)
    if name is None:
        return _evaluation(case)
    clock = case.task.clocks[name]
    return {name: _following(case, name, clock)} | _evaluation(case)


def _decline(case: _Case) -> Clocks:
    pending = _pending(case, case.command.arguments["item"])
    _check_maker(case, pending)
    return {}


def _ask_extension(case: _Case) -> Clocks:
    if case.task.terms.due_on is None:
        raise Refused("no_term_to_extend", task=case.task.id)
    _check_later(case, case.day("due_on"))
    _check_due(case, case.day("due_on"))
    return {}


def _grant_extension(case: _Case) -> Clocks:
    pending = _pending(case, "extension")
    _check_endorsed(pending, "extension")
    due_on = case.day("due_on") or pending.due_on
    _check_later(case, due_on)
    return _replanned(case, due_on)


def _grant_withdrawal(case: _Case) -> Clocks:
    _check_endorsed(_pending(case, "withdrawal"), "withdrawal")
    return _all_cleared(case)


def _refuse(case: _Case) -> Clocks:
    item = case.command.arguments["item"]
    _check_endorsed(_pending(case, item), item)
    return {}


def _explain(case: _Case) -> Clocks:
    _check_due(case, case.day("committed_on"))
    return {}


def _ask_withdrawal(case: _Case) -> Clocks:
    _check_due(case, case.day("committed_on"))
    return {}


def _evaluate(case: _Case) -> Clocks:
    """Art. 6.3: the earliest update that waits for its evaluation."""
    waiting = {n: c.due for n, c in case.task.clocks.items() if n.startswith("evaluate")}
    missed = [n for n in case.task.missed if n.startswith("evaluate")]
    if not waiting and not missed:
        raise Refused("nothing_to_evaluate", task=case.task.id)
    if missed:
        return {}
    return {min(waiting, key=lambda name: (waiting[name], name)): None}


def _lapse(case: _Case) -> Clocks:
    name = case.command.arguments["clock"]
    clock = case.task.clocks.get(name)
    if clock is None or clock.due > case.at:
        raise Refused("not_due", clock=name)
    return {name: _following(case, name, clock)}


def _following(case: _Case, name: str, clock: Clock) -> Clock | None:
    """The clock that takes this one's place: only periodic updates have one."""
    if name != "update":
        return None
    return timetable.next_update(case.task.terms, clock.due, case.calendar)


def _evaluation(case: _Case) -> Clocks:
    """A clock for the evaluation of this step, named by the number of its entry."""
    clock = timetable.evaluate_clock(case.at, case.calendar)
    return {f"evaluate:{case.task.seq + 1}": clock}


def _replanned(case: _Case, due_on: date | None) -> Clocks:
    """Every clock that hangs on the term, computed anew from the first transfer."""
    task = case.task
    terms = replace(task.terms, due_on=due_on)
    _check_due(case, due_on)
    planned = timetable.terms_clocks(
        terms, task.priority, task.transferred_at or case.at, case.at, case.calendar
    )
    dropped: Clocks = {name: None for name in task.clocks if name in timetable.TERM_CLOCKS}
    return dropped | dict(planned) | _still_answered(case, terms, planned)


def _still_answered(case: _Case, terms: Terms, planned: Mapping[str, Clock]) -> Clocks:
    """A periodic point that was reported on already is not asked for again."""
    running = case.task.clocks.get("update")
    if running is None or "update" not in planned or running.since <= case.at:
        return {}
    return {"update": timetable.next_update(terms, running.since, case.calendar)}


def _check_due(case: _Case, due_on: date | None) -> None:
    today = case.calendar.local_day(case.at)
    if due_on is not None and due_on < today:
        raise Refused("due_before_assignment", due_on=due_on.isoformat(), today=today.isoformat())


def _check_later(case: _Case, due_on: date | None) -> None:
    current = case.task.terms.due_on
    if due_on is None or current is None or due_on <= current:
        raise Refused("extension_not_later", due_on=str(current))


def _check_maker(case: _Case, pending: Pending) -> None:
    """Art. 15.3: a second person approves, and not in the maker's place, nor for the maker."""
    if both := pending.hands & case.actor.hands:
        raise Refused("maker_is_checker", person=min(both))


def _check_side(task: Task, command: Command, actor: Actor) -> None:
    """Nobody is on both sides of a task: who acted for the assignee decides nothing on it, as
    Office or as monitor, and who decided something does not act for the assignee.
    """
    if command.event in DECISIONS:
        both = actor.hands.intersection(task.hands)
        if both:
            raise Refused("acted_for_assignee", person=min(both), event=command.event)
    elif actor.role in {Role.OFFICER, Role.APPROVER}:
        both = actor.hands.intersection(task.judges)
        if both:
            raise Refused("decided_before", person=min(both), event=command.event)


def _check_endorsed(pending: Pending, item: str) -> None:
    """Nothing counts before a second person approved it."""
    if not pending.endorsed:
        raise Refused("not_endorsed", item=item)


def _pending(case: _Case, item: str) -> Pending:
    pending = case.task.pending.get(item)
    if pending is None:
        raise Refused("nothing_pending", item=item)
    return pending


def _cleared(case: _Case, *names: str) -> Clocks:
    return {name: None for name in names if name in case.task.clocks}


_JUDGES: Mapping[str, Callable[[_Case], Clocks]] = {
    "transfer": _transfer,
    "confirm": _confirm,
    "dispute": _dispute,
    "keep": _keep,
    "correct": _correct,
    "reassign": _reassign,
    "start": _start,
    "approve": _approve,
    "send_back": _send_back,
    "endorse": _endorse,
    "decline": _decline,
    "ask_extension": _ask_extension,
    "ask_withdrawal": _ask_withdrawal,
    "explain": _explain,
    "grant_extension": _grant_extension,
    "grant_withdrawal": _grant_withdrawal,
    "refuse": _refuse,
    "evaluate": _evaluate,
    "recall": _all_cleared,
    "lapse": _lapse,
}
