"""The workbook that a clerk fills in: headings, notes, one example, lists to choose from."""

from collections.abc import Mapping
from pathlib import Path

from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # it has no stubs
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]  # likewise

from intake.columns import COLUMNS
from intake.documents import EXAMPLE_NUMBER
from intake.limits import MAX_TASKS
from intake.workbook import SHEETS

_WIDTH = 22
_DATES = frozenset({"issued_on", "due_on"})
_CHOICES: Mapping[str, list[str]] = {
    "secrecy": ["thường", "mật", "tối mật"],
    "priority": ["thường xuyên", "trọng tâm", "khẩn"],
}
_EXAMPLE: Mapping[str, str] = {
    "number": EXAMPLE_NUMBER,
    "symbol": "CT-UBND",
    "issued_on": "05/01/2026",
    "issuer": "Ủy ban nhân dân tỉnh",
    "signatory": "Chủ tịch",
    "secrecy": "thường",
    "document_title": "Chỉ thị về kỷ cương hành chính (xóa dòng này trước khi nhập)",
    "key": "1a",
    "title": "Báo cáo kết quả thực hiện",
    "products": "Báo cáo tháng",
    "each": "so-noi-vu; thanh-tra",
    "monitor": "vpub",
    "priority": "thường xuyên",
    "updates": "hằng tháng trước ngày 10",
}


def write_template(path: Path) -> None:
    """Write an empty workbook for tasks; `intake.reading.read` refuses its example row."""
    with Workbook(path) as workbook:
        sheet = workbook.add_worksheet(SHEETS[0])
        sheet.freeze_panes(1, 0)
        _write_headings(workbook, sheet)
        _write_example(workbook, sheet)
        for place, column in enumerate(COLUMNS):
            if column.name in _CHOICES:
                choices = {"validate": "list", "source": _CHOICES[column.name]}
                sheet.data_validation(1, place, MAX_TASKS, place, choices)


def _write_headings(workbook: Workbook, sheet: Worksheet) -> None:
    plain = workbook.add_format({"bold": True, "text_wrap": True, "bg_color": "#DDEBF7"})
    required = workbook.add_format({"bold": True, "text_wrap": True, "bg_color": "#BDD7EE"})
    for place, column in enumerate(COLUMNS):
        text = f"{column.vi} *" if column.required else column.vi
        sheet.write_string(0, place, text, required if column.required else plain)
        sheet.write_comment(0, place, f"{column.en}. {column.note}", {"x_scale": 2})


def _write_example(workbook: Workbook, sheet: Worksheet) -> None:
    """As text throughout: a cell formatted as text keeps 01 as it is typed."""
    text = workbook.add_format({"num_format": "@", "text_wrap": True})
    dates = workbook.add_format({"num_format": "dd/mm/yyyy"})
    example = workbook.add_format({"italic": True, "font_color": "#7F7F7F", "text_wrap": True})
    for place, column in enumerate(COLUMNS):
        sheet.set_column(place, place, _WIDTH, dates if column.name in _DATES else text)
        sheet.write_string(1, place, _EXAMPLE.get(column.name, ""), example)
