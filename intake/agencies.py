"""Which agency a cell names."""

import re
from collections.abc import Iterable, Mapping

from domain.directory import Agency
from intake.cells import read_line, split_names
from intake.raw import Cell, Fault
from intake.words import same

MAX_AGENCIES = 100
"""In one cell: what a list in the log may hold (`domain.command`)."""

_ID = re.compile(r"[A-Za-z0-9]+(?:[-.][A-Za-z0-9]+)*")


class Agencies:
    """Finds agencies by id or by name, in either language.

    Without a directory only ids are taken, and by their form alone.
    """

    def __init__(self, agencies: Iterable[Agency] | None) -> None:
        self._by_name: Mapping[str, str] | None = None
        if agencies is not None:
            self._by_name = {
                same(name): agency.id
                for agency in agencies
                for name in (agency.name_en, agency.name_vi, agency.id)
            }

    def one(self, name: str, cell: Cell) -> str | None:
        """The agency of a cell, or None when it is empty. Raises Fault."""
        text = read_line(name, cell)
        return None if text is None else self._id(text)

    def several(self, name: str, cell: Cell) -> list[str]:
        """The agencies of a cell, each once, in their order there. Raises Fault."""
        parts = split_names(cell)
        if len(parts) > MAX_AGENCIES:
            raise Fault("too_many_agencies", limit=MAX_AGENCIES)
        lines = (read_line(name, part) for part in parts)
        found = [self._id(line) for line in lines if line is not None]
        if len(set(found)) != len(found):
            raise Fault("agency_twice")
        return found

    def _id(self, text: str) -> str:
        if self._by_name is None:
            if _ID.fullmatch(text):
                return text
            raise Fault("bad_agency_id")
        agency = self._by_name.get(same(text))
        if agency is None:
            raise Fault("unknown_agency")
        return agency
