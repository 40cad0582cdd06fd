"""The way in: files of agencies and people to a listing, or to everything that is wrong."""

from collections.abc import Iterable
from pathlib import Path, PurePath
from zoneinfo import ZoneInfo

from domain.refusal import Refused
from intake.limits import MAX_FILE_BYTES
from intake.people.agencies import Names, read_agencies, with_parents
from intake.people.columns import SHEETS
from intake.people.listing import AGENCIES, PEOPLE, Agency, Listing, Person, Reading
from intake.people.people import read_people
from intake.people.sheets import Sheet
from intake.people.text_table import read_text_table
from intake.people.together import check_people, check_tree
from intake.people.workbook import read_workbook

KINDS = (".csv", ".xlsx")


def read(paths: Iterable[Path], zone: ZoneInfo, known: Listing | None) -> Reading:
    """Read the files at ``paths``, as `read_files` does."""
    files = []
    for path in paths:
        try:
            with path.open("rb") as file:
                files.append((path.name, file.read(MAX_FILE_BYTES + 1)))
        except OSError:
            raise Refused("file_unreadable") from None
    return read_files(files, zone, known)


def read_files(
    files: Iterable[tuple[str, bytes]], zone: ZoneInfo, known: Listing | None
) -> Reading:
    """The listing of files by (name, bytes), or all of their errors.

    A day without a time is one at ``zone``. ``known`` is the directory; without it ids of agencies
    are taken as they stand. Raises Refused when a file can't be read as such at all.
    """
    sheets: dict[str, Sheet] = {}
    for name, data in files:
        for sheet in _sheets(name, data):
            if sheet.kind in sheets:
                raise Refused("sheet_twice", sheet=SHEETS[sheet.kind][0])
            sheets[sheet.kind] = sheet
    if not any(sheet.rows or sheet.errors for sheet in sheets.values()):
        raise Refused("file_empty")
    return _read(sheets, zone, known)


def _sheets(name: str, data: bytes) -> list[Sheet]:
    kind = PurePath(name).suffix.lower()
    if kind not in KINDS:
        raise Refused("unknown_file_kind", kinds=", ".join(KINDS))
    if len(data) > MAX_FILE_BYTES:
        raise Refused("file_too_large", limit_mb=MAX_FILE_BYTES >> 20)
    if not data.strip():
        raise Refused("file_empty")
    return read_workbook(data) if kind == ".xlsx" else [read_text_table(data)]


def _read(sheets: dict[str, Sheet], zone: ZoneInfo, directory: Listing | None) -> Reading:
    known = directory or Listing()
    names = Names(open=directory is None)
    names.add(known.agencies)
    agencies: dict[str, Agency] = {}
    if sheet := sheets.get(AGENCIES):
        agencies = read_agencies(sheet, known.agencies)
        names.add(agencies)
        agencies = with_parents(sheet, agencies, names)
        check_tree(sheet, agencies, known.agencies)
    people: dict[str, Person] = {}
    if sheet := sheets.get(PEOPLE):
        people = read_people(sheet, names, zone, known)
        check_people(sheet, people, known)
    errors = [
        error for kind in (AGENCIES, PEOPLE) if kind in sheets for error in sheets[kind].errors
    ]
    if errors:
        errors.sort(key=lambda error: (error.sheet, error.row))
        return Reading(errors=tuple(errors))
    return Reading(Listing(agencies, people, has_people=PEOPLE in sheets))
