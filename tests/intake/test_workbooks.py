"""Excel files as people, and others, make them."""

import contextlib
import io
import zipfile
from pathlib import Path

import pytest

from domain.refusal import Refused
from intake import archive
from intake.columns import COLUMNS
from intake.reading import read, read_bytes
from intake.template import write_template
from tests.intake.building import CANARY, ROW, TODAY, codes, sheet, workbook


def _refusal(data: bytes, name: str = "tasks.xlsx") -> str:
    with pytest.raises(Refused) as refused:
        read_bytes(data, name, TODAY)
    return refused.value.code


def _altered(data: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """A workbook with something in one of its parts put differently."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == part:
                assert old in content
                content = content.replace(old, new)
            target.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_headings_are_known_in_both_languages(language: str) -> None:
    headings = {column.name: getattr(column, language) for column in COLUMNS}
    cells = sheet(ROW, headings=headings)
    cells[0] = [f" {str(text).upper()} (bắt buộc) *" for text in cells[0]]
    intake = read_bytes(workbook(cells), "tasks.xlsx", TODAY)
    assert len(intake.drafts) == 1


def test_merged_cells_are_named() -> None:
    data = workbook(sheet(ROW, ROW), lambda _, page: page.merge_range(1, 0, 2, 0, "12"))
    intake = read_bytes(data, "tasks.xlsx", TODAY)
    merged = next(error for error in intake.errors if error.code == "merged_cells")
    assert (merged.row, merged.column, merged.facts) == (2, "A", {"range": "A2:A3"})
    assert intake.drafts == ()


def test_a_formula_with_an_error_or_no_value_is_no_empty_cell() -> None:
    cells = sheet(ROW, ROW | {"title": "B"})
    due = list(ROW).index("due_on")
    broken = workbook(cells, lambda _, page: page.write_formula(1, due, "=NA()", None, "#N/A"))
    assert codes(read_bytes(broken, "a.xlsx", TODAY)) == [(2, "due_on", "formula_error")]
    fine = workbook(cells, lambda _, page: page.write_formula(2, 6, '="B"&"C"', None, "BC"))
    assert read_bytes(fine, "a.xlsx", TODAY).drafts[1].arguments["title"] == "BC"
    empty = _altered(fine, "xl/worksheets/sheet1.xml", b"<v>BC</v>", b"")
    assert (3, "title", "formula_error") in codes(read_bytes(empty, "a.xlsx", TODAY))


def test_columns_that_are_unknown_missing_or_doubled_are_named() -> None:
    cells = sheet({name: ROW[name] for name in ROW if name not in {"monitor", "lead"}})
    cells[0] += ["Ghi chú", "Tên nhiệm vụ"]
    cells[1] += [None, None, "lạc chỗ"]
    assert codes(read_bytes(workbook(cells), "a.xlsx", TODAY))[:5] == [
        (1, "I", "unknown_column"),
        (1, "J", "duplicate_column"),
        (1, "monitor", "missing_column"),
        (1, "lead", "missing_column"),
        (2, "K", "cell_without_heading"),
    ]


def test_empty_rows_don_t_matter_and_rows_keep_their_numbers() -> None:
    cells = sheet(ROW, ROW | {"title": "B"})
    spaced = [[], cells[0], [], cells[1], [" "], cells[2]]
    drafts = read_bytes(workbook(spaced), "a.xlsx", TODAY).drafts
    assert [draft.row for draft in drafts] == [4, 6]


def test_an_empty_or_broken_file_is_refused() -> None:
    assert _refusal(workbook([])) == "file_empty"
    assert _refusal(b"") == "file_empty"
    assert codes(read_bytes(workbook(sheet(ROW)[:1]), "a.xlsx", TODAY)) == [(1, "", "no_tasks")]
    data = workbook(sheet(ROW))
    for cut in (4, 100, len(data) // 2, len(data) - 30):
        assert _refusal(data[:cut]) == "workbook_broken"
    for place in range(30, len(data), 97):
        flipped = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        with contextlib.suppress(Refused):  # and nothing else
            read_bytes(flipped, "a.xlsx", TODAY)


def test_protected_and_old_files_are_told_apart() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert _refusal(ole) == "old_excel_format"
    assert _refusal(ole + "EncryptedPackage".encode("utf-16-le")) == "password_protected"
    assert _refusal(b"x", "tasks.docx") == "unknown_file_kind"


def test_several_sheets_need_a_name() -> None:
    data = workbook(sheet(ROW), lambda book, _: book.add_worksheet("B").write(0, 0, "x"))
    assert _refusal(data) == "which_sheet"
    named = workbook(
        sheet(ROW), lambda book, _: book.add_worksheet("B").write(0, 0, "x"), "Nhiệm vụ"
    )
    assert len(read_bytes(named, "a.xlsx", TODAY).drafts) == 1


def test_five_megabytes_in_a_cell_are_reported_without_being_repeated() -> None:
    data = workbook(sheet(ROW | {"content": CANARY}))
    huge = (CANARY + " ").encode() * 300_000
    intake = read_bytes(
        _altered(data, "xl/sharedStrings.xml", CANARY.encode(), huge), "a.xlsx", TODAY
    )
    (error,) = intake.errors
    assert (error.row, error.column, error.code) == (2, "content", "text_too_long")
    assert error.facts["length"] > 3_000_000  # type: ignore[operator]  # a number
    assert CANARY not in repr(intake)


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "TASKS", archive.Bounds(unpacked=2_000_000))
    file = io.BytesIO(workbook(sheet(ROW)))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr("xl/media/image1.bin", bytes(3_000_000))
    data = file.getvalue()
    assert _refusal(data) == "workbook_too_large"
    # Nor when the archive's own table claims that it is small.
    liar = data.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert liar != data
    assert _refusal(liar) == "workbook_too_large"


def test_one_cell_far_out_does_not_fill_the_memory() -> None:
    data = workbook(sheet(ROW))
    part = "xl/worksheets/sheet1.xml"
    far = {b'r="A2"': b'r="XFD2"', b'<row r="2"': b'<row r="1048576"'}
    found = [_refusal(_altered(data, part, old, new)) for old, new in far.items()]
    # Rows and cells that don't say where they stand count too.
    unsaid = b"<sheetData>" + b"<row/>" * 50_000
    assert _refusal(_altered(data, part, b"<sheetData>", unsaid)) == "too_many_rows"
    wide = b"<sheetData><row>" + b"<c/>" * 101 + b"</row>"
    assert _refusal(_altered(data, part, b"<sheetData>", wide)) == "too_many_columns"
    assert found == ["too_many_columns", "too_many_rows"]
    assert _refusal(b"x" * (20 * 1024 * 1024 + 1)) == "file_too_large"


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet'
    data = _altered(workbook(sheet(ROW)), "xl/worksheets/sheet1.xml", b"<worksheet", bomb)
    assert _refusal(data) == "workbook_broken"


def test_the_template_is_read_once_its_example_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mau.xlsx"
    write_template(path)
    assert codes(read(path, TODAY)) == [(2, "number", "example_row")]
    with pytest.raises(Refused, match="file_unreadable"):
        read(tmp_path / "none.xlsx", TODAY)
    with pytest.raises(Refused, match="file_unreadable"):
        read(tmp_path, TODAY)
