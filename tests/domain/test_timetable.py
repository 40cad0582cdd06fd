from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import Calendar, SpecialDay
from domain.calendars import load
from domain.refusal import Refused
from domain.task import Clock, Priority, Recurrence, Terms
from domain.timetable import (
    RULES,
    TERM_CLOCKS,
    Length,
    clocks_at_transfer,
    confirm_clock,
    dispute_clock,
    evaluate_clock,
    explain,
    length_class,
    next_update,
    settle_clock,
    terms_clocks,
)

VIETNAM = load()
LOCAL = timezone(timedelta(hours=7))
KEY, REGULAR, URGENT = Priority.KEY, Priority.REGULAR, Priority.URGENT
STANDING = Terms(due_on=None)


def at(text: str) -> datetime:
    """A local time; "24:00" is written as the next day's beginning."""
    day, clock = text.split()
    if clock == "24:00":
        return datetime.fromisoformat(f"{day}T00:00:00+07:00") + timedelta(days=1)
    return datetime.fromisoformat(f"{day}T{clock}+07:00")


def until(due_on: str, updates: Recurrence | None = None) -> Terms:
    return Terms(date.fromisoformat(due_on), updates)


def dues(clocks: dict[str, Clock]) -> dict[str, datetime]:
    assert all(name == clock.rule for name, clock in clocks.items())
    return {name: clock.due for name, clock in clocks.items()}


def test_a_term_under_one_month_has_its_end_and_a_last_update() -> None:
    # Monday 2 March 2026, 09:00, due Friday 20 March.
    # confirm: 09:00-11:30 is 2.5 h, 1.5 h more from 13:30 = 15:00.
    # dispute: 2.5 h + 4 h = 6.5 h on Monday, 1.5 h from 07:30 on Tuesday = 09:00.
    # near due, 3 days: Thursday 19, Wednesday 18, Tuesday 17. Last update, 3 days: 23, 24, 25.
    clocks = clocks_at_transfer(until("2026-03-20"), REGULAR, at("2026-03-02 09:00"), VIETNAM)
    assert dues(clocks) == {
        "confirm": at("2026-03-02 15:00"),
        "dispute": at("2026-03-03 09:00"),
        "near_due": at("2026-03-17 07:30"),
        "due": at("2026-03-20 24:00"),
        "final_update": at("2026-03-25 24:00"),
    }


def test_a_term_of_one_to_three_months_is_updated_after_half_of_it() -> None:
    # 2 March to 30 April 2026: 29 + 30 = 59 days. Half is 29.5, so day 30: 1 April.
    # 30 April and 1 May are holidays, 2-3 May a weekend: the term ends on Monday 4 May.
    # near due, 5 days before: 29, 28, (27 in lieu of Hùng Kings, 26, 25 off), 24, 23, 22 April.
    # Last update, 3 days after 4 May: 5, 6, 7 May.
    clocks = terms_clocks(
        until("2026-04-30"), KEY, at("2026-03-02 09:00"), at("2026-03-02 09:00"), VIETNAM
    )
    assert dues(clocks) == {
        "near_due": at("2026-04-22 07:30"),
        "update_half": at("2026-04-01 24:00"),
        "due": at("2026-05-04 24:00"),
        "final_update": at("2026-05-07 24:00"),
    }


def test_a_term_of_three_to_six_months_is_updated_at_half_and_three_quarters() -> None:
    # 5 January to 5 May 2026: 26 + 28 + 31 + 30 + 5 = 120 days.
    # Half, 60: 26 + 28 = 54 to 28 February, so 6 March. Three quarters, 90: 30 more, 5 April, a
    # Sunday: Monday 6. Near due, 1 day before Tuesday 5 May: Monday 4.
    # Last update, 5 days: 6, 7, 8, 11, 12.
    clocks = terms_clocks(
        until("2026-05-05"), URGENT, at("2026-01-05 08:00"), at("2026-01-05 08:00"), VIETNAM
    )
    assert dues(clocks) == {
        "near_due": at("2026-05-04 07:30"),
        "update_half": at("2026-03-06 24:00"),
        "update_three_quarters": at("2026-04-06 24:00"),
        "due": at("2026-05-05 24:00"),
        "final_update": at("2026-05-12 24:00"),
    }


