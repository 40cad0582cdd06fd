"""What must be true of a sequenced and published log, whatever has happened to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Connection, text

from audit.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from audit.consistency import check_consistency, prove_consistency
from audit.note import parse_note
from audit.offline import Order, verify_bundle
from audit.tiles import tile_reader
from sequencing.files import TreeFiles
from sequencing.opening import read_part
from store import tree
from tests.support.publishing import Published


@dataclass(frozen=True)
class Line:
    """The checkpoints of a log from the first to the last."""

    checkpoints: tuple[Checkpoint, ...]
    times: tuple[int, ...]


def check_published(published: Published) -> Checkpoint | None:
    """What everybody can see verifies to the last byte; None when nothing is published yet."""
    note = published.files.published()
    if note is None:
        return None
    verified = verify_bundle(Order(published.files.root, published.policy, None))
    assert verified.ok, verified.report.findings
    assert verified.checkpoint is not None
    assert verified.report.entries == verified.checkpoint.size
    return verified.checkpoint


def check_sound(published: Published, shown: Sequence[bytes | None] = ()) -> Line:
    """Every entry has one place, the checkpoints are one line, all is signed and published.

    ``shown`` are notes that somebody has seen at some time.
    """
    with published.world.engine.connect() as connection:
        _check_places(connection)
        line = _check_line(connection, published)
        assert len(line.checkpoints) > 0
        last = line.checkpoints[-1]
        assert last.size == len(published.world.rows())
        for note in filter(None, shown):
            checkpoint = parse_checkpoint(parse_note(note).text)
            stored = tree.read_checkpoint(connection, checkpoint.size)
            assert stored is not None
            assert parse_note(stored).text == parse_note(note).text
    assert check_published(published) == last
    assert not list(published.files.root.rglob(".scratch*"))
    return line


def check_same_line(one: Published, folder: Path) -> None:
    """The log as it is published in another folder, too, is complete and the same one."""
    other = replace(one, files=TreeFiles(folder))
    checkpoint = check_published(other)
    assert checkpoint is not None
    with one.world.engine.connect() as connection:
        stored = tree.read_checkpoint(connection, checkpoint.size)
    assert stored is not None
    assert parse_checkpoint(parse_note(stored).text) == checkpoint


def _check_places(connection: Connection) -> None:
    places = connection.execute(
        text("SELECT leaf.idx, e.id, e.chain, e.seq FROM leaf JOIN entry AS e ON e.id = leaf.entry"
             " ORDER BY leaf.idx")
    ).all()  # fmt: skip
    entries = connection.execute(text("SELECT id FROM entry ORDER BY id")).scalars().all()
    assert [place.idx for place in places] == list(range(len(entries)))
    assert sorted(place.id for place in places) == entries
    assert connection.scalar(text("SELECT count(*) FROM unsequenced")) == 0
    reached: dict[str, int] = {}
    for place in places:
        assert place.seq == reached.get(place.chain, 0) + 1
        reached[place.chain] = place.seq


def _check_line(connection: Connection, published: Published) -> Line:
    sizes = connection.execute(text("SELECT size, after FROM checkpoint ORDER BY size")).all()
    assert [row.after for row in sizes] == [0, *(row.size for row in sizes)][:-1]
    checkpoints: list[Checkpoint] = []
    times = []
    for stored in tree.read_checkpoints(connection):
        keys = published.signing.keys_at(connection, stored.size)
        opened = open_checkpoint(stored.note, published.world.origin, keys)
        assert opened.checkpoint.size == stored.size
        checkpoints.append(opened.checkpoint)
        times.append(max(time for time in opened.times.values() if time is not None))
    last = checkpoints[-1].size
    reader = tile_reader(last, partial(read_part, published.files))
    for before, after in pairwise(checkpoints):
        proof = prove_consistency(before.size, after.size, reader)
        check_consistency(proof, before.size, after.size, before.root, after.root)
    assert times == sorted(times)
    return Line(tuple(checkpoints), tuple(times))
