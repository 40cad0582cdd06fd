"""How often a task is reported on, in words: ``hằng tháng trước ngày 10``, ``yearly before 10/11``.

    [hằng|hàng|mỗi] tháng|quý|năm [trước ngày D [tháng M]]      D/M may stand for "D tháng M"
    monthly|quarterly|yearly|annually|every month|quarter|year [before [the] D [month]]

A month belongs to yearly reports only. Case and accents don't count.
"""

import re
from collections.abc import Mapping
from typing import Literal

from domain.task import Recurrence, format_recurrence, parse_recurrence
from intake.raw import Cell, Fault, is_blank
from intake.words import LONGEST, fold

Period = Literal["month", "quarter", "year"]

_PERIODS: Mapping[str, Period] = {
    "thang": "month", "monthly": "month", "month": "month",
    "quy": "quarter", "quarterly": "quarter", "quarter": "quarter",
    "nam": "year", "yearly": "year", "annually": "year", "year": "year",
}  # fmt: skip
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_WORDS = re.compile(
    r"(?:hang |moi |every )?(?P<period>[a-z]+)"
    r"(?: (?:truoc ngay|truoc|before the|before) (?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:(?: thang| of)? (?P<month>\d{1,2}|[a-z]+))?)?"
)


def read_updates(cell: Cell) -> dict[str, str | int] | None:
    """The recurrence of a cell, in words or spelt out, as it stands in the log. Raises Fault."""
    if is_blank(cell):
        return None
    if isinstance(cell, str):
        return format_recurrence(_in_words(cell))
    if isinstance(cell, dict):
        return format_recurrence(_spelt_out(cell))
    raise Fault("bad_updates")


def format_updates(recurrence: Recurrence) -> str:
    """In Vietnamese words that `read_updates` reads: ``hằng năm trước ngày 10 tháng 11``."""
    period = {"month": "tháng", "quarter": "quý", "year": "năm"}[recurrence.every]
    text = f"hằng {period}"
    if recurrence.before_day:
        text += f" trước ngày {recurrence.before_day}"
    if recurrence.before_month:
        text += f" tháng {recurrence.before_month}"
    return text


def _in_words(text: str) -> Recurrence:
    match = _WORDS.fullmatch(fold(text[:LONGEST]))
    period = _PERIODS.get(match["period"]) if match else None
    if match is None or period is None:
        raise Fault("bad_updates")
    return _checked(period, _number(match["day"]), _month(match["month"]))


def _spelt_out(cell: Mapping[str, str]) -> Recurrence:
    if not cell.keys() <= {"every", "before_day", "before_month"}:
        raise Fault("bad_updates")
    period = _PERIODS.get(cell.get("every", ""))
    if period is None:
        raise Fault("bad_updates")
    return _checked(period, _number(cell.get("before_day")), _number(cell.get("before_month")))


def _checked(period: Period, day: int | None, month: int | None) -> Recurrence:
    # A month without a day, or a year's day without its month, would leave the day to guess.
    if (day is None and month is not None) or (period == "year" and day and month is None):
        raise Fault("bad_updates")
    recurrence = Recurrence(period, day, month)
    try:
        return parse_recurrence(format_recurrence(recurrence))
    except ValueError:
        raise Fault("bad_updates") from None


def _month(text: str | None) -> int | None:
    return _MONTHS.index(text) + 1 if text in _MONTHS else _number(text)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Fault("bad_updates")
    return int(text)
