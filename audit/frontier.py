"""Appending to a Merkle tree: what must be known of the leaves that it has, and no more.

A tree of 6 leaves is a complete subtree of 4 and one of 2. Their two roots give its root, and all
that a larger tree needs of these leaves; so appending costs the same however large the log is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from audit.merkle import (
    HashReader,
    check_hashes,
    check_size,
    complete_subtrees,
    folded,
    levels,
    paired,
)

_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Frontier:
    """What must be known of ``size`` leaves to append more: the roots of its complete subtrees.

    One hash for each bit that is set in ``size``, the largest subtree first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        check_size(self.size)
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{len(self.hashes)} hashes for a tree of {self.size}")
        check_hashes(self.hashes)

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """With these leaf *hashes* behind the others."""
        waiting = dict(zip(levels(self.size), self.hashes, strict=True))
        size, coming = self.size, iter(leaves)
        while row := list(islice(coming, _BATCH)):
            check_hashes(row)
            size += len(row)
            _add(row, waiting)
        return Frontier(size, tuple(waiting[level] for level in levels(size)))

    def root(self) -> bytes:
        return folded(self.hashes)


def _add(row: list[bytes], waiting: dict[int, bytes]) -> None:
    """Carry a row of new hashes up: on each level, at most one waits for its partner."""
    level = 0
    while row:
        if level in waiting:
            row = [waiting.pop(level), *row]
        if len(row) % 2:
            waiting[level] = row[-1]
        row = paired(row)
        level += 1


def frontier_at(size: int, reader: HashReader) -> Frontier:
    """That of the first ``size`` leaves."""
    return Frontier(size, complete_subtrees(size, reader))
