"""`dondoc up` and `dondoc sequencer` publish the log, and start on no other than that one."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from audit.policy import NO_QUORUM, parse_policy
from audit.trust_file import format_policy
from domain.refusal import Refused
from embedded import publishing
from embedded.home import Home
from tests.cli.shell import PASSPHRASE, prepare
from tests.embedded.test_up import COMMAND, ROOT, SECONDS, Up, start
from tests.support.authority import authority_of, certify, key
from tests.support.publishing import published
from tests.support.witnessing import served
from tests.support.world import FOUNDED, World
from witness import home as homes
from witness.home import PASSPHRASE_VARIABLE, read_signers


@pytest.fixture(name="started")
def _started() -> Iterator[list[Up]]:
    running: list[Up] = []
    yield running
    for up in running:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Iterator[Home]:
    """A data directory with a log of one task; nothing is published yet."""
    home = Home(tmp_path / "data")
    home.prepare()
    world = World(home.database_url)
    prepare(home, world)
    world.assigned("T-1")
    yield home
    world.close()


def dondoc(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--lang", "en", "--data", str(data), *words],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=False, timeout=SECONDS,
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def until_shown(data: Path, size: int) -> None:
    """Wait until the published checkpoint counts so many entries."""
    deadline = time.monotonic() + SECONDS
    place = data / "published" / "checkpoint"
    while not place.exists() or int(place.read_text().splitlines()[1]) < size:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def back_up(database: Path, copy: Path) -> None:
    with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(copy)) as new:
        old.backup(new)


def restore(data: Path, backup: Path) -> None:
    for rest in data.glob("dondoc.sqlite*"):
        rest.unlink()
    shutil.copy(backup, data / "dondoc.sqlite")


def test_up_publishes_and_never_starts_on_yesterdays_database(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board")
    up.ready()
    until_shown(data, 1)
    back_up(data / "dondoc.sqlite", tmp_path / "yesterday.sqlite")
    size = int((data / "published" / "checkpoint").read_text().splitlines()[1])
    task = json.loads(dondoc(data, "task", "list", "--json").stdout)[0]
    told = dondoc(data, "task", "confirm", task["id"], "--as", f"{task['lead']}.officer")
    assert told.returncode == 0, told.stderr
    until_shown(data, size + 1)
    receipt = str(data / "receipts" / f"{task['id']}-3.json")
    assert dondoc(data, "audit", "receipt", receipt).returncode == 0
    assert up.stop("SIGTERM") == 0
    back_up(data / "dondoc.sqlite", tmp_path / "today.sqlite")

    before = files(data / "published")
    restore(data, tmp_path / "yesterday.sqlite")
    up = start(started, data, "--no-board")
    assert up.process.wait(SECONDS) == 1
    assert "The database is older than the log that was published" in up.said()
    assert "Traceback" not in up.said()
    assert files(data / "published") == before
    assert dondoc(data, "audit", "verify").returncode == 1

    restore(data, tmp_path / "today.sqlite")
    up = start(started, data, "--no-board")
    up.ready()
    assert dondoc(data, "audit", "receipt", receipt).returncode == 0
    assert dondoc(data, "audit", "verify").returncode == 0
    assert up.stop("SIGTERM") == 0


def test_a_sequencer_alone_asks_the_witnesses_of_the_policy(
    started: list[Up], home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    north = homes.Home(tmp_path / "north")
    homes.found(north, "north.example")
    trust = dondoc(home.path, "audit", "trust").stdout
    homes.trust(north, [line.split()[1] for line in trust.splitlines() if line.startswith("log ")])
    with served(north, time.time) as url:
        witness = f"witness north {read_signers(north).verifiers[0].vkey} {url}\n"
        policy = trust.replace("quorum none\n", f"{witness}quorum north\n")
        home.policy.write_text(policy)
        sequencer = start(started, home.path, verb="sequencer")
        until_shown(home.path, FOUNDED + 2)
        assert sequencer.stop("SIGTERM") == 0
    trusted = tmp_path / "trust"
    trusted.write_text(dondoc(home.path, "audit", "trust").stdout)
    assert trusted.read_text() == policy
    told = dondoc(home.path, "audit", "verify", str(home.published), "--trust", str(trusted))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "signed by north.example" in told.stdout


def test_settings_that_cannot_be_used_are_sentences_and_name_their_place(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def code() -> str:
        with pytest.raises(Refused) as raised:
            publishing.sequencing(home)
        return raised.value.code

    assert publishing.sequencing(home).policy is None
    home.policy.write_text("quorum nobody\n")
    assert code() == "policy_malformed"
    told = dondoc(home.path, "sequencer")
    assert (told.returncode, str(home.policy) in told.stderr) == (1, True)
    home.policy.unlink()
    monkeypatch.setenv(publishing.TSA_URL_VARIABLE, "http://127.0.0.1:1/tsa")
    assert code() == "certificates_missing"
    roots = tmp_path / "roots.pem"
    monkeypatch.setenv(publishing.TSA_ROOTS_VARIABLE, str(roots))
    for content in (None, b"", b"no certificate"):
        if content is not None:
            roots.write_bytes(content)
        assert code() == "certificates_unreadable"
    roots.write_bytes(certify("Root", key("p256"), extensions=authority_of()).pem)
    stamping = publishing.sequencing(home).stamping
    assert stamping is not None
    assert (stamping.url, len(stamping.roots)) == ("http://127.0.0.1:1/tsa", 1)


def test_nothing_is_published_where_nothing_was_founded(tmp_path: Path) -> None:
    told = dondoc(tmp_path / "nothing", "sequencer")
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "nothing").exists()


def test_the_logs_own_policy_has_its_keys_its_founding_and_its_witnesses(home: Home) -> None:
    world = World(home.database_url)
    log = published(world, home.published)
    log.publish()
    with world.engine.connect() as connection:
        own = publishing.own_policy(home, connection)
        assert own == log.policy
        assert own.quorum == NO_QUORUM
        home.policy.write_bytes(format_policy(own) + b"max-age 60\n")
        again = publishing.own_policy(home, connection)
        assert again == parse_policy(home.policy.read_bytes())
        assert publishing.own_policy(home, connection, FOUNDED).logs == own.logs
    world.close()


async def test_the_last_turn_comes_when_the_sequencer_is_told_to_stop(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DONDOC_PASSPHRASE", PASSPHRASE.decode())
    running = publishing.publisher(home)
    stop = asyncio.Event()
    work = asyncio.create_task(publishing.publish_until(stop, running))
    await asyncio.to_thread(until_shown, home.path, FOUNDED + 2)
    world = World(home.database_url)
    world.assigned("T-2")
    stop.set()
    await work
    until_shown(home.path, FOUNDED + 4)
    running = publishing.publisher(home)
    home.published.rename(home.path / "elsewhere")
    home.published.write_text("no folder")
    world.assigned("T-3")
    with capture_logs() as logs:
        await publishing.publish_until(stop, running)
    assert {line["event"] for line in logs} == {"sequencing_hindered"}
    world.close()
