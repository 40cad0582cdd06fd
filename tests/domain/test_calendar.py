from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from unicodedata import is_normalized, normalize

import holidays
import pytest

from domain.calendar import Calendar, Hours, SpecialDay
from domain.calendars import LATEST, load
from domain.refusal import Refused

VIETNAM = load(LATEST)
SATURDAY = 5


def plain(**changes: Any) -> Calendar:
    fields: dict[str, Any] = {
        "version": "plain",
        "special": {},
        "settled_from": date(2026, 1, 1),
        "settled_until": date(2026, 12, 31),
    }
    return Calendar(**(fields | changes))


def test_a_plain_weekday_is_worked_in_two_spans_given_in_utc() -> None:
    # Vietnam is UTC+7: 07:30 there is 00:30 UTC.
    assert VIETNAM.spans(date(2026, 3, 10)) == (
        (datetime(2026, 3, 10, 0, 30, tzinfo=UTC), datetime(2026, 3, 10, 4, 30, tzinfo=UTC)),
        (datetime(2026, 3, 10, 6, 30, tzinfo=UTC), datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
    )


def test_a_day_off_has_no_spans_and_says_why() -> None:
    tet = VIETNAM.why_not_working(date(2026, 2, 17))
    assert VIETNAM.spans(date(2026, 2, 17)) == ()
    assert tet is not None
    assert tet.special is not None
    assert (tet.reason, tet.special.name_vi) == ("holiday", "Tết Nguyên đán")
    assert "9859/VPCP-KGVX" in tet.special.source
    sunday = VIETNAM.why_not_working(date(2026, 3, 15))
    assert sunday is not None
    assert (sunday.reason, sunday.special) == ("weekend", None)
    assert VIETNAM.why_not_working(date(2026, 3, 16)) is None


@pytest.mark.parametrize(
    ("off", "made_up"),
    [
        (date(2024, 4, 29), date(2024, 5, 4)),
        (date(2025, 5, 2), date(2025, 4, 26)),
        (date(2026, 1, 2), date(2026, 1, 10)),
        (date(2026, 8, 31), date(2026, 8, 22)),
    ],
)
def test_a_swapped_day_is_off_and_its_saturday_is_worked(off: date, made_up: date) -> None:
    assert made_up.weekday() == SATURDAY
    assert not VIETNAM.is_working_day(off)
    assert VIETNAM.is_working_day(made_up)
    assert VIETNAM.is_settled(off)
    assert VIETNAM.is_settled(made_up)


def test_culture_day_is_worked_and_flagged_until_the_law_is_confirmed() -> None:
    day = date(2026, 11, 24)
    special = VIETNAM.special_on(day)
    assert VIETNAM.is_working_day(day)
    assert not VIETNAM.is_settled(day)
    assert special is not None
    assert "80-NQ/TW" in special.source


def test_an_undecided_day_is_worked_only_if_its_weekday_is() -> None:
    days = [date(2026, 6, 7), date(2026, 6, 8)]  # a Sunday and a Monday
    rows = {d: SpecialDay(d, "undecided", "Chờ", "Awaited", "test", settled=False) for d in days}
    assert [plain(special=rows).is_working_day(day) for day in days] == [False, True]


def test_nothing_of_2027_is_settled() -> None:
    days = [date(2027, 1, 1) + timedelta(n) for n in range(365)]
    assert not any(VIETNAM.is_settled(day) for day in days)
    assert not VIETNAM.is_working_day(date(2027, 2, 8))
    # Whether 4 or 11 February is off depends on a decision that is still to come.
    assert VIETNAM.is_working_day(date(2027, 2, 4))
    assert VIETNAM.is_working_day(date(2027, 2, 11))


def test_every_row_of_a_settled_year_is_settled_but_for_two_days() -> None:
    open_rows = {d for d, row in VIETNAM.special.items() if not row.settled and d.year < 2027}
    assert open_rows == {date(2026, 11, 23), date(2026, 11, 24)}


def test_every_row_differs_from_the_plain_week_or_names_a_holiday_and_cites_its_source() -> None:
    for day, row in VIETNAM.special.items():
        assert row.source
        assert row.name_vi
        assert row.name_en
        assert row.kind != "make_up" or day.weekday() >= SATURDAY


def test_each_year_has_the_eleven_holidays_of_the_labour_code() -> None:
    # 1 New Year + 5 Tết + 1 Hùng Kings + 1 + 1 + 2 National Day = 11, each as one day off on a
    # weekday (Art. 111.3 replaces those on weekends). A swap adds a day off and a day worked.
    for year, swaps in ((2024, 1), (2025, 1), (2026, 2)):
        rows = [row for day, row in VIETNAM.special.items() if day.year == year]
        off = [row for row in rows if row.kind == "off" and row.day.weekday() < SATURDAY]
        assert len(off) == 11 + swaps
        assert sum(row.kind == "make_up" for row in rows) == swaps


def test_outside_the_settled_range_only_fixed_holidays_are_known() -> None:
    assert not VIETNAM.is_working_day(date(2031, 5, 1))
    assert not VIETNAM.is_settled(date(2031, 5, 1))
    assert VIETNAM.is_working_day(date(2031, 5, 2))
    assert not VIETNAM.is_settled(date(2031, 5, 2))
    assert not VIETNAM.is_working_day(date(2023, 9, 2))


def test_within_the_settled_range_the_rows_alone_decide() -> None:
    assert plain().is_working_day(date(2026, 5, 1))
    assert not plain().is_working_day(date(2027, 1, 1))


def test_the_published_version_never_changes() -> None:
    # Open tasks name this version in signed records: new facts need a new version.
    assert VIETNAM.digest() == "2be96d51f7f2733a3d85a4bbddcf2074c1bc4ab1b6e924dd89d56e1faf8db5ea"


def test_the_digest_is_taken_over_the_canonical_text() -> None:
    assert VIETNAM.digest() == sha256(VIETNAM.text().encode("utf-8")).hexdigest()
    assert is_normalized("NFC", VIETNAM.text())


def test_equal_calendars_have_equal_digests_whatever_the_order_and_form_of_their_rows() -> None:
    name = "Giỗ Tổ Hùng Vương"
    rows = [
        SpecialDay(date(2026, 4, 26), "off", name, "Hùng Kings", "law"),
        SpecialDay(date(2026, 4, 27), "off", normalize("NFD", name), "Hùng Kings", "law"),
    ]
    one = plain(special={row.day: row for row in rows})
    two = plain(special={row.day: row for row in reversed(rows)})
    assert one == two
    assert hash(one) == hash(two)
    assert one.digest() == two.digest()
    assert {row.name_vi for row in one.special.values()} == {name}


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, version="other"),
        lambda c: replace(c, zone="Asia/Bangkok"),
        lambda c: c.with_hours(Hours(spans=((time(8), time(12)),))),
        lambda c: c.with_hours(Hours(weekdays=frozenset(range(6)))),
        lambda c: replace(c, settled_until=date(2027, 12, 31)),
        lambda c: replace(c, special=dict(list(c.special.items())[1:])),
        lambda c: replace(
            c,
            special={
                **c.special,
                date(2026, 11, 24): replace(c.special[date(2026, 11, 24)], kind="off"),
            },
        ),
    ],
)
def test_any_change_of_a_calendar_changes_its_digest(
    change: Callable[[Calendar], Calendar],
) -> None:
    assert change(VIETNAM).digest() != VIETNAM.digest()


