"""Rows of the sheet of people: one row for each role, several rows for one person."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from intake.people import cells
from intake.people.agencies import Names
from intake.people.listing import Holding, Listing, Person
from intake.people.sheets import Row, Sheet
from intake.raw import Cell, is_blank

Value = TypeVar("Value")
_OF_PERSON = ("title_vi", "title_en", "clearance")


def read_people(sheet: Sheet, names: Names, zone: ZoneInfo, known: Listing) -> dict[str, Person]:
    """The people of the sheet by id; what is wrong was noted. Those ``known`` in the directory may
    be listed without titles.
    """
    reader = _Reader(sheet, names, zone, known)
    found: dict[str, Person] = {}
    held: dict[str, list[Holding]] = {}
    for row in sheet.rows:
        read = reader.read(row)
        if read is None:
            continue
        person, holding = read
        first = found.get(person.id)
        if first is not None:
            person = _joined(sheet, row, first, person)
        if holding is not None:
            held.setdefault(person.id, []).append(holding)
        found[person.id] = person
    for person in found.values():
        if person.id not in known.people:
            for name in ("title_vi", "title_en"):
                if not getattr(person, name) and (person.row, name) not in reader.faulty:
                    sheet.miss(person.row, name)
    return {
        person.id: replace(person, holdings=tuple(held.get(person.id, ())))
        for person in found.values()
    }


def _joined(sheet: Sheet, row: Row, first: Person, again: Person) -> Person:
    """What further rows say of a person, who is described once and the same everywhere."""
    said = {}
    for name in _OF_PERSON:
        before, now = getattr(first, name), getattr(again, name)
        if before and now and before != now:
            sheet.note(row.number, name, "person_differs", first=first.row)
        said[name] = before or now
    return replace(first, **said)


class _Reader:
    """Reads rows; a cell that stands in many of them is read once."""

    def __init__(self, sheet: Sheet, names: Names, zone: ZoneInfo, known: Listing) -> None:
        self._sheet = sheet
        self._person = partial(cells.read_person, known.people.keys() | known.left)
        self._begin, self._end = partial(cells.read_begin, zone), partial(cells.read_end, zone)
        self._agency = _remembered(names.find)
        self._role = _remembered(cells.read_role)
        self._clearance = _remembered(cells.read_clearance)
        self.faulty: set[tuple[int, str]] = set()

    def read(self, row: Row) -> tuple[Person, Holding | None] | None:
        sheet, known = self._sheet, len(self._sheet.errors)
        person = sheet.need(row, "person", self._person)
        title_vi = sheet.take(row, "title_vi", cells.title_vi) or ""
        title_en = sheet.take(row, "title_en", cells.title_en) or ""
        clearance = sheet.take(row, "clearance", self._clearance) or ""
        holding = self._holding(row)
        self.faulty |= {(error.row, error.column) for error in sheet.errors[known:]}
        if person is None:
            return None
        return Person(person, title_vi, title_en, clearance, row=row.number), holding

    def _holding(self, row: Row) -> Holding | None:
        sheet = self._sheet
        given = [name for name in ("agency", "role", "from", "until")
                 if not is_blank(row.cells.get(name))]  # fmt: skip
        if not given:
            return None
        agency = sheet.need(row, "agency", self._agency)
        role = sheet.need(row, "role", self._role)
        begins = sheet.take(row, "from", self._begin)
        until = sheet.take(row, "until", self._end)
        if _is_backward(begins, until):
            sheet.note(row.number, "until", "period_backward")
        if agency is None or role is None:
            return None
        return Holding(agency, role, begins, until, row.number)


def _is_backward(begins: datetime | None, until: datetime | None) -> bool:
    return begins is not None and until is not None and begins >= until


def _remembered(read: Callable[[Cell], Value | None]) -> Callable[[Cell], Value | None]:
    """The same, without reading an equal text again. What raises is read again each time."""
    memory: dict[str, Value | None] = {}

    def remembering(cell: Cell) -> Value | None:
        if not isinstance(cell, str):
            return read(cell)
        if cell not in memory:
            memory[cell] = read(cell)
        return memory[cell]

    return remembering
