"""What a log signed and can't both be true is kept, and the report on it stands alone."""

from pathlib import Path

import pytest

from audit.checkpoint import open_checkpoint
from audit.note import parse_vkey
from messages import LANGUAGES, Texts
from tests.support.witnessing import NAME, ORIGIN, Log, post
from witness.evidence import report, write_reports
from witness.home import Home
from witness.judging import Kind
from witness.store import Kept, Store


def kept(home: Home) -> tuple[Kept, ...]:
    store = Store(home.store)
    try:
        return store.kept()
    finally:
        store.close()


def notes_in(text: str) -> list[bytes]:
    """The notes between the rulers, as somebody would cut them out."""
    parts = text.split("----- tree ")[1:]
    return [part.split("-----\n", 1)[1].split("-" * 20)[0].encode() for part in parts]


def test_both_heads_of_a_fork_are_kept(url: str, home: Home, log: Log) -> None:
    lie = log.branch(8)
    post(url, log.request(0))
    post(url, lie.request(8))
    (found,) = kept(home)
    assert found.evidence.kind is Kind.FORK
    assert (found.evidence.first.note, found.evidence.second.note) == (log.note(), lie.note())
    assert not found.settled


def test_a_fork_counts_whatever_old_says_and_also_behind_the_last_head(
    url: str, home: Home, log: Log
) -> None:
    post(url, log.request(0))
    post(url, log.grown(20).request(8))
    assert post(url, log.branch(8).request(3)).status_code == 409
    assert [item.evidence.kind for item in kept(home)] == [Kind.FORK]


def test_the_same_fork_is_kept_once(url: str, home: Home, log: Log) -> None:
    post(url, log.request(0))
    for _ in range(3):
        post(url, log.branch(8).request(8))
    post(url, log.branch(8, "another").request(8))
    assert len(kept(home)) == 2
    assert len(list(home.forks.iterdir())) == 2


def test_a_failing_proof_is_a_suspicion_until_a_right_one_comes(
    url: str, home: Home, log: Log
) -> None:
    post(url, log.request(0))
    larger = log.grown(20)
    wrong = [bytes(32)] * 3
    assert post(url, larger.request(8, wrong)).status_code == 422
    (found,) = kept(home)
    assert found.evidence.kind is Kind.SUSPICION
    assert found.evidence.proof == tuple(wrong)
    assert not found.settled
    assert post(url, larger.request(8)).status_code == 200
    assert kept(home)[0].settled


def test_what_nobody_signed_is_no_evidence(url: str, home: Home, log: Log) -> None:
    post(url, log.request(0))
    thief = Log(ORIGIN, log.leaves)
    assert post(url, thief.branch(8).request(8)).status_code == 403
    assert post(url, log.request(8, [bytes(32)])).status_code == 422
    assert kept(home) == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_has_all_that_is_needed_to_check_it(
    url: str, home: Home, log: Log, language: str
) -> None:
    lie = log.branch(8)
    post(url, log.request(0))
    post(url, lie.request(8))
    text = report(kept(home)[0], NAME, Texts(language))
    assert ORIGIN in text
    assert notes_in(text) == [log.note(), lie.note()]
    keys = [parse_vkey(line.strip()) for line in text.splitlines() if line.startswith("    ")]
    trees = [open_checkpoint(note, ORIGIN, keys).checkpoint for note in notes_in(text)]
    assert trees == [log.checkpoint(), lie.checkpoint()]


def test_the_report_lies_on_the_disk_and_comes_back_when_deleted(
    url: str, home: Home, log: Log
) -> None:
    post(url, log.request(0))
    post(url, log.branch(8).request(8))
    (file,) = home.forks.iterdir()
    content = file.read_bytes()
    assert content.decode() == report(kept(home)[0], NAME, Texts("en"))
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    write_reports(home.forks, kept(home), NAME)
    assert file.read_bytes() == content


def test_a_full_disk_for_reports_does_not_keep_it_from_answering(
    url: str, home: Home, log: Log, tmp_path: Path
) -> None:
    home.forks.rename(tmp_path / "elsewhere")
    home.forks.write_text("a file where the directory should be")
    post(url, log.request(0))
    assert post(url, log.branch(8).request(8)).status_code == 409
    assert len(kept(home)) == 1
