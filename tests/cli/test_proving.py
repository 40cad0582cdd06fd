"""What an outsider takes along and checks elsewhere: bundles, proofs, receipts, the verifier."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from audit.extracting import single_file
from audit.receipt import GRACE
from cli import status
from cli.main import main
from store import queries
from store.engine import writing
from tests.cli.shell import Make, Shell, open_door
from tests.support.authority import authority_of, certify, key
from tests.support.copying import copied, execute_as_superuser
from tests.support.publishing import Published, published
from tests.support.world import World, key_of

MARCH = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture(name="kept")
def _kept(make_shell: Make) -> Shell:
    """Two tasks, published, and their ends stated."""
    shell = make_shell(MARCH)
    shell.world.in_progress("D1-1")
    shell.world.assigned("D1-2")
    log_of(shell).publish()
    log_of(shell).state_heads()
    return shell


@pytest.fixture(name="trust")
def _trust(kept: Shell, tmp_path: Path) -> Path:
    path = tmp_path / "trust"
    assert kept("audit", "trust") == 0
    path.write_text(kept.said)
    return path


def log_of(shell: Shell) -> Published:
    return published(shell.world, shell.home.published)


class Auditor:
    """Somebody with an empty directory, and what was sent to them."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capture = capture
        self.said = self.complained = ""

    def __call__(self, *words: str) -> int:
        answer = main([*words, "--lang", "en", "--data", str(self.folder / "nothing here")])
        self.said, self.complained = self.capture.readouterr()
        return answer


@pytest.fixture(name="auditor")
def _auditor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Auditor]:
    auditor = Auditor(tmp_path / "auditor", capsys)
    auditor.folder.mkdir()
    yield auditor
    assert not (auditor.folder / "nothing here").exists()


def test_a_whole_log_travels_as_one_file_with_words_only_if_asked(
    kept: Shell, trust: Path, auditor: Auditor
) -> None:
    bundle = auditor.folder / "log.zip"
    size = len(kept.world.rows())
    said = kept.json("audit", "export", str(bundle))
    assert said == {
        "file": str(bundle), "entries": size, "size": size, "whole_up_to": size, "later": 0,
    }  # fmt: skip
    assert auditor("audit", "verify", str(bundle), "--trust", str(trust)) == 0
    assert "✓  8" in auditor.said
    assert auditor.said.splitlines()[-1] == "The log is sound."
    assert kept("audit", "export", str(bundle), "--words", language="en") == 0
    assert "holds words" in kept.said
    assert auditor("audit", "verify", str(bundle), "--trust", str(trust), "--json") == 0
    assert json.loads(auditor.said)["erased"] == 0


