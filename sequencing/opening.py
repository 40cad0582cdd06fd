"""Before the first turn: whether this is the log that was signed, and all of it.

A database restored from yesterday's copy looks sound by itself. What gives it away is remembered
elsewhere: in the published checkpoint, and by witnesses. A sequencer that went on from there would
sign a second history beside the first one, so it does not start, and says why:

    log_behind_checkpoint   the published checkpoint counts more entries than the database
    log_behind_tiles        there are published hashes of more entries than the database has
    log_forked              both have signed so many entries, but other ones
    log_altered             the entries do not give the root that was signed
    log_has_gap             an entry is missing between others
    entry_altered           an entry has not got the hash that others name it by
    checkpoint_unreadable, stored_checkpoint_unreadable   its keys did not sign it
    witness_ahead, witness_forked   a witness has seen more of this log, or another tree

Missing or damaged tiles are no reason: they are written anew from the entries, and must then give
the signed root.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from sqlalchemy import Connection, Engine

from audit.checkpoint import Opened, open_checkpoint, parse_checkpoint
from audit.frontier import Frontier
from audit.growth import Edge, read_edge
from audit.malformed import Malformed
from audit.merkle import leaf_hash, root_at
from audit.note import VerifierKey, parse_note
from audit.tiles import WIDTH, Tile, parse_path, tile_reader
from domain.refusal import Refused
from sequencing.files import CHECKPOINT, TreeFiles
from sequencing.sequencer import Signed, State, extend, sound
from store import tree

KeysAt = Callable[[Connection, int], list[VerifierKey]]
"""Whose signatures a checkpoint over so many entries must carry."""

Progress = Callable[[int, int], None]


def open_state(
    engine: Engine,
    files: TreeFiles,
    origin: str,
    keys_at: KeysAt,
    progress: Progress = lambda _done, _of: None,
) -> State:
    """What a sequencer goes on from. Raises Refused, as the module's docstring says.

    ``progress`` hears of entries read, and of how many there are, when tiles are written anew.
    """
    # What is published was persisted first. In this order nobody who goes on meanwhile makes the
    # database look too small.
    note = files.published()
    claimed = _claimed_size(files, note) if note is not None else 0
    reach = files.reach(claimed)
    with engine.connect() as connection:
        signed, last = _signed(connection, origin, keys_at)
        have = signed.checkpoint.size if signed else 0
        if claimed > have:
            raise Refused("log_behind_checkpoint", known=claimed, have=have, path=str(files.root))
        placed = tree.tree_size(connection)
        if placed < have:
            raise Refused("log_altered", size=have)
        if placed < reach:
            raise Refused("log_behind_tiles", known=reach, have=placed, path=str(files.root))
        published = None
        if note is not None:
            # Keys may have changed since then: those of that time are asked for.
            published = _published(files, note, origin, keys_at(connection, claimed))
        if signed is None:
            return State(Edge(), None, 0)
        edge = _read_edge(connection, files, signed, published)
        if edge is None:
            edge = _regrown(connection, files, signed, published, progress)
    return State(edge, Signed(signed.checkpoint, last), _time(signed))


def check_witnesses(size: int, ahead: Mapping[str, int], forked: Collection[str]) -> None:
    """Raise Refused when a witness has cosigned more of this log than the ``size`` there is, or
    another tree.
    """
    for witness, known in sorted(ahead.items()):
        if known <= size:
            continue
        raise Refused("witness_ahead", witness=witness, known=known, have=size)
    for witness in sorted(forked):
        raise Refused("witness_forked", witness=witness, have=size)


def read_part(files: TreeFiles, path: str) -> bytes:
    """A tile, or as much of a larger one as this path names: the full one replaces its parts."""
    try:
        return files.read(path)
    except FileNotFoundError:
        place = parse_path(path)
        if not isinstance(place, Tile) or place.width == WIDTH:
            raise
        full = files.read(Tile(place.level, place.index).path)
        return full[: len(full) // WIDTH * place.width]


def _signed(connection: Connection, origin: str, keys_at: KeysAt) -> tuple[Opened | None, bytes]:
    """The newest checkpoint of the database, opened, and its note."""
    last = tree.last_checkpoint(connection)
    if last is None:
        return None, b""
    try:
        opened = open_checkpoint(last.note, origin, keys_at(connection, last.size))
    except Malformed as error:
        detail = str(error)
    else:
        if opened.checkpoint.size == last.size:
            return opened, last.note
        detail = f"it is one of size {opened.checkpoint.size}"
    raise Refused("stored_checkpoint_unreadable", size=last.size, detail=detail)


def _claimed_size(files: TreeFiles, note: bytes) -> int:
    """What the published note says, believed only so far as to refuse a start."""
    try:
        size = parse_checkpoint(parse_note(note).text).size
    except Malformed as error:
        raise _unreadable(files, error) from error
    if size == 0:
        # No log of ours signs that it is empty.
        raise _unreadable(files, Malformed("checkpoint_size", "0"))
    return size


def _published(files: TreeFiles, note: bytes, origin: str, keys: list[VerifierKey]) -> Opened:
    try:
        return open_checkpoint(note, origin, keys)
    except Malformed as error:
        raise _unreadable(files, error) from error


def _unreadable(files: TreeFiles, error: Malformed) -> Refused:
    path = str(files.root / CHECKPOINT)
    return Refused("checkpoint_unreadable", path=path, cause=error.code, detail=str(error))


def _read_edge(
    connection: Connection, files: TreeFiles, signed: Opened, begun: Opened | None = None
) -> Edge | None:
    """The edge as the files have it; None when they don't have it, or another one, or one that
    does not go on from the tree of ``begun``.
    """
    size = signed.checkpoint.size
    read = partial(read_part, files)
    entries = [row.data for row in tree.read_leaves(connection, size - size % WIDTH, size)]
    try:
        edge = read_edge(size, read, entries)
        if edge.root() != signed.checkpoint.root:
            return None
        if (
            begun
            and root_at(begun.checkpoint.size, tile_reader(size, read)) != begun.checkpoint.root
        ):
            return None
    except (Malformed, OSError):
        return None
    return edge


def _regrown(
    connection: Connection,
    files: TreeFiles,
    signed: Opened,
    published: Opened | None,
    progress: Progress,
) -> Edge:
    """The edge as the entries give it, and the files with it. None is touched before they are seen
    to give the roots that were signed: what is there may be all that is left of another history.
    """
    size, root = signed.checkpoint.size, signed.checkpoint.root
    edge = _read_edge(connection, files, published) if published else None
    if edge is None or _grown(connection, edge.frontier, size).root() != root:
        edge = Edge()
        first = _grown(connection, edge.frontier, published.checkpoint.size if published else 0)
        if _grown(connection, first, size).root() != root:
            raise Refused("log_altered", size=size)
        if published and first.root() != published.checkpoint.root:
            raise Refused("log_forked", size=first.size, path=str(files.root))
    for grown, _batch in extend(edge, tree.read_leaves(connection, edge.size, size), files):
        progress(grown.size, size)
        edge = grown
    return edge


def _grown(connection: Connection, frontier: Frontier, size: int) -> Frontier:
    rows = tree.read_leaves(connection, frontier.size, size)
    return frontier.extended(leaf_hash(sound(row)) for row in rows)


def _time(signed: Opened) -> int:
    return max((time for time in signed.times.values() if time is not None), default=0)
