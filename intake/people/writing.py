"""The workbook of a listing, and the empty one that a clerk fills in.

A cell holds text or a day, never a formula: what begins with = is shown as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # it has no stubs
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]  # likewise

from intake.people.cells import write_moment
from intake.people.columns import COLUMNS, SHEETS
from intake.people.listing import AGENCIES, PEOPLE, Holding, Listing, Person
from intake.people.sheets import MAX_ROWS
from intake.people.words import CLEARANCES, ROLES

_WIDTH = 24
_DAYS = frozenset({"from", "until"})
_CHOICES = {
    "clearance": list(CLEARANCES.values()),
    "role": [words[0] for words in ROLES.values()],
}

Value = str | date


def write_listing(path: Path, listing: Listing, zone: ZoneInfo) -> None:
    """Write all of a listing; `intake.people.reading.read` gives it back."""
    agencies = (
        (each.id, each.name_vi, each.name_en, each.parent or "")
        for each in listing.agencies.values()
    )
    people = (row for each in listing.people.values() for row in _rows(each, zone))
    _write(path, agencies, people)


def write_template(path: Path) -> None:
    """Write the headings, with notes, and the words to choose from."""
    _write(path, (), ())


def _rows(person: Person, zone: ZoneInfo) -> Iterator[Sequence[Value]]:
    """A row for each role; one without a role for whoever has none."""
    said = (person.id, person.title_vi, person.title_en, CLEARANCES[person.clearance])
    for holding in person.holdings:
        yield (*said, *_held(holding, zone))
    if not person.holdings:
        yield said


def _held(holding: Holding, zone: ZoneInfo) -> Sequence[Value]:
    begins = write_moment(zone, holding.begins)
    until = write_moment(zone, holding.until, ends=True)
    return holding.agency, ROLES[holding.role][0], begins, until


def _write(
    path: Path, agencies: Iterable[Sequence[Value]], people: Iterable[Sequence[Value]]
) -> None:
    # Row by row into a file: the sheet of a nation's people is not kept in memory.
    with Workbook(path, {"constant_memory": True}) as workbook:
        for kind, rows in ((AGENCIES, agencies), (PEOPLE, people)):
            sheet = workbook.add_worksheet(SHEETS[kind][0])
            sheet.freeze_panes(1, 0)
            days = workbook.add_format({"num_format": "dd/mm/yyyy"})
            _write_form(workbook, sheet, kind)
            for number, row in enumerate(rows, 1):
                _write_row(sheet, number, row, days)


def _write_form(workbook: Workbook, sheet: Worksheet, kind: str) -> None:
    """Headings with their notes, and the form of the columns below."""
    plain = workbook.add_format({"bold": True, "text_wrap": True, "bg_color": "#DDEBF7"})
    required = workbook.add_format({"bold": True, "text_wrap": True, "bg_color": "#BDD7EE"})
    text = workbook.add_format({"num_format": "@"})
    days = workbook.add_format({"num_format": "dd/mm/yyyy"})
    for place, column in enumerate(COLUMNS[kind]):
        sheet.set_column(place, place, _WIDTH, days if column.name in _DAYS else text)
        label = f"{column.vi} *" if column.required else column.vi
        sheet.write_string(0, place, label, required if column.required else plain)
        sheet.write_comment(0, place, f"{column.en}. {column.note}", {"x_scale": 2})
        if column.name in _CHOICES:
            choices = {"validate": "list", "source": _CHOICES[column.name]}
            sheet.data_validation(1, place, MAX_ROWS, place, choices)


def _write_row(sheet: Worksheet, number: int, row: Sequence[Value], days: object) -> None:
    for place, value in enumerate(row):
        if isinstance(value, str):
            if value:
                sheet.write_string(number, place, value)
        else:
            sheet.write_datetime(number, place, value, days)
