"""Words of protected tasks rest sealed: nowhere in clear, opened for who may, erased for good."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from activities.admitting import admit
from activities.rebuilding import fold_all, rebuild, rebuild_tasks
from activities.recorder import Recorded, Recorder
from activities.sealing import Vault
from activities.words import Reader, Words, cleared
from audit.offline import Order, verify_bundle
from domain.directory import Directory
from domain.refusal import Refused
from domain.replay import Replay
from domain.task import Secrecy, Task
from gateway.reconciling import _differing
from sequencing.exporting import export_log, export_tasks, open_source
from store import queries
from store.engine import writing
from tests.support.canary import Canary
from tests.support.lives import all_worded, every_step
from tests.support.postgres import PostgresServer
from tests.support.publishing import published
from tests.support.refusals import refused
from tests.support.sealing import CANARY, SECRET_WORDS, TOP, counted, read, shown, shred
from tests.support.world import HEADER, World, vault_key
from vault.keys import ReadingKey, Recipient, reading_key


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


@pytest.fixture
def files(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Path:
    """The folder that the database keeps everything in."""
    if database_url.startswith("sqlite"):
        return tmp_path
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.directory / "data"


def on_disk(world: World) -> None:
    """Have the server write down what it only remembers."""
    if world.engine.dialect.name == "postgresql":
        with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))


def exports(world: World, tmp_path: Path, tasks: list[str], reader: Reader) -> list[Path]:
    """Bundles of the whole log and of these tasks, without words and with them."""
    log = published(world, tmp_path / "tree")
    log.publish()
    log.state_heads()
    made = []
    with world.engine.connect() as connection:
        source = replace(open_source(connection, log.files), reader=reader)
        for words in (False, True):
            options: Any = {"words": words, "policy": None, "progress": lambda *_: None}
            made += [tmp_path / f"log-{words}.zip", tmp_path / f"tasks-{words}.zip"]
            export_log(source, made[-2], **options)
            export_tasks(source, made[-1], tasks, **options)
    return made


def test_the_search_finds_the_words_of_a_normal_task(
    world: World, files: Path, tmp_path: Path
) -> None:
    """So that finding nothing means something."""
    canary = Canary(f"normal {world.engine.dialect.name}")
    lives = every_step(world, canary.words)
    assert set().union(*(life.said for life in lives)) == all_worded()
    on_disk(world)
    assert canary.tables(world.engine) == {"opening", "task"}
    assert canary.files(files)
    bundles = exports(world, tmp_path, [life.task.id for life in lives], Reader())
    assert canary.files(tmp_path / "tree") == []
    assert [canary.in_bytes(each.read_bytes()) for each in bundles] == [False, False, True, True]
    assert len(canary.needles) > 30


@pytest.mark.parametrize("level", ["secret", "top_secret"])
def test_no_word_of_a_protected_task_is_in_any_byte_of_database_exports_or_logs(
    world: World,
    files: Path,
    tmp_path: Path,
    level: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    canary = Canary(f"{level} {world.engine.dialect.name}")
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        lives = every_step(world, canary.words, secrecy=level)
        exports(world, tmp_path, [life.task.id for life in lives], Reader())
        world.erase("L-1", 1, "title")
        rebuild(world.engine)
        rebuild_tasks(world.engine, ["L-2"])
    on_disk(world)
    assert set().union(*(life.said for life in lives)) == all_worded()
    assert canary.tables(world.engine) == set()
    assert canary.files(files, tmp_path) == []
    said = capsys.readouterr()
    assert not canary.in_bytes(f"{logs} {caplog.text} {said.out} {said.err}".encode())
    opened = [each for life in lives for each in words_all(world, life.task)]
    assert all(canary.words in each for each in opened)
    assert counted(world, "sealed") == len(opened) > 30
    assert set(shown(world).values()) == {"12/CT-UBND"}


def test_a_bundle_holds_protected_words_for_whom_has_the_key_and_asks(
    world: World, tmp_path: Path
) -> None:
    world.assigned("S-1", **SECRET_WORDS)
    bundles = exports(world, tmp_path, ["S-1"], TOP)
    held = [CANARY.encode() in each.read_bytes() for each in bundles]
    assert held == [False, False, True, True]
    order = Order(bundles[2], published(world, tmp_path / "tree").policy, None, judge=Replay)
    found = verify_bundle(order)
    assert found.ok
    assert (found.report.opened, found.report.erased) == (2, 0)


def words_all(world: World, task: Task) -> list[str]:
    """All words of a task, opened with the vault's key."""
    return [
        opening.value
        for seq in range(1, task.seq + 1)
        for opening in read(world, task.id, seq).opened.values()
    ]


def test_who_has_key_and_clearance_reads_what_was_said(world: World) -> None:
    world.registered("S-1", **SECRET_WORDS, signatory="Ông Ất")
    found = read(world, "S-1")
    assert {name: opening.value for name, opening in found.opened.items()} == {
        "document_title": CANARY, "signatory": "Ông Ất", "title": CANARY,
    }  # fmt: skip
    assert (found.closed, found.damaged) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("level", "reader"),
    [
        ("secret", Reader()),
        ("secret", Reader(vault_key())),
        ("secret", Reader(None, cleared(Secrecy.TOP_SECRET))),
        ("secret", Reader(reading_key(b"x" * 32), cleared(Secrecy.TOP_SECRET))),
        ("secret", Reader(vault_key(), cleared(Secrecy.NORMAL))),
        ("top_secret", Reader(vault_key(), cleared(Secrecy.SECRET))),
    ],
)
def test_who_lacks_either_learns_that_there_are_words(
    world: World, level: str, reader: Reader
) -> None:
    world.registered("S-1", **{**SECRET_WORDS, "secrecy": level})
    found = read(world, "S-1", reader=reader)
    assert found == Words({}, frozenset({"title", "document_title"}))
    world.registered("N-1", title="Ai cũng đọc được")
    assert read(world, "N-1", reader=reader).opened["title"].value == "Ai cũng đọc được"


