"""Real files for the tests of intake: workbooks written by XlsxWriter, CSV, YAML."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # it has no stubs
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]  # likewise

from intake.columns import BY_NAME
from intake.drafts import Intake
from intake.reading import read_bytes

TODAY = date(2026, 2, 13)
CANARY = "bồ câu trắng"

Value = Any  # whatever a person puts into a cell
Row = dict[str, Value]

ROW: Row = {
    "number": "12",
    "symbol": "CT-UBND",
    "issued_on": date(2026, 1, 5),
    "issuer": "Ủy ban nhân dân tỉnh",
    "secrecy": "thường",
    "document_title": "Chỉ thị về kỷ cương",
    "title": "Báo cáo kết quả",
    "lead": "so-noi-vu",
    "monitor": "vpub",
    "due_on": date(2026, 3, 31),
}


def sheet(*rows: Row, headings: Mapping[str, str] | None = None) -> list[list[Value]]:
    """Headings and cells, for the columns that any of the rows has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    labels = [(headings or {}).get(name) or BY_NAME[name].vi for name in names]
    return [labels, *([row.get(name) for name in names] for row in rows)]


def workbook(
    cells: Sequence[Sequence[Value]],
    finish: Callable[[Workbook, Worksheet], object] | None = None,
    name: str = "Sheet1",
) -> bytes:
    """The bytes of an .xlsx. ``finish`` may do to it what people do."""
    file = io.BytesIO()
    with Workbook(file, {"in_memory": True}) as book:
        page = book.add_worksheet(name)
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for row, line in enumerate(cells):
            for column, value in enumerate(line):
                if isinstance(value, str):
                    page.write_string(row, column, value)
                elif isinstance(value, date | datetime):
                    page.write_datetime(row, column, value, day)
                elif value is not None:
                    page.write(row, column, value)
        if finish is not None:
            finish(book, page)
    return file.getvalue()


def csv_text(cells: Sequence[Sequence[Value]], delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(
        [["" if value is None else value for value in line] for line in cells]
    )
    return file.getvalue()


def read_sheet(*rows: Row) -> Intake:
    return read_bytes(workbook(sheet(*rows)), "tasks.xlsx", TODAY)


def codes(intake: Intake) -> list[tuple[int, str, str]]:
    """Where and what: the errors without their facts."""
    return [(error.row, error.column, error.code) for error in intake.errors]