def test_a_term_of_six_months_is_updated_every_month_until_it_ends() -> None:
    # 5 January to 5 July 2026 is six months. 31 January is a Saturday: Monday 2 February.
    # 5 July is a Sunday: Monday 6; last update, 5 days: 7, 8, 9, 10, 13.
    # Near due, 3 days before 5 July: Friday 3, Thursday 2, Wednesday 1.
    terms, start = until("2026-07-05"), at("2026-01-05 08:00")
    assert dues(terms_clocks(terms, REGULAR, start, start, VIETNAM)) == {
        "near_due": at("2026-07-01 07:30"),
        "update": at("2026-02-02 24:00"),
        "due": at("2026-07-06 24:00"),
        "final_update": at("2026-07-13 24:00"),
    }
    june = next_update(terms, at("2026-05-31 24:00"), VIETNAM)
    # The point of May moved to Monday 1 June; June ends on a Tuesday; July ends after the term.
    assert june == Clock("update", at("2026-05-31 24:00"), at("2026-06-01 24:00"))
    june = next_update(terms, june.due, VIETNAM)
    assert june == Clock("update", at("2026-06-01 24:00"), at("2026-06-30 24:00"))
    assert next_update(terms, june.due, VIETNAM) is None


def test_a_point_that_falls_together_with_the_end_is_the_end() -> None:
    # Due on 31 July 2026, a Friday: what is owed that evening is the result.
    assert next_update(until("2026-07-31"), at("2026-07-10 08:00"), VIETNAM) is None


def test_a_standing_task_has_only_its_periodic_update() -> None:
    clocks = clocks_at_transfer(STANDING, KEY, at("2026-03-10 09:00"), VIETNAM)
    assert set(clocks) == {"confirm", "dispute", "update"}
    assert clocks["update"].due == at("2026-03-31 24:00")


def test_a_task_owes_no_report_for_a_period_that_was_over_before_it() -> None:
    # February 2026 ends on a Saturday, so its reports end with Monday 2 March. A task transferred
    # that Monday first reports on March; one that was running, and is replanned, on February.
    monday = at("2026-03-02 09:00")
    new = terms_clocks(STANDING, KEY, monday, monday, VIETNAM)
    assert new["update"].due == at("2026-03-31 24:00")
    running = terms_clocks(STANDING, KEY, at("2026-01-12 09:00"), monday, VIETNAM)
    assert running["update"].due == at("2026-03-02 24:00")
    steps = explain("update", running["update"], STANDING, KEY, at("2026-01-12 09:00"), VIETNAM)
    assert [(s.start, s.end, s.reason) for s in steps.segments] == [
        (monday, at("2026-03-02 24:00"), "moved_to_working_day")
    ]


