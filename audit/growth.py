"""Growing a tree by its right edge: what a log must remember to append, and the files it writes.

Of a published tree only the last tile of each level, and the last bundle, still grow. The `Edge`
holds just these; with new entries it becomes the next edge, and tells which files have come. So
appending costs the same however large the log is.

    edge, files = edge.extended([b"hi", b"!"])
    [file.path for file in files]        ["tile/entries/000.p/2", "tile/0/000.p/2"]
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from audit.frontier import Frontier, frontier_at
from audit.malformed import Malformed
from audit.merkle import MAX_SIZE, leaf_hash
from audit.tiles import (
    HEIGHT,
    WIDTH,
    Bundle,
    Tile,
    format_bundle,
    parse_tile,
    tile_reader,
    tile_root,
)


@dataclass(frozen=True, slots=True)
class File:
    """A file to publish. A full one replaces the partial ones of the same place."""

    place: Tile | Bundle
    data: bytes

    @property
    def path(self) -> str:
        return self.place.path


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree: per level the hashes of its last, unfinished tile.

    ``entries`` are those of the last, unfinished bundle.
    """

    frontier: Frontier = field(default_factory=Frontier)
    rows: tuple[tuple[bytes, ...], ...] = ()
    entries: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        return self.frontier.size

    def root(self) -> bytes:
        return self.frontier.root()

    def extended(self, entries: Sequence[bytes]) -> "tuple[Edge, list[File]]":
        """The edge with these entries behind the others, and the files that the log now has.

        Files come in the order in which they may be written: what a tile stands for comes first.
        """
        leaves = [leaf_hash(entry) for entry in entries]
        frontier = self.frontier.extended(leaves)
        bundled, files = self._bundled(entries)
        rows, coming, level = [], leaves, 0
        while coming or level < len(self.rows):
            row = list(self.rows[level]) if level < len(self.rows) else []
            first = (self.size >> (HEIGHT * level)) - len(row)
            changed = bool(coming)
            row += coming
            coming = []
            while len(row) >= WIDTH:
                data = b"".join(row[:WIDTH])
                files.append(File(Tile(level, first // WIDTH), data))
                coming.append(tile_root(data))
                del row[:WIDTH]
                first += WIDTH
            if row and changed:
                files.append(File(Tile(level, first // WIDTH, len(row)), b"".join(row)))
            rows.append(tuple(row))
            level += 1
        return Edge(frontier, tuple(rows), bundled), files

    def _bundled(self, entries: Sequence[bytes]) -> tuple[tuple[bytes, ...], list[File]]:
        waiting = [*self.entries, *entries]
        first = (self.size - len(self.entries)) // WIDTH
        files = []
        for at in range(0, len(waiting), WIDTH):
            part = waiting[at : at + WIDTH]
            if entries:
                bundle = Bundle(first + at // WIDTH, len(part))
                files.append(File(bundle, format_bundle(part)))
        return tuple(waiting[len(waiting) - len(waiting) % WIDTH :]), files


def read_edge(size: int, read: Callable[[str], bytes], entries: Sequence[bytes]) -> Edge:
    """The edge of a published tree, from its tiles; ``entries`` are those of the last bundle.

    Raises Malformed when the entries are not those of the tiles, or a tile has another length. That
    the tiles are the right ones is seen by comparing the root with a signed one.
    """
    frontier = frontier_at(size, tile_reader(size, read))
    rows = []
    level = 0
    while size >> (HEIGHT * level):
        index, width = divmod(size >> (HEIGHT * level), WIDTH)
        tile = Tile(level, index, width)
        rows.append(tuple(parse_tile(read(tile.path), width)) if width else ())
        level += 1
    if [leaf_hash(entry) for entry in entries] != list(rows[0] if rows else ()):
        raise Malformed("tile_differs", Bundle(size // WIDTH, size % WIDTH or WIDTH).path)
    return Edge(frontier, tuple(rows), tuple(entries))


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles of a tree, level by level from below."""
    return new_tiles(0, size)


def new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """The tiles that a tree of ``new_size`` has and one of ``old_size`` hadn't."""
    level = 0
    while new_size >> (HEIGHT * level):
        for index, width in _new_places(old_size >> (HEIGHT * level), new_size >> (HEIGHT * level)):
            yield Tile(level, index, width)
        level += 1


def new_bundles(old_size: int, new_size: int) -> Iterator[Bundle]:
    """The bundles that a log of ``new_size`` has and one of ``old_size`` hadn't."""
    return (Bundle(index, width) for index, width in _new_places(old_size, new_size))


def _new_places(old: int, new: int) -> Iterator[tuple[int, int]]:
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError(f"no log grows from {old} to {new}")
    for index in range(old // WIDTH, new // WIDTH):
        yield index, WIDTH
    if new % WIDTH and new != old:
        yield new // WIDTH, new % WIDTH
