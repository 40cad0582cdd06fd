"""A sheet of headings and cells, to raw rows: one row, one task.

The first row that isn't empty holds the headings. A row whose document columns are all empty
belongs to the document of the row above.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain.refusal import Refused
from intake.assembling import refuse_highest_secrecy
from intake.columns import COLUMNS, DOCUMENT_FIELDS, heading, recognise
from intake.drafts import RowError
from intake.encoding import refuse_legacy_font
from intake.limits import MAX_COLUMNS, MAX_TASKS
from intake.raw import Cell, RawRow, is_blank


@dataclass
class Table:
    """``names`` leads from a column's place, counted from 0, to its field."""

    rows: list[RawRow] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)


def read_table(sheet: Iterable[Sequence[Cell]]) -> Table:
    """The rows of a sheet, and what is wrong with its headings.

    Raises Refused when it is empty, too large, or holds what may not enter.
    """
    lines = [(number, cells) for number, cells in enumerate(sheet, 1) if not _is_empty(cells)]
    _refuse(lines)
    table = Table()
    if not lines:
        raise Refused("file_empty")
    _read_headings(table, *lines[0])
    for number, cells in lines[1:]:
        _read_row(table, number, cells)
    if not table.rows:
        table.errors.append(RowError(lines[0][0], "", "no_tasks", {}))
    return table


def refuse_highest_marking(sheet: Iterable[tuple[int, Sequence[Cell]]]) -> None:
    """Whether or not the headings are understood: a cell that is the marking is enough. The rows
    come with their numbers.
    """
    refuse_highest_secrecy(
        RawRow(number, {letter(place): cell for place, cell in enumerate(cells)})
        for number, cells in sheet
    )


def letter(place: int) -> str:
    """The letter of a column, counted from 0: A, B, … Z, AA."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _is_empty(cells: Sequence[Cell]) -> bool:
    return all(is_blank(cell) for cell in cells)


def _refuse(lines: Sequence[tuple[int, Sequence[Cell]]]) -> None:
    """What makes the whole sheet unreadable, before any of its headings is trusted."""
    refuse_highest_marking(lines)
    if len(lines) > MAX_TASKS + 1:
        raise Refused("too_many_rows", limit=MAX_TASKS)
    if any(len(cells) > MAX_COLUMNS for _, cells in lines):
        raise Refused("too_many_columns", limit=MAX_COLUMNS)
    strings = (cell[:200] for _, cells in lines[:100] for cell in cells if isinstance(cell, str))
    refuse_legacy_font(strings)


def _read_headings(table: Table, number: int, cells: Sequence[Cell]) -> None:
    for place, cell in enumerate(cells):
        if is_blank(cell):
            continue
        name = recognise(cell) if isinstance(cell, str) else None
        if name is None:
            table.errors.append(RowError(number, letter(place), "unknown_column", {}))
        elif name in table.names.values():
            table.errors.append(RowError(number, letter(place), "duplicate_column", {}))
        else:
            table.names[place] = name
    found = set(table.names.values())
    missing = [column.name for column in COLUMNS if column.required and column.name not in found]
    if not found & {"lead", "each"}:
        missing.append("lead")
    for name in missing:
        facts = {"heading": heading(name)}
        table.errors.append(RowError(number, name, "missing_column", facts))


def _read_row(table: Table, number: int, cells: Sequence[Cell]) -> None:
    named = {name: cells[place] for place, name in table.names.items() if place < len(cells)}
    without = [place for place, cell in enumerate(cells) if not is_blank(cell)]
    for place in without:
        if place not in table.names:
            error = RowError(number, letter(place), "cell_without_heading", {})
            table.errors.append(error)
    inherits = bool(table.rows) and all(is_blank(named.get(name)) for name in DOCUMENT_FIELDS)
    table.rows.append(RawRow(number, named, inherits))
