from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import Calendar, Hours, SpecialDay
from domain.calendars import load
from domain.refusal import Refused
from domain.working_time import (
    Computation,
    add_months,
    after_working_day,
    after_working_days,
    after_working_hours,
    before_working_days,
    end_of_day,
)

VIETNAM = load()
LOCAL = timezone(timedelta(hours=7))
ODD_HOURS = VIETNAM.with_hours(
    Hours(frozenset({1, 3, 5}), ((time(0), time(0, 45)), (time(9, 10), time(23, 59))))
)
# Two years settled, one not, a leap day, three Tết breaks.
STARTS = st.datetimes(datetime(2023, 12, 20), datetime(2028, 3, 20), timezones=st.just(LOCAL))  # noqa: DTZ001
WHOLE_MINUTES = STARTS.map(lambda at: at.replace(second=0, microsecond=0))
DAYS = st.dates(date(2023, 12, 20), date(2028, 3, 20))
CALENDARS = st.sampled_from([VIETNAM, ODD_HOURS])


def at(text: str) -> datetime:
    """A local time; "24:00" is written as the next day's beginning."""
    day, clock = text.split()
    if clock == "24:00":
        return datetime.fromisoformat(f"{day}T00:00:00+07:00") + timedelta(days=1)
    return datetime.fromisoformat(f"{day}T{clock}+07:00")


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        # Before Tết: 1 h on Friday (16:30-17:30); 14-15 weekend, 16-20 Tết, 21-22 weekend;
        # 3 h on Monday: 07:30 + 3 h = 10:30.
        ("2026-02-13 16:30", 4, "2026-02-23 10:30"),
        # 1 h on Wednesday; 1 January holiday, 2 January swapped, 3-4 weekend; Monday 07:30 + 3 h.
        ("2025-12-31 16:30", 4, "2026-01-05 10:30"),
        # 1 h on Friday; Saturday 10 January made up: 07:30 + 3 h.
        ("2026-01-09 16:30", 4, "2026-01-10 10:30"),
        # 1 h on Friday; Saturday: 4 h to 11:30, then 3 h from 13:30.
        ("2026-01-09 16:30", 8, "2026-01-10 16:30"),
        # 1 h on Saturday 10 January; Sunday off; Monday 07:30 + 3 h.
        ("2026-01-10 16:30", 4, "2026-01-12 10:30"),
        # 0.5 h on Friday; Saturday 26 April 2025 made up: 07:30 + 3.5 h.
        ("2025-04-25 17:00", 4, "2025-04-26 11:00"),
        # 1 h on Tuesday; 30 April, 1 May, 2 May (swapped), 3-4 weekend; Monday 07:30 + 3 h.
        ("2025-04-29 16:30", 4, "2025-05-05 10:30"),
        # 1 h on Wednesday 28 February; Thursday 29 February is there: 07:30 + 3 h.
        ("2024-02-28 16:30", 4, "2024-02-29 10:30"),
        # 0.5 h on Thursday 29 February; Friday 1 March 07:30 + 3.5 h.
        ("2024-02-29 17:00", 4, "2024-03-01 11:00"),
        # 29 February 2028 is a Tuesday. 1 h on Monday, 7 h on Tuesday: 4 + 3 from 13:30.
        ("2028-02-28 16:30", 8, "2028-02-29 16:30"),
        # Across the year's end: 2 h on Tuesday 31 December 2024; 1 January off; Thursday 2 h.
        ("2024-12-31 15:30", 4, "2025-01-02 09:30"),
        # Month's end: 2 h on Tuesday 31 March 2026, 2 h on Wednesday 1 April.
        ("2026-03-31 15:30", 4, "2026-04-01 09:30"),
        # The swap round National Day: 1 h on Friday 21 August, 3 h on Saturday 22 August.
        ("2026-08-21 16:30", 4, "2026-08-22 10:30"),
        # 1 h on Friday 28 August; 29-30 weekend, 31 swapped, 1-2 September; Thursday 07:30 + 3 h.
        ("2026-08-28 16:30", 4, "2026-09-03 10:30"),
        # Before hours: begins at 07:30; 4 h end at 11:30, not at 13:30.
        ("2026-03-10 06:00", 4, "2026-03-10 11:30"),
        ("2026-03-10 07:30", 4, "2026-03-10 11:30"),
        # In the lunch break and at its first instant: begins at 13:30, ends at 17:30.
        ("2026-03-10 12:00", 4, "2026-03-10 17:30"),
        ("2026-03-10 11:30", 4, "2026-03-10 17:30"),
        # At closing time: begins next morning.
        ("2026-03-10 17:30", 4, "2026-03-11 11:30"),
        ("2026-03-10 17:30", 8, "2026-03-11 17:30"),
        # On a Sunday: all of it on Monday.
        ("2026-03-15 10:00", 4, "2026-03-16 11:30"),
        # Seconds are kept: 59 min 45 s on Tuesday, 3 h 0 min 15 s on Wednesday.
        ("2026-03-10 16:30:15", 4, "2026-03-11 10:30:15"),
    ],
)
def test_working_hours_end_where_the_hand_says(start: str, hours: int, due: str) -> None:
    assert after_working_hours(VIETNAM, at(start), hours).due == at(due)


