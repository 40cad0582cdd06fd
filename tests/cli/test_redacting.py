"""`dondoc audit redact`: words go, the log stays whole."""

import sys
from pathlib import Path

import pytest

from cli import status
from embedded.keyring import key_path, save_key
from messages import LANGUAGES
from tests.cli.shell import PASSPHRASE, Shell
from tests.support.world import HEADER, key_of

REDACT = ("audit", "redact", "T-1", "1", "title", "--reason", "privacy")


@pytest.fixture(name="kept")
def _kept(served: Shell) -> Shell:
    """A log with one task, and its door open."""
    served.world.registered("T-1", issued_on="2026-02-27", due_on=None)
    return served


def history(shell: Shell) -> dict[str, str | None]:
    texts: dict[str, str | None] = shell.json("task", "history", "T-1")["entries"][0]["texts"]
    return texts


def test_erased_words_are_shown_as_erased_and_everything_verifies(kept: Shell) -> None:
    before = kept.json("audit", "verify")
    done = kept.json(*REDACT, "--yes")
    assert kept.status == 0
    assert (done["task"], done["seq"], done["field"], done["reason"]) == (
        "T-1", 1, "title", "privacy",
    )  # fmt: skip
    assert done["leaf"] == kept.world.chain("attestations")[0].leaf
    assert history(kept) == {"title": None, "document_title": HEADER["document_title"]}
    assert kept("task", "history", "T-1") == 0
    assert "tên nhiệm vụ: (đã xóa)" in kept.said
    assert HEADER["title"] not in kept.said
    assert kept("task", "list") == 0
    assert HEADER["title"] not in kept.said
    after = kept.json("audit", "verify")
    assert after["ok"]
    assert (after["erased"], after["openings"]) == (1, before["openings"] - 1)
    assert kept("rebuild") == 0
    assert kept.json("audit", "verify")["ok"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_is_a_sentence(kept: Shell, language: str) -> None:
    assert kept(*REDACT, "--yes", language=language) == 0
    assert "T-1" in kept.said
    assert kept.world.chain("attestations")[0].leaf[:12] in kept.said


def test_nothing_is_erased_unless_somebody_confirms(
    kept: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.json(*REDACT)["refused"] == "confirmation_missing"
    assert kept(*REDACT) == status.REFUSED
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []

    def answers(yes: bool) -> None:  # noqa: FBT001 - a test's
        def confirm(question: str, **_: object) -> bool:
            asked.append(question)
            return yes

        monkeypatch.setattr("typer.confirm", confirm)

    answers(False)
    assert kept(*REDACT) == status.REFUSED
    assert history(kept)["title"] == HEADER["title"]
    answers(True)
    assert kept(*REDACT) == 0
    assert history(kept)["title"] is None
    assert asked == ["Xóa vĩnh viễn “tên nhiệm vụ” của T-1, mục 1?"] * 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("T-1", "2", "title"), "nothing_to_erase"),
        (("T-1", "1", "reason"), "nothing_to_erase"),
        (("T-9", "1", "title"), "unknown_task"),
        (("attestations", "1", "title"), "unknown_task"),
    ],
)
def test_what_is_not_there_is_named(kept: Shell, words: tuple[str, ...], code: str) -> None:
    answer = kept.json("audit", "redact", *words, "--reason", "mistake", "--yes")
    assert answer["refused"] == code
    assert kept.status == status.REFUSED


def test_a_reason_that_is_none_is_misuse(kept: Shell) -> None:
    words = ("audit", "redact", "T-1", "1", "title", "--reason", "because", "--yes")
    assert kept(*words) == status.MISUSE
    assert kept("audit", "redact", "T-1", "0", "title", "--reason", "mistake") == status.MISUSE
    assert history(kept)["title"] == HEADER["title"]


def test_the_administrators_key_signs_and_no_other(kept: Shell, tmp_path: Path) -> None:
    officer, administrator = tmp_path / "officer.pem", tmp_path / "administrator.pem"
    save_key(officer, key_of("snv.officer"), PASSPHRASE)
    save_key(administrator, key_of("administrator"), PASSPHRASE)
    key_path(kept.home, "administrator").unlink()
    assert kept.json(*REDACT, "--yes")["refused"] == "key_not_held"
    answer = kept.json(*REDACT, "--yes", "--administrator", str(officer))
    assert answer["refused"] == "key_of_other_purpose"
    assert history(kept)["title"] == HEADER["title"]
    assert kept(*REDACT, "--yes", "--administrator", str(administrator)) == 0
    assert history(kept)["title"] is None


def test_a_second_erasure_hangs_on_the_first(kept: Shell) -> None:
    assert kept(*REDACT, "--yes") == 0
    again = ("audit", "redact", "T-1", "1", "document_title", "--reason", "retention", "--yes")
    assert kept(*again) == 0
    assert kept.json(*REDACT, "--yes")["refused"] == "nothing_to_erase"
    assert [row.seq for row in kept.world.chain("attestations")] == [1, 2]
    assert kept.json("audit", "verify")["erased"] == 2
