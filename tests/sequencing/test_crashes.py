"""A sequencer that is killed at any point, or finds the disk full, is followed by a sound log."""

import errno
import resource
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from activities.recorder import Handed
from audit.checkpoint import parse_checkpoint
from audit.note import parse_note
from audit.tiles import WIDTH
from sequencing.sequencer import Sequencer
from tests.support.attacking import written
from tests.support.copying import contents_of, fill
from tests.support.publishing import Published, published
from tests.support.soundness import check_published, check_sound
from tests.support.turning import STEP, Plan, Running
from tests.support.world import HEADER, World

BEFORE = 252
"""Entries that are published when the plug is pulled: the tiles are nearly full."""
MORE = 40
"""Entries that wait then: three steps of placing and writing, the first beyond a full tile."""

FILES_OF_TURN = 9
"""Two tiles, two bundles and a tile of the level above; then twice a tile and a bundle."""

OF_THE_DATABASE = [
    ("placing", 1),
    ("placing", 2),
    ("placed", 1),
    ("writing", 1),
    ("writing", 4),
    ("written", 1),
    ("signed", 1),
    ("persisting", 1),
    ("persisted", 1),
    ("publishing", 1),
    ("published", 1),
]
OF_THE_FILES = [("renaming", number) for number in range(1, FILES_OF_TURN + 2)]
"""Each file lies there complete, without its name; the last is the checkpoint."""
CASES = [
    *(("sqlite", *case) for case in (*OF_THE_DATABASE, *OF_THE_FILES)),
    *(("postgres", *case) for case in OF_THE_DATABASE),
]


def record(world: World, count: int, name: str = "E") -> None:
    """So many new entries."""
    world.recorder.record([
        Handed(world.submission(f"{name}-{number}", "register", HEADER, role="office"), world.now)
        for number in range(count)
    ])  # fmt: skip


@dataclass(frozen=True)
class Begun:
    """Published up to `BEFORE`; `MORE` entries wait."""

    database: bytes
    files: Mapping[str, bytes]


@pytest.fixture(scope="module")
def begun() -> dict[str, Begun]:
    """By kind of database: made once, since it takes longer than most of these tests."""
    return {}


def begin(url: str, folder: Path) -> Begun:
    world = World(url)
    log = published(world, folder)
    record(world, BEFORE - len(world.rows()))
    log.publish()
    record(world, MORE, "M")
    world.close()
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Begun(contents_of(url), {str(p.relative_to(folder)): p.read_bytes() for p in files})


@pytest.fixture(name="world")
def _world(database_url: str, tmp_path: Path, begun: dict[str, Begun]) -> Iterator[World]:
    kind, folder = database_url.partition(":")[0], tmp_path / "tree"
    if kind not in begun:
        begun[kind] = begin(database_url, folder)
    else:
        fill(database_url, begun[kind].database)
        written(begun[kind].files, folder)
    world = World(database_url)
    yield world
    world.close()


@pytest.fixture(name="log")
def _log(world: World, tmp_path: Path) -> Published:
    return published(world, tmp_path / "tree")


def size_of(note: bytes | None) -> int:
    return parse_checkpoint(parse_note(note).text).size if note else 0


def kill_at(log: Published, point: str, number: int = 1) -> None:
    url = log.world.engine.url.render_as_string(hide_password=False)
    assert Running(Plan(url, str(log.files.root), point, number)).killed()


@pytest.mark.parametrize(("database_url", "point", "number"), CASES, indirect=["database_url"])
def test_a_sequencer_killed_at_any_point_is_followed_by_a_sound_log(
    log: Published, point: str, number: int
) -> None:
    shown = [log.files.published()]
    kill_at(log, point, number)
    shown.append(log.files.published())
    assert size_of(shown[-1]) == (BEFORE + MORE if point == "published" else BEFORE)
    check_published(log)
    # What a service does at its start: show what was signed, then go on.
    sequencer = log.sequencer()
    assert sequencer.signed is not None
    sequencer.publish(sequencer.signed.note)
    shown.append(log.files.published())
    check_published(log)
    if signed := sequencer.turn():
        sequencer.publish(signed.note)
    check_sound(log, shown)
    record(log.world, 3, "L")
    log.publish()
    line = check_sound(log, shown)
    assert line.checkpoints[-1].size == BEFORE + MORE + 3


def test_all_points_in_a_row_lose_nothing(log: Published) -> None:
    """Whoever starts again dies again, a little later each time."""
    shown = []
    for point in ("placing", "placed", "renaming", "signed", "persisted"):
        kill_at(log, point)
        shown.append(log.files.published())
        record(log.world, 1, f"between-{point}")
    log.publish()
    check_sound(log, shown)