def test_every_piece_of_the_way_across_tet_is_explained() -> None:
    found = after_working_hours(VIETNAM, at("2026-02-13 16:30"), 4)
    told = [
        (s.start, s.end, s.reason, s.counted, s.special.name_en if s.special else "")
        for s in found.segments
    ]
    hour, none = timedelta(hours=1), timedelta(0)
    f, m = "2026-02-13", "2026-02-23"
    assert told == [
        (at(f"{f} 16:30"), at(f"{f} 17:30"), "counted", hour, ""),
        (at(f"{f} 17:30"), at(f"{f} 24:00"), "outside_hours", none, ""),
        (at(f"{f} 24:00"), at("2026-02-15 24:00"), "weekend", none, ""),
        (at("2026-02-15 24:00"), at("2026-02-20 24:00"), "holiday", none, "Lunar New Year"),
        (at("2026-02-20 24:00"), at("2026-02-22 24:00"), "weekend", none, ""),
        (at("2026-02-22 24:00"), at(f"{m} 07:30"), "outside_hours", none, ""),
        (at(f"{m} 07:30"), at(f"{m} 10:30"), "counted", 3 * hour, ""),
    ]
    assert not found.unsettled


def test_lunch_and_make_up_days_are_named() -> None:
    found = after_working_hours(VIETNAM, at("2026-01-10 10:30"), 4)
    assert [s.reason for s in found.segments] == ["make_up", "lunch", "make_up"]
    assert found.segments[0].special is not None
    assert found.segments[0].special.name_vi == "Làm bù cho 2026-01-02"


def test_culture_day_is_counted_and_flagged() -> None:
    # 1 h on Monday 23 November, 3 h on Tuesday 24 November.
    found = after_working_hours(VIETNAM, at("2026-11-23 16:30"), 4)
    assert found.due == at("2026-11-24 10:30")
    assert found.unsettled
    assert found.segments[-1].special is not None
    assert found.segments[-1].special.name_en == "Vietnam Culture Day"


def test_what_rests_on_an_unannounced_year_is_flagged() -> None:
    assert after_working_hours(VIETNAM, at("2026-12-31 16:30"), 4).unsettled
    assert not after_working_hours(VIETNAM, at("2026-12-30 16:30"), 4).unsettled


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        # Tuesday is not counted: Wednesday.
        ("2026-03-10 08:00", 1, "2026-03-11 24:00"),
        ("2026-03-10 23:59", 1, "2026-03-11 24:00"),
        # Friday before Tết: 14-22 February off; Monday 23 is the first, Wednesday 25 the third.
        ("2026-02-13 16:30", 3, "2026-02-25 24:00"),
        # Friday 25 April 2025: the made-up Saturday is the first day.
        ("2025-04-25 09:00", 1, "2025-04-26 24:00"),
        # Tuesday 29 April 2025: 30 April to 4 May off; Monday 5 May is the first.
        ("2025-04-29 09:00", 1, "2025-05-05 24:00"),
        # Wednesday 31 December 2025: 1-4 January off; 5, 6, 7 January.
        ("2025-12-31 09:00", 3, "2026-01-07 24:00"),
        # Thursday 8 January 2026: Friday 9, Saturday 10 (made up), Monday 12.
        ("2026-01-08 09:00", 3, "2026-01-12 24:00"),
        # Tuesday 27 February 2024: 28, 29 February, 1 March.
        ("2024-02-27 09:00", 3, "2024-03-01 24:00"),
        # From a Sunday: Monday is the first.
        ("2026-03-15 09:00", 1, "2026-03-16 24:00"),
    ],
)
def test_working_days_end_where_the_hand_says(start: str, days: int, due: str) -> None:
    found = after_working_days(VIETNAM, at(start), days)
    assert found.due == at(due)
    assert found.segments[0].reason == "start_day"
    assert found.segments[-1].day == days


