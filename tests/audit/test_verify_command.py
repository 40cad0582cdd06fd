"""`python -m audit.verify`: what it says, how it ends, and what it does on a terminal."""

import json
import os
import pty
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from audit.note import Line, Note, format_note, parse_note
from audit.saying import LANGUAGES, Speaker, codes, language_of
from audit.trust_file import format_policy
from audit.verify import BROKEN, BROKEN_PIPE, HOLDS, MISUSE, MOST_FINDINGS, main
from tests.support.attacking import (
    Files,
    Scribe,
    policy_of,
    signers_of,
    small_log,
    written,
    zipped,
)
from tests.support.world import key_of

ROOT = Path(__file__).resolve().parents[2]

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="trust")
def _trust(tmp_path: Path) -> Path:
    path = tmp_path / "trust"
    path.write_bytes(format_policy(policy_of()))
    return path


@pytest.fixture(name="verify")
def _verify(
    tmp_path: Path, trust: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Say:
    """Runs the command on a bundle of these files: status, output, complaints."""
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")

    def verify(files: Files | Path, *arguments: str) -> tuple[int, str, str]:
        bundle = files if isinstance(files, Path) else zipped(files, tmp_path / "bundle.zip")
        status = main([str(bundle), "--trust", str(trust), *arguments])
        said, complained = capsys.readouterr()
        return status, said, complained

    return verify


def test_a_log_that_holds_is_0_with_each_check_and_what_was_not_checked(verify: Say) -> None:
    scribe = small_log()
    status, said, complained = verify(scribe.files())
    assert (status, complained) == (HOLDS, "")
    lines = said.splitlines()
    assert lines[0].startswith(f"Checkpoint: size {len(scribe.entries)},")
    assert [line[2:4].strip() for line in lines if line.startswith("✓")] == [
        "11", "10", "1", "2", "3", "4", "5", "6", "7", "12",
    ]  # fmt: skip
    assert any("check 8" in line for line in lines)
    assert "Words: 2 there and fitting; 0 not in the bundle" in said
    assert lines[-1] == "The log is sound."


def test_what_was_never_come_to_is_not_marked_as_in_order(verify: Say) -> None:
    scribe = small_log()
    scribe.entries[0], scribe.entries[1] = scribe.entries[1], scribe.entries[0]
    _, said, _ = verify(scribe.files())
    marks = {line[2:4].strip(): line for line in said.splitlines() if line[:1] in {"✓", "✗", "–"}}
    for line in marks.values():
        assert line.startswith("–") == line.endswith("nothing was checked")
        assert not (line.startswith("✓") and line.endswith(": 0 passed"))
    assert any(line.startswith("–") for line in marks.values())


def test_a_flood_of_findings_is_cut_for_people_only(verify: Say) -> None:
    scribe = small_log()
    entries = scribe.entries[1:]
    scribe.entries[:] = entries
    found = json.loads(verify(scribe.files(), "--json")[1])["findings"]
    _, said, _ = verify(scribe.files())
    told = [line for line in said.splitlines() if line.startswith("  check ")]
    assert len(told) == min(len(found), MOST_FINDINGS)


def test_a_file_that_is_no_checkpoint_is_the_fault_of_whoever_names_it(
    verify: Say, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("no checkpoint\n")
    status, said, complained = verify(small_log().files(), "--known", str(wrong))
    assert (status, said) == (MISUSE, "")
    assert "wrong" in complained
    assert "no checkpoint" in complained


def test_whoever_trusts_the_checkpoint_may_skip_the_signatures(verify: Say) -> None:
    status, said, _ = verify(small_log().files(), "--skip-signatures")
    assert status == HOLDS
    assert "--skip-signatures" in said
    assert "✓  3" not in said


def test_chosen_tasks_are_said_to_be_not_the_whole_log(verify: Say) -> None:
    scribe = small_log()
    stating = next(i for i, c in enumerate(scribe.chains()) if c == "attestations")
    status, said, _ = verify(scribe.chosen("T-1", stating=stating))
    assert status == HOLDS
    assert "chosen tasks, not the whole log" in said


def test_chosen_tasks_are_whole_without_doubts_when_nothing_came_later(verify: Say) -> None:
    scribe = Scribe().found("an")
    scribe.step("T-1", "register", "an")
    files = scribe.chosen("T-1", stating=scribe.state_heads())
    _, said, _ = verify(files)
    assert "whole within 3 of the log's 4 entries, as it stated at 2026-03-02 02:00:03 UTC" in said
    assert "came later" not in said
    told = json.loads(verify(files, "--json")[1])
    assert (told["whole_up_to"], told["later"]) == (3, 0)


def test_a_log_that_does_not_hold_is_1_and_the_finding_is_the_last_line(verify: Say) -> None:
    scribe = small_log()
    scribe.entries[5], scribe.entries[6] = scribe.entries[6], scribe.entries[5]
    status, said, _ = verify(scribe.files())
    assert status == BROKEN
    assert said.splitlines()[-1].startswith("The log is NOT sound: check")
    assert "✗" in said
    status, vietnamese, _ = verify(scribe.files(), "--lang", "vi")
    assert status == BROKEN
    assert "KHÔNG" in vietnamese.splitlines()[-1]


def test_a_line_under_a_forked_checkpoint_can_not_wipe_the_evidence_off_the_screen(
    verify: Say, tmp_path: Path
) -> None:
    """U+009B is ESC [ in one character, and no control character of the format's."""
    scribe, liar = small_log(), small_log()
    known = tmp_path / "known"
    known.write_bytes(scribe.files()["checkpoint"])
    liar.step("T-1", "approve", "an")
    liar.entries.pop(-2)
    files = liar.files()
    note = parse_note(files["checkpoint"])
    wipe = Line("x\x9b2J\x9bHThe\u202elog", bytes(4), bytes(64))
    files["checkpoint"] = format_note(Note(note.text, (*note.lines, wipe)))
    status, said, _ = verify(files, "--known", str(known))
    assert status == BROKEN
    assert "EVIDENCE" in said
    assert all(line.isprintable() for line in said.split("\n"))
    assert "— x\\x9b2J\\x9bHThe\\u202elog AAAAA" in said


def test_the_report_for_programs_has_the_same_findings(verify: Say) -> None:
    scribe = small_log()
    good = json.loads(verify(scribe.files(), "--json")[1])
    assert good["ok"]
    assert good["size"] == good["entries"] == len(scribe.entries)
    assert [key["type"] for key in good["signed"]] == [1, 6]
    assert good["passed"]["tree"] == len(scribe.entries)
    assert (good["findings"], good["forks"], good["chosen"]) == ([], [], None)
    del scribe.entries[7]
    status, said, _ = verify(scribe.files(), "--json")
    bad = json.loads(said)
    assert (status, bad["ok"]) == (BROKEN, False)
    assert {finding["check"] for finding in bad["findings"]} >= {5}


def test_two_checkpoints_that_cannot_both_be_true_are_printed_both(
    verify: Say, tmp_path: Path
) -> None:
    shown, hidden = small_log(), small_log()
    shown.step("T-1", "approve", "an")
    hidden.step("T-2", "approve", "an")
    known, files = tmp_path / "known", shown.files()
    known.write_bytes(hidden.files()["checkpoint"])
    status, said, _ = verify(files, "--known", str(known))
    assert status == BROKEN
    assert "EVIDENCE" in said
    assert known.read_text() in said
    assert files["checkpoint"].decode() in said
    status, said, _ = verify(files, "--known", str(known), "--json")
    (fork,) = json.loads(said)["forks"]
    assert fork["known"].encode() == known.read_bytes()
    assert status == BROKEN


def test_a_known_checkpoint_that_begins_this_one_holds(verify: Say, tmp_path: Path) -> None:
    scribe = small_log()
    known = [tmp_path / name for name in ("first", "second")]
    known[0].write_bytes(scribe.files()["checkpoint"])
    scribe.step("T-1", "approve", "an")
    known[1].write_bytes(scribe.files()["checkpoint"])
    scribe.step("T-2", "approve", "an")
    status, said, _ = verify(
        scribe.files(), "--known", str(known[0]), "--known", str(known[1]), "--json"
    )
    assert (status, json.loads(said)["passed"]["checkpoint"]) == (HOLDS, 3)


def test_a_known_checkpoint_of_somebody_else_is_a_finding(verify: Say, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_bytes(small_log().files(signers_of(key_of("somebody")))["checkpoint"])
    assert verify(small_log().files(), "--known", str(known))[0] == BROKEN
    known.write_bytes(b"\xff")
    assert verify(small_log().files(), "--known", str(known))[0] == MISUSE, "it is no checkpoint"


def test_what_cannot_be_read_is_2_and_named(verify: Say, trust: Path, tmp_path: Path) -> None:
    status, said, complained = verify(tmp_path / "none.zip")
    assert (status, said) == (MISUSE, "")
    assert f"Can't read {tmp_path / 'none.zip'}: No such file" in complained
    status, _, complained = verify(small_log().files(), "--known", str(tmp_path / "nothing"))
    assert status == MISUSE
    assert "nothing" in complained
    trust.write_bytes(b"log what\n")
    status, _, complained = verify(small_log().files())
    assert status == MISUSE
    assert f"The trust file {trust} is wrong: " in complained
    assert "line 1" in complained
    trust.write_bytes(format_policy(policy_of()).replace(b"founding", b"# founding"))
    status, _, complained = verify(small_log().files(), "--lang", "vi")
    assert status == MISUSE
    assert "founding" in complained
    roots = tmp_path / "roots.pem"
    roots.write_bytes(b"no certificate")
    status, _, complained = verify(small_log().files(), "--tsa-roots", str(roots))
    assert (status, complained) == (MISUSE, f"Can't read {roots}: no certificates in PEM\n")
    trust.unlink()
    assert verify(small_log().files())[0] == MISUSE


def test_a_bundle_that_is_none_is_1_not_a_traceback(verify: Say, tmp_path: Path) -> None:
    junk = tmp_path / "junk.zip"
    for content in (b"", b"PK\x03\x04", b"hello"):
        junk.write_bytes(content)
        status, said, _ = verify(junk)
        assert (status, "bundle_unreadable" in said) == (BROKEN, True)
        assert "NOTHING is known of the log" in said
        assert "NOT sound" not in said
    (tmp_path / "empty").mkdir()
    status, said, _ = verify(tmp_path / "empty")
    assert (status, "NOTHING is known" in said) == (BROKEN, True)


def test_a_bundle_that_was_damaged_on_its_way_accuses_nobody(verify: Say, tmp_path: Path) -> None:
    path = zipped(small_log().files(), tmp_path / "bundle.zip")
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        tile = next(each for each in archive.infolist() if each.filename.startswith("tile/0/"))
    at = tile.header_offset + 100  # behind its name, among its hashes
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    status, said, _ = verify(path)
    assert (status, "NOTHING is known of the log" in said) == (BROKEN, True)
    assert "NOT sound" not in said


@pytest.mark.parametrize("arguments", [[], ["bundle"], ["b", "--trust"], ["b", "--nonsense"]])
def test_wrong_arguments_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == MISUSE
    assert "usage" in capsys.readouterr().err


def test_names_that_steer_a_terminal_are_spelt_out(verify: Say) -> None:
    scribe = Scribe().found("an")
    scribe.step("T-\x1b[2J", "register", "an")
    scribe.entries[-1] = scribe.entries[-1][:-3] + b'2,"'
    _status, said, _ = verify(scribe.files())
    assert "\x1b" not in said


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "audit.verify", *arguments]


def test_who_stops_reading_gets_no_traceback(trust: Path, tmp_path: Path) -> None:
    bundle = zipped(small_log().files(), tmp_path / "bundle.zip")
    for more in ([], ["--json"]):
        with subprocess.Popen(
            command(str(bundle), "--trust", str(trust), *more),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            complained = process.stderr.read()
        assert (process.returncode, complained) == (BROKEN_PIPE, b"")


def test_it_speaks_whatever_the_locale_can_write(trust: Path, tmp_path: Path) -> None:
    bundle = zipped(small_log().files(), tmp_path / "bundle.zip")
    done = subprocess.run(
        command(str(bundle), "--trust", str(trust), "--lang", "vi"),
        cwd=ROOT, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == HOLDS
    assert "Nhật ký nguyên vẹn." in done.stdout.decode()


def all_of(terminal: int) -> bytes:
    """What was written to our end of it, to the end: the kernel hands it over bit by bit."""
    whole = b""
    with suppress(OSError):  # so a terminal says that it was closed
        while part := os.read(terminal, 65_536):
            whole += part
    return whole


def test_a_bar_is_drawn_on_a_terminal_and_wiped_away_in_the_end(
    trust: Path, tmp_path: Path
) -> None:
    bundle = written(small_log().files(), tmp_path / "log")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(str(bundle), "--trust", str(trust), "--lang", "en"),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        assert process.stdout is not None
        said = process.stdout.read().decode()
    drawn = all_of(ours).decode()
    os.close(ours)
    assert process.returncode == HOLDS
    assert "█" not in said
    assert "█████" in drawn
    assert "100 %" in drawn
    assert drawn.endswith("\r\x1b[K")


_FACTS = """
authority chain chains check code count detail done entries erased finding holder index kind name of
opened path place
percent rate reason root seconds seq size time where
"""


def test_both_languages_say_everything_with_the_same_facts() -> None:
    facts = dict.fromkeys(_FACTS.split(), "x")
    for code in codes():
        said = [Speaker(language)(code, **facts) for language in LANGUAGES]
        assert all(said)
    assert [language_of(setting) for setting in ("en_GB.UTF-8", "C", "vi_VN", "")] == [
        "en", "vi", "vi", "vi",
    ]  # fmt: skip
