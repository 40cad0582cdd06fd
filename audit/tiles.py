r"""The files in which a log publishes its tree and entries (C2SP tlog-tiles).

A tile holds up to 256 neighbouring hashes of one level out of eight: tile (level, index) begins
with the complete subtrees of 256**level leaves from number 256 * index on. The levels between are
found by hashing. Of a tree of 70,000 leaves there are

    tile/0/000 … tile/0/272     full, 8,192 bytes each        tile/0/273.p/112
    tile/1/000                  the roots of 256 full tiles   tile/1/001.p/17
                                                              tile/2/000.p/1

``.p/<width>`` names a partial tile, always the last of its level. Numbers stand in groups of three
digits, all but the last after an x: number 1,234,067 is ``x001/x234/067``.

A bundle has the entries whose leaf hashes are those of the tile of level 0, each behind its length
as two bytes, big-endian:

    tile/entries/000.p/2    00 02 68 69  00 01 21       the entries "hi" and "!"

What a path names never changes; a full tile replaces its partial ones.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from audit.malformed import Malformed
from audit.merkle import HASH_BYTES, MAX_SIZE, HashReader, paired

HEIGHT = 8
WIDTH = 256
MAX_ENTRY = 2**16 - 1

_BASE = 1000
_CACHED_TILES = 64
# Six groups hold every number that a tree of 2**63 entries needs.
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return f"tile/{self.level}/{_place(self.index, self.width)}"


@dataclass(frozen=True, slots=True)
class Bundle:
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return f"tile/entries/{_place(self.index, self.width)}"


def _place(index: int, width: int) -> str:
    text = f"{index % _BASE:03}"
    while index := index // _BASE:
        text = f"x{index % _BASE:03}/{text}"
    return text if width == WIDTH else f"{text}.p/{width}"


def parse_path(text: str) -> Tile | Bundle:
    """What a path names. Raises Malformed for every other text, and for what no tree can have."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise Malformed("tile_path", text[:80])
    kind, number, part = match.groups()
    index = int(number.replace("x", "").replace("/", ""))
    width = int(part or WIDTH)
    level = 0 if kind == "entries" else int(kind)
    found = Bundle(index, width) if kind == "entries" else Tile(level, index, width)
    too_wide = part is not None and width >= WIDTH
    too_far = (index * WIDTH + width) << (HEIGHT * level) > MAX_SIZE
    # The way back tells x000/001 from the one form of this number.
    if too_wide or too_far or found.path != text:
        raise Malformed("tile_path", text)
    return found


def format_bundle(entries: Iterable[bytes]) -> bytes:
    """Raises ValueError for an entry of more than 65,535 bytes: no log of ours takes one."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError(f"an entry of {len(entry)} bytes")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def parse_bundle(data: bytes, width: int) -> list[bytes]:
    """Exactly ``width`` entries. Raises Malformed."""
    entries = []
    at = 0
    for number in range(width):
        start = at + 2
        end = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or end > len(data):
            raise Malformed("bundle_short", f"entry {number} of {width}")
        entries.append(data[start:end])
        at = end
    if at != len(data):
        raise Malformed("bundle_long", f"{len(data) - at} bytes after entry {width - 1}")
    return entries


def parse_tile(data: bytes, width: int) -> list[bytes]:
    """Exactly ``width`` hashes. Raises Malformed."""
    if len(data) != width * HASH_BYTES:
        raise Malformed("tile_length", f"{len(data)} bytes, not {width * HASH_BYTES}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def tile_root(data: bytes) -> bytes:
    """The hash of a full tile, which stands in the tile above it. Raises Malformed."""
    return _Pyramid(data, WIDTH).at(HEIGHT, 0)


class _Pyramid:
    """A tile's hashes and those above them, hashed when first asked for."""

    def __init__(self, data: bytes, width: int) -> None:
        self._rows = [parse_tile(data, width)]

    def at(self, rise: int, index: int) -> bytes:
        while len(self._rows) <= rise:
            self._rows.append(paired(self._rows[-1]))
        return self._rows[rise][index]


def tile_reader(size: int, read: Callable[[str], bytes]) -> HashReader:
    """The hashes of a tree of ``size`` out of its tiles; ``read`` gives a path's bytes.

    Asks for tiles of this very size only, and keeps the last few. Tiles are not believed by being
    read: compare `root_at` with a signed root before a proof from them means anything.
    """

    @lru_cache(maxsize=_CACHED_TILES)
    def pyramid(level: int, index: int) -> _Pyramid:
        width = min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH)
        tile = Tile(level, index, width)
        try:
            return _Pyramid(read(tile.path), width)
        except Malformed as error:
            raise Malformed(error.code, f"{tile.path}: {error.detail}") from error

    def reader(level: int, index: int) -> bytes:
        if level < 0 or index < 0 or (index + 1) << level > size:
            raise ValueError(f"no subtree {index} of level {level} in a tree of {size}")
        tile_level, rise = divmod(level, HEIGHT)
        tile_index, inside = divmod(index, WIDTH >> rise)
        return pyramid(tile_level, tile_index).at(rise, inside)

    return reader
