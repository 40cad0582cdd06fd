"""A sequencer starts on the log that was signed, on all of it, or says why it doesn't."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from audit.checkpoint import Checkpoint
from audit.note import format_note
from audit.signers import sign_checkpoint
from audit.tiles import WIDTH
from domain.refusal import Refused
from sequencing.files import TreeFiles
from store.engine import writing
from tests.support.copying import copied
from tests.support.publishing import Published, published
from tests.support.soundness import check_published, check_sound
from tests.support.world import FOUNDED, World, _seed, key_of


@pytest.fixture(name="world")
def _world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.close()


@pytest.fixture(name="log")
def _log(world: World, tmp_path: Path) -> Published:
    """Published, with a task in it."""
    log = published(world, tmp_path / "tree")
    world.assigned("D1-1")
    log.publish()
    return log


@pytest.fixture(name="yesterday")
def _yesterday(log: Published, tmp_path: Path) -> Iterator[World]:
    """The database as it was when the log had been published once; it went on since."""
    url = log.world.engine.url.render_as_string(hide_password=False)
    log.world.engine.dispose()
    with copied(url, tmp_path) as copy:
        log.world.assigned("D1-2")
        log.publish()
        world = World(copy)
        yield world
        world.close()


def refusal_of(log: Published) -> Refused:
    with pytest.raises(Refused) as raised:
        log.sequencer()
    return raised.value


def tamper(world: World, *statements: str) -> None:
    """What somebody does to whom the database belongs: the guards are no hindrance."""
    tables = ("entry", "leaf", "checkpoint", "opening", "cosignature", "timestamp")
    with writing(world.engine) as connection:
        if connection.dialect.name == "sqlite":
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%_no_%'")
            )
            for name in names.scalars().all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in tables:
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement))


def contents(files: TreeFiles) -> dict[str, bytes]:
    return {
        str(path.relative_to(files.root)): path.read_bytes()
        for path in files.root.rglob("*")
        if path.is_file()
    }


def test_yesterdays_database_does_not_start_beside_todays_checkpoint(
    log: Published, yesterday: World
) -> None:
    before = contents(log.files)
    refusal = refusal_of(replace(log, world=yesterday))
    assert refusal.code == "log_behind_checkpoint"
    assert refusal.facts == {
        "known": FOUNDED + 4, "have": FOUNDED + 2, "path": str(log.files.root)
    }  # fmt: skip
    assert contents(log.files) == before


def test_it_does_not_start_either_when_it_has_grown_as_much_in_another_way(
    log: Published, yesterday: World
) -> None:
    yesterday.assigned("D1-3")
    elsewhere = replace(
        log, world=yesterday, files=TreeFiles(log.files.root.with_name("elsewhere"))
    )
    elsewhere.publish()
    before = contents(log.files)
    refusal = refusal_of(replace(log, world=yesterday))
    assert refusal.code == "log_forked"
    assert refusal.facts == {"size": FOUNDED + 4, "path": str(log.files.root)}
    # The published tiles are all that is left of the other history.
    assert contents(log.files) == before
    check_published(log)


def test_a_fork_is_seen_also_when_the_database_has_grown_further(
    log: Published, yesterday: World
) -> None:
    yesterday.in_progress("D1-3")
    elsewhere = replace(
        log, world=yesterday, files=TreeFiles(log.files.root.with_name("elsewhere"))
    )
    elsewhere.publish()
    before = contents(log.files)
    assert refusal_of(replace(log, world=yesterday)).code == "log_forked"
    assert contents(log.files) == before


def test_yesterdays_database_does_not_start_beside_todays_tiles(
    log: Published, yesterday: World
) -> None:
    """The published checkpoint is gone, but hashes tell of more entries than there are."""
    (log.files.root / "checkpoint").unlink()
    refusal = refusal_of(replace(log, world=yesterday))
    assert refusal.code == "log_behind_tiles"
    assert refusal.facts == {
        "known": FOUNDED + 4, "have": FOUNDED + 2, "path": str(log.files.root)
    }  # fmt: skip


def test_an_empty_database_does_not_start_beside_a_published_log(
    log: Published, tmp_path: Path
) -> None:
    with_other = World(f"sqlite:///{tmp_path / 'other.sqlite'}")
    other = replace(log, world=with_other)
    assert refusal_of(other).code == "log_behind_checkpoint"
    (log.files.root / "checkpoint").unlink()
    assert refusal_of(other).code == "log_behind_tiles"
    with_other.close()


def test_yesterdays_folder_is_fine(log: Published, tmp_path: Path) -> None:
    """A published tree that was restored, or lies behind, is brought up to the database."""
    old = TreeFiles(tmp_path / "old")
    shutil.copytree(log.files.root, old.root)
    log.world.assigned("D1-2")
    log.publish()
    restored = replace(log, files=old)
    sequencer = restored.sequencer()
    assert sequencer.turn() is None
    assert sequencer.signed is not None
    sequencer.publish(sequencer.signed.note)
    check_sound(restored)


def test_a_folder_behind_is_brought_up_without_reading_the_log_from_its_beginning(
    log: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        log.world.registered(f"E-{number}")
    log.publish()
    old = TreeFiles(tmp_path / "old")
    shutil.copytree(log.files.root, old.root)
    log.world.assigned("D1-2")
    log.publish()
    written: list[str] = []
    put = TreeFiles._put

    def noting(self: TreeFiles, target: Path, data: bytes) -> None:
        written.append(target.relative_to(self.root).as_posix())
        put(self, target, data)

    monkeypatch.setattr(TreeFiles, "_put", noting)
    replace(log, files=old).sequencer()
    width = FOUNDED + 254 - WIDTH
    assert written == [f"tile/entries/001.p/{width}", f"tile/0/001.p/{width}"]


def test_tiles_that_run_ahead_of_the_checkpoint_are_fine(log: Published) -> None:
    """As a crash leaves them that came before the signature."""
    log.world.assigned("D1-2")
    sequencer = log.sequencer()
    sequencer.place()
    sequencer.write()
    assert log.files.reach() == FOUNDED + 4
    log.publish()
    check_sound(log)


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def files_in(path: Path) -> Sequence[Path]:
    return [each for each in path.rglob("*") if each.is_file()]


@pytest.mark.parametrize("damage", [spoil, truncate, Path.unlink])
def test_damaged_tiles_are_written_anew(log: Published, damage: Callable[[Path], None]) -> None:
    for path in files_in(log.files.root / "tile/0"):
        damage(path)
    log.sequencer()
    check_sound(log)


def test_a_lost_folder_is_written_anew(log: Published) -> None:
    shutil.rmtree(log.files.root)
    sequencer = log.sequencer()
    assert sequencer.signed is not None
    sequencer.publish(sequencer.signed.note)
    check_sound(log)


def test_a_damaged_tile_below_a_published_checkpoint_is_no_fork(log: Published) -> None:
    """The published checkpoint is behind, and the tile that it ends in is damaged."""
    old = log.files.published()
    assert old is not None
    world = log.world
    for number in range(250):
        world.registered(f"E-{number}")
    log.publish()
    for number in range(10):
        world.registered(f"F-{number}")
    log.publish()
    (log.files.root / "checkpoint").write_bytes(old)
    tile = log.files.root / "tile/0/000"
    tile.write_bytes(b"x" + tile.read_bytes()[1:])
    sequencer = log.sequencer()
    assert sequencer.signed is not None
    sequencer.publish(sequencer.signed.note)
    check_sound(log)


@pytest.mark.parametrize("note", [b"", b"\x00" * 900, b"garbage\n\n", "— x AAAA\n".encode()])
def test_a_published_checkpoint_that_is_none_is_named_with_its_path(
    log: Published, note: bytes
) -> None:
    path = log.files.root / "checkpoint"
    path.write_bytes(note)
    refusal = refusal_of(log)
    assert refusal.code == "checkpoint_unreadable"
    assert refusal.facts["path"] == str(path)
    path.unlink()
    sequencer = log.sequencer()
    assert sequencer.signed is not None
    sequencer.publish(sequencer.signed.note)
    check_sound(log)


@pytest.mark.parametrize("change", [(b"\n15\n", b"\n13\n"), (b"\n15\n", b"\n0\n")])
def test_a_published_checkpoint_that_nobody_signed_is_named(
    log: Published, change: tuple[bytes, bytes]
) -> None:
    path = log.files.root / "checkpoint"
    note = path.read_bytes()
    assert change[0] in note
    path.write_bytes(note.replace(*change))
    assert refusal_of(log).code == "checkpoint_unreadable"


def test_a_published_checkpoint_without_its_second_signature_is_named(log: Published) -> None:
    path = log.files.root / "checkpoint"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    refusal = refusal_of(log)
    assert refusal.code == "checkpoint_unreadable"
    assert "signature_missing" in str(refusal.facts["detail"])


def test_a_stored_checkpoint_that_nobody_signed_is_named(log: Published) -> None:
    garbage = "X'00'" if log.world.engine.dialect.name == "sqlite" else "'\\x00'"
    tamper(log.world, f"UPDATE checkpoint SET note = {garbage}")
    refusal = refusal_of(log)
    assert refusal.code == "stored_checkpoint_unreadable"
    assert refusal.facts["size"] == FOUNDED + 2


def test_a_stored_checkpoint_of_another_size_than_it_says_is_named(log: Published) -> None:
    tamper(log.world, "INSERT INTO checkpoint (size, after, note)"
           " SELECT size + 100, size, note FROM checkpoint")  # fmt: skip
    assert refusal_of(log).code == "stored_checkpoint_unreadable"


def change_entry(index: int) -> str:
    """Other bytes in the entry with this place; its columns stay."""
    return (
        "UPDATE entry SET data = (SELECT data FROM entry AS other WHERE other.id <> entry.id LIMIT"
        f" 1) WHERE id = (SELECT entry FROM leaf WHERE idx = {index})"
    )


def test_an_entry_whose_bytes_were_changed_is_named(log: Published) -> None:
    before = contents(log.files)
    tamper(log.world, change_entry(FOUNDED))
    refusal = refusal_of(log)
    assert refusal.code == "entry_altered"
    assert refusal.facts == {"chain": "D1-1", "seq": 1}
    assert contents(log.files) == before


def test_an_entry_that_waits_and_was_changed_is_never_signed(log: Published) -> None:
    log.world.registered("D1-2")
    sequencer = log.sequencer()
    sequencer.place()
    tamper(log.world, change_entry(FOUNDED + 2))
    with pytest.raises(Refused) as raised:
        sequencer.turn()
    assert raised.value.code == "entry_altered"
    check_published(log)


def test_entries_that_changed_places_are_noticed(log: Published) -> None:
    before = contents(log.files)
    tamper(
        log.world,
        "UPDATE leaf SET idx = -1 WHERE idx = 5",
        "UPDATE leaf SET idx = 5 WHERE idx = 6",
        "UPDATE leaf SET idx = 6 WHERE idx = -1",
    )
    refusal = refusal_of(log)
    assert refusal.code == "log_altered"
    assert refusal.facts == {"size": FOUNDED + 2}
    assert contents(log.files) == before


def test_a_tail_that_was_cut_off_below_the_checkpoint_is_noticed(log: Published) -> None:
    tamper(log.world, f"DELETE FROM leaf WHERE idx = {FOUNDED + 1}")
    assert refusal_of(log).code == "log_altered"


def test_an_entry_missing_in_the_middle_is_named(log: Published) -> None:
    tamper(log.world, "DELETE FROM leaf WHERE idx = 5")
    refusal = refusal_of(log)
    assert refusal.code == "log_has_gap"
    assert refusal.facts == {"index": 5}


def test_places_with_a_gap_are_never_signed(log: Published) -> None:
    """Somebody inserts a place far ahead; what follows must not move up into the gap."""
    log.world.assigned("D1-2")
    sequencer = log.sequencer()
    last = "(SELECT max(id) FROM entry)"
    tamper(
        log.world,
        f"INSERT INTO leaf (idx, entry) VALUES (99, {last})",
        f"DELETE FROM unsequenced WHERE entry = {last}",
    )
    with pytest.raises(Refused) as raised:
        sequencer.turn()
    assert raised.value.code == "log_has_gap"
    assert raised.value.facts == {"index": FOUNDED + 2}
    check_published(log)


def test_another_logs_checkpoint_is_not_taken_for_ours(log: Published) -> None:
    path = log.files.root / "checkpoint"
    other = Checkpoint("other.example/log", 3, b"x" * 32)
    with log.world.engine.connect() as connection:
        signers = log.signing.signers_at(connection, FOUNDED)
    path.write_bytes(format_note(sign_checkpoint(other, signers, 1)))
    assert refusal_of(log).code == "checkpoint_unreadable"


def test_a_log_that_changed_its_keys_opens_its_older_checkpoints(log: Published) -> None:
    """The published one is of the time before; the keys of that time are asked for."""
    world, old = log.world, log.files.published()
    assert old is not None
    world.rotate("checkpoint", key_of("later checkpoint"))
    world.checkpoint_keys = replace(
        world.checkpoint_keys,
        ed25519=Ed25519PrivateKey.from_private_bytes(_seed("later checkpoint")),
    )
    log.publish()
    (log.files.root / "checkpoint").write_bytes(old)
    sequencer = log.sequencer()
    assert sequencer.signed is not None
    sequencer.publish(sequencer.signed.note)
    check_sound(log)


def test_a_second_sequencer_that_starts_while_the_first_publishes_is_not_misled(
    log: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two readings of the one that starts, the other signs and publishes."""
    published_note = TreeFiles.published
    first = log.sequencer()
    log.world.assigned("D1-2")

    def late(self: TreeFiles) -> bytes | None:
        note = published_note(self)
        monkeypatch.setattr(TreeFiles, "published", published_note)
        signed = first.turn()
        assert signed is not None
        first.publish(signed.note)
        return note

    monkeypatch.setattr(TreeFiles, "published", late)
    second = log.sequencer()
    assert second.signed is not None
    assert second.signed.checkpoint.size == FOUNDED + 4
    check_sound(log)