def test_a_reader_opens_with_a_key_of_their_own_from_when_they_are_named(world: World) -> None:
    anna, bert = (reading_key(bytes([n]) * 32) for n in (1, 2))
    named: list[Recipient] = []
    asked: list[tuple[str, int]] = []

    def readers(directory: Directory, task: Task) -> list[Recipient]:
        asked.append((task.id, directory.seq))
        return named

    world.keys = replace(world.keys, vault=Vault(vault_key().recipient, readers))
    world.recorder = world.another_recorder()
    task = world.assigned("S-1", **SECRET_WORDS)
    named.append(anna.recipient)
    world.do(task, "dispute", {"reason": CANARY}, role="officer")

    def opens(key: ReadingKey, seq: int) -> bool:
        return bool(read(world, "S-1", seq, Reader(key, cleared(Secrecy.SECRET))).opened)

    assert [opens(anna, 1), opens(anna, 3), opens(bert, 3)] == [False, True, False]
    assert [opens(vault_key(), 1), opens(vault_key(), 3)] == [True, True]
    assert asked == [("S-1", world.recorder.directory().seq)] * 2


def test_a_reader_is_let_in_later_by_who_holds_a_key_and_by_nobody_else(world: World) -> None:
    task = world.assigned("S-1", **SECRET_WORDS)
    task = world.do(task, "dispute", {"reason": CANARY}, role="officer")
    world.assigned("S-2", **SECRET_WORDS)
    anna, bert = (reading_key(bytes([n]) * 32) for n in (1, 2))
    with writing(world.engine) as connection:
        assert admit(connection, "S-1", bert, anna.recipient) == 0
        assert admit(connection, "S-1", vault_key(), anna.recipient) == 2
        assert admit(connection, "S-1", vault_key(), anna.recipient) == 0
        assert admit(connection, "S-1", anna, bert.recipient) == 2
    for reader in (Reader(anna, cleared(Secrecy.SECRET)), Reader(bert, cleared(Secrecy.SECRET))):
        assert read(world, "S-1", 3, reader).opened["reason"].value == CANARY
        assert read(world, "S-2", 1, reader).opened == {}
    shred(world, "S-1", task.seq)
    assert counted(world, "data_key") == 1


def test_a_level_that_was_changed_in_the_listings_is_a_difference(world: World) -> None:
    world.assigned("S-1", **SECRET_WORDS)
    world.assigned("N-1")
    assert differences(world) == []
    world.erase("S-1", 1, "title")
    world.erase("N-1", 1, "title")
    assert differences(world) == []
    with writing(world.engine) as connection:
        connection.execute(text("UPDATE task SET secrecy = 'normal', title = 'x' WHERE id = 'S-1'"))
    assert differences(world) == [("row_differs", "S-1", "secrecy, title")]
    rebuild_tasks(world.engine, ["S-1"])
    assert differences(world) == []


def differences(world: World) -> list[tuple[str, str, str]]:
    """What the hourly comparison finds in the listings."""
    with world.engine.connect() as connection:
        _, directory, tasks = fold_all(connection)
        found = _differing(connection, tasks, directory, world.now)
    return [(each.kind, each.subject, each.detail) for each in found]


def test_without_a_vault_no_words_of_a_protected_task_are_taken(world: World) -> None:
    rich, poor = world.recorder, replace(world.keys, vault=None)
    task = world.assigned("S-2", **SECRET_WORDS)
    world.recorder = Recorder(world.engine, poor, world.calendar, lambda: world.now)
    before = len(world.rows())
    with pytest.raises(Refused, match="vault_missing"):
        world.registered("S-1", **SECRET_WORDS)
    with pytest.raises(Refused, match="vault_missing"):
        world.do(task, "dispute", {"reason": CANARY}, role="officer")
    assert len(world.rows()) == before + len(refused(world)) == before + 2
    assert counted(world, "opening") == 0
    # What brings no words needs no vault, nor does a normal task.
    world.do(task, "confirm", role="officer")
    world.assigned("N-1")
    world.recorder = rich
    world.registered("S-1", **SECRET_WORDS)


def test_counts_and_listings_have_protected_tasks_too(world: World) -> None:
    world.assigned("N-1")
    world.assigned("S-1", **SECRET_WORDS)
    world.assigned("S-2", **{**SECRET_WORDS, "secrecy": "top_secret", "number": "7"})
    with world.engine.connect() as connection:
        assert queries.counts(connection)["assigned"] == 3
        rows = {row.id: (row.title, row.secrecy) for row in queries.list_tasks(connection)}
    assert rows["S-1"] == ("12/CT-UBND", "secret")
    assert rows["S-2"] == ("7/CT-UBND", "top_secret")
    assert rows["N-1"][1] == "normal"
    before = rows
    rebuild(world.engine)
    with world.engine.connect() as connection:
        assert before == {r.id: (r.title, r.secrecy) for r in queries.list_tasks(connection)}


def test_a_command_handed_in_twice_is_sealed_once(world: World) -> None:
    submission = world.submission("S-1", "register", {**HEADER, **SECRET_WORDS}, role="office")
    first, again = world.hand_in(submission), world.hand_in(submission)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert first.entry == again.entry
    assert (counted(world, "sealed"), counted(world, "data_key")) == (2, 1)
