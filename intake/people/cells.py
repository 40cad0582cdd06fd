"""One cell at a time: its value, or a Fault."""

import re
from collections.abc import Container
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from unicodedata import category, normalize
from zoneinfo import ZoneInfo

from domain.directory import SERVICE
from intake.cells import FIRST_YEAR, read_day
from intake.people import words
from intake.raw import Cell, Fault, is_blank

MAX_ID = 80
MAX_LINE = 400
"""Characters of a name or a title."""

_ID = re.compile(r"[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*")
# Nine digits are an old identity card, twelve a citizen's number (12 digits since 2016).
_PERSONAL_NUMBER = re.compile(r"[0-9]{9}|[0-9]{12}")
_WITH_TIME = re.compile(r"(\S+)[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")


def read_line(name: str, cell: Cell) -> str | None:
    """One line as it will stand in the log: NFC, single spaces, nothing that can't be seen."""
    if is_blank(cell):
        return None
    if not isinstance(cell, str):
        raise Fault("not_text")
    line = tidy(cell[: MAX_LINE * 4])
    if len(line) > MAX_LINE:
        raise Fault("text_too_long", field=name, length=len(line), limit=MAX_LINE)
    if not line.isprintable():
        invisible = any(category(character) == "Cf" for character in line)
        code = "text_with_invisible_marks" if invisible else "text_with_control_characters"
        raise Fault(code, field=name)
    return line


def tidy(text: str) -> str:
    """The form in which two texts are compared, and in which one is written."""
    return " ".join(normalize("NFC", text).split())


def read_id(known: Container[str], cell: Cell) -> str | None:
    """The id of an agency or a post: one that is ``known``, or of a form that is easy to type."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        cell = str(cell)
    if is_blank(cell):
        return None
    text = cell.strip() if isinstance(cell, str) else ""
    if text in known:
        return text
    if len(text) > MAX_ID or not _ID.fullmatch(text):
        raise Fault("bad_id", limit=MAX_ID)
    return text


def read_person(known: Container[str], cell: Cell) -> str | None:
    """The id of a post: none that the service itself has, and no number of a citizen."""
    person = read_id(known, cell)
    if person is not None and person in known:
        return person
    if person in SERVICE:
        raise Fault("reserved_id")
    if person is not None and _PERSONAL_NUMBER.fullmatch(person):
        raise Fault("personal_number")
    return person


def read_role(cell: Cell) -> str | None:
    if is_blank(cell):
        return None
    role = words.role(cell) if isinstance(cell, str) else None
    if role is None:
        raise Fault("bad_role", roles=", ".join(words.ROLES))
    return role


def read_clearance(cell: Cell) -> str | None:
    if is_blank(cell):
        return None
    level = words.clearance(cell) if isinstance(cell, str) else None
    if level is None:
        raise Fault("bad_clearance")
    return level


def read_begin(zone: ZoneInfo, cell: Cell) -> datetime | None:
    """The first instant of a role (UTC): the beginning of a day there, or the moment given."""
    return _instant(zone, cell, timedelta(0))


def read_end(zone: ZoneInfo, cell: Cell) -> datetime | None:
    """The first instant after a role (UTC): the end of the day that is given, or the moment."""
    return _instant(zone, cell, timedelta(days=1))


def write_moment(zone: ZoneInfo, instant: datetime | None, *, ends: bool = False) -> date | str:
    """What `read_begin`, or with ``ends`` `read_end`, reads as this instant; empty for none."""
    if instant is None or instant.year < FIRST_YEAR:
        return ""  # a role of old has no beginning that could matter
    local = instant.astimezone(zone)
    if local.time() != time.min:
        return f"{local:%Y-%m-%d %H:%M:%S.%f}"
    return (local - timedelta(days=1)).date() if ends else local.date()


def _instant(zone: ZoneInfo, cell: Cell, more: timedelta) -> datetime | None:
    if isinstance(cell, datetime) and cell.time() != time.min:
        moment = cell.replace(tzinfo=zone)
    elif isinstance(cell, str) and (match := _WITH_TIME.fullmatch(cell.strip())):
        moment = _moment(match).replace(tzinfo=zone)
    else:
        day = read_day(cell)
        if day is None:
            return None
        moment = datetime.combine(day + more, time.min, zone)
    return moment.astimezone(UTC)


def _moment(match: "re.Match[str]") -> datetime:
    day = read_day(match[1])
    if day is None or not match[0].isascii():
        raise Fault("bad_date")
    hour, minute, second = (int(match[place] or 0) for place in (2, 3, 4))
    micros = int((match[5] or "").ljust(6, "0"))
    try:
        return datetime.combine(day, time(hour, minute, second, micros))
    except ValueError:
        raise Fault("bad_date") from None


title_vi, title_en = partial(read_line, "title_vi"), partial(read_line, "title_en")
name_vi, name_en = partial(read_line, "name_vi"), partial(read_line, "name_en")
