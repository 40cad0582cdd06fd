"""Excel workbooks (.xlsx): the sheet "Nhiệm vụ" or "Tasks", or else the only visible one."""

import io
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from domain.refusal import Refused
from intake.archive import Finding, inspect
from intake.assembling import Setting, assemble
from intake.drafts import Intake, RowError
from intake.raw import Cell
from intake.table import Table, letter, read_table, refuse_highest_marking
from intake.words import LONGEST, fold

SHEETS = ("Nhiệm vụ", "Tasks")

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
Range: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
_NAMES = {fold(name) for name in SHEETS}


def read_workbook(data: bytes, setting: Setting) -> Intake:
    """The drafts or the errors of a workbook. Raises Refused when it can't be read at all."""
    if data.startswith(_OLE):
        # Excel wraps a protected .xlsx into the container that old .xls files are.
        raise Refused("password_protected" if _ENCRYPTED in data else "old_excel_format")
    finding = inspect(data)
    try:
        with CalamineWorkbook.from_object(io.BytesIO(data)) as workbook:
            table, merged = _read(workbook)
    except PasswordError:
        raise Refused("password_protected") from None
    except (CalamineError, OSError, ValueError):
        raise Refused("workbook_broken") from None
    errors = [*table.errors, *_merged(merged), *_faulty(finding, table)]
    return assemble(table.rows, setting, errors)


def _read(workbook: CalamineWorkbook) -> tuple[Table, list[Range]]:
    rows: dict[str, Sequence[Sequence[Cell]]] = {}
    merged: dict[str, list[Range]] = {}
    visible = []
    for meta in workbook.sheets_metadata:
        if meta.typ != SheetTypeEnum.WorkSheet:
            continue
        sheet = workbook.get_sheet_by_name(meta.name)
        rows[meta.name] = sheet.to_python(skip_empty_area=False)
        merged[meta.name] = sheet.merged_cell_ranges or []
        if meta.visible == SheetVisibleEnum.Visible and any(map(any, rows[meta.name])):
            visible.append(meta.name)
    # A marking on any sheet, hidden ones too, or as its name, is a reason not to take the file.
    for title, cells in rows.items():
        refuse_highest_marking([(0, [title]), *enumerate(cells, 1)])
    name = _chosen(visible)
    return read_table(rows[name]), merged[name]


def _chosen(visible: list[str]) -> str:
    """The sheet that holds the tasks."""
    if not visible:
        raise Refused("file_empty")
    named = [name for name in visible if fold(name[:LONGEST]) in _NAMES] or visible
    if len(named) > 1:
        raise Refused("which_sheet", sheet=SHEETS[0])
    return named[0]


def _merged(ranges: list[Range]) -> Iterator[RowError]:
    for (top, left), (bottom, right) in ranges:
        place = f"{letter(left)}{top + 1}:{letter(right)}{bottom + 1}"
        yield RowError(top + 1, letter(left), "merged_cells", {"range": place})


def _faulty(finding: Finding, table: Table) -> Iterator[RowError]:
    columns = {letter(place): name for place, name in table.names.items()}
    for reference in finding.faulty:
        column = reference.rstrip("0123456789")
        row = int(reference.removeprefix(column) or 0)
        yield RowError(row, columns.get(column, column), "formula_error", {"cell": reference})
