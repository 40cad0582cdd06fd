"""What a task is: its header as the document ordered it, and where it stands now.

`Task` is a value. It holds identifiers, dates and digests, never free text: the words of a task
live beside the log as openings of commitments, so that they can be shown, or erased, on their own.
Instants are aware datetimes in UTC; dates are days at the agency's own place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal


class State(StrEnum):
    REGISTERED = "registered"
    ASSIGNED = "assigned"
    CONFIRMED = "confirmed"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    DONE = "done"
    DISPUTED = "disputed"
    WITHDRAWN = "withdrawn"


OPEN_STATES = frozenset(State) - {State.DONE, State.WITHDRAWN}


class Role(StrEnum):
    """What a person is for an agency (Art. 2, 6, 8, 11, 15). CLOCK is the service's own
    timekeeper. What each may do: `domain.authority`.
    """

    OFFICE = "office"
    OFFICER = "officer"
    APPROVER = "approver"
    MONITOR = "monitor"
    INSPECTOR = "inspector"
    LEADER = "leader"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    CLOCK = "clock"


class Priority(StrEnum):
    KEY = "key"
    REGULAR = "regular"
    URGENT = "urgent"


class Secrecy(StrEnum):
    """Art. 5. The highest level (tuyệt mật) has no value here: it must never enter."""

    NORMAL = "normal"
    SECRET = "secret"  # noqa: S105 - a level
    TOP_SECRET = "top_secret"  # noqa: S105 - a level


class Timeliness(StrEnum):
    ON_TIME = "on_time"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often an open-ended or long task is reported on (Art. 6.2b, fourth line).

    ``before_day`` = 10 means "before the 10th": by the end of the 9th. Without it the report is due
    by the last day of the period. ``before_month`` (1 to 12) belongs to yearly reports only.
    """

    every: Literal["month", "quarter", "year"]
    before_day: int | None = None
    before_month: int | None = None


def format_recurrence(recurrence: Recurrence) -> dict[str, str | int]:
    """As it stands in the log: only the fields that are set."""
    fields = {
        "before_day": recurrence.before_day,
        "before_month": recurrence.before_month,
        "every": recurrence.every,
    }
    return {name: value for name, value in fields.items() if value is not None}


def parse_recurrence(value: object) -> Recurrence:
    """The recurrence of its written form. Raises ValueError for unknown fields and bad values."""
    match dict(value) if isinstance(value, Mapping) else {}:
        case {"every": "month" | "quarter" | "year" as every, **rest}:
            day, month = rest.pop("before_day", None), rest.pop("before_month", None)
            if not rest and _within(day, 31) and _within(month, 12 if every == "year" else 0):
                return Recurrence(every, day, month)
    raise ValueError("not a recurrence")


def _within(value: object, limit: int) -> bool:
    return value is None or (type(value) is int and 1 <= value <= limit)


@dataclass(frozen=True, slots=True)
class Terms:
    """By when: a due day, or none for a standing task, and how often it is reported on."""

    due_on: date | None
    updates: Recurrence | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """One running deadline: absolute, and enough to compute it again (`domain.timetable`).

    ``rule`` names the rule by which ``due`` follows from ``since`` and the task's terms.
    """

    rule: str
    since: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """What an officer entered: it counts only once a second person approves it (Art. 15.3).

    ``behalf`` is the absent person in whose place ``by`` entered it, if any.
    """

    by: str
    at: datetime
    command: str
    due_on: date | None = None
    endorsed: bool = False
    behalf: str | None = None

    @property
    def hands(self) -> frozenset[str]:
        """Everybody who counts as its maker."""
        return frozenset({self.by} | ({self.behalf} if self.behalf else set()))


@dataclass(frozen=True, slots=True)
class Task:
    """A task as its log entries left it. ``seq`` and ``head`` name the last of them.

    ``version`` and ``seen`` move with substantive steps only (see `domain.lifecycle`): they are
    what a person signs, so that a reminder by the clock does not void a signature in the making.
    """

    id: str
    header: str
    document: str
    secrecy: Secrecy
    priority: Priority
    lead: str
    coordinators: tuple[str, ...]
    monitor: str
    office: str
    terms: Terms
    state: State
    seq: int
    head: str
    version: int
    seen: str
    recorded_at: datetime
    transferred_at: datetime | None = None
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    missed: Mapping[str, Clock] = field(default_factory=dict)
    overdue: bool = False
    pending: Mapping[str, Pending] = field(default_factory=dict)
    kept: bool = False
    dispute_closed: Clock | None = None
    timeliness: Timeliness | None = None
    submitted_at: datetime | None = None
    rating: str | None = None
    hands: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def next_clock(self) -> tuple[str, Clock] | None:
        """The nearest running deadline, or None when nothing is awaited any more."""
        return min(self.clocks.items(), key=lambda item: (item[1].due, item[0]), default=None)
