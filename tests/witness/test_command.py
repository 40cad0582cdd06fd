"""`dondoc witness`, as a person uses it."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.note import COSIGNATURE, MLDSA44, parse_vkey
from cli import status
from cli.main import main
from tests.support.processes import dying_with_us, stop
from tests.support.witnessing import NAME, ORIGIN, Log, post
from witness.home import PASSPHRASE_VARIABLE, Home, found, read_logs, read_signers
from witness.store import Store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "a witness"


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> Run:
    """`dondoc witness COMMAND DIR …`: the status, and all that was said."""

    def run(command: str, *words: str, language: str = "en") -> tuple[int, str]:
        code = main(["witness", command, str(place), *words, "--lang", language])
        return code, "".join(capsys.readouterr())

    return run


def document(run: Run, command: str, *words: str) -> object:
    return json.loads(run(command, *words, "--json")[1])


def test_a_witness_is_made_with_two_keys_for_policy_files(run: Run, place: Path) -> None:
    code, said = run("init", "--name", NAME)
    assert code == status.DONE
    keys = [parse_vkey(line) for line in said.splitlines() if line.startswith(NAME)]
    assert [key.type for key in keys] == [COSIGNATURE, MLDSA44]
    assert tuple(keys) == read_signers(Home(place)).verifiers


def test_its_directory_is_for_its_owner_only_and_its_keys_are_encrypted(
    run: Run, place: Path
) -> None:
    run("init", "--name", NAME)
    for path in [place, *place.rglob("*")]:
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path
    assert len(list(place.glob("keys/*.pem"))) == 2
    for pem in place.glob("keys/*.pem"):
        assert b"ENCRYPTED" in pem.read_bytes()


def test_the_passphrase_of_the_environment_is_not_written_down(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    run("init", "--name", NAME)
    assert not (place / "passphrase").exists()
    assert run("show")[0] == status.DONE
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    code, said = run("show")
    assert (code, "wrong passphrase" in said) == (status.REFUSED, True)
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    code, said = run("show")
    assert (code, PASSPHRASE_VARIABLE in said) == (status.REFUSED, True)


def test_a_witness_is_never_made_anew_over_another(run: Run, place: Path) -> None:
    run("init", "--name", NAME)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert run("init", "--name", "other.example")[0] == status.REFUSED
    assert before == {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["", "two words", "a+b", "x" * 256, "a\nb"])
def test_a_name_must_fit_into_a_signature(run: Run, place: Path, name: str) -> None:
    assert run("init", "--name", name)[0] == status.REFUSED
    assert not place.exists()


def test_logs_are_trusted_by_their_keys_once(run: Run, place: Path, log: Log) -> None:
    run("init", "--name", NAME)
    assert run("trust", *log.vkeys) == (status.DONE, f"{ORIGIN}: 2 keys\n")
    run("trust", *log.vkeys)
    assert (place / "logs").read_text().split() == log.vkeys
    other = Log("other.example/log")
    assert document(run, "trust", other.vkeys[0]) == {
        "logs": {ORIGIN: log.vkeys, "other.example/log": other.vkeys[:1]}
    }


def test_what_is_no_key_of_a_log_is_refused_and_nothing_is_trusted(
    run: Run, place: Path, log: Log
) -> None:
    run("init", "--name", NAME)
    good, own = log.vkeys[0], read_signers(Home(place)).verifiers[0].vkey
    for bad in ("nonsense", good[:-4] + "AAA=", good.replace(ORIGIN, "b"), own):
        assert run("trust", good, bad)[0] == status.REFUSED
    assert read_logs(Home(place)) == {}


def test_it_serves_cosigns_shows_and_ends(run: Run, place: Path, log: Log) -> None:
    run("init", "--name", NAME)
    run("trust", *log.vkeys)
    command = [sys.executable, "-c", "from cli.main import run; run()", "witness", "serve"]
    child = subprocess.Popen(
        dying_with_us([*command, str(place), "--json"], with_signal="KILL"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        told = json.loads("".join(child.stdout.readline() for _ in range(4)))
        assert told["witness"] == NAME
        assert post(told["address"], log.request(0)).status_code == 200
        shown = document(run, "show")
        assert isinstance(shown, dict)
        (line,) = shown["logs"]
        assert (line["size"], line["root"]) == (8, log.checkpoint().root.hex())
        assert log.checkpoint().root.hex() in run("show")[1]
        assert run("forks")[0] == status.DONE
        assert post(told["address"], log.branch(8).request(8)).status_code == 409
    finally:
        ended = stop(child, signal.SIGINT)  # type: ignore[arg-type]  # of text, not of bytes
        child.stdout.close()
    assert ended == status.DONE
    for language in ("vi", "en"):
        code, said = run("forks", language=language)
        assert code == status.REFUSED
        assert log.note().decode() in said
        assert log.branch(8).checkpoint().root != log.checkpoint().root
    kept = document(run, "forks")
    assert isinstance(kept, list)
    assert (kept[0]["kind"], kept[0]["first"]) == ("fork", log.note().decode())


def test_a_port_that_is_taken_is_a_sentence(run: Run, place: Path, url: str) -> None:
    found(Home(place), "another.example")
    port = url.rpartition(":")[2]
    code, said = run("serve", "--port", port)
    assert (code, port in said) == (status.REFUSED, True)


def test_one_that_lost_its_memory_does_not_serve(run: Run, place: Path) -> None:
    run("init", "--name", NAME)
    (place / "witness.sqlite").unlink()
    for command in ("serve", "show", "forks"):
        code, said = run(command)
        assert (code, "forgotten" in said) == (status.REFUSED, True)


def test_where_there_is_no_witness_a_sentence_says_so(run: Run, place: Path, log: Log) -> None:
    for words in (["trust", log.vkeys[0]], ["serve"], ["show"], ["forks"]):
        code, said = run(*words)
        assert (code, "no witness" in said) == (status.REFUSED, True)
    assert not place.exists()


def test_a_witness_that_has_seen_nothing_shows_that(run: Run, place: Path, log: Log) -> None:
    run("init", "--name", NAME)
    assert "No log is watched" in run("show")[1]
    run("trust", *log.vkeys)
    assert "nothing yet" in run("show")[1]
    assert "No contradiction" in run("forks")[1]
    store = Store(Home(place).store)
    assert store.kept() == ()
    store.close()
