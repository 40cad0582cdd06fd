"""Vietnam's public-sector calendar, 2024 to 2027, as data.

What the law fixes: Labour Code 2019 (45/2019/QH14), Art. 112.1 names the holidays (New Year 1 day,
Tết 5, Hùng Kings 1, 30 April, 1 May, National Day 2 September and one day beside it); Art. 111.3
gives the next working day when one of them falls on a weekly rest day; Art. 112.3 leaves the days
of Tết and the second National Day to a yearly decision. That decision is the Prime Minister's,
passed on by the Government Office (VPCP); since Decree 128/2025/NĐ-CP, Art. 7.2, the Minister of
Home Affairs announces it. A swap (a working day off, a rest day worked) exists only by decision.

Settled: 2024, 2025 and 2026, each row by what it cites, except two days in November 2026.

Not settled:

* 24 November, Vietnam Culture Day. Politburo Resolution 80-NQ/TW of 7 January 2026 holds that it
  should be a paid day off; Government Resolution 30/NQ-CP of 2026 plans to amend Art. 112.1; the
  National Assembly debated a draft resolution on 20 April 2026. Lists kept by third parties count
  the day as a holiday and speak of a proposed four-day break, which would free Monday 23 November
  against some Saturday. The act itself, its date and any swap could not be confirmed when this
  version was made. Both days are therefore worked here, and every computation that touches them
  says so. An Office that holds the act publishes a later version; open tasks are planned again.
* All of 2027. No decision on Tết, the second National Day or swaps could be confirmed. Tết is
  6 February 2027, a Saturday. Whether one day off or two precede it, 5, 8, 9 and 10 February are
  off (the last by Art. 111.3); 4 or 11 February depends on that choice and stays undecided, as
  does 1 or 3 September. Hùng Kings' Day is the 10th of the third lunar month, 16 April.
"""

from datetime import date

from domain.calendar import Calendar, Kind, SpecialDay

VERSION = "vn-2026.11"

_LAW = "Labour Code 2019, Art. 112.1"
_REST = "Labour Code 2019, Art. 111.3"
_PLAN_2024 = "Government Office 8662/VPCP-KGVX, 3 November 2023"
_SWAP_2024 = "Government Office 2450/VPCP-KGVX, 12 April 2024"
_PLAN_2025 = "Government Office 8726/VPCP-KGVX, 26 November 2024; MoLISA notice 6150/TB-BLĐTBXH"
_PLAN_2026 = "Government Office 9859/VPCP-KGVX, 13 October 2025"
_SWAP_2026 = "Government Office 12729/VPCP-KGVX, 25 December 2025"
_CULTURE = "Politburo Resolution 80-NQ/TW, 7 January 2026; the act that enacts it not confirmed"
_AWAITED = "Labour Code 2019, Art. 112.3: the decision for 2027 is awaited"

_NEW_YEAR = ("Tết Dương lịch", "New Year's Day")
_TET = ("Tết Nguyên đán", "Lunar New Year")
_TET_REST = ("Nghỉ bù Tết Nguyên đán", "Lunar New Year, day in lieu")
_HUNG = ("Giỗ Tổ Hùng Vương", "Hùng Kings' Commemoration Day")
_HUNG_REST = ("Nghỉ bù Giỗ Tổ Hùng Vương", "Hùng Kings' Commemoration Day, day in lieu")
_APRIL_30 = ("Ngày Chiến thắng", "Reunification Day")
_LABOUR = ("Ngày Quốc tế lao động", "International Labour Day")
_LABOUR_REST = ("Nghỉ bù Ngày Quốc tế lao động", "International Labour Day, day in lieu")
_NATIONAL = ("Quốc khánh", "National Day")
_CULTURE_DAY = ("Ngày Văn hóa Việt Nam", "Vietnam Culture Day")
_CULTURE_SWAP = ("Đề xuất nghỉ hoán đổi Ngày Văn hóa", "Proposed swap before Vietnam Culture Day")

_Row = tuple[str, Kind, tuple[str, str], str]


def _swapped(off: str, worked: str, source: str) -> tuple[_Row, _Row]:
    """A working day given off, and the rest day worked in exchange."""
    return (
        (off, "off", (f"Nghỉ hoán đổi, làm bù {worked}", f"Day off, made up on {worked}"), source),
        (worked, "make_up", (f"Làm bù cho {off}", f"Working day in place of {off}"), source),
    )


