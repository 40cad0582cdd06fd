"""Protected tasks at the terminal: shown by number and level; words for who may read them."""

from pathlib import Path

import pytest

from cli import status
from cli.reading import clearance_of
from domain.task import Secrecy
from messages import LANGUAGES
from tests.cli.shell import PASSPHRASE, Shell
from tests.support.canary import Canary
from tests.support.publishing import published
from tests.support.world import vault_key
from vault.keys import reading_key

CANARY = Canary("at the terminal")
WORDS = {
    "secrecy": "secret",
    "title": CANARY.words,
    "document_title": CANARY.words,
    "signatory": "Ông Ất",
}
REASON = ("--reason", "secrecy", "--yes")


@pytest.fixture(name="kept")
def _kept(served: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A log with a secret task and a normal one, and its door open."""
    monkeypatch.delenv("DONDOC_VAULT_KEY", raising=False)
    served.world.registered("S-1", issued_on="2026-02-27", due_on=None, **WORDS)
    served.world.registered("N-1", issued_on="2026-02-27", due_on=None)
    return served


def tells(shell: Shell) -> bool:
    return CANARY.in_bytes((shell.said + shell.complained).encode())


@pytest.mark.parametrize("language", LANGUAGES)
def test_listings_show_number_symbol_and_level(kept: Shell, language: str) -> None:
    assert kept("task", "list", language=language) == 0
    assert ("12/CT-UBND · mật" if language == "vi" else "12/CT-UBND · secret") in kept.said
    assert not tells(kept)
    rows = {row["id"]: row for row in kept.json("task", "list")}
    assert (rows["S-1"]["title"], rows["S-1"]["secrecy"]) == ("12/CT-UBND", "secret")
    assert rows["N-1"]["secrecy"] == "normal"


def test_who_keeps_the_vaults_key_reads(kept: Shell) -> None:
    shown = kept.json("task", "show", "S-1")
    assert shown["texts"]["title"] == CANARY.words
    assert shown["sealed"] == []
    assert kept("task", "show", "S-1") == 0
    assert "Ông Ất" in kept.said
    (entry,) = kept.json("task", "history", "S-1")["entries"]
    assert entry["texts"]["title"] == CANARY.words
    assert kept("task", "history", "S-1") == 0
    assert tells(kept)


@pytest.mark.parametrize("command", ["show", "history"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_without_key_or_clearance_it_is_said_that_there_are_words(
    kept: Shell, command: str, language: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sealed = "(niêm phong)" if language == "vi" else "(sealed)"

    def closed(*words: str) -> None:
        assert kept("task", command, "S-1", *words, language=language) == 0
        assert sealed in kept.said
        assert not tells(kept)
        told = kept.json("task", command, "S-1", *words)
        entry = told["entries"][0] if command == "history" else told
        assert entry["sealed"] == ["document_title", "signatory", "title"]
        assert entry["texts"].get("title") is None

    kept.world.change("clear", {"person": "sxd.officer", "clearance": "normal"})
    closed("--as", "sxd.officer")
    assert kept.json("task", "show", "S-1", "--as", "snv.officer")["sealed"] == []
    kept.home.vault_key.unlink()
    closed()
    other = tmp_path / "other.pem"
    other.write_bytes(reading_key(b"o" * 32).to_pem(PASSPHRASE))
    monkeypatch.setenv("DONDOC_VAULT_KEY", str(other))
    closed()
    # A normal task is everybody's to read, whatever the variable names.
    monkeypatch.setenv("DONDOC_VAULT_KEY", str(tmp_path / "none.pem"))
    assert kept.json("task", "show", "N-1")["sealed"] == []
    assert kept.json("task", command, "S-1")["refused"] == "key_file_missing"


def test_the_key_may_lie_elsewhere_and_the_service_does_not_miss_it(
    kept: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = tmp_path / "vault.pem"
    kept.home.vault_key.rename(apart)
    words = ("task", "transfer", "S-1", "--as", "vp.office")
    assert kept(*words) == 0, kept.complained
    disputed = ("task", "dispute", "S-1", "--as", "snv.officer", "--reason", CANARY.words)
    assert kept(*disputed) == 0, kept.complained
    assert not tells(kept)
    assert kept.json("task", "history", "S-1")["entries"][2]["sealed"] == ["reason"]
    monkeypatch.setenv("DONDOC_VAULT_KEY", str(apart))
    assert kept.json("task", "history", "S-1")["entries"][2]["texts"]["reason"] == CANARY.words
    assert CANARY.files(kept.home.path) == []


@pytest.mark.parametrize("level", ["mật", "TỐI MẬT"])
def test_what_is_imported_leaves_its_words_in_the_file_alone(
    kept: Shell, tmp_path: Path, level: str
) -> None:
    file = tmp_path / "in.yaml"
    file.write_text(
        "documents:\n  - number: '77'\n    symbol: QĐ-M\n    issued_on: 2026-02-27\n"
        f"    issuer: vp\n    secrecy: {level}\n    document_title: {CANARY.words}\n"
        f"    signatory: {CANARY.words}\n    tasks:\n      - title: {CANARY.words}\n"
        "        lead: snv\n        monitor: ttt\n"
    )
    (task,) = kept.json("import", str(file))["new"]
    assert not tells(kept)
    assert CANARY.files(kept.home.path) == []
    assert {row["id"]: row["title"] for row in kept.json("task", "list")}[task] == "77/QĐ-M"
    assert kept.json("task", "show", task)["texts"]["signatory"] == CANARY.words
    file.write_text(file.read_text() + f"        content: {CANARY.words}\n")
    refused = kept.json("import", str(file))
    assert [error["code"] for error in refused["errors"]] == ["protected_content"]
    assert not tells(kept)


def test_a_wrong_passphrase_is_told_when_the_key_was_named(
    kept: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(vault_key().to_pem(b"another passphrase"))
    kept.home.vault_key.write_bytes(other.read_bytes())
    assert kept.json("task", "show", "S-1")["sealed"] == ["document_title", "signatory", "title"]
    monkeypatch.setenv("DONDOC_VAULT_KEY", str(other))
    assert kept.json("task", "show", "S-1")["refused"] == "vault_key_unreadable"
    assert kept("task", "show", "S-1") == status.REFUSED


def test_a_named_person_reads_up_to_their_own_level(kept: Shell) -> None:
    kept.world.change("clear", {"person": "sxd.officer", "clearance": "secret"})
    directory = kept.world.recorder.directory()
    assert clearance_of(directory, None) is Secrecy.TOP_SECRET
    assert clearance_of(directory, "snv.officer") is Secrecy.TOP_SECRET
    assert clearance_of(directory, "sxd.officer") is Secrecy.SECRET
    assert clearance_of(directory, "nobody") is Secrecy.NORMAL
    kept.world.change("leave", {"person": "snv.officer"})
    assert clearance_of(kept.world.recorder.directory(), "snv.officer") is Secrecy.NORMAL


def test_the_log_verifies_with_the_key_and_without(kept: Shell) -> None:
    told = kept.json("audit", "verify")
    assert (told["ok"], told["openings"], told["sealed"], told["erased"]) == (True, 5, 0, 0)
    kept.home.vault_key.unlink()
    told = kept.json("audit", "verify")
    assert (told["ok"], told["openings"], told["sealed"], told["erased"]) == (True, 2, 3, 0)
    assert kept("audit", "verify", language="en") == 0
    assert "Sealed words, with no key to open them: 3." in kept.said


def test_an_export_has_protected_words_only_when_asked_twice(kept: Shell, tmp_path: Path) -> None:
    log = published(kept.world, kept.home.published)
    log.publish()
    file = tmp_path / "out.zip"
    for words in ((), ("--words",)):
        assert kept("audit", "export", str(file), *words) == 0
        assert not CANARY.in_bytes(file.read_bytes())
    assert kept("audit", "export", str(file), "--protected-words") == status.MISUSE
    asked = ("audit", "export", str(file), "--words", "--protected-words")
    assert kept(*asked) == 0
    assert "MẬT" in kept.said
    assert CANARY.in_bytes(file.read_bytes())
    kept.home.vault_key.unlink()
    assert kept.json(*asked)["refused"] == "vault_key_missing"


def test_one_field_or_all_words_of_a_task_are_erased(kept: Shell) -> None:
    assert kept("audit", "redact", "S-1", "1", "title", *REASON) == 0
    assert set(kept.json("task", "show", "S-1")["texts"]) == {"document_title", "signatory"}
    done = kept.json("audit", "shred", "S-1", *REASON)
    assert (done["task"], done["seq"], done["reason"]) == ("S-1", 1, "secrecy")
    assert done["leaf"] == kept.world.chain("attestations")[-1].leaf
    shown = kept.json("task", "show", "S-1")
    assert (shown["texts"], shown["sealed"]) == ({}, [])
    assert kept("task", "history", "S-1") == 0
    assert kept.said.count("(đã xóa)") == 3
    told = kept.json("audit", "verify")
    assert (told["ok"], told["openings"], told["erased"], told["sealed"]) == (True, 2, 3, 0)
    assert kept.json("audit", "shred", "S-1", *REASON)["refused"] == "nothing_to_shred"
    assert kept("task", "list") == 0
    assert "12/CT-UBND · mật" in kept.said


@pytest.mark.parametrize("language", LANGUAGES)
def test_shredding_asks_first_and_answers_in_a_sentence(kept: Shell, language: str) -> None:
    asked = ("audit", "shred", "S-1", "--reason", "secrecy")
    assert kept.json(*asked)["refused"] == "confirmation_missing"
    assert kept(*asked, "--yes", language=language) == 0
    assert kept.world.chain("attestations")[0].leaf[:12] in kept.said
    assert kept("audit", "shred", "S-1", "--reason", "because", "--yes") == status.MISUSE
