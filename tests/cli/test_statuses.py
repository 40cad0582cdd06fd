"""How the command ends, and what it loads before it begins."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli import status, tasks
from cli.main import main
from cli.session import Session
from tests.cli.shell import Shell

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, as the console script does."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def dondoc(*words: str, before: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    script = f"import sys; sys.argv = {['dondoc', *words]!r}\n{before}\n"
    return run(f"{script}from cli.main import run\nrun()", **environ)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["task"],
        ["task", "show"],
        ["task", "list", "--nonsense"],
        ["task", "list", "--limit", "0"],
        ["task", "list", "--state", "asleep"],
        ["--lang", "fr", "people"],
        ["calendar", "check", "--year", "x"],
    ],
)
def test_misuse_is_2_and_points_to_the_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status.MISUSE
    said, complained = capsys.readouterr()
    assert "--help" in said + complained
    assert "Traceback" not in complained


def test_misuse_in_json_is_one_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task", "show", "--json"]) == status.MISUSE
    document = json.loads(capsys.readouterr().out)
    assert document["refused"] == "misuse"
    assert document["facts"] == {"command": "dondoc task show"}


def test_a_directory_without_a_log_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path), "--lang", "en"]
    for words in (["task", "list"], ["people"], ["rebuild"]):
        assert main([*words, *data]) == status.REFUSED
        assert "dondoc up" in capsys.readouterr().err
    for words in (["audit", "verify"], ["audit", "key"]):
        assert main([*words, *data]) == status.REFUSED
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dondoc.sqlite").write_bytes(b"no database, " * 100)
    assert main(["task", "list", "--data", str(tmp_path), "--json"]) == status.REFUSED
    assert json.loads(capsys.readouterr().out)["refused"] == "database_failed"


def test_a_full_disk_is_a_sentence_though_the_error_names_no_file(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("store.queries.list_tasks", full)
    assert shell("task", "list", language="en") == status.REFUSED
    assert "no room left on the disk" in shell.complained
    assert "Traceback" not in shell.complained


def test_an_error_of_ours_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_session: Session) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "_row", fail)
    shell.world.assigned("D1-1", issued_on="2026-02-27", due_on=None)
    assert shell("task", "list") == status.FAULT
    assert "Traceback" in shell.complained


def test_ctrl_c_is_no_error_of_anybody(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "directory", interrupted)
    assert shell("people") == status.INTERRUPTED
    assert "Traceback" not in shell.complained


def test_help_loads_no_library_that_it_does_not_need() -> None:
    heavy = {"sqlalchemy", "temporalio", "fastapi", "uvicorn", "alembic", "cryptography", "yaml"}
    result = run(
        "import sys\nfrom cli.main import main\nmain(['--help'])\n"
        f"print('LOADED', sorted({heavy!r} & set(sys.modules)))"
    )
    assert result.stdout.splitlines()[-1] == "LOADED []", result.stdout + result.stderr


def test_help_follows_the_language() -> None:
    assert "Cách dùng: dondoc" in dondoc("--help", LC_ALL="C").stdout
    english = dondoc("task", "confirm", "--help", LC_ALL="en_US.UTF-8").stdout
    assert "Usage: dondoc task confirm" in english
    assert "Confirm receipt of a task." in english


def test_help_says_what_to_write_and_no_type_of_the_program() -> None:
    for language in ("vi", "en"):
        for words in (["task", "list"], ["audit", "verify"], ["audit", "redact"], ["import"]):
            said = dondoc(*words, "--help", "--lang", language).stdout
            assert not re.search(r"<(bool|str|int|path|list)|\{[A-Z]+\}|\[\[", said), words
        listing = dondoc("task", "list", "--help", "--lang", language).stdout
        assert "--limit N " in " ".join(listing.split())
    assert "task show [OPTIONS] ID" in dondoc("task", "show", "--help", "--lang", "en").stdout
    assert "task show [TÙY CHỌN] MÃ" in dondoc("task", "show", "--help", "--lang", "vi").stdout


def test_a_number_out_of_range_is_told_in_the_language_of_the_reader(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words, told in (
        (["task", "list", "--limit", "0"], "phải là số nguyên từ 1 trở lên"),
        (["task", "list", "--limit", "x"], "phải là số nguyên từ 1 trở lên"),
        (["calendar", "check", "--year", "3000"], "phải là số nguyên từ 1970 đến 2200"),
    ):
        assert main([*words, "--lang", "vi"]) == status.MISUSE
        assert told in capsys.readouterr().err


def test_vietnamese_survives_a_locale_that_cannot_write_it(tmp_path: Path) -> None:
    result = dondoc("task", "list", "--data", str(tmp_path), PYTHONIOENCODING="ascii")
    assert result.returncode == status.REFUSED
    assert "Chưa có cơ sở dữ liệu" in result.stderr


def test_a_process_that_loaded_temporal_keeps_its_status(tmp_path: Path) -> None:
    load = "import temporalio.client, temporalio.bridge.runtime"
    assert dondoc("--version", before=load).returncode == status.DONE
    result = dondoc("people", "--data", str(tmp_path), before=load)
    assert result.returncode == status.REFUSED
    assert "dondoc up" in result.stderr


def test_a_reader_who_leaves_early_causes_no_noise() -> None:
    script = "import sys; sys.argv = ['dondoc', 'lifecycle', '--markdown']"
    code = f"{script}\nfrom cli.main import run\nrun()"
    command = f'{sys.executable} -c "$CODE" | true; echo ${{PIPESTATUS[0]}}'
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "CODE": code},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr
    assert int(result.stdout) in {status.DONE, status.BROKEN_PIPE}


def complete(line: str, data: Path) -> list[str]:
    result = dondoc(
        _DONDOC_COMPLETE="complete_bash",
        COMP_WORDS=line,
        COMP_CWORD=str(len(line.split(" ")) - 1),
        DONDOC_DATA=str(data),
    )
    return result.stdout.split()


def test_the_shell_completes_steps_tasks_people_and_codes(shell: Shell) -> None:
    shell.world.assigned("D1-1", issued_on="2026-02-27", due_on=None)
    data = shell.home.path
    assert "ask-extension" in complete("dondoc task as", data)
    assert complete("dondoc task show D", data) == ["D1-1"]
    assert complete("dondoc task confirm D1-1 --as snv.o", data) == ["snv.officer"]
    assert complete("dondoc task endorse D1-1 --item ex", data) == ["extension", "explanation"]
    assert complete("dondoc task show D", data / "nowhere") == []