def test_an_agency_has_its_own_week_under_the_same_holidays() -> None:
    saturdays = VIETNAM.with_hours(Hours(frozenset(range(6)), ((time(8), time(12)),)))
    assert saturdays.is_working_day(date(2026, 3, 14))
    assert not saturdays.is_working_day(date(2024, 2, 10)), "a holiday on a Saturday"
    assert saturdays.version == VIETNAM.version


def test_a_calendar_cannot_be_changed_from_outside() -> None:
    rows = {date(2026, 6, 1): SpecialDay(date(2026, 6, 1), "off", "Nghỉ", "Off", "test")}
    calendar = plain(special=rows)
    rows.clear()
    assert not calendar.is_working_day(date(2026, 6, 1))
    with pytest.raises(TypeError):
        calendar.special[date(2026, 6, 2)] = rows  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        calendar.version = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("weekdays", "spans"),
    [
        (frozenset(), ((time(8), time(12)),)),
        (frozenset({7}), ((time(8), time(12)),)),
        (frozenset({0}), ()),
        (frozenset({0}), ((time(12), time(8)),)),
        (frozenset({0}), ((time(8), time(8)),)),
        (frozenset({0}), ((time(8), time(12)), (time(12), time(17)))),
        (frozenset({0}), ((time(13), time(17)), (time(8), time(12)))),
        (frozenset({0}), ((time(8, 0, 30), time(12)),)),
        (frozenset({0}), ((time(8, tzinfo=UTC), time(12, tzinfo=UTC)),)),
    ],
)
def test_malformed_hours_are_refused(
    weekdays: frozenset[int], spans: tuple[tuple[time, time], ...]
) -> None:
    with pytest.raises(Refused, match="hours_malformed"):
        Hours(weekdays, spans)


