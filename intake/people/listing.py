"""Agencies and people as a file has them, or the directory: what both are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

AGENCIES, PEOPLE = "agencies", "people"
"""The two sheets."""


@dataclass(frozen=True, slots=True)
class Agency:
    """``parent`` is the id of the one above, None at the top."""

    id: str
    name_vi: str
    name_en: str
    parent: str | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """A role at an agency from ``begins`` (None in a file: from the import on) until the instant
    ``until`` (None: open), which no longer belongs to it. Instants are UTC.
    """

    agency: str
    role: str
    begins: datetime | None
    until: datetime | None = None
    row: int = field(default=0, compare=False)

    def is_over(self, at: datetime) -> bool:
        return self.until is not None and self.until <= at

    def meets(self, other: "Holding") -> bool:
        """Whether there is an instant that both cover; without a beginning it is the first."""
        return _before(self.begins, other.until) and _before(other.begins, self.until)


@dataclass(frozen=True, slots=True)
class Person:
    """A post, by titles and never by a name. An empty title or clearance in a file: as it is."""

    id: str
    title_vi: str
    title_en: str
    clearance: str
    holdings: tuple[Holding, ...] = ()
    row: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """Both by id, in the order of the file. ``left``: people who have left and never come back.

    ``has_people``: whether there is a sheet of people at all, empty or not.
    """

    agencies: Mapping[str, Agency] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    has_people: bool = True


@dataclass(frozen=True, slots=True)
class PlacedError:
    """One thing that is wrong in a file that could be read: sheet, row and column.

    ``column`` is the name of a field (`intake.people.columns`), a letter of the sheet when the
    column isn't known, or empty. ``facts`` never hold words of the file.
    """

    sheet: str
    row: int
    column: str
    code: str
    facts: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Reading:
    """A listing, or all that is wrong: with one error there is no listing."""

    listing: Listing = Listing()
    errors: tuple[PlacedError, ...] = ()


def _before(begins: datetime | None, until: datetime | None) -> bool:
    return begins is None or until is None or begins < until