@pytest.mark.parametrize(
    ("every", "before_day", "before_month", "since", "due"),
    [
        # Before the 10th: the 9th. 9 March 2026 is a Monday.
        ("month", 10, None, "2026-03-02 08:00", "2026-03-09 24:00"),
        # 9 May 2026 is a Saturday: Monday 11.
        ("month", 10, None, "2026-05-04 08:00", "2026-05-11 24:00"),
        # From the very end of a point: the next one. 9 June 2026 is a Tuesday.
        ("month", 10, None, "2026-05-11 24:00", "2026-06-09 24:00"),
        # 9 January 2026 is a Friday; the made-up Saturday does not matter.
        ("month", 10, None, "2025-12-31 08:00", "2026-01-09 24:00"),
        # Before the 11th of January 2026: the 10th, a Saturday, but made up.
        ("month", 11, None, "2026-01-02 08:00", "2026-01-10 24:00"),
        # Before the 20th of February 2026: the 19th lies in Tết; Monday 23.
        ("month", 20, None, "2026-02-10 08:00", "2026-02-23 24:00"),
        # Before the 1st: the last day of the month before. 31 March 2026 is a Tuesday.
        ("month", 1, None, "2026-03-05 08:00", "2026-03-31 24:00"),
        # Before the 31st, in February 2024: the 29th, a Thursday; in April: the 30th, a holiday,
        # then 1 May; Thursday 2 May.
        ("month", 31, None, "2024-02-10 08:00", "2024-02-29 24:00"),
        ("month", 31, None, "2024-04-10 08:00", "2024-05-02 24:00"),
        # Month's end: 29 February 2028, a Tuesday; 31 October 2026, a Saturday: Monday 2 November.
        ("month", None, None, "2028-02-10 08:00", "2028-02-29 24:00"),
        ("month", None, None, "2026-10-10 08:00", "2026-11-02 24:00"),
        # Quarters: 31 March 2026, a Tuesday; before the 25th of June: Wednesday 24.
        ("quarter", None, None, "2026-01-01 00:00", "2026-03-31 24:00"),
        ("quarter", None, None, "2026-03-31 24:00", "2026-06-30 24:00"),
        ("quarter", 25, None, "2026-04-01 08:00", "2026-06-24 24:00"),
        # Years: 31 December 2026 is a Thursday; of 2023 a Sunday, and 1 January off: 2 January.
        ("year", None, None, "2026-03-02 08:00", "2026-12-31 24:00"),
        ("year", None, None, "2023-12-31 08:00", "2024-01-02 24:00"),
        # Before 10 November: 9 November 2026 is a Monday, of 2025 a Sunday: Monday 10.
        ("year", 10, 11, "2026-03-02 08:00", "2026-11-09 24:00"),
        ("year", 10, 11, "2025-03-02 08:00", "2025-11-10 24:00"),
        ("year", 10, 11, "2025-11-10 24:00", "2026-11-09 24:00"),
        # Before 20 December 2026: 19 December is a Saturday: Monday 21.
        ("year", 20, 12, "2026-12-01 08:00", "2026-12-21 24:00"),
        # Before November: 31 October 2025 is a Friday.
        ("year", None, 11, "2025-03-02 08:00", "2025-10-31 24:00"),
    ],
)
def test_periodic_points_fall_where_the_hand_says(
    every: Literal["month", "quarter", "year"],
    before_day: int | None,
    before_month: int | None,
    since: str,
    due: str,
) -> None:
    terms = Terms(None, Recurrence(every, before_day, before_month))
    assert next_update(terms, at(since), VIETNAM) == Clock("update", at(since), at(due))


@pytest.mark.parametrize(
    "updates",
    [
        Recurrence("week"),  # type: ignore[arg-type]
        Recurrence("month", 0),
        Recurrence("month", 32),
        Recurrence("month", 10, 11),
        Recurrence("quarter", None, 3),
        Recurrence("year", 10, 13),
    ],
)
def test_a_malformed_recurrence_is_refused(updates: Recurrence) -> None:
    with pytest.raises(Refused, match="recurrence_malformed"):
        next_update(Terms(None, updates), at("2026-03-02 08:00"), VIETNAM)


@pytest.mark.parametrize(
    ("start", "due_on", "length"),
    [
        ("2026-01-15", "2026-01-15", Length.UNDER_1_MONTH),
        ("2026-01-15", "2026-02-14", Length.UNDER_1_MONTH),
        ("2026-01-15", "2026-02-15", Length.UNDER_3_MONTHS),
        # One month from 31 January ends with February.
        ("2026-01-31", "2026-02-27", Length.UNDER_1_MONTH),
        ("2026-01-31", "2026-02-28", Length.UNDER_3_MONTHS),
        ("2024-01-31", "2024-02-28", Length.UNDER_1_MONTH),
        ("2024-01-31", "2024-02-29", Length.UNDER_3_MONTHS),
        ("2026-01-15", "2026-04-14", Length.UNDER_3_MONTHS),
        ("2026-01-15", "2026-04-15", Length.UNDER_6_MONTHS),
        ("2026-01-15", "2026-07-14", Length.UNDER_6_MONTHS),
        ("2026-01-15", "2026-07-15", Length.FROM_6_MONTHS),
    ],
)
def test_the_class_of_a_term_goes_by_calendar_months(
    start: str, due_on: str, length: Length
) -> None:
    assert length_class(date.fromisoformat(start), date.fromisoformat(due_on)) is length


def test_a_warning_that_would_already_be_past_is_not_planned() -> None:
    # Transferred on Thursday, due on Friday: 3 working days before lie behind.
    clocks = clocks_at_transfer(until("2026-03-20"), REGULAR, at("2026-03-19 08:00"), VIETNAM)
    assert set(clocks) == {"confirm", "dispute", "due", "final_update"}
    # At the very instant of the warning there is nothing left to wait for: Tuesday 17, 07:30.
    start, warning = at("2026-03-02 09:00"), at("2026-03-17 07:30")
    assert "near_due" not in terms_clocks(until("2026-03-20"), REGULAR, start, warning, VIETNAM)


