"""Every clock a task carries: which rule sets it, from when, until when, and why.

A clock is a pure function of a rule's name, the instant it counts from, the task's terms and
priority, the instant of its transfer, and a calendar. `explain` computes it again from those, so
that anybody holding the log and the calendar can check ``due``.

Terms end as `domain.working_time` says: at 24:00 local of a day that is worked. An agency's own
hours come in with the calendar (`Calendar.with_hours`). All instants are UTC. Raises Refused with
"due_before_start", "recurrence_malformed", "unknown_rule", "rule_without_due_day" and the codes of
`domain.working_time`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from domain.calendar import Calendar
from domain.refusal import Refused
from domain.task import Clock, Priority, Recurrence, Terms
from domain.working_time import (
    Computation,
    Segment,
    add_months,
    after_working_day,
    after_working_days,
    after_working_hours,
    before_working_days,
    end_of_day,
)

CONFIRM_HOURS = 4
DISPUTE_HOURS = 8
SETTLE_DAYS = 1
EVALUATE_DAYS = 3
NEAR_DUE_DAYS: Mapping[Priority, int] = MappingProxyType(
    {Priority.KEY: 5, Priority.REGULAR: 3, Priority.URGENT: 1}
)
MONTHLY = Recurrence("month")

TERM_CLOCKS = frozenset(
    {"near_due", "due", "update_half", "update_three_quarters", "update", "final_update"}
)
"""The rules that `terms_clocks` plans: replanning replaces all of them."""


class Length(StrEnum):
    """The classes of term by which Art. 6.2b sets the points of update."""

    UNDER_1_MONTH = "under_1_month"
    UNDER_3_MONTHS = "under_3_months"
    UNDER_6_MONTHS = "under_6_months"
    FROM_6_MONTHS = "from_6_months"


_POINTS: Mapping[Length, tuple[str, ...]] = {
    Length.UNDER_1_MONTH: (),
    Length.UNDER_3_MONTHS: ("update_half",),
    Length.UNDER_6_MONTHS: ("update_half", "update_three_quarters"),
    Length.FROM_6_MONTHS: ("update",),
}
# Art. 6.2b names no last update for the longest class: it gets the longer of the two allowances.
_FINAL_UPDATE_DAYS: Mapping[Length, int] = {
    Length.UNDER_1_MONTH: 3,
    Length.UNDER_3_MONTHS: 3,
    Length.UNDER_6_MONTHS: 5,
    Length.FROM_6_MONTHS: 5,
}
_MONTHS: Mapping[str, int] = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class _Case:
    """What the rules look at besides the instant they count from."""

    terms: Terms
    priority: Priority
    start: datetime
    calendar: Calendar

    def __post_init__(self) -> None:
        if self.terms.due_on is not None:
            length_class(self.start_day, self.terms.due_on)

    @property
    def start_day(self) -> date:
        return self.calendar.local_day(self.start)

    @property
    def due_on(self) -> date:
        if self.terms.due_on is None:
            raise Refused("rule_without_due_day")
        return self.terms.due_on

    @property
    def length(self) -> Length:
        return length_class(self.start_day, self.due_on)


def length_class(start_day: date, due_on: date) -> Length:
    """The class of a term, by calendar months (Civil Code 2015, Art. 148.3).

    15 January to 15 February is one month; to 14 February is less. Raises
    Refused("due_before_start").
    """
    if due_on < start_day:
        raise Refused("due_before_start", start=start_day.isoformat(), due_on=due_on.isoformat())
    for months, length in (
        (1, Length.UNDER_1_MONTH),
        (3, Length.UNDER_3_MONTHS),
        (6, Length.UNDER_6_MONTHS),
    ):
        if due_on < add_months(start_day, months):
            return length
    return Length.FROM_6_MONTHS


def clocks_at_transfer(
    terms: Terms, priority: Priority, at: datetime, calendar: Calendar
) -> dict[str, Clock]:
    """What starts running when a task is transferred at ``at``, by rule name."""
    return {
        "confirm": confirm_clock(at, calendar),
        "dispute": dispute_clock(at, calendar),
        **terms_clocks(terms, priority, at, at, calendar),
    }


def terms_clocks(
    terms: Terms, priority: Priority, transferred_at: datetime, at: datetime, calendar: Calendar
) -> dict[str, Clock]:
    """The clocks that follow from the terms, planned (again) at ``at``.

    The term keeps the start it had: an extension lengthens it, so its class and its points are
    those of the whole length since the transfer. Warnings and points of update that are not after
    ``at`` are left out. ``due`` and ``final_update`` are always there: lateness ends no duty.
    """
    if terms.due_on is None:
        update = next_update(terms, at, calendar, start=transferred_at)
        return {} if update is None else {"update": update}
    case = _Case(terms, priority, transferred_at, calendar)
    planned: dict[str, Clock] = {}
    for rule in ("near_due", *_POINTS[case.length], "due", "final_update"):
        clock: Clock | None
        if rule == "update":
            clock = next_update(terms, at, calendar, start=transferred_at)
        else:
            due = RULES[rule].compute(case, transferred_at).due
            clock = Clock(rule, transferred_at, due)
        if clock is not None and (clock.due > at or rule in ("due", "final_update")):
            planned[rule] = clock
    return planned


def confirm_clock(transferred_at: datetime, calendar: Calendar) -> Clock:
    """4 working hours of the transfer."""
    due = after_working_hours(calendar, transferred_at, CONFIRM_HOURS).due
    return Clock("confirm", transferred_at, due)


def dispute_clock(received_at: datetime, calendar: Calendar) -> Clock:
    """8 working hours of receipt: of the transfer, and anew of the confirmation once given."""
    due = after_working_hours(calendar, received_at, DISPUTE_HOURS).due
    return Clock("dispute", received_at, due)


def settle_clock(disputed_at: datetime, calendar: Calendar) -> Clock:
    """The Office settles within 1 working day, the day of the dispute not counted."""
    return Clock("settle", disputed_at, after_working_days(calendar, disputed_at, SETTLE_DAYS).due)


def evaluate_clock(updated_at: datetime, calendar: Calendar) -> Clock:
    """The monitor evaluates within 3 working days of an update, its day not counted."""
    due = after_working_days(calendar, updated_at, EVALUATE_DAYS).due
    return Clock("evaluate", updated_at, due)


def next_update(
    terms: Terms, since: datetime, calendar: Calendar, *, start: datetime | None = None
) -> Clock | None:
    """The first periodic point whose end is after ``since``, monthly unless the terms say.

    None when the term ends first or with it: then the result is owed, not an update. Once a point
    is met, or missed, its own ``due`` is the next ``since``. ``start`` is the transfer, to be given
    for the first point: one of a day before it is not this task's, even if a weekend moves its end
    past the transfer.
    """
    due = _next_point(terms.updates or MONTHLY, since, start, calendar).due
    if terms.due_on is not None and due >= end_of_day(calendar, terms.due_on).due:
        return None
    return Clock("update", since, due)


def explain(
    rule: str,
    clock: Clock,
    terms: Terms,
    priority: Priority,
    transferred_at: datetime,
    calendar: Calendar,
) -> Computation:
    """Compute a clock again and show the steps: a correct clock has the ``due`` found here.

    The segments run from ``clock.since`` to ``due``; for the rules about the term, from the
    transfer. A "near_due" is counted backwards: its segments run from ``due`` to the beginning of
    the due day. The name of a clock may differ from its rule; ``rule`` is `Clock.rule`.
    """
    if rule not in RULES:
        raise Refused("unknown_rule", rule=rule)
    return RULES[rule].compute(_Case(terms, priority, transferred_at, calendar), clock.since)


def _part_of_term(case: _Case, numerator: int, denominator: int) -> Computation:
    """The end of the day on which that part of the term has passed; part of a day counts as one.

    "After half the term": of 61 days, 30 are less than half, so the point is the 31st.
    """
    days = (case.due_on - case.start_day).days
    part = timedelta(days=-(-days * numerator // denominator))
    return _until(case.start, case.start_day + part, case.calendar)


def _final_update(case: _Case) -> Computation:
    """Working days after the day on which the term really ends, be it moved or not."""
    term = _until(case.start, case.due_on, case.calendar)
    last = case.calendar.local_day(term.segments[-1].start)
    rest = after_working_day(case.calendar, last, _FINAL_UPDATE_DAYS[case.length])
    return Computation(rest.due, term.segments + rest.segments)


def _until(start: datetime, day: date, calendar: Calendar) -> Computation:
    """From ``start`` to the end of ``day``, in calendar days."""
    end = end_of_day(calendar, day)
    start, opening = start.astimezone(UTC), calendar.instant(day)
    running: tuple[Segment, ...] = ()
    if start < opening:
        days = (day - calendar.local_day(start)).days
        running = (Segment(start, opening, "term", day=days),)
    # A periodic point may already have begun, or be moving to a working day, when it is asked for.
    rest = (replace(s, start=max(s.start, start)) for s in end.segments if s.end > start)
    return Computation(end.due, (*running, *rest))


def _next_point(
    updates: Recurrence, since: datetime, start: datetime | None, calendar: Calendar
) -> Computation:
    """The first point on or after ``start``'s day whose end, as moved, is after ``since``."""
    _check(updates)
    today = calendar.local_day(since)
    earliest = date.min if start is None else min(calendar.local_day(start), today)
    months = _MONTHS[updates.every]
    first = date(today.year, (today.month - 1) // months * months + 1, 1)
    # One period back: its point may have moved past ``since``. One ahead: that one is always later.
    periods = (add_months(first, step * months) for step in (-1, 0, 1))
    days = (_point(updates, period) for period in periods)
    points = (_until(since, day, calendar) for day in days if day >= earliest)
    return next(point for point in points if point.due > since)


def _check(updates: Recurrence) -> None:
    day, month = updates.before_day, updates.before_month
    if (
        updates.every not in _MONTHS
        or (day is not None and day not in range(1, 32))
        or (month is not None and (updates.every != "year" or month not in range(1, 13)))
    ):
        raise Refused("recurrence_malformed", every=updates.every)


def _point(updates: Recurrence, first: date) -> date:
    """The last day for the report of the period that begins on ``first``.

    "Before the 10th" is the 9th, "before the 1st" the last day of the month before; in a month too
    short for the day, the month's last day. A quarter's day lies in its last month, as Art. 11 has
    it for reports; a year's in ``before_month`` or else in December. ``before_month`` alone means
    before the 1st of that month.
    """
    last_month = updates.before_month or _MONTHS[updates.every]
    month = add_months(first, last_month - 1)
    end_of_month = add_months(month, 1) - timedelta(days=1)
    before = updates.before_day or (1 if updates.before_month else None)
    return end_of_month if before is None else min(month + timedelta(before - 2), end_of_month)


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a rule stands, and how its deadline is computed from a case and a beginning.

    ``source`` "office": a lead time that the Office sets itself.
    """

    source: str
    compute: Callable[[_Case, datetime], Computation]


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "confirm": Rule(
            "Art. 6.2a", lambda case, at: after_working_hours(case.calendar, at, CONFIRM_HOURS)
        ),
        "dispute": Rule(
            "Art. 6.2a", lambda case, at: after_working_hours(case.calendar, at, DISPUTE_HOURS)
        ),
        "settle": Rule(
            "Art. 6.1b", lambda case, at: after_working_days(case.calendar, at, SETTLE_DAYS)
        ),
        "due": Rule("Art. 6.2b", lambda case, _: _until(case.start, case.due_on, case.calendar)),
        "near_due": Rule(
            "office",
            lambda case, _: before_working_days(
                case.calendar, case.due_on, NEAR_DUE_DAYS[case.priority]
            ),
        ),
        "update_half": Rule("Art. 6.2b", lambda case, _: _part_of_term(case, 1, 2)),
        "update_three_quarters": Rule("Art. 6.2b", lambda case, _: _part_of_term(case, 3, 4)),
        "update": Rule(
            "Art. 6.2b",
            lambda case, at: _next_point(
                case.terms.updates or MONTHLY, at, case.start, case.calendar
            ),
        ),
        "final_update": Rule("Art. 6.2b", lambda case, _: _final_update(case)),
        "evaluate": Rule(
            "Art. 6.3", lambda case, at: after_working_days(case.calendar, at, EVALUATE_DAYS)
        ),
    }
)
