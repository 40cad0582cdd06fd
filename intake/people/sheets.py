"""One sheet of cells to rows by field, with everything noted that is wrong with its form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from domain.refusal import Refused
from intake.encoding import refuse_legacy_font
from intake.limits import MAX_COLUMNS
from intake.people.columns import COLUMNS, heading, is_for_names, recognise
from intake.people.listing import PlacedError
from intake.raw import Cell, Fault, is_blank
from intake.table import letter

MAX_ROWS = 120_000
"""Rows of a sheet: 50,000 people, some of them with several roles."""

MAX_UNPACKED_BYTES = 400 * 1024 * 1024
"""Of a workbook: such a sheet is some 100 MB of XML."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Row:
    """``number`` counts from 1, as the reader of the file sees it."""

    number: int
    cells: Mapping[str, Cell]


@dataclass
class Sheet:
    """``kind`` is one of the two sheets. ``names`` leads from a column's place, counted from 0, to
    its field.
    """

    kind: str
    rows: list[Row] = field(default_factory=list)
    errors: list[PlacedError] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def note(self, row: int, column: str, code: str, **facts: str | int) -> None:
        self.errors.append(PlacedError(self.kind, row, column, code, facts))

    def take(self, row: Row, name: str, read: Callable[[Cell], Value | None]) -> Value | None:
        """The value of a cell, or None: it is empty, or was noted as wrong."""
        try:
            return read(row.cells.get(name))
        except Fault as fault:
            self.note(row.number, name, fault.code, **fault.facts)
            return None

    def need(self, row: Row, name: str, read: Callable[[Cell], Value | None]) -> Value | None:
        """The same for a cell that may not be empty."""
        if is_blank(row.cells.get(name)):
            self.miss(row.number, name)
            return None
        return self.take(row, name, read)

    def miss(self, row: int, name: str) -> None:
        self.note(row, name, "missing_value", heading=heading(self.kind, name))


def read_sheet(kind: str, cells: Iterable[Sequence[Cell]]) -> Sheet:
    """The rows below the first line that isn't empty, which has the headings. Raises Refused when
    the sheet is too large, or in no encoding that we read.
    """
    lines = [(number, line) for number, line in enumerate(cells, 1) if not _is_empty(line)]
    if len(lines) > MAX_ROWS + 1:
        raise Refused("too_many_rows", limit=MAX_ROWS)
    if any(len(line) > MAX_COLUMNS for _, line in lines):
        raise Refused("too_many_columns", limit=MAX_COLUMNS)
    refuse_legacy_font(
        cell[:200] for _, line in lines[:100] for cell in line if isinstance(cell, str)
    )
    sheet = Sheet(kind)
    if not lines:
        return sheet
    _read_headings(sheet, *lines[0])
    for number, line in lines[1:]:
        _read_row(sheet, number, line)
    return sheet


def _is_empty(line: Sequence[Cell]) -> bool:
    return all(is_blank(cell) for cell in line)


def _read_headings(sheet: Sheet, number: int, line: Sequence[Cell]) -> None:
    for place, cell in enumerate(line):
        if is_blank(cell):
            continue
        text = cell if isinstance(cell, str) else ""
        name = recognise(sheet.kind, text)
        if name is None:
            code = "column_for_names" if is_for_names(sheet.kind, text) else "unknown_column"
            sheet.note(number, letter(place), code)
        elif name in sheet.names.values():
            sheet.note(number, letter(place), "duplicate_column")
        else:
            sheet.names[place] = name
    for column in COLUMNS[sheet.kind]:
        if column.required and column.name not in sheet.names.values():
            sheet.note(number, column.name, "missing_column", heading=column.heading)


def _read_row(sheet: Sheet, number: int, line: Sequence[Cell]) -> None:
    for place, cell in enumerate(line):
        if place not in sheet.names and not is_blank(cell):
            sheet.note(number, letter(place), "cell_without_heading")
    named = {name: line[place] for place, name in sheet.names.items() if place < len(line)}
    sheet.rows.append(Row(number, named))
