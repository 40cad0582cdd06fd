"""The fields of a file, and the headings under which a sheet may have them.

A heading is recognised in Vietnamese or English, with or without accents, in any case, with
anything in brackets or an asterisk behind it: "Thời hạn (dd/mm/yyyy) *" is "thoi han". The names
in the first position are those of a YAML file, and of the arguments of ``register``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from intake.words import LONGEST, fold


@dataclass(frozen=True, slots=True)
class Column:
    """``note`` explains the column in the template."""

    name: str
    vi: str
    en: str
    note: str
    also: tuple[str, ...] = ()
    required: bool = False
    document: bool = False


def _document(name: str, vi: str, en: str, note: str, *also: str, required: bool = True) -> Column:
    return Column(name, vi, en, note, also, required, document=True)


COLUMNS: tuple[Column, ...] = (
    _document("number", "Số văn bản", "Document number",
        "Number of the document. Leave all document columns empty when the task belongs to the "
        "same document as the row above.", "số", "number"),
    _document("symbol", "Ký hiệu", "Symbol", "Symbol of the document, such as CT-UBND.",
        "ký hiệu văn bản"),
    _document("issued_on", "Ngày ban hành", "Issued on", "A date, or text as dd/mm/yyyy.",
        "ngày văn bản", "date of issue"),
    _document("issuer", "Cơ quan ban hành", "Issuer", "The body that issued the document."),
    _document("signatory", "Người ký", "Signatory", "Who signed it. May be empty.",
        required=False),
    _document("secrecy", "Độ mật", "Secrecy",
        "thường / normal, mật / secret, tối mật / top secret. Nothing of a higher level may be "
        "entered into this file.", "mức độ mật"),
    _document("document_title", "Tên văn bản", "Document title", "Title of the document.",
        "trích yếu", "trích yếu văn bản"),
    _document("summary", "Tóm tắt văn bản", "Summary",
        "May be empty. Must be empty for a secret document.", "tóm tắt", required=False),
    Column("key", "Mục", "Item",
        "Clause of the document, such as 3 or 1c. On all rows of a document or on none; with it, "
        "rows may be moved or added later without importing a task twice.", ("key",)),
    Column("title", "Tên nhiệm vụ", "Task title", "What is to be done, in one line.", ("title",),
        required=True),
    Column("content", "Nội dung nhiệm vụ", "Content",
        "May be empty. Must be empty for a secret document.", ("nội dung",)),
    Column("products", "Sản phẩm dự kiến", "Products",
        "What has to be handed in. Must be empty for a secret document.", ("sản phẩm",)),
    Column("lead", "Cơ quan chủ trì", "Leading agency",
        "The one agency in charge: its id or its full name. Leave empty when the next column is "
        "filled in.", ("chủ trì", "lead")),
    Column("each", "Mỗi cơ quan thực hiện", "Each agency",
        "Several agencies, separated by semicolons: each gets a task of its own.", ("each",)),
    Column("coordinators", "Cơ quan phối hợp", "Coordinating agencies",
        "Separated by semicolons. May be empty.", ("phối hợp", "coordinators")),
    Column("monitor", "Cơ quan theo dõi, đôn đốc", "Monitor",
        "The agency that follows the task up.", ("cơ quan theo dõi",), required=True),
    Column("priority", "Mức ưu tiên", "Priority",
        "trọng tâm / key, thường xuyên / regular, khẩn / urgent. Empty: regular.", ("ưu tiên",)),
    Column("due_on", "Thời hạn", "Due on",
        "A date, or text as dd/mm/yyyy. Empty: a standing task.",
        ("hạn hoàn thành", "thời hạn hoàn thành", "deadline")),
    Column("updates", "Chế độ cập nhật", "Updates",
        "For standing and long tasks, such as: hằng tháng trước ngày 10 / monthly before 10; "
        "hằng năm trước ngày 10/11 / yearly before 10 November.",
        ("chế độ báo cáo", "báo cáo định kỳ")),
)  # fmt: skip

BY_NAME: Mapping[str, Column] = {column.name: column for column in COLUMNS}
DOCUMENT_FIELDS = tuple(column.name for column in COLUMNS if column.document)
_BRACKETS = re.compile(r"\(.*?\)|\[.*?\]", re.DOTALL)
_BY_HEADING: Mapping[str, str] = {
    fold(text): column.name
    for column in COLUMNS
    for text in (column.name, column.vi, column.en, *column.also)
}


def recognise(text: str) -> str | None:
    """The field that a heading names."""
    return _BY_HEADING.get(fold(_BRACKETS.sub(" ", text[:LONGEST])))


def heading(name: str) -> str:
    """What a column is called, for people: in both languages."""
    column = BY_NAME.get(name)
    return f"{column.vi} / {column.en}" if column else name