@pytest.mark.parametrize(
    ("day", "due", "reasons"),
    [
        ("2026-03-10", "2026-03-10 24:00", ["due_day"]),
        ("2026-01-10", "2026-01-10 24:00", ["due_day"]),
        ("2026-03-14", "2026-03-16 24:00", ["weekend", "moved_to_working_day"]),
        # Thursday 30 April 2026: 1 May a holiday too, 2-3 May a weekend; Monday 4 May.
        (
            "2026-04-30",
            "2026-05-04 24:00",
            ["holiday", "holiday", "weekend", "moved_to_working_day"],
        ),
        ("2024-02-29", "2024-02-29 24:00", ["due_day"]),
        # The last day of 2023 is a Sunday and 1 January a holiday; Tuesday 2 January 2024.
        ("2023-12-31", "2024-01-02 24:00", ["weekend", "holiday", "moved_to_working_day"]),
    ],
)
def test_a_term_ends_with_its_day_or_the_next_working_day(
    day: str, due: str, reasons: list[str]
) -> None:
    found = end_of_day(VIETNAM, date.fromisoformat(day))
    assert found.due == at(due)
    assert [s.reason for s in found.segments] == reasons


@pytest.mark.parametrize(
    ("day", "days", "opens"),
    [
        ("2026-03-20", 3, "2026-03-17 07:30"),
        # Monday 23 February 2026, after Tết: Friday 13 is the first before, Thursday 12 the second.
        ("2026-02-23", 2, "2026-02-12 07:30"),
        # Wednesday 18 February lies in Tết: Friday 13 is the first before it.
        ("2026-02-18", 1, "2026-02-13 07:30"),
        # Monday 12 January 2026: Saturday 10 was made up.
        ("2026-01-12", 1, "2026-01-10 07:30"),
        # Friday 1 March 2024: 29 February.
        ("2024-03-01", 1, "2024-02-29 07:30"),
    ],
)
def test_a_warning_opens_with_the_working_day_that_many_days_before(
    day: str, days: int, opens: str
) -> None:
    found = before_working_days(VIETNAM, date.fromisoformat(day), days)
    assert found.due == at(opens)
    assert found.segments[0].day == days
    assert found.segments[-1].end == at(f"{day} 00:00")


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-01-15", 1, "2026-02-15"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2025-12-31", 2, "2026-02-28"),
        ("2026-08-31", 6, "2027-02-28"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2026-05-31", 0, "2026-05-31"),
    ],
)
def test_months_are_calendar_months(day: str, months: int, later: str) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(later)


def tile(found: Computation, start: datetime, end: datetime) -> bool:
    """Whether the segments run from ``start`` to ``end`` without a gap or an empty piece."""
    return (
        found.segments[0].start == start
        and found.segments[-1].end == end
        and all(a.end == b.start for a, b in pairwise(found.segments))
        and all(s.start < s.end for s in found.segments)
    )


@given(CALENDARS, STARTS, st.integers(1, 40))
def test_the_pieces_of_hours_tile_the_way_and_add_up(
    calendar: Calendar, start: datetime, hours: int
) -> None:
    found = after_working_hours(calendar, start, hours)
    assert tile(found, start, found.due)
    assert sum((s.counted for s in found.segments), timedelta(0)) == timedelta(hours=hours)
    for s in found.segments:
        worked = s.reason in ("counted", "make_up")
        assert s.counted == (s.end - s.start if worked else timedelta(0))


@given(CALENDARS, STARTS, st.integers(1, 20), st.integers(1, 20))
def test_hours_after_hours_are_hours_added(
    calendar: Calendar, start: datetime, first: int, second: int
) -> None:
    midway = after_working_hours(calendar, start, first).due
    at_once = after_working_hours(calendar, start, first + second).due
    assert after_working_hours(calendar, midway, second).due == at_once


@given(CALENDARS, STARTS, STARTS, st.integers(1, 20))
def test_who_starts_later_ends_no_earlier(
    calendar: Calendar, one: datetime, two: datetime, hours: int
) -> None:
    early, late = sorted([one, two])
    first = after_working_hours(calendar, early, hours).due
    assert first <= after_working_hours(calendar, late, hours).due


@given(CALENDARS, STARTS, st.integers(1, 40))
def test_hours_end_within_a_span_or_at_its_end(
    calendar: Calendar, start: datetime, hours: int
) -> None:
    due = after_working_hours(calendar, start, hours).due
    spans = calendar.spans(calendar.local_day(due))
    assert any(opens < due <= closes for opens, closes in spans)
    assert due.tzinfo is UTC