_SETTLED: tuple[_Row, ...] = (
    ("2024-01-01", "off", _NEW_YEAR, _LAW),
    ("2024-02-08", "off", _TET, _PLAN_2024),
    ("2024-02-09", "off", _TET, _PLAN_2024),
    ("2024-02-10", "off", _TET, _PLAN_2024),
    ("2024-02-11", "off", _TET, _PLAN_2024),
    ("2024-02-12", "off", _TET, _PLAN_2024),
    ("2024-02-13", "off", _TET_REST, _PLAN_2024),
    ("2024-02-14", "off", _TET_REST, _PLAN_2024),
    ("2024-04-18", "off", _HUNG, _LAW),
    *_swapped("2024-04-29", "2024-05-04", _SWAP_2024),
    ("2024-04-30", "off", _APRIL_30, _LAW),
    ("2024-05-01", "off", _LABOUR, _LAW),
    ("2024-09-02", "off", _NATIONAL, _PLAN_2024),
    ("2024-09-03", "off", _NATIONAL, _PLAN_2024),
    ("2025-01-01", "off", _NEW_YEAR, _LAW),
    ("2025-01-27", "off", _TET, _PLAN_2025),
    ("2025-01-28", "off", _TET, _PLAN_2025),
    ("2025-01-29", "off", _TET, _PLAN_2025),
    ("2025-01-30", "off", _TET, _PLAN_2025),
    ("2025-01-31", "off", _TET, _PLAN_2025),
    ("2025-04-07", "off", _HUNG, _LAW),
    ("2025-04-30", "off", _APRIL_30, _LAW),
    ("2025-05-01", "off", _LABOUR, _LAW),
    *_swapped("2025-05-02", "2025-04-26", _PLAN_2025),
    ("2025-09-01", "off", _NATIONAL, _PLAN_2025),
    ("2025-09-02", "off", _NATIONAL, _PLAN_2025),
    ("2026-01-01", "off", _NEW_YEAR, _LAW),
    *_swapped("2026-01-02", "2026-01-10", _SWAP_2026),
    ("2026-02-16", "off", _TET, _PLAN_2026),
    ("2026-02-17", "off", _TET, _PLAN_2026),
    ("2026-02-18", "off", _TET, _PLAN_2026),
    ("2026-02-19", "off", _TET, _PLAN_2026),
    ("2026-02-20", "off", _TET, _PLAN_2026),
    ("2026-04-26", "off", _HUNG, _LAW),
    ("2026-04-27", "off", _HUNG_REST, _REST),
    ("2026-04-30", "off", _APRIL_30, _LAW),
    ("2026-05-01", "off", _LABOUR, _LAW),
    *_swapped("2026-08-31", "2026-08-22", _PLAN_2026),
    ("2026-09-01", "off", _NATIONAL, _PLAN_2026),
    ("2026-09-02", "off", _NATIONAL, _PLAN_2026),
)

_UNSETTLED: tuple[_Row, ...] = (
    ("2026-11-23", "undecided", _CULTURE_SWAP, _CULTURE),
    ("2026-11-24", "undecided", _CULTURE_DAY, _CULTURE),
    ("2027-01-01", "off", _NEW_YEAR, _LAW),
    ("2027-02-04", "undecided", _TET, _AWAITED),
    ("2027-02-05", "off", _TET, _AWAITED),
    ("2027-02-06", "off", _TET, _AWAITED),
    ("2027-02-07", "off", _TET, _AWAITED),
    ("2027-02-08", "off", _TET, _AWAITED),
    ("2027-02-09", "off", _TET, _AWAITED),
    ("2027-02-10", "off", _TET_REST, _AWAITED),
    ("2027-02-11", "undecided", _TET_REST, _AWAITED),
    ("2027-04-16", "off", _HUNG, _LAW),
    ("2027-04-30", "off", _APRIL_30, _LAW),
    ("2027-05-01", "off", _LABOUR, _LAW),
    ("2027-05-03", "off", _LABOUR_REST, _REST),
    ("2027-09-01", "undecided", _NATIONAL, _AWAITED),
    ("2027-09-02", "off", _NATIONAL, _LAW),
    ("2027-09-03", "undecided", _NATIONAL, _AWAITED),
    ("2027-11-24", "undecided", _CULTURE_DAY, _CULTURE),
)


def build() -> Calendar:
    """The calendar of `VERSION` with the default hours."""
    rows = [(row, True) for row in _SETTLED] + [(row, False) for row in _UNSETTLED]
    days = [
        SpecialDay(date.fromisoformat(day), kind, *names, source, settled)
        for (day, kind, names, source), settled in rows
    ]
    return Calendar(
        version=VERSION,
        special={row.day: row for row in days},
        settled_from=date(2024, 1, 1),
        settled_until=date(2026, 12, 31),
    )
