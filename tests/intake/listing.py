"""Files of agencies and people, for the tests of their import."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # it has no stubs

from intake.people.columns import COLUMNS, SHEETS
from intake.people.listing import AGENCIES, PEOPLE, Listing, Reading
from intake.people.reading import read_files

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
Row = Sequence[Any]

TREE: list[Row] = [
    ("vp", "Văn phòng", "Office", None),
    ("snv", "Sở Nội vụ", "Home Affairs", "vp"),
    ("snv-tcbc", "Phòng Tổ chức", "Organisation Division", "snv"),
]
POSTS: list[Row] = [
    ("vp.office", "Điều phối", "Coordinator", "mật", "vp", "Văn phòng", date(2026, 1, 1), None),
    ("snv.an", "Cán bộ", "Officer", None, "snv", "officer", "01/02/2026", "31/12/2026"),
    ("snv.an", None, None, None, "snv-tcbc", "Officer", None, None),
]


def headings(kind: str, language: str = "vi") -> list[str]:
    return [getattr(column, language) for column in COLUMNS[kind]]


def workbook(
    agencies: Sequence[Row] | None = None,
    people: Sequence[Row] | None = None,
    *,
    language: str = "vi",
    finish: Callable[[Workbook], object] = lambda _book: None,
) -> bytes:
    """An .xlsx with the rows given; without rows, without that sheet."""
    file = io.BytesIO()
    with Workbook(file, {"in_memory": True}) as book:
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for kind, rows in ((AGENCIES, agencies), (PEOPLE, people)):
            if rows is None:
                continue
            page = book.add_worksheet(SHEETS[kind][0 if language == "vi" else 1])
            for number, row in enumerate([headings(kind, language), *rows]):
                for place, value in enumerate(row):
                    if isinstance(value, str):
                        page.write_string(number, place, value)
                    elif isinstance(value, date):
                        page.write_datetime(number, place, value, day)
                    elif value is not None:
                        page.write(number, place, value)
        finish(book)
    return file.getvalue()


def text_table(kind: str, rows: Sequence[Row], delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(headings(kind))
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return file.getvalue().encode()


def read(
    agencies: Sequence[Row] | None = None,
    people: Sequence[Row] | None = None,
    known: Listing | None = None,
    **more: Any,
) -> Reading:
    """What the import makes of a workbook, against an empty directory unless told otherwise."""
    data = workbook(agencies, people, **more)
    return read_files([("people.xlsx", data)], HANOI, known or Listing())


def listing(
    agencies: Sequence[Row] | None = None,
    people: Sequence[Row] | None = None,
    known: Listing | None = None,
) -> Listing:
    reading = read(agencies, people, known)
    assert reading.errors == ()
    return reading.listing


def errors(reading: Reading) -> list[tuple[str, int, str, str]]:
    """Where and what, without the facts; with one error there is no listing."""
    assert reading.listing == Listing() or not reading.errors
    return [(error.sheet, error.row, error.column, error.code) for error in reading.errors]


def with_person(**cells: Any) -> Mapping[str, Any]:
    """The columns of a person's row, by name, with something sensible in them."""
    row = {
        "person": "snv.binh", "title_vi": "Cán bộ", "title_en": "Officer", "clearance": None,
        "agency": "snv", "role": "officer", "from": None, "until": None,
    }  # fmt: skip
    return row | cells


def person(**cells: Any) -> Row:
    return list(with_person(**cells).values())
