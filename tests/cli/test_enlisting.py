"""`dondoc directory import`, `export` and `template` as an administrator types them."""

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer

from audit.entry import open_command, parse_entry
from domain.directory import Directory
from messages import LANGUAGES
from tests.cli.shell import Shell
from tests.intake.listing import POSTS, TREE, person, text_table, workbook

PEOPLE = [("vp.head", *POSTS[0][1:]), *POSTS[1:]]
"""Nobody of those who are in the log already."""
YES = ("directory", "import", "--yes")


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "danh bạ.xlsx"


def write(file: Path, people: Any = PEOPLE, agencies: Any = TREE) -> str:
    file.write_bytes(workbook(agencies, people))
    return str(file)


def directory(shell: Shell) -> Directory:
    return shell.world.another_recorder().directory()


def events(shell: Shell) -> list[str]:
    return [
        str(open_command(parse_entry(row.data).command).predicate["event"])
        for row in shell.world.chain("directory")
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_workbook_is_imported_once_and_what_it_changes_is_said(
    served: Shell, file: Path, language: str
) -> None:
    path = write(file)
    before = len(events(served))
    assert served(*YES, path, language=language) == 0, served.complained
    # snv has another English name in the sheet, and vp nothing new.
    assert events(served)[before:] == ["add_agencies", "change_agency", "add_people"]
    assert [each.id for each in directory(served).ancestors("snv-tcbc")] == ["snv", "vp"]
    an = directory(served).people["snv.an"]
    held = [(each.agency, each.role) for each in an.roles]
    assert held == [("snv", "officer"), ("snv-tcbc", "officer")]
    assert "vp.head" not in served.said
    assert "sxd.officer" in served.said  # left alone
    assert served(*YES, path, language=language) == 0
    assert len(events(served)) == before + 3
    again = served.json(*YES, path)
    assert (again["entries"], again["written"]) == (0, False)
    assert "snv.officer" in again["left_alone"]
    assert served("audit", "verify", "--quiet") == 0, served.said


def test_all_errors_are_shown_by_sheet_row_and_column_and_nothing_is_written(
    served: Shell, file: Path
) -> None:
    people = [*PEOPLE, person(role="giám đốc"), person(person="001234567890", agency="khong-co")]
    path = write(file, people, [*TREE, ("syt", "Sở Y tế", None, None)])
    before = len(events(served))
    for words in (YES, ("directory", "import", "--check")):
        assert served(*words, path) == 1
        for told in ("tài khoản", "vai trò", "operator", "số căn cước", "cơ quan", "Có 4 lỗi."):
            assert told in served.said, told
        document = served.json(*words, path)
        assert document["refused"] == "rows_wrong"
        assert [(e["sheet"], e["row"], e["column"], e["code"]) for e in document["errors"]] == [
            ("agencies", 5, "name_en", "missing_value"),
            ("people", 5, "role", "bad_role"),
            ("people", 6, "person", "personal_number"),
            ("people", 6, "agency", "agency_nowhere"),
        ]
    assert len(events(served)) == before


def test_a_check_shows_what_would_change_and_needs_no_service(shell: Shell, file: Path) -> None:
    path = write(file)
    before = len(events(shell))
    assert shell("directory", "import", path, "--check") == 0, shell.complained
    assert "cơ quan thêm mới" in shell.said
    found = shell.json("directory", "import", path, "--check")
    assert found["changes"]["people_added"] == 2
    assert found["written"] is False
    assert len(events(shell)) == before


def test_a_check_needs_no_log_at_all(shell: Shell, file: Path, tmp_path: Path) -> None:
    path = write(file, PEOPLE, None)
    shell.home = type(shell.home)(tmp_path / "nowhere")
    assert shell("directory", "import", path, "--check") == 0, shell.complained
    assert shell.json("directory", "import", path)["refused"] == "database_missing"


def test_without_a_terminal_it_must_be_confirmed(served: Shell, file: Path) -> None:
    path = write(file)
    before = len(events(served))
    assert served.json("directory", "import", path)["refused"] == "import_needs_yes"
    assert served("directory", "import", path) == 1
    assert "--yes" in served.complained
    assert len(events(served)) == before


def test_csv_files_come_together(served: Shell, tmp_path: Path) -> None:
    agencies, people = tmp_path / "a.csv", tmp_path / "p.csv"
    agencies.write_bytes(text_table("agencies", TREE))
    people.write_bytes(text_table("people", [("snv.an", "Cán bộ", "Officer", *POSTS[2][3:])]))
    assert served(*YES, str(people), str(agencies)) == 0, served.complained
    assert "snv.an" in directory(served).people


def test_people_who_are_missing_leave_only_when_told(served: Shell, file: Path) -> None:
    path = write(
        file,
        [person(person="vp.office", title_vi=None, title_en=None, agency="vp", role="office")],
        None,
    )
    assert served(*YES, path) == 0, served.complained
    assert directory(served).people["sxd.officer"].left is None
    assert served(*YES, path, "--leave-missing") == 0, served.complained
    left = {who for who, person in directory(served).people.items() if person.left is not None}
    assert "sxd.officer" in left
    assert "vp.office" not in left
    for only in (write(file, None), write(file.with_name("b.xlsx"), [])):
        assert served.json(*YES, only, "--leave-missing")["refused"] == "nobody_listed"
    assert served("audit", "verify", "--quiet") == 0, served.said


def test_an_export_is_changed_in_nothing_by_its_import(served: Shell, file: Path) -> None:
    assert served(*YES, write(file)) == 0, served.complained
    before = len(events(served))
    out = file.with_name("out.xlsx")
    assert served("directory", "export", str(out)) == 0, served.complained
    assert served("directory", "export", str(out)) == 1  # never overwritten unasked
    assert served("directory", "export", str(out), "--force") == 0
    found = served.json(*YES, str(out), "--leave-missing")
    assert (found["entries"], found["left_alone"]) == (0, [])
    assert len(events(served)) == before
    assert served.json("directory", "export", str(file.with_suffix(".csv")))["refused"] == (
        "not_a_workbook"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_template_is_written_and_can_be_filled_in(
    shell: Shell, file: Path, language: str
) -> None:
    assert shell("directory", "template", str(file), language=language) == 0
    assert shell.json("directory", "import", str(file), "--check")["refused"] == "file_empty"


def test_receipts_are_believed_after_the_log_has_another_key(served: Shell, file: Path) -> None:
    assert served("key", "rotate", "log") == 0, served.complained
    assert served(*YES, write(file)) == 0, served.complained
    other = [PEOPLE[0], person(until=date(2026, 12, 31))]
    assert served(*YES, write(file, other)) == 0, served.complained
    assert "snv.binh" in directory(served).people


def test_somebody_at_a_terminal_is_asked_and_sees_how_far_it_has_come(
    served: Shell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(file)
    before = len(events(served))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *_asked, **_how: False)
    assert served("directory", "import", path) == 1
    assert "không nhập gì" in served.complained
    assert len(events(served)) == before
    monkeypatch.setattr(typer, "confirm", lambda *_asked, **_how: True)
    assert served("directory", "import", path) == 0, served.complained
    assert "░ 2/4" in served.complained
    assert f"{'█' * 30} 4/4" in served.complained