def test_a_task_may_be_due_on_the_day_it_is_transferred() -> None:
    clocks = clocks_at_transfer(until("2026-03-20"), URGENT, at("2026-03-20 16:00"), VIETNAM)
    assert clocks["due"].due == at("2026-03-20 24:00")
    steps = explain(
        "due", clocks["due"], until("2026-03-20"), URGENT, at("2026-03-20 16:00"), VIETNAM
    )
    assert [s.start for s in steps.segments] == [at("2026-03-20 16:00")]


def test_a_term_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(Refused, match="due_before_start"):
        clocks_at_transfer(until("2026-03-18"), KEY, at("2026-03-19 08:00"), VIETNAM)


def test_an_extension_replans_from_the_first_transfer() -> None:
    # 2 March, 20 March extended to 30 June 2026: 29 + 30 + 31 + 30 = 120 days, over 3 months.
    # Half, 60: 59 to 30 April, so 1 May, a holiday: Monday 4 May. Three quarters, 90: 31 May, a
    # Sunday: Monday 1 June. Near due, 3 before Tuesday 30: 29, 26, 25 June. Last, 5: 1, 2, 3, 6, 7.
    start, terms = at("2026-03-02 09:00"), until("2026-06-30")
    planned = terms_clocks(terms, REGULAR, start, at("2026-03-18 10:00"), VIETNAM)
    assert dues(planned) == {
        "near_due": at("2026-06-25 07:30"),
        "update_half": at("2026-05-04 24:00"),
        "update_three_quarters": at("2026-06-01 24:00"),
        "due": at("2026-06-30 24:00"),
        "final_update": at("2026-07-07 24:00"),
    }
    assert all(clock.since == start for clock in planned.values())
    later = terms_clocks(terms, REGULAR, start, at("2026-05-10 10:00"), VIETNAM)
    assert "update_half" not in later
    assert later["update_three_quarters"] == planned["update_three_quarters"]


def test_being_late_does_not_unplan_the_end() -> None:
    start, now = at("2026-03-02 09:00"), at("2026-04-15 09:00")
    assert set(terms_clocks(until("2026-03-20"), KEY, start, now, VIETNAM)) == {
        "due",
        "final_update",
    }


def test_single_clocks_end_where_the_hand_says() -> None:
    # Friday 13 February 2026, 16:30: 1 h, then Tết; Monday 23: 3 h more, or 7 h more.
    friday = at("2026-02-13 16:30")
    assert confirm_clock(friday, VIETNAM) == Clock("confirm", friday, at("2026-02-23 10:30"))
    assert dispute_clock(friday, VIETNAM) == Clock("dispute", friday, at("2026-02-23 16:30"))
    # 1 working day: Monday 23. 3 working days: 23, 24, 25.
    assert settle_clock(friday, VIETNAM) == Clock("settle", friday, at("2026-02-23 24:00"))
    assert evaluate_clock(friday, VIETNAM) == Clock("evaluate", friday, at("2026-02-25 24:00"))


@pytest.mark.parametrize("make", [confirm_clock, dispute_clock, settle_clock, evaluate_clock])
def test_single_clocks_are_explained_from_their_beginning(
    make: Callable[[datetime, Calendar], Clock],
) -> None:
    clock = make(at("2026-02-13 16:30"), VIETNAM)
    steps = explain(clock.rule, clock, STANDING, KEY, at("2026-01-05 08:00"), VIETNAM)
    assert (steps.segments[0].start, steps.due) == (clock.since, clock.due)
    assert "holiday" in {s.reason for s in steps.segments}


def test_a_new_calendar_moves_the_clocks_it_touches() -> None:
    # Were 24 November 2026 off, Monday 23 at 16:30 + 4 h would end on Wednesday: 1 h + 3 h.
    day = date(2026, 11, 24)
    off = SpecialDay(day, "off", "Ngày Văn hóa Việt Nam", "Vietnam Culture Day", "a later act")
    later = replace(VIETNAM, version="later", special={**VIETNAM.special, day: off})
    assert confirm_clock(at("2026-11-23 16:30"), VIETNAM).due == at("2026-11-24 10:30")
    assert confirm_clock(at("2026-11-23 16:30"), later).due == at("2026-11-25 10:30")


