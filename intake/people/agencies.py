"""Rows of the sheet of agencies."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from intake.people import cells
from intake.people.listing import Agency
from intake.people.sheets import Row, Sheet
from intake.raw import Cell, Fault, is_blank
from intake.words import same


@dataclass
class Names:
    """Finds agencies by id or by full name. ``open``: without a directory any id may be one."""

    open: bool
    _ids: set[str] = field(default_factory=set)
    _by_name: dict[str, set[str]] = field(default_factory=dict)

    def add(self, agencies: Mapping[str, Agency]) -> None:
        for agency in agencies.values():
            self._ids.add(agency.id)
            for name in {same(agency.name_vi), same(agency.name_en)}:
                self._by_name.setdefault(name, set()).add(agency.id)

    def find(self, cell: Cell) -> str | None:
        """The agency that a cell names, or None when it is empty. Raises Fault."""
        if is_blank(cell):
            return None
        if isinstance(cell, str) and cell in self._ids:
            return cell
        named = self._by_name.get(same(cell), set()) if isinstance(cell, str) else set()
        if len(named) > 1:
            raise Fault("agency_ambiguous")
        if named:
            return next(iter(named))
        agency = cells.read_id(self._ids, cell)
        if agency not in self._ids and not self.open:
            raise Fault("agency_nowhere")
        return agency


def read_agencies(sheet: Sheet, known: Mapping[str, Agency]) -> dict[str, Agency]:
    """The agencies of the sheet by id, without their parents; what is wrong was noted. Those
    ``known`` in the directory may be listed without names.
    """
    found: dict[str, Agency] = {}
    for row in sheet.rows:
        agency = _read(sheet, row, known)
        if agency is None:
            continue
        first = found.setdefault(agency.id, agency)
        if first is not agency:
            sheet.note(row.number, "id", "agency_twice_listed", first=first.row)
    return found


def with_parents(sheet: Sheet, found: Mapping[str, Agency], names: Names) -> dict[str, Agency]:
    """The same with their parents, which may stand anywhere in the file or in the directory."""
    parents = {row.number: sheet.take(row, "parent", names.find) for row in sheet.rows}
    return {id_: replace(agency, parent=parents[agency.row]) for id_, agency in found.items()}


def _read(sheet: Sheet, row: Row, known: Mapping[str, Agency]) -> Agency | None:
    agency = sheet.need(row, "id", partial(cells.read_id, known))
    take = sheet.take if agency in known else sheet.need
    name_vi, name_en = take(row, "name_vi", cells.name_vi), take(row, "name_en", cells.name_en)
    if agency is None:
        return None
    return Agency(agency, name_vi or "", name_en or "", row=row.number)
