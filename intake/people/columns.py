"""The columns of both sheets, and the headings under which a file may have them.

A heading is recognised as in `intake.columns`: Vietnamese or English, with or without accents, with
anything in brackets or an asterisk behind it. The names in the first position are the log's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from intake.people.listing import AGENCIES, PEOPLE
from intake.words import LONGEST, fold


@dataclass(frozen=True, slots=True)
class Column:
    """``note`` explains the column in the template. ``required``: the sheet must have it."""

    name: str
    vi: str
    en: str
    note: str
    also: tuple[str, ...] = ()
    required: bool = False

    @property
    def heading(self) -> str:
        """What the column is called, for people: in both languages."""
        return f"{self.vi} / {self.en}"


COLUMNS: Mapping[str, tuple[Column, ...]] = {
    AGENCIES: (
        Column("id", "Mã cơ quan", "Agency id",
            "Letters a to z, digits, dots and hyphens, such as so-noi-vu. It never changes.",
            ("mã", "agency"), required=True),
        Column("name_vi", "Tên cơ quan", "Vietnamese name", "Full name in Vietnamese.",
            ("tên tiếng việt", "tên"), required=True),
        Column("name_en", "Tên tiếng Anh", "English name", "Full name in English.",
            ("name",), required=True),
        Column("parent", "Cơ quan cấp trên", "Parent agency",
            "Id of the agency above. Empty: it stands at the top.",
            ("mã cơ quan cấp trên", "parent"), required=True),
    ),
    PEOPLE: (
        Column("person", "Mã tài khoản", "Person id",
            "Id of the post, such as so-noi-vu.officer; never a name or an identity number. One "
            "row for each role; the columns of the person may be empty in further rows.",
            ("mã người dùng", "tài khoản", "account", "id"), required=True),
        Column("title_vi", "Chức danh", "Vietnamese title",
            "Title of the post in Vietnamese. Never the name of who holds it.",
            ("chức danh tiếng việt", "chức vụ"), required=True),
        Column("title_en", "Chức danh tiếng Anh", "English title", "The same in English.",
            ("title",), required=True),
        Column("clearance", "Mức tiếp cận bí mật", "Clearance",
            "The highest level this person may work on: thường / normal, mật / secret, tối mật / "
            "top secret. Empty: normal.", ("độ mật được tiếp cận", "mức tiếp cận")),
        Column("agency", "Cơ quan", "Agency", "Id or full name of the agency of the role.",
            ("mã cơ quan", "agency id"), required=True),
        Column("role", "Vai trò", "Role", "One of the list. One row for each role.",
            required=True),
        Column("from", "Từ ngày", "From",
            "First day of the role: a date, or text as dd/mm/yyyy. Empty: from the import on.",
            ("từ", "ngày bắt đầu", "begins")),
        Column("until", "Đến hết ngày", "Until",
            "Last day of the role, which still counts. Empty: open.",
            ("đến ngày", "đến", "ngày kết thúc", "until the end of")),
    ),
}  # fmt: skip

SHEETS: Mapping[str, tuple[str, ...]] = {
    AGENCIES: ("Cơ quan", "Agencies"),
    PEOPLE: ("Tài khoản", "People", "Người dùng", "Nhân sự"),
}
"""What the sheets are called in a workbook; the first is what we write."""

NAMES = frozenset(
    {"ho ten", "ho va ten", "ho va ten can bo", "ten can bo", "ten nguoi dung", "full name",
     "first name", "last name", "name", "ten"}
)  # fmt: skip
"""Headings of a column that would bring the names of people into the log for ever."""

_BRACKETS = re.compile(r"\(.*?\)|\[.*?\]", re.DOTALL)
_BY_HEADING: Mapping[str, Mapping[str, str]] = {
    sheet: {
        fold(text): column.name
        for column in reversed(columns)
        for text in (*column.also, column.name, column.vi, column.en)
    }
    for sheet, columns in COLUMNS.items()
}
_BY_NAME = {sheet: {column.name: column for column in COLUMNS[sheet]} for sheet in COLUMNS}
_SHEET_BY_NAME = {fold(name): sheet for sheet, names in SHEETS.items() for name in names}


def recognise(sheet: str, text: str) -> str | None:
    """The field that a heading of this sheet names."""
    return _BY_HEADING[sheet].get(_folded(text))


def is_for_names(sheet: str, text: str) -> bool:
    """Whether a heading asks for the names of people."""
    return sheet == PEOPLE and _folded(text) in NAMES


def sheet_called(name: str) -> str | None:
    """The sheet that is called like this in a workbook."""
    return _SHEET_BY_NAME.get(_folded(name))


def heading(sheet: str, name: str) -> str:
    """What a column is called, for people; the name itself when it isn't one."""
    column = _BY_NAME[sheet].get(name)
    return column.heading if column else name


def _folded(text: str) -> str:
    return fold(_BRACKETS.sub(" ", text[:LONGEST]))