def test_one_task_travels_with_the_proof_that_it_is_whole(
    kept: Shell, trust: Path, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(auditor.folder)
    assert kept("audit", "prove", "D1-1", language="en") == 0
    assert auditor("audit", "verify", "D1-1.zip", "--trust", str(trust)) == 0
    assert "not the whole log" in auditor.said
    task = kept.world.recorder.task("D1-2")
    assert task is not None
    kept.world.do(task, "confirm", role="officer")
    log_of(kept).publish()
    for command in (["prove", "D1-2"], ["export", "two.zip", "--task", "D1-2"]):
        assert kept("audit", *command, language="en") == 0
        assert "1 entry of it came after that" in kept.said
    assert auditor("audit", "verify", "two.zip", "--trust", str(trust)) == 0


def test_what_cannot_be_proved_yet_says_what_to_wait_for(make_shell: Make, tmp_path: Path) -> None:
    shell = make_shell(MARCH)
    shell.world.assigned("D1-1")
    out = ("--out", str(tmp_path / "out"))
    for command in (["prove", "D1-1", *out], ["export", str(tmp_path / "out")], ["checkpoint"]):
        assert shell("audit", *command, language="en") == 1
        assert "Nothing has been published" in shell.complained
    log_of(shell).publish()
    assert shell("audit", "prove", "D1-1", *out, language="en") == 1
    assert "every ten minutes" in shell.complained
    assert shell("audit", "prove", "D1-1", "--seq", "1", *out) == 0
    whole = shell.json("audit", "prove", "D1-1", "--seq", "1", *out)["bytes"]
    small = shell.json("audit", "prove", "D1-1", "--seq", "1", "--small", *out)["bytes"]
    assert small < 2_000
    assert whole > 3_000
    assert shell("audit", "prove", "D1-1", "--small", *out, language="en") == 2
    assert "goes together with --seq" in shell.complained
    assert shell.json("audit", "prove", "D1-1", "--seq", "9", *out)["refused"] == "unknown_entry"
    assert shell.json("audit", "prove", "D9", *out)["refused"] == "unknown_task"
    log_of(shell).state_heads()
    shell.world.assigned("D1-2")
    for seq in ([], ["--seq", "1"]):
        assert shell("audit", "prove", "D1-2", *seq, *out, language="en") == 1
        assert "Wait for the next checkpoint" in shell.complained
    log_of(shell).publish()
    assert shell.json("audit", "prove", "D1-2", *out)["refused"] == "task_not_stated"
    assert (tmp_path / "out").read_bytes().startswith(b"c2sp.org/tlog-proof")


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(
    kept: Shell, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere" / "x")
    for command in (
        ["export", nowhere],
        ["prove", "D1-1", "--out", nowhere],
        ["prove", "D1-1", "--seq", "1", "--out", nowhere],
    ):
        said = kept.json("audit", *command)
        assert (said["refused"], said["facts"]["path"]) == ("file_failed", nowhere)
    assert kept.json("audit", "export", str(tmp_path))["facts"]["path"] == str(tmp_path)


def receipt_of(shell: Shell, task: str = "D1-1") -> Path:
    """The file of the task's last step."""
    path = shell.home.path / "receipt.json"
    path.write_bytes(shell.world.chain(task)[-1].data)
    return path


def test_a_receipt_is_checked_against_what_is_published_here(kept: Shell) -> None:
    receipt = str(receipt_of(kept))
    assert kept("audit", "receipt", receipt, language="en") == 0
    assert "entry 4 of D1-1 is number 16" in kept.said
    said = kept.json("audit", "receipt", receipt)
    assert (said["kept"], said["chain"], said["seq"], said["index"]) == ("recorded", "D1-1", 4, 16)
    assert said["checkpoint"] == (kept.home.published / "checkpoint").read_text()


def test_a_receipt_younger_than_the_checkpoint_has_to_wait(kept: Shell) -> None:
    kept.world.assigned("D1-3")
    receipt = str(receipt_of(kept, "D1-3"))
    assert kept("audit", "receipt", receipt) == 1
    assert kept.json("audit", "receipt", receipt)["kept"] == "not_yet"
    log_of(kept).publish()
    assert kept("audit", "receipt", receipt) == 0


def test_an_outsider_checks_a_receipt_with_a_proof_file_or_a_bundle(
    kept: Shell, trust: Path, auditor: Auditor
) -> None:
    receipt = receipt_of(kept).rename(auditor.folder / "receipt.json")
    kept("audit", "prove", "D1-1", "--seq", "4", "--out", str(auditor.folder / "proof"))
    kept("audit", "export", str(auditor.folder / "log.zip"))
    kept("audit", "export", str(auditor.folder / "one.zip"), "--task", "D1-1")
    kept("audit", "export", str(auditor.folder / "two.zip"), "--task", "D1-2")
    check = ("audit", "receipt", str(receipt), "--trust", str(trust))
    for means in (
        ["--proof", str(auditor.folder / "proof")],
        ["--bundle", str(auditor.folder / "log.zip")],
        ["--bundle", str(auditor.folder / "one.zip")],
        ["--bundle", str(kept.home.published)],
    ):
        assert auditor(*check, *means) == 0, auditor.complained
    assert auditor(*check, "--bundle", str(auditor.folder / "two.zip")) == 1
    assert "the whole log" in auditor.complained
    # At home a proof needs no trust file: the log knows its keys of that time.
    kept.world.rotate("checkpoint", key_of("new"))
    assert kept("audit", "receipt", str(receipt), "--proof", str(auditor.folder / "proof")) == 0


def test_a_small_proof_goes_with_a_small_trust_file(
    kept: Shell, trust: Path, auditor: Auditor
) -> None:
    receipt = receipt_of(kept).rename(auditor.folder / "receipt.json")
    proof, small = auditor.folder / "proof", auditor.folder / "small"
    assert kept("audit", "prove", "D1-1", "--seq", "4", "--small", "--out", str(proof)) == 0
    assert kept("audit", "trust", "--small") == 0
    small.write_text(kept.said)
    assert set(small.read_text().splitlines()) < set(trust.read_text().splitlines())
    check = ("audit", "receipt", str(receipt), "--proof", str(proof), "--trust")
    assert auditor(*check, str(small)) == 0, auditor.complained
    assert auditor(*check, str(trust)) == 1
    assert "ML-DSA-44" in auditor.complained


def test_a_cut_log_is_convicted_by_what_is_printed(
    kept: Shell, trust: Path, auditor: Auditor
) -> None:
    url = kept.world.engine.url.render_as_string(hide_password=False)
    kept.world.engine.dispose()
    with copied(url, auditor.folder) as copy:
        cut = World(copy, start=kept.world.now)
        task = kept.world.recorder.task("D1-2")
        assert task is not None
        kept.world.do(task, "confirm", role="officer")
        receipt = receipt_of(kept, "D1-2").rename(auditor.folder / "receipt.json")
        cut.forward(seconds=GRACE.total_seconds() + 1)
        cut.assigned("D1-3")
        published(cut, auditor.folder / "cut").publish()
        cut.close()
    note = (auditor.folder / "cut" / "checkpoint").read_text()
    check = ("audit", "receipt", str(receipt), "--bundle", str(auditor.folder / "cut"))
    assert auditor(*check, "--trust", str(trust)) == 1
    assert "BROKEN" in auditor.said
    assert kept.world.chain("D1-2")[-1].leaf in auditor.said
    assert auditor.said.endswith(note)
    assert auditor(*check, "--trust", str(trust), "--json") == 1
    said = json.loads(auditor.said)
    assert (said["kept"], said["checkpoint"]) == ("missing", note)


def test_what_is_no_receipt_or_no_evidence_is_a_sentence(
    kept: Shell, tmp_path: Path, trust: Path
) -> None:
    receipt = receipt_of(kept)
    junk = tmp_path / "junk"
    junk.write_bytes(b"{}")
    codes = {
        "misuse": [str(receipt), "--proof", str(junk), "--bundle", str(junk)],
        "file_failed": [str(tmp_path / "none")],
        "entry_fields": [str(junk)],
        "bundle_unreadable": [str(receipt), "--bundle", str(junk)],
        "proof_checkpoint": [str(receipt), "--proof", str(junk)],
        "policy_malformed": [str(receipt), "--trust", str(junk)],
        "bundle_file_missing": [str(receipt), "--bundle", str(tmp_path / "empty")],
    }
    (tmp_path / "empty").mkdir()
    for code, arguments in codes.items():
        assert kept.json("audit", "receipt", *arguments)["refused"] == code
        assert kept.status == (status.MISUSE if code == "misuse" else status.REFUSED)
        assert "Traceback" not in kept.complained
    foreign = tmp_path / "foreign"
    digest = trust.read_text().split("founding ")[1].strip()
    foreign.write_text(trust.read_text().replace(digest, "0" * 64))
    said = kept.json("audit", "receipt", str(receipt), "--trust", str(foreign))
    assert said["refused"] == "founding_differs"


def test_each_step_leaves_a_receipt_that_the_log_keeps(served: Shell, tmp_path: Path) -> None:
    today = served.world.now.date()
    task = served.world.assigned(
        issued_on=today.isoformat(), due_on=(today + timedelta(days=40)).isoformat()
    )
    assert served("task", "confirm", task.id, "--as", "snv.officer", language="en") == 0
    kept = served.home.receipts / f"{task.id}-3.json"
    assert str(kept) in served.said
    named = tmp_path / "named.json"
    told = ("--as", "snv.officer", "--receipt")
    assert served("task", "start", task.id, *told, str(tmp_path / "nowhere" / "r")) == 1
    assert served("task", "start", task.id, *told, str(tmp_path)) == 1
    # The step was not made: a receipt that can't be kept is no receipt.
    assert len(served.world.chain(task.id)) == 3
    assert served("task", "start", task.id, *told, str(named)) == 0
    log_of(served).publish()
    for receipt in (kept, named):
        assert served("audit", "receipt", str(receipt)) == 0


def test_a_command_that_never_reached_the_log_leaves_no_receipt(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = shell.world.now.date()
    task = shell.world.assigned(
        issued_on=today.isoformat(), due_on=(today + timedelta(days=40)).isoformat()
    )

    def fail(_jobs: object) -> None:
        raise OSError("the database is gone")

    confirm = ("task", "confirm", task.id, "--as", "snv.officer")
    assert shell(*confirm) == 1
    with open_door(shell.home, shell.world):
        assert shell("task", "approve", task.id, "--as", "snv.approver") == 1
        monkeypatch.setattr(shell.world.recorder, "record", fail)
        assert shell(*confirm) == 1
        assert "Traceback" not in shell.complained
    assert not shell.home.receipts.exists()
    assert len(shell.world.chain(task.id)) == 2


def test_a_log_that_grows_while_it_is_verified_raises_no_alarm(
    kept: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read stands still; what everybody can see goes on."""
    grown = []
    shown_tasks = queries.shown_tasks

    def meanwhile(connection: Connection) -> object:
        kept.world.assigned("T-99")
        log_of(kept).publish()
        grown.append(len(kept.world.rows()))
        return shown_tasks(connection)

    monkeypatch.setattr(queries, "shown_tasks", meanwhile)
    assert kept("audit", "verify") == 0, kept.complained + kept.said
    assert len(grown) == 1


def test_the_newest_checkpoint_and_the_verifier_are_printed_to_the_letter(kept: Shell) -> None:
    assert kept("audit", "checkpoint") == 0
    assert kept.said == (kept.home.published / "checkpoint").read_text()
    assert kept.json("audit", "checkpoint")["size"] == len(kept.world.rows())
    assert kept("audit", "verifier") == 0
    assert kept.said == single_file()
    assert kept.json("audit", "verifier")["verifier"] == single_file()


def test_a_bundle_is_verified_with_a_trust_file_only_and_its_options_need_a_bundle(
    kept: Shell, trust: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "log.zip"
    kept("audit", "export", str(bundle))
    for arguments in (
        [str(bundle)],
        ["--trust", str(trust)],
        ["--known", str(trust)],
        ["--skip-signatures"],
    ):
        assert kept("audit", "verify", *arguments) == status.MISUSE
    wrong = ("audit", "verify", str(bundle), "--trust")
    assert kept.json(*wrong, str(tmp_path / "none"))["refused"] == "policy_missing"
    assert kept.json(*wrong, str(bundle))["refused"] == "policy_malformed"
    missing = kept.json("audit", "verify", str(tmp_path / "none"), "--trust", str(trust))
    assert missing["refused"] == "file_failed"
    known = tmp_path / "known"
    kept("audit", "checkpoint")
    known.write_text(kept.said)
    assert kept(*wrong, str(trust), "--known", str(known)) == 0
    assert kept(*wrong, str(trust), "--skip-signatures") == 0
    roots = tmp_path / "roots.pem"
    stamped = (*wrong, str(trust), "--tsa-roots", str(roots))
    assert kept.json(*stamped)["refused"] == "certificates_unreadable"
    roots.write_bytes(certify("Root", key("p256"), extensions=authority_of()).pem)
    assert kept.json(*stamped)["findings"][0]["code"] == "timestamp_missing"


def test_findings_in_a_bundle_are_sentences_in_ones_own_language(kept: Shell, trust: Path) -> None:
    size = len(kept.world.rows())
    entries = kept.home.published / f"tile/entries/000.p/{size}"
    data = entries.read_bytes()
    entries.write_bytes(data.replace(b'"v":1', b'"v":2', 1))
    command = ("audit", "verify", str(kept.home.published), "--trust", str(trust))
    assert kept(*command) == 1
    assert "[10 entry_not_of_tile]" in kept.said
    assert "Nhật ký KHÔNG nguyên vẹn" in kept.said
    assert kept(*command, language="en") == 1
    assert "the entry is not the one whose hash was published" in kept.said
    said = kept.json(*command)
    assert said["findings"][0]["code"] == "entry_not_of_tile"


def tamper(shell: Shell, *statements: str) -> None:
    with writing(shell.world.engine) as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
        for name in names.scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(text(statement))


def test_verify_remembers_a_tail_that_was_cut_everywhere_in_the_database(kept: Shell) -> None:
    kept.world.assigned("D1-3")
    size = len(kept.world.rows())
    log_of(kept).publish()
    assert kept("audit", "verify") == 0
    tamper(
        kept,
        "DELETE FROM outbox",
        f"DELETE FROM checkpoint WHERE size > {size - 2}",
        "DELETE FROM task WHERE id = 'D1-3'",
        f"DELETE FROM leaf WHERE idx >= {size - 2}",
        "DELETE FROM opening WHERE leaf IN (SELECT leaf FROM entry WHERE chain = 'D1-3')",
        "DELETE FROM entry WHERE chain = 'D1-3'",
    )
    assert kept("audit", "verify", language="en") == 1
    assert "✗ 11" in kept.said
    assert "the log was longer once" in kept.said
    assert f"({size}, here {size - 2})" in kept.said


def test_verify_survives_a_gap_and_names_it(kept: Shell) -> None:
    tamper(kept, "DELETE FROM leaf WHERE idx = 14")
    said = kept.json("audit", "verify")
    assert [finding["code"] for finding in said["findings"]] == ["log_has_gap"]
    assert kept("audit", "verify", language="en") == 1
    assert "a place in the log has no entry" in kept.said


def test_the_tables_are_upgraded_and_a_role_is_granted_what_the_service_needs(
    kept: Shell, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept("database", "upgrade") == 0
    assert kept("database", "grant", "somebody", language="en") == 1
    assert kept.complained
    monkeypatch.setenv("DONDOC_DATABASE_URL", postgres_url)
    assert kept.json("database", "upgrade") == {"upgraded": True}
    assert kept.json("database", "grant", "nobody_there")["refused"] == "role_unknown"
    execute_as_superuser(postgres_url, "CREATE ROLE proving_service LOGIN")
    try:
        assert kept("database", "grant", "proving_service", language="en") == 0
        assert "proving_service" in kept.said
    finally:
        execute_as_superuser(
            postgres_url, "DROP OWNED BY proving_service", "DROP ROLE proving_service"
        )
