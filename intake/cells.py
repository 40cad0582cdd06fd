"""One cell at a time: its value in the form that the log takes, or a Fault."""

import re
from datetime import date, datetime, time
from unicodedata import category, normalize

from domain.command import MAX_TEXT
from domain.task import Priority, Secrecy
from intake import words
from intake.raw import Cell, Fault, is_blank

MAX_LINE = 120
"""Characters in a number, a symbol, the name of an issuer: what an id in the log may have."""

FIRST_YEAR, LAST_YEAR = 1970, 2200
"""The years that working time is computed for (`domain.working_time`)."""

_DAY_FIRST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def read_text(name: str, cell: Cell, limit: int = MAX_TEXT) -> str | None:
    """Words: NFC, line ends as one character, nothing that a reader could not see."""
    if is_blank(cell):
        return None
    if not isinstance(cell, str):
        raise Fault("not_text")
    # Normalising a text that is far too long would be work for nothing.
    if len(cell) <= limit * 4:
        cell = normalize("NFC", cell.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if len(cell) > limit:
        raise Fault("text_too_long", field=name, length=len(cell), limit=limit)
    for character in cell:
        _check_visible(name, character)
    return cell


def read_line(name: str, cell: Cell) -> str | None:
    """One short line, for a field that stands in the log as it is."""
    text = read_text(name, cell)
    if text is None:
        return None
    line = " ".join(text.split())
    if len(line) > MAX_LINE:
        raise Fault("text_too_long", field=name, length=len(line), limit=MAX_LINE)
    if not line.isprintable():
        raise Fault("text_with_control_characters", field=name)
    return line


def read_number(name: str, cell: Cell) -> str | None:
    """A line that people type as a number: Excel makes 12 of it, or 12.0."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool) and cell >= 0:
        cell = str(cell)
    return read_line(name, cell)


def read_day(cell: Cell) -> date | None:
    """A day: a real date, or text as dd/mm/yyyy or yyyy-mm-dd."""
    if is_blank(cell):
        return None
    day = _day(cell)
    if not FIRST_YEAR <= day.year < LAST_YEAR:
        raise Fault("date_out_of_range", first=FIRST_YEAR, last=LAST_YEAR - 1)
    return day


def read_secrecy(cell: Cell) -> Secrecy | None:
    if is_blank(cell):
        return None
    level = words.secrecy(cell) if isinstance(cell, str) else None
    if level is None:
        raise Fault("bad_secrecy")
    return level


def read_priority(cell: Cell) -> Priority:
    """Regular, unless said otherwise."""
    if is_blank(cell):
        return Priority.REGULAR
    level = words.priority(cell) if isinstance(cell, str) else None
    if level is None:
        raise Fault("bad_priority")
    return level


def split_names(cell: Cell) -> list[str]:
    """The names of a list. Semicolons and line ends part them: commas belong to agencies' names."""
    if is_blank(cell):
        return []
    parts = re.split(r"[;\n]", cell) if isinstance(cell, str) else cell
    if not isinstance(parts, list):
        raise Fault("not_text")
    return [part for part in parts if part.strip()]


def _day(cell: Cell) -> date:
    if isinstance(cell, datetime):
        if cell.time() != time.min:
            raise Fault("bad_date")
        return cell.date()
    if isinstance(cell, date):
        return cell
    if not isinstance(cell, str):
        raise Fault("bad_date")
    try:
        return _written_day(cell.strip())
    except ValueError:
        raise Fault("bad_date") from None


def _written_day(text: str) -> date:
    if not text.isascii():
        raise ValueError("digits of another script")
    if match := _DAY_FIRST.fullmatch(text):
        return date(int(match[4]), int(match[3]), int(match[1]))
    if match := _YEAR_FIRST.fullmatch(text):
        return date(int(match[1]), int(match[2]), int(match[3]))
    raise ValueError("not a day")


def _check_visible(name: str, character: str) -> None:
    kind = category(character)
    if kind in {"Cc", "Cs"} and character not in "\n\t":
        raise Fault("text_with_control_characters", field=name)
    if kind == "Cf":
        raise Fault("text_with_invisible_marks", field=name)
