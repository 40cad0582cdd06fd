"""Rows as the readers hand them on: cells by field name, not yet judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TypeAlias, TypeVar

from intake.columns import heading
from intake.drafts import RowError

Cell: TypeAlias = (
    str | int | float | date | datetime | time | timedelta | list[str] | dict[str, str] | None
)
Value = TypeVar("Value")


class Fault(Exception):
    """A cell that can't be taken. Carries the code and the facts, never the cell."""

    def __init__(self, code: str, **facts: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.facts: Mapping[str, str | int] = facts


@dataclass(frozen=True, slots=True)
class RawRow:
    """``inherits``: the document is that of the row above.

    ``lines`` says where a cell stands when that isn't the row itself.
    """

    row: int
    cells: Mapping[str, Cell]
    inherits: bool = False
    lines: Mapping[str, int] = field(default_factory=dict)


class Desk:
    """One row under examination: takes values from its cells and keeps note of what is wrong."""

    def __init__(self, row: RawRow, errors: list[RowError]) -> None:
        self.row = row
        self.noted: set[str] = set()
        self._errors = errors

    def take(
        self, name: str, read: Callable[[Cell], Value | None], *, required: bool = False
    ) -> Value | None:
        """The value of a cell, or None: it is empty, or was noted as wrong."""
        try:
            value = read(self.row.cells.get(name))
        except Fault as fault:
            self.note(name, fault.code, **fault.facts)
            return None
        if value is None and required:
            self.note(name, "missing_value", heading=heading(name))
        return value

    def note(self, name: str, code: str, **facts: str | int) -> None:
        self.noted.add(name)
        self._errors.append(RowError(self.row.lines.get(name, self.row.row), name, code, facts))


def is_blank(cell: Cell) -> bool:
    """Whether nothing stands in a cell."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or cell in ([], {})
