"""Files by the command: handed in with a step, listed, written out, checked, swept."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evidence.folder import Folder
from evidence.stores import put
from tests.cli.shell import Shell, open_door, utc_now
from tests.cli.test_steps import SO_NOI_VU, assigned, ok, refused
from tests.support.documents import PDF, PNG
from tests.support.s3 import s3_server

SUBMIT = ("task", "submit", "D1-1", *SO_NOI_VU, "--summary", "Xong")
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def begun(served: Shell) -> Shell:
    """A task whose result may be handed in."""
    assigned(served)
    ok(served, "task", "confirm", "D1-1", *SO_NOI_VU)
    ok(served, "task", "start", "D1-1", *SO_NOI_VU)
    return served


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    file = tmp_path / "biên bản của ông A.pdf"
    file.write_bytes(PDF)
    return file


def submitted(shell: Shell, *files: Path) -> list[str]:
    words = [word for file in files for word in ("--file", str(file))]
    ok(shell, *SUBMIT, *words)
    last = shell.json("task", "history", "D1-1")["entries"][-1]
    return list(last["arguments"]["evidence"])


def path_of(shell: Shell, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return shell.home.evidence / name[:2] / name[2:4] / name


def age(shell: Shell, digest: str, **delta: float) -> None:
    then = (utc_now() - timedelta(**delta)).timestamp()
    os.utime(path_of(shell, digest), (then, then))


def test_files_are_handed_in_with_the_step_that_names_them(
    begun: Shell, pdf: Path, tmp_path: Path
) -> None:
    png = tmp_path / "ảnh.png"
    png.write_bytes(PNG)
    digests = submitted(begun, pdf, png)
    assert len(digests) == 2
    listed = begun.json("evidence", "list")
    assert {each["digest"]: each["size"] for each in listed} == {
        digests[0]: len(PDF),
        digests[1]: len(PNG),
    }
    seq = begun.world.chain("D1-1")[-1].seq
    assert [each["named"] for each in listed] == [[{"task": "D1-1", "seq": seq}]] * 2
    out = tmp_path / "out.pdf"
    ok(begun, "evidence", "get", digests[0], "--out", str(out))
    assert out.read_bytes() == PDF
    ok(begun, "evidence", "get", digests[1].removeprefix("sha256:")[:8], "-o", str(out))
    assert out.read_bytes() == PNG
    assert "2" in ok(begun, "evidence", "check")
    assert f"tệp minh chứng: {digests[1]}" in ok(begun, "task", "history", "D1-1")


def test_the_name_of_a_file_is_kept_nowhere(begun: Shell, pdf: Path) -> None:
    submitted(begun, pdf)
    for file in begun.home.path.rglob("*"):
        if file.is_file():
            assert "ông A".encode() not in file.read_bytes(), file
    assert not [file for file in begun.home.path.rglob("*") if "biên" in file.name]


def test_a_file_that_was_handed_in_before_may_be_named_by_its_digest(
    begun: Shell, pdf: Path
) -> None:
    (digest,) = submitted(begun, pdf)
    ok(begun, "task", "send-back", "D1-1", "--as", "snv.approver", "--reason", "Thiếu chữ ký")
    ok(begun, *SUBMIT, "--evidence", digest)
    assert refused(begun, *SUBMIT, "--evidence", NOWHERE) == "wrong_state"


def test_a_digest_that_nobody_handed_in_is_refused(begun: Shell) -> None:
    assert refused(begun, *SUBMIT, "--evidence", NOWHERE) == "evidence_missing"
    assert NOWHERE in begun.json(*SUBMIT, "--evidence", NOWHERE)["text"]
    assert refused(begun, *SUBMIT, "--evidence", "report.pdf") == "bad_argument"


def test_what_is_not_taken_stops_the_step(begun: Shell, pdf: Path, tmp_path: Path) -> None:
    program = tmp_path / "report.pdf"
    program.write_bytes(b"MZ\x90\0")
    assert refused(begun, *SUBMIT, "--file", str(program)) == "evidence_executable"
    assert refused(begun, *SUBMIT, "--file", str(tmp_path / "nothing")) == "file_missing"
    assert refused(begun, *SUBMIT, "--file", str(tmp_path)) == "file_missing"
    many = [word for _ in range(101) for word in ("--file", str(pdf))]
    assert refused(begun, *SUBMIT, *many) == "evidence_too_many"
    program.write_bytes(b"%PDF" + b"x" * (51 << 20))
    assert refused(begun, *SUBMIT, "--file", str(program)) == "evidence_too_large"
    assert begun.json("task", "show", "D1-1")["state"] == "in_progress"
    assert begun.json("evidence", "list") == []


def test_files_of_a_protected_task_never_leave_the_machine(served: Shell, pdf: Path) -> None:
    assigned(served, secrecy="secret")
    ok(served, "task", "confirm", "D1-1", *SO_NOI_VU)
    ok(served, "task", "start", "D1-1", *SO_NOI_VU)
    assert refused(served, *SUBMIT, "--file", str(pdf)) == "evidence_protected"
    assert not served.home.evidence.exists()


def test_a_check_finds_what_is_missing_and_what_was_altered(
    begun: Shell, pdf: Path, tmp_path: Path
) -> None:
    png = tmp_path / "x.png"
    png.write_bytes(PNG)
    first, second = submitted(begun, pdf, png)
    path_of(begun, first).write_bytes(PDF + b"!")
    path_of(begun, second).unlink()
    assert begun("evidence", "check") == 1
    assert f"BỊ SỬA {first}" in begun.said
    assert f"THIẾU {second}" in begun.said
    found = begun.json("evidence", "check")
    assert begun.status == 1
    assert {(each["digest"], each["finding"], each["task"]) for each in found["wrong"]} == {
        (first, "evidence_altered", "D1-1"),
        (second, "evidence_missing", "D1-1"),
    }
    out = tmp_path / "out.pdf"
    out.write_text("as it was")
    assert refused(begun, "evidence", "get", first, "-o", str(out)) == "evidence_altered"
    assert refused(begun, "evidence", "get", second, "-o", str(out)) == "evidence_missing"
    assert out.read_text() == "as it was"
    assert [file.name for file in tmp_path.iterdir() if "out" in file.name] == ["out.pdf"]


def test_the_log_is_verified_and_rebuilt_without_any_file(begun: Shell, pdf: Path) -> None:
    (digest,) = submitted(begun, pdf)
    path_of(begun, digest).unlink()
    ok(begun, "audit", "verify")
    ok(begun, "rebuild")
    assert begun.json("task", "show", "D1-1")["state"] == "in_review"


def test_a_sweep_removes_what_no_entry_names_after_a_day(begun: Shell, pdf: Path) -> None:
    (named,) = submitted(begun, pdf)
    store = Folder(begun.home.evidence, utc_now)
    orphan, young, claimed = (put(store, [PDF, bytes([n])], 1 << 20) for n in (1, 2, 3))
    for digest in (named, orphan, claimed):
        age(begun, digest, days=2)
    age(begun, young, hours=23)
    assert store.claim(claimed)
    part = begun.home.evidence / "incoming" / f"{'0' * 32}.part"
    part.write_bytes(b"from a process that died")
    swept = begun.json("evidence", "sweep")
    assert swept == {"removed": [orphan], "parts": 1}
    assert {each["digest"] for each in begun.json("evidence", "list")} == {named, young, claimed}
    assert "0" in ok(begun, "evidence", "sweep")


def test_a_sweep_beside_another_log_removes_nothing(
    begun: Shell, pdf: Path, tmp_path: Path
) -> None:
    """A database named by mistake knows no entry that names these files."""
    from store.engine import open_engine  # noqa: PLC0415 - only here
    from store.upgrade import upgrade  # noqa: PLC0415 - likewise

    (digest,) = submitted(begun, pdf)
    age(begun, digest, days=2)
    url = f"sqlite:///{tmp_path / 'empty.sqlite'}"
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DONDOC_DATABASE_URL", url)
        assert refused(begun, "evidence", "sweep") == "not_founded"
    assert path_of(begun, digest).exists()


def test_a_digest_may_be_cut_short_while_it_is_clear(shell: Shell, tmp_path: Path) -> None:
    store = Folder(shell.home.evidence, lambda: datetime.now(UTC))
    digest = put(store, [PDF], 1 << 20)
    out = ("-o", str(tmp_path / "out"))
    ok(shell, "evidence", "get", digest[: len("sha256:") + 4], *out)
    assert refused(shell, "evidence", "get", "abc", *out) == "evidence_digest_malformed"
    assert refused(shell, "evidence", "get", "../../x", *out) == "evidence_digest_malformed"
    assert refused(shell, "evidence", "get", "0000", *out) == "evidence_missing"
    assert shell("evidence", "get", digest, "-o", str(tmp_path)) == 1


def test_without_a_service_no_file_is_handed_in(shell: Shell, pdf: Path) -> None:
    assigned(shell)
    assert refused(shell, *SUBMIT, "--file", str(pdf)) == "not_running"
    assert "[]" in ok(shell, "evidence", "list", "--json")


def test_files_may_lie_in_storage_elsewhere(
    shell: Shell, pdf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as server:
        monkeypatch.setenv("DONDOC_EVIDENCE_S3_ENDPOINT", server.endpoint)
        monkeypatch.setenv("DONDOC_EVIDENCE_S3_BUCKET", "files")
        monkeypatch.setenv("DONDOC_EVIDENCE_S3_PREFIX", "nhật ký/")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        with open_door(shell.home, shell.world):
            assigned(shell)
            ok(shell, "task", "confirm", "D1-1", *SO_NOI_VU)
            ok(shell, "task", "start", "D1-1", *SO_NOI_VU)
            assert refused(shell, *SUBMIT, "--evidence", NOWHERE) == "evidence_missing"
            (digest,) = submitted(shell, pdf)
        assert [each["digest"] for each in shell.json("evidence", "list")] == [digest]
        ok(shell, "evidence", "check")
        assert shell.json("evidence", "sweep") == {"removed": [], "parts": 0}
        ok(shell, "evidence", "get", digest, "-o", str(tmp_path / "out"))
        assert (tmp_path / "out").read_bytes() == PDF
        assert not [file for file in shell.home.evidence.rglob("*") if file.is_file()]
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        assert shell.json("evidence", "check")["facts"] == {"detail": "HTTP 403"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DONDOC_EVIDENCE_S3_ENDPOINT", "http://storage.example"),
        ("DONDOC_EVIDENCE_S3_ENDPOINT", "https://storage.example/path"),
        ("DONDOC_EVIDENCE_S3_ENDPOINT", "ftp://storage.example"),
        ("DONDOC_EVIDENCE_S3_ENDPOINT", "https://user:word@storage.example"),
        ("DONDOC_EVIDENCE_MAX_MIB", "many"),
        ("DONDOC_EVIDENCE_MAX_MIB", "0"),
        ("DONDOC_EVIDENCE_TYPES", "pdf,exe"),
    ],
)
def test_a_wrong_setting_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert refused(shell, "evidence", "list") == "evidence_setting_wrong"
    assert variable in shell.json("evidence", "list")["text"]


def test_storage_that_is_away_is_a_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DONDOC_EVIDENCE_S3_ENDPOINT", "http://127.0.0.1:9")
    assert refused(shell, "evidence", "list") == "evidence_setting_wrong"
    for name in ("DONDOC_EVIDENCE_S3_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert name in shell.json("evidence", "list")["text"]
        monkeypatch.setenv(name, "x")
    answer = shell.json("evidence", "list")
    assert (answer["refused"], answer["facts"]) == (
        "evidence_unavailable",
        {"detail": "ConnectError"},
    )
    assert shell.status == 1
