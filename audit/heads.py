r"""Task-heads: a root over the last entry of every chain, so that a chain's end can't be cut off.

A tree of its own beside the log's, with a leaf for each chain that has an entry among the first
``size`` of the log, sorted by chain (as UTF-8):

    leaf = SHA-256(0x00 || JCS({"chain": …, "count": 17, "head": leaf hash of entry 17}))

Its root enters the log as an entry, signed like any other. Who holds such an entry, a chain's leaf
and the proof of its inclusion knows how many entries the chain had then, and which was the last;
the others hang on that one by their hashes. So the history of *one* task is shown to be complete
without showing any other.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from audit.canonical import canonical
from audit.malformed import Malformed
from audit.merkle import (
    EMPTY_ROOT,
    HashReader,
    check_inclusion,
    leaf_hash,
    paired,
    prove_inclusion,
    root_at,
)

Heads = Mapping[str, tuple[int, str]]
"""The last seq and its leaf hash (hex), by chain."""


@dataclass(frozen=True, slots=True)
class HeadProof:
    """That one chain ends where it does: its head is number ``index`` of those under a root."""

    chain: str
    count: int
    head: str
    index: int
    hashes: tuple[bytes, ...]

    def check(self, chains: int, root: bytes) -> None:
        """Raise Malformed unless this is one of the heads that an entry states: ``chains`` of them,
        under ``root``.
        """
        leaf = leaf_hash(head_leaf(self.chain, self.count, self.head))
        try:
            check_inclusion(self.hashes, self.index, chains, leaf, root)
        except Malformed as error:
            raise Malformed(error.code, f"head of {self.chain}: {error.detail}") from error


def head_leaf(chain: str, count: int, head: str) -> bytes:
    """The bytes of a leaf."""
    return canonical({"chain": chain, "count": count, "head": head})


def heads_root(heads: Heads) -> bytes:
    """The root over all heads."""
    return root_at(len(heads), _reader(heads)) if heads else EMPTY_ROOT


def prove_head(heads: Heads, chain: str) -> HeadProof:
    """Raises KeyError for a chain that has no head."""
    count, head = heads[chain]
    index = _sorted(heads).index(chain)
    hashes = prove_inclusion(index, len(heads), _reader(heads))
    return HeadProof(chain, count, head, index, hashes)


def _sorted(heads: Heads) -> list[str]:
    # By code point, which for UTF-8 is the order of the bytes.
    return sorted(heads)


def _reader(heads: Heads) -> HashReader:
    rows = [[leaf_hash(head_leaf(chain, *heads[chain])) for chain in _sorted(heads)]]
    while len(rows[-1]) > 1:
        rows.append(paired(rows[-1]))

    def read(level: int, index: int) -> bytes:
        return rows[level][index]

    return read


class HeadsFollower:
    """The heads while a log is read entry by entry, and what they were a little earlier.

    An entry that states the heads comes after the entries that it speaks of, with others between.
    """

    def __init__(self, reach: int = 1 << 16) -> None:
        """``reach``: how many entries may lie between."""
        self._heads: dict[str, tuple[int, str]] = {}
        self._before: deque[tuple[str, tuple[int, str] | None]] = deque(maxlen=reach)
        self.size = 0

    def follow(self, chain: str, leaf: str) -> None:
        """The next entry of the log; ``leaf`` is its hash in hex."""
        before = self._heads.get(chain)
        self._before.append((chain, before))
        self._heads[chain] = (before[0] + 1 if before else 1, leaf)
        self.size += 1

    def stated(self, size: int) -> tuple[int, bytes]:
        """How many chains the first ``size`` entries had, and the root over their heads.

        Raises Malformed when that is ahead, or too long ago.
        """
        back = self.size - size
        if not 0 <= back <= len(self._before):
            raise Malformed("heads_out_of_reach", f"of {size}, at {self.size}")
        heads: dict[str, tuple[int, str]] = dict(self._heads)
        for chain, before in islice(reversed(self._before), back):
            if before is None:
                del heads[chain]
            else:
                heads[chain] = before
        return len(heads), heads_root(heads)