@given(CALENDARS, STARTS, st.integers(1, 30))
def test_the_pieces_of_days_tile_the_way_and_are_numbered(
    calendar: Calendar, start: datetime, days: int
) -> None:
    found = after_working_days(calendar, start, days)
    assert tile(found, start, found.due)
    assert [s.day for s in found.segments if s.day] == list(range(1, days + 1))
    last = calendar.local_day(found.due - timedelta(seconds=1))
    assert calendar.is_working_day(last)
    assert found.due == calendar.instant(last + timedelta(days=1))


@given(CALENDARS, DAYS, st.integers(1, 30))
def test_working_days_before_and_after_meet(calendar: Calendar, day: date, days: int) -> None:
    opening = before_working_days(calendar, day, days)
    first = calendar.local_day(opening.due)
    assert tile(opening, opening.due, calendar.instant(day))
    assert opening.due == calendar.spans(first)[0][0]
    between = [first + timedelta(n) for n in range((day - first).days)]
    assert sum(calendar.is_working_day(d) for d in between) == days
    back = after_working_day(calendar, first, days).due
    assert back == end_of_day(calendar, day).due


SPANS = ((450, 690), (810, 1050))  # 07:30-11:30, 13:30-17:30, in minutes of the day


def a_minute_is_worked(minute: datetime) -> bool:
    """The oracle's own reading of the rows: no code shared with the calendar's methods."""
    day = minute.date()
    row = VIETNAM.special.get(day)
    fixed = day.year not in (2024, 2025, 2026) and (day.month, day.day) in {
        (1, 1),
        (4, 30),
        (5, 1),
        (9, 2),
    }
    off = fixed or (row is not None and row.kind == "off")
    worked = (day.weekday() < 5 and not off) or (row is not None and row.kind == "make_up")
    of_day = minute.hour * 60 + minute.minute
    return worked and any(opens <= of_day < closes for opens, closes in SPANS)


@settings(max_examples=300)
@given(WHOLE_MINUTES, st.integers(1, 16))
def test_hours_agree_with_counting_minute_by_minute(start: datetime, hours: int) -> None:
    minute, left = start, hours * 60
    while left:
        left -= a_minute_is_worked(minute)
        minute += timedelta(minutes=1)
    assert after_working_hours(VIETNAM, start, hours).due == minute


@pytest.mark.parametrize("amount", [0, -1, 10**9])
def test_durations_out_of_range_are_refused(amount: int) -> None:
    day = date(2026, 3, 10)
    calls: list[Callable[[], object]] = [
        lambda: after_working_hours(VIETNAM, at("2026-03-10 08:00"), amount),
        lambda: after_working_days(VIETNAM, at("2026-03-10 08:00"), amount),
        lambda: before_working_days(VIETNAM, day, amount),
    ]
    for call in calls:
        with pytest.raises(Refused, match="duration_out_of_range"):
            call()
    with pytest.raises(Refused, match="duration_out_of_range"):
        add_months(day, 10**9)


def test_days_out_of_range_are_refused() -> None:
    for day in (date.max, date(1969, 12, 31)):
        with pytest.raises(Refused, match="day_out_of_range"):
            end_of_day(VIETNAM, day)
    with pytest.raises(Refused, match="day_out_of_range"):
        add_months(date(2200, 12, 1), 1)


def test_a_calendar_without_working_days_is_refused_not_searched_for_ever() -> None:
    first = date(2026, 1, 1)
    days = [first + timedelta(n) for n in range(900)]
    barren = Calendar(
        version="barren",
        special={day: SpecialDay(day, "off", "Nghỉ", "Off", "test") for day in days},
        settled_from=first,
        settled_until=days[-1],
    )
    with pytest.raises(Refused, match="calendar_without_working_days"):
        after_working_hours(barren, at("2026-01-01 08:00"), 1)
    with pytest.raises(Refused, match="calendar_without_working_days"):
        end_of_day(barren, first)
    with pytest.raises(Refused, match="calendar_without_working_days"):
        before_working_days(barren, days[800], 1)


def test_a_naive_start_is_our_own_mistake() -> None:
    naive = datetime(2026, 3, 10, 8, 0)  # noqa: DTZ001  # the point
    with pytest.raises(ValueError, match="time zone"):
        after_working_hours(VIETNAM, naive, 4)
    with pytest.raises(ValueError, match="time zone"):
        after_working_days(VIETNAM, naive, 1)