class Full:
    """A disk that is full from the ``number``-th file on, until there is space again."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, point: str) -> None:
        if point == "writing":
            self.left -= 1
            if self.left <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")

    def make_space(self) -> None:
        self.left = 1 << 30


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_turn_that_finds_no_space_is_finished_by_the_next_one(
    log: Published, number: int
) -> None:
    shown = [log.files.published()]
    disk = Full(number)
    sequencer = log.sequencer(disk)
    for _ in range(3):
        disk.left = number
        with pytest.raises(OSError, match="No space left"):
            sequencer.turn()
        assert log.files.published() == shown[0]
        check_published(log)
    disk.make_space()
    record(log.world, 2, "L")
    signed = sequencer.turn()
    assert signed is not None
    sequencer.publish(signed.note)
    check_sound(log, shown)


@pytest.mark.parametrize("failing", ["placed", "written", "signed", "persisting", "persisted"])
def test_a_turn_that_failed_is_finished_by_the_next_one_though_nothing_came_meanwhile(
    log: Published, failing: str
) -> None:
    class Hindered(Exception):
        pass

    points = [failing]

    def hinder(point: str) -> None:
        if point in points:
            points.clear()
            raise Hindered

    sequencer = log.sequencer(hinder)
    with pytest.raises(Hindered):
        sequencer.turn()
    signed = sequencer.turn()
    assert signed is not None
    assert signed.checkpoint.size == BEFORE + MORE
    sequencer.publish(signed.note)
    check_sound(log)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system itself refuses to let a file of this process grow beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("database_url", "size"), [("postgres", 100), ("postgres", 5_000)], indirect=["database_url"]
)
def test_a_file_that_could_be_written_only_in_part_is_not_there(log: Published, size: int) -> None:
    """Here it is the system that refuses, in the middle of a file. A database in a process of ours
    would be refused, too; that is the next test.
    """
    shown = [log.files.published()]
    sequencer = log.sequencer()
    assert sequencer.place() == MORE
    with largest_file(size), pytest.raises(OSError, match=r"File too large.*tile/"):
        sequencer.write()
    check_published(log)
    assert not list(log.files.root.rglob(".scratch"))
    signed = sequencer.turn()
    assert signed is not None
    with largest_file(100), pytest.raises(OSError, match=r"File too large.*checkpoint"):
        sequencer.publish(signed.note)
    assert log.files.published() == shown[0]
    check_published(log)
    sequencer.publish(signed.note)
    check_sound(log, shown)


def fill_database(world: World) -> Callable[[], None]:
    """SQLite takes no more pages; gives what makes room again."""
    world.engine.dispose()
    limit = {"pages": 0}

    def listen(connection: sqlite3.Connection, _record: object) -> None:
        if limit["pages"] == 0:
            limit["pages"] = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {limit['pages']}")

    def make_space() -> None:
        limit["pages"] = 1 << 30
        world.engine.dispose()

    event.listen(world.engine, "connect", listen)
    return make_space


def turn_until_full(log: Published, sequencer: Sequencer) -> None:
    while sequencer.turn() is not None:
        record(log.world, 1)


@pytest.mark.parametrize("stage", ["place", "sign"])
def test_a_full_database_fails_the_turn_and_the_next_one_completes(
    tmp_path: Path, stage: str
) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    log = published(world, tmp_path / "tree")
    log.publish()
    # So many that their places, or the next checkpoint, don't fit into pages that exist.
    record(world, 1_500)
    sequencer = log.sequencer()
    shown = [log.files.published()]
    if stage == "sign":
        sequencer.place()
    make_space = fill_database(world)
    with pytest.raises(OperationalError, match="database or disk is full"):
        turn_until_full(log, sequencer)
    check_published(log)
    make_space()
    signed = sequencer.turn()
    assert signed is not None
    sequencer.publish(signed.note)
    check_sound(log, shown)
    world.close()


def test_what_a_crash_left_behind_is_gone_after_the_next_file(log: Published) -> None:
    kill_at(log, "renaming", 3)
    assert (log.files.root / ".scratch").exists()
    log.publish()
    hidden = sorted(path.name for path in log.files.root.rglob(".*"))
    assert hidden == [".lock"]


def test_partial_files_go_when_the_full_one_is_published(log: Published) -> None:
    sequencer = log.sequencer()
    signed = sequencer.turn()
    assert signed is not None
    partial = log.files.root / "tile/0/000.p"
    assert partial.exists()
    check_published(log)
    sequencer.publish(signed.note)
    assert not partial.exists()
    assert not (log.files.root / "tile/entries/000.p").exists()
    assert (BEFORE + MORE) // WIDTH == 1
    assert STEP < MORE
