"""Working time over a calendar: every answer comes with the pieces that explain it.

Pure functions. Instants are aware datetimes in UTC; days are local dates of the calendar's zone. A
`Computation` holds the instant found and its `Segment`s: in order, without gaps, from where the
count begins to where it ends. An auditor adds them up and needs nothing else.

How a term runs (Civil Code 2015): one in hours starts at once (Art. 147.1); one in days does not
count the day it starts from (Art. 147.2); it ends at 24:00 of its last day (Art. 148.6) and, when
that day is a rest day or a holiday, at 24:00 of the next working day (Art. 148.5). 24:00 is given
as the first instant of the day after.

Raises Refused: "duration_out_of_range", "day_out_of_range" (years 1970 to 2200), and
"calendar_without_working_days" when 400 days in a row are not worked. A naive datetime is our own
mistake and raises ValueError.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from domain.calendar import Calendar, SpecialDay
from domain.refusal import Refused

Reason = Literal[
    "counted",
    "make_up",
    "lunch",
    "outside_hours",
    "weekend",
    "holiday",
    "start_day",
    "term",
    "due_day",
    "moved_to_working_day",
]

_DAY = timedelta(days=1)
_ZERO = timedelta(0)
_BARREN_DAYS = 400
_MAX_HOURS = 20_000
_MAX_DAYS = 5_000
_YEARS = range(1970, 2201)
# What is counted in days follows from the calendar value and the days alone, and busy days are
# asked for again and again: nearly every step sets a deadline counted from "now".
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Segment:
    """One explained piece of time, from ``start`` up to and without ``end``, both UTC.

    ``counted``: working time taken from the term here; zero where nothing counts. ``day``: the
    working day's number in a count of days (for "term": how many calendar days from the start), or
    0. ``special``: the holiday, make-up day or undecided day behind the reason; of a merged piece,
    the first. ``unsettled``: the calendar may still change here.
    """

    start: datetime
    end: datetime
    reason: Reason
    counted: timedelta = _ZERO
    day: int = 0
    special: SpecialDay | None = None
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class Computation:
    """The instant found (UTC) and the pieces that lead to it."""

    due: datetime
    segments: tuple[Segment, ...]

    @property
    def unsettled(self) -> bool:
        """Whether any day it rests on may still change."""
        return any(segment.unsettled for segment in self.segments)


def after_working_hours(calendar: Calendar, start: datetime, hours: int) -> Computation:
    """``hours`` (1 to 20,000) of working time after ``start``, exact to the microsecond.

    Outside working hours nothing runs. A term used up exactly when work stops ends there, not at
    the next morning's opening: the last instant that counted is the end.
    """
    _check("hours", hours, _MAX_HOURS)
    today = calendar.local_day(start)
    at, left = start.astimezone(UTC), timedelta(hours=hours)
    pieces: list[Segment] = []
    for day in _days(calendar, today):
        for piece in _pieces(calendar, day):
            begins = max(at, piece.start)
            if begins >= piece.end:
                continue
            runs = piece.reason in ("counted", "make_up")
            counted = min(left, piece.end - begins) if runs else _ZERO
            ends = begins + counted if runs else piece.end
            special, unsettled = piece.special, piece.unsettled
            _join(pieces, Segment(begins, ends, piece.reason, counted, 0, special, unsettled))
            left -= counted
            if not left:
                return Computation(ends, tuple(pieces))
    raise AssertionError("unreachable: _days ends by raising")


def after_working_days(calendar: Calendar, start: datetime, days: int) -> Computation:
    """24:00 local of the ``days``-th (1 to 5,000) working day after the local day of ``start``."""
    day = calendar.local_day(start)
    rest = after_working_day(calendar, day, days)
    first = Segment(
        start.astimezone(UTC),
        calendar.instant(day + _DAY),
        "start_day",
        unsettled=not calendar.is_settled(day),
    )
    return Computation(rest.due, (first, *rest.segments))


@lru_cache(maxsize=_REMEMBERED)
def after_working_day(calendar: Calendar, day: date, days: int) -> Computation:
    """The same counted from a day: ``day`` itself is not counted and not among the segments."""
    _check("days", days, _MAX_DAYS)
    pieces: list[Segment] = []
    number = 0
    for each in _days(calendar, day + _DAY):
        piece = _whole(calendar, each)
        if piece.reason in ("counted", "make_up"):
            number += 1
            piece = replace(piece, day=number)
        _join(pieces, piece)
        if number == days:
            return Computation(piece.end, tuple(pieces))
    raise AssertionError("unreachable: _days ends by raising")


@lru_cache(maxsize=_REMEMBERED)
def end_of_day(calendar: Calendar, day: date) -> Computation:
    """24:00 local of ``day`` or, when it is not worked, of the next working day (Art. 148.5)."""
    pieces: list[Segment] = []
    for each in _days(calendar, day):
        piece = _whole(calendar, each)
        if piece.reason in ("counted", "make_up"):
            reason: Reason = "due_day" if each == day else "moved_to_working_day"
            return Computation(piece.end, (*pieces, replace(piece, reason=reason)))
        _join(pieces, piece)
    raise AssertionError("unreachable: _days ends by raising")


@lru_cache(maxsize=_REMEMBERED)
def before_working_days(calendar: Calendar, day: date, days: int) -> Computation:
    """The opening of work on the working day that lies ``days`` (1 to 5,000) working days earlier.

    ``day`` is not counted; a day that is not worked gives the answer of the working day after it.
    The segments run from the opening to the beginning of ``day``; each working day's number is its
    distance from ``day``.
    """
    _check("days", days, _MAX_DAYS)
    pieces: list[Segment] = []
    number = 0
    for each in _days(calendar, day - _DAY, step=-_DAY):
        piece = _whole(calendar, each)
        if piece.reason in ("counted", "make_up"):
            number += 1
            piece = replace(piece, day=number)
        if number == days:
            opens = calendar.spans(each)[0][0]
            pieces.append(replace(piece, start=opens))
            joined: list[Segment] = []
            for found in reversed(pieces):
                _join(joined, found)
            return Computation(opens, tuple(joined))
        pieces.append(piece)
    raise AssertionError("unreachable: _days ends by raising")


def add_months(day: date, months: int) -> date:
    """The same day ``months`` later, or the last day of a month that lacks it (Art. 148.3)."""
    if abs(months) > 12 * len(_YEARS):
        raise Refused("duration_out_of_range", months=months)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year not in _YEARS:
        raise Refused("day_out_of_range", year=year)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _check(unit: str, amount: int, limit: int) -> None:
    if not 1 <= amount <= limit:
        raise Refused("duration_out_of_range", **{unit: amount})


def _days(calendar: Calendar, first: date, step: timedelta = _DAY) -> Iterator[date]:
    """Days from ``first`` on, for as long as working days keep turning up."""
    day, barren = first, 0
    while barren < _BARREN_DAYS:
        if day.year not in _YEARS:
            raise Refused("day_out_of_range", day=day.isoformat())
        yield day
        barren = 0 if calendar.is_working_day(day) else barren + 1
        day += step
    raise Refused(
        "calendar_without_working_days", version=calendar.version, first=first.isoformat()
    )


@lru_cache(maxsize=_REMEMBERED)
def _whole(calendar: Calendar, day: date) -> Segment:
    """``day`` from midnight to midnight as one piece."""
    special = calendar.special_on(day)
    off = calendar.why_not_working(day)
    worked: Reason = "make_up" if special is not None and special.kind == "make_up" else "counted"
    return Segment(
        calendar.instant(day),
        calendar.instant(day + _DAY),
        worked if off is None else off.reason,
        special=special,
        unsettled=not calendar.is_settled(day),
    )


@lru_cache(maxsize=_REMEMBERED)
def _pieces(calendar: Calendar, day: date) -> tuple[Segment, ...]:
    """``day`` from midnight to midnight, cut where work opens and closes."""
    whole = _whole(calendar, day)
    spans = calendar.spans(day)
    if not spans:
        return (whole,)
    pieces: list[Segment] = []
    at, gap = whole.start, replace(whole, reason="outside_hours", special=None)
    for opens, closes in spans:
        pieces.append(replace(gap, start=at, end=opens))
        pieces.append(replace(whole, start=opens, end=closes))
        at, gap = closes, replace(gap, reason="lunch")
    pieces.append(replace(gap, reason="outside_hours", start=at, end=whole.end))
    return tuple(pieces)


def _join(pieces: list[Segment], piece: Segment) -> None:
    """Append ``piece``, or lengthen the last one if both say the same and count nothing."""
    counts = piece.day or piece.counted
    if pieces and not counts and _meaning(pieces[-1]) == _meaning(piece):
        pieces[-1] = replace(pieces[-1], end=piece.end)
    else:
        pieces.append(piece)


def _meaning(piece: Segment) -> tuple[Reason, bool, tuple[str, str] | None]:
    special = piece.special
    names = None if special is None else (special.name_vi, special.source)
    return piece.reason, piece.unsettled, names
