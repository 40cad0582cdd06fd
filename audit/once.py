"""Which commands were recorded twice, in a log of any size, with little memory.

Ids are kept in sorted runs; a full run goes to a temporary file. In the end the runs are merged,
and equal ids stand side by side.

A command names its chain, so that its copy can only be in the same one: elsewhere it would fail
check 4. Equal ids in different chains are of different commands; the database refuses these.
"""

import struct
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from typing import IO

RUN = 1 << 16
_READ_AT_ONCE = 256
# Number of the chain, id of the command, index in the log, entry within its chain, leaf hash.
_ITEM = struct.Struct(">I16sQQ32s")
_SAME = 4 + 16
_NO_INDEX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Repeated:
    """An entry whose command an earlier entry of its chain has already."""

    chain: str
    seq: int
    leaf: str
    command: str
    index: int | None


class CommandIds:
    """Takes 68 bytes an entry, of at most 65,536 entries in memory."""

    def __init__(self, run: int = RUN) -> None:
        self._run = run
        self._items: list[bytes] = []
        self._spool: IO[bytes] | None = None
        self._ends: list[int] = []
        self._chains: dict[str, int] = {}

    def add(self, identity: str, chain: str, seq: int, leaf: str, index: int | None = None) -> None:
        """Remember a command: ``identity`` is 32 hex digits, ``leaf`` 64."""
        number = self._chains.setdefault(chain, len(self._chains))
        place = _NO_INDEX if index is None else index
        identifier, digest = bytes.fromhex(identity), bytes.fromhex(leaf)
        self._items.append(_ITEM.pack(number, identifier, place, seq, digest))
        if len(self._items) >= self._run:
            self._spill()

    def repeated(self) -> Iterator[Repeated]:
        """Every entry whose command an earlier one of the chain has."""
        chains = list(self._chains)
        runs: list[Iterator[bytes]] = [iter(sorted(self._items))]
        runs += (self._stored(start, end) for start, end in pairwise([0, *self._ends]))
        for before, item in pairwise(merge(*runs) if self._ends else runs[0]):
            if before[:_SAME] == item[:_SAME]:
                number, identity, place, seq, leaf = _ITEM.unpack(item)
                index = None if place == _NO_INDEX else place
                yield Repeated(chains[number], seq, leaf.hex(), identity.hex(), index)

    def _spill(self) -> None:
        if self._spool is None:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
            weakref.finalize(self, self._spool.close)
        # One file for all runs: a large log has more of them than a process may open files.
        self._spool.seek(self._ends[-1] if self._ends else 0)
        self._spool.write(b"".join(sorted(self._items)))
        self._ends.append(self._spool.tell())
        self._items = []

    def _stored(self, start: int, end: int) -> Iterator[bytes]:
        assert self._spool is not None  # noqa: S101 - there is a run in it
        step = _ITEM.size * _READ_AT_ONCE
        for at in range(start, end, step):
            self._spool.seek(at)
            items = self._spool.read(min(step, end - at))
            yield from (items[i : i + _ITEM.size] for i in range(0, len(items), _ITEM.size))