def test_malformed_calendars_are_refused() -> None:
    row = SpecialDay(date(2026, 6, 1), "off", "Nghỉ", "Off", "test")
    for changes in (
        {"special": {date(2026, 6, 2): row}},
        {"settled_until": date(2025, 12, 31)},
        {"zone": "Asia/Atlantis"},
        {"zone": "../etc"},
        {"zone": "Asia"},
    ):
        with pytest.raises(Refused, match="calendar_malformed"):
            plain(**changes)
    with pytest.raises(Refused, match="special_day_malformed"):
        replace(row, kind="half")  # type: ignore[arg-type]
    with pytest.raises(Refused, match="special_day_malformed"):
        replace(row, kind="undecided", settled=True)
    with pytest.raises(Refused, match="unknown_calendar"):
        load("vn-1945")


def test_a_local_day_needs_a_time_zone() -> None:
    assert VIETNAM.local_day(datetime(2026, 3, 9, 17, 0, tzinfo=UTC)) == date(2026, 3, 10)
    with pytest.raises(ValueError, match="time zone"):
        VIETNAM.local_day(datetime(2026, 3, 9, 17, 0))  # noqa: DTZ001  # the point


def test_the_holidays_package_agrees_except_where_we_know_why() -> None:
    theirs = holidays.country_holidays("VN", years=range(2024, 2028))
    days = [date(2024, 1, 1) + timedelta(n) for n in range(1461)]
    we_are_off = {d for d in days if d.weekday() < SATURDAY and not VIETNAM.is_working_day(d)}
    they_are_off = {d for d in days if d.weekday() < SATURDAY and d in theirs}
    assert we_are_off - they_are_off == {
        date(2026, 1, 2),  # swapped with 10 January by 12729/VPCP-KGVX, which the package lacks
    }
    assert they_are_off - we_are_off == {
        date(2026, 11, 24),  # Culture Day: the package cites the Party resolution, not a law
        date(2027, 11, 24),  # likewise
        date(2027, 2, 4),  # one of the two ways to lay Tết 2027; the decision is awaited
        date(2027, 9, 3),  # one of the two neighbours of National Day; the decision is awaited
    }
    we_make_up = {d for d in days if d.weekday() >= SATURDAY and VIETNAM.is_working_day(d)}
    they_make_up = {d for d in theirs.weekend_workdays if d.year in range(2024, 2028)}
    assert we_make_up - they_make_up == {date(2026, 1, 10)}
    assert they_make_up <= we_make_up
