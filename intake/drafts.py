"""What comes out of a file: drafts of tasks, or what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Draft:
    """A task to be registered: its id, and plain arguments for the event ``register``.

    ``row`` is where it stands: the row of a sheet, counted from 1, or the line of a YAML file.
    """

    task: str
    arguments: dict[str, Any]
    row: int


@dataclass(frozen=True, slots=True)
class RowError:
    """One thing that is wrong in a file that could be read.

    ``column`` is the name of a field (see `intake.columns`), a letter of the sheet when the column
    isn't known, or empty. ``facts`` never hold what stands in the file, except dates.
    """

    row: int
    column: str
    code: str
    facts: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Intake:
    """All drafts of a file, or all its errors: with one error there are no drafts."""

    drafts: tuple[Draft, ...] = ()
    errors: tuple[RowError, ...] = ()