def test_the_steps_of_a_moved_point_can_be_read() -> None:
    # Transferred on 5 January 2026; three quarters of 120 days fall on Sunday 5 April.
    start, terms = at("2026-01-05 08:00"), until("2026-05-05")
    clock = terms_clocks(terms, KEY, start, start, VIETNAM)["update_three_quarters"]
    steps = explain(clock.rule, clock, terms, KEY, start, VIETNAM)
    assert [(s.start, s.end, s.reason, s.day) for s in steps.segments] == [
        (start, at("2026-04-05 00:00"), "term", 90),
        (at("2026-04-05 00:00"), at("2026-04-05 24:00"), "weekend", 0),
        (at("2026-04-05 24:00"), at("2026-04-06 24:00"), "moved_to_working_day", 0),
    ]


def test_only_known_rules_are_explained_and_only_where_they_apply() -> None:
    clock = confirm_clock(at("2026-03-02 09:00"), VIETNAM)
    with pytest.raises(Refused, match="unknown_rule"):
        explain("nap", clock, STANDING, KEY, clock.since, VIETNAM)
    with pytest.raises(Refused, match="rule_without_due_day"):
        explain("due", clock, STANDING, KEY, clock.since, VIETNAM)


STARTS = st.datetimes(datetime(2023, 12, 20), datetime(2028, 3, 20), timezones=st.just(LOCAL))  # noqa: DTZ001
RECURRENCES = st.none() | st.one_of(
    st.builds(Recurrence, st.sampled_from(["month", "quarter"]), st.none() | st.integers(1, 31)),
    st.builds(
        Recurrence,
        st.just("year"),
        st.none() | st.integers(1, 31),
        st.none() | st.integers(1, 12),
    ),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Terms, Priority, datetime, datetime]:
    start = draw(STARTS)
    day = VIETNAM.local_day(start)
    due_on = draw(st.none() | st.integers(0, 500).map(lambda n: day + timedelta(n)))
    now = start + draw(st.timedeltas(timedelta(0), timedelta(days=600)))
    return Terms(due_on, draw(RECURRENCES)), draw(st.sampled_from(Priority)), start, now


@given(cases())
def test_every_planned_clock_can_be_explained_to_the_same_instant(
    case: tuple[Terms, Priority, datetime, datetime],
) -> None:
    terms, priority, start, now = case
    planned = clocks_at_transfer(terms, priority, start, VIETNAM)
    again = terms_clocks(terms, priority, start, now, VIETNAM)
    assert set(again) <= TERM_CLOCKS
    for clock in (*planned.values(), *again.values()):
        steps = explain(clock.rule, clock, terms, priority, start, VIETNAM)
        assert steps.due == clock.due
        assert all(a.end == b.start for a, b in pairwise(steps.segments))
        assert all(s.start < s.end for s in steps.segments)
        edges = {steps.segments[0].start, steps.segments[-1].end}
        assert clock.due in edges
        assert clock.rule == "near_due" or clock.since in edges
        assert RULES[clock.rule].source
    always = {"due", "final_update"}
    assert all(clock.due > now for name, clock in again.items() if name not in always)


@given(cases())
def test_no_warning_or_update_comes_after_the_end(
    case: tuple[Terms, Priority, datetime, datetime],
) -> None:
    terms, priority, start, _ = case
    clocks = terms_clocks(terms, priority, start, start, VIETNAM)
    for name in clocks.keys() - {"due", "final_update"}:
        assert terms.due_on is None or start < clocks[name].due <= clocks["due"].due
    assert "due" not in clocks or clocks["due"].due < clocks["final_update"].due


@given(STARTS, RECURRENCES)
def test_periodic_points_follow_one_another_period_by_period(
    since: datetime, updates: Recurrence | None
) -> None:
    terms = Terms(None, updates)
    every = "month" if updates is None else updates.every
    first = next_update(terms, since, VIETNAM)
    assert first is not None
    second = next_update(terms, first.due, VIETNAM)
    assert second is not None
    shortest, longest = {"month": (15, 45), "quarter": (75, 105), "year": (350, 380)}[every]
    assert since < first.due
    assert timedelta(shortest) <= second.due - first.due <= timedelta(longest)
