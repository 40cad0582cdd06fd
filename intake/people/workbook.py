"""Excel workbooks (.xlsx) with the sheets of agencies and people, one of them or both."""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from xml.parsers import expat

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from domain.refusal import Refused
from intake.archive import Bounds, Finding, inspect
from intake.people.columns import SHEETS, sheet_called
from intake.people.listing import AGENCIES, PEOPLE
from intake.people.sheets import MAX_ROWS, MAX_UNPACKED_BYTES, Sheet, read_sheet
from intake.table import letter

_BOUNDS = Bounds(MAX_ROWS, MAX_UNPACKED_BYTES)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def read_workbook(data: bytes) -> list[Sheet]:
    """The sheets of agencies and people. Raises Refused when it can't be read as such at all."""
    if data.startswith(_OLE):
        raise Refused("password_protected" if _ENCRYPTED in data else "old_excel_format")
    finding = inspect(data, _BOUNDS)
    try:
        with CalamineWorkbook.from_object(io.BytesIO(data)) as workbook:
            return list(_read(workbook, finding, _parts(data)))
    except PasswordError:
        raise Refused("password_protected") from None
    except (CalamineError, OSError, ValueError, LookupError, zipfile.BadZipFile, zlib.error):
        raise Refused("workbook_broken") from None


def _read(
    workbook: CalamineWorkbook, finding: Finding, parts: Mapping[str, str]
) -> Iterator[Sheet]:
    seen = set[str]()
    for meta in workbook.sheets_metadata:
        kind = sheet_called(meta.name)
        if meta.typ != SheetTypeEnum.WorkSheet or meta.visible != SheetVisibleEnum.Visible:
            continue
        page = workbook.get_sheet_by_name(meta.name)
        cells = page.to_python(skip_empty_area=False)
        if kind is None:
            if any(map(any, cells)):
                raise Refused(
                    "sheet_unknown", agencies=SHEETS[AGENCIES][0], people=SHEETS[PEOPLE][0]
                )
            continue
        if kind in seen:
            raise Refused("sheet_twice", sheet=SHEETS[kind][0])
        seen.add(kind)
        sheet = read_sheet(kind, cells)
        _note_merged(sheet, page)
        _note_faulty(sheet, finding.faulty_in.get(parts.get(meta.name, ""), []))
        yield sheet


def _note_merged(sheet: Sheet, page: CalamineSheet) -> None:
    for (top, left), (bottom, right) in page.merged_cell_ranges or []:
        place = f"{letter(left)}{top + 1}:{letter(right)}{bottom + 1}"
        sheet.note(top + 1, letter(left), "merged_cells", range=place)


def _note_faulty(sheet: Sheet, references: list[str]) -> None:
    """Cells that the library shows as empty: an open end would silently become of them."""
    columns = {letter(place): name for place, name in sheet.names.items()}
    for reference in references:
        column = reference.rstrip("0123456789")
        row = int(reference.removeprefix(column) or 0)
        sheet.note(row, columns.get(column, column), "formula_error", cell=reference)


def _parts(data: bytes) -> dict[str, str]:
    """By the name of a sheet, the part of the zip that it is in."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        named = _elements(archive.read("xl/workbook.xml"), "sheet")
        try:
            related = _elements(archive.read("xl/_rels/workbook.xml.rels"), "Relationship")
        except KeyError:
            return {}
    targets = {each.get("Id", ""): each.get("Target", "") for each in related}
    return {each.get("name", ""): _part(targets.get(each.get("r:id", ""), "")) for each in named}


def _part(target: str) -> str:
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _elements(content: bytes, wanted: str) -> list[dict[str, str]]:
    """The attributes of all elements of this name."""
    found: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == wanted:
            found.append(attributes)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        raise Refused("workbook_broken") from None
    return found
