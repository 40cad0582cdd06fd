"""Tasks come in from a file: all errors first, then everything once."""

from pathlib import Path

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it has no stubs

from tests.cli.shell import Shell

DOCUMENT = """\
documents:
  - number: "12"
    symbol: CT-UBND
    issued_on: 2026-02-27
    issuer: vp
    secrecy: {secrecy}
    document_title: Chỉ thị về sắp xếp trụ sở
    tasks:
      - title: Lập phương án
        lead: snv
        monitor: ttt
        updates: hằng tháng
      - title: Báo cáo
        lead: {lead}
        monitor: ttt
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "chỉ thị.yaml"


def write(file: Path, *, secrecy: str = "thường", lead: str = "sxd") -> None:
    file.write_text(DOCUMENT.format(secrecy=secrecy, lead=lead), encoding="utf-8")


def test_a_file_is_imported_once_however_often(served: Shell, file: Path) -> None:
    write(file)
    first = served.json("import", str(file))
    assert (len(first["new"]), first["known"]) == (2, [])
    entries = len(served.world.rows())
    again = served.json("import", str(file), "--as", "vp.office")
    assert (again["new"], again["known"]) == ([], first["new"])
    assert len(served.world.rows()) == entries
    listed = served.json("task", "list")
    assert {task["id"]: task["state"] for task in listed} == dict.fromkeys(first["new"], "assigned")
    assert served("import", str(file)) == 0
    assert served.said == "Đã nhập: 0 nhiệm vụ mới, 2 đã có từ trước.\n"
    assert served("audit", "verify", "--quiet") == 0


def test_what_was_registered_only_is_transferred_by_the_next_import(
    served: Shell, file: Path
) -> None:
    write(file)
    tasks = served.json("import", str(file), "--check")["tasks"]
    assert served.json("task", "list") == []
    served.world.registered(tasks[0], issued_on="2026-02-27", due_on=None)
    done = served.json("import", str(file))
    assert done["new"] == tasks


def test_every_error_is_shown_before_anything_is_written(served: Shell, file: Path) -> None:
    write(file, lead="khong-co")
    entries = len(served.world.rows())
    for words in (["import", str(file)], ["import", str(file), "--check"]):
        assert served(*words) == 1
        assert "cơ quan chủ trì" in served.said
        assert "Có 1 lỗi." in served.said
        document = served.json(*words)
        assert document["refused"] == "rows_wrong"
        assert document["errors"][0]["code"] == "unknown_agency"
        assert "danh bạ" in document["errors"][0]["text"]
    assert len(served.world.rows()) == entries


def test_the_highest_secrecy_never_enters(served: Shell, file: Path) -> None:
    write(file, secrecy="tuyệt mật")
    entries = len(served.world.rows())
    answer = served.json("import", str(file))
    assert (answer["refused"], answer["facts"]) == ("secrecy_forbidden", {"row": 6})
    assert "sắp xếp" not in answer["text"]
    assert served.status == 1
    assert len(served.world.rows()) == entries


def test_files_that_cannot_be_read_are_sentences(served: Shell, tmp_path: Path) -> None:
    assert served.json("import", str(tmp_path / "none.yaml"))["refused"] == "file_missing"
    other = tmp_path / "tasks.docx"
    other.write_bytes(b"x")
    assert served.json("import", str(other))["refused"] == "unknown_file_kind"
    encoded = tmp_path / "tasks.csv"
    encoded.write_bytes("Số văn bản;Ký hiệu\n12;Chỉ thị".encode("utf-16"))
    assert served.json("import", str(encoded))["refused"] == "wrong_encoding"
    merged = tmp_path / "tasks.xlsx"
    with xlsxwriter.Workbook(merged) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Số văn bản", "Ký hiệu", "Tên nhiệm vụ"])
        sheet.merge_range(1, 0, 2, 0, "12")
    assert served("import", str(merged)) == 1
    assert "bị gộp" in served.said
    assert "Traceback" not in served.complained


def test_a_check_needs_no_log_at_all(shell: Shell, file: Path, tmp_path: Path) -> None:
    write(file)
    shell.home = type(shell.home)(tmp_path / "nowhere")
    assert shell("import", str(file), "--check") == 0
    assert shell.said == "Tệp hợp lệ: 2 nhiệm vụ. Chưa ghi gì.\n"
    assert shell.json("import", str(file))["refused"] == "database_missing"


def test_only_the_office_imports(served: Shell, file: Path) -> None:
    write(file)
    answer = served.json("import", str(file), "--as", "snv.officer")
    assert answer["refused"] == "no_fitting_role"
