r"""Task-heads: a root over the last entry of every chain, so that a chain's end can't be cut off.

A tree of its own beside the log's, with a leaf for each chain that has an entry among the first
``size`` of the log, sorted by chain (as UTF-8):

    leaf = SHA-256(0x00 || JCS({"chain": …, "count": 17, "head": leaf hash of entry 17}))

Its root enters the log as an entry, signed like any other. Who holds such an entry, a chain's leaf
and the proof of its inclusion knows how many entries the chain had then, and which was the last;
the others hang on that one by their hashes. So the history of *one* task is shown to be complete
without showing any other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audit.canonical import check_text, written
from audit.malformed import Malformed
from audit.merkle import (
    EMPTY_ROOT,
    HashReader,
    check_inclusion,
    leaf_hash,
    paired,
    root_at,
)


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
    """The bytes of a leaf. Raises Malformed for a chain that no entry could name."""
    check_text(chain)
    return b'{"chain":%b,"count":%d,"head":%b}' % (written(chain), count, written(head))


def head_hash(chain: str, count: int, head: str) -> bytes:
    """The hash of a leaf. Raises Malformed as `head_leaf` does."""
    return leaf_hash(head_leaf(chain, count, head))


def root_over(hashes: list[bytes]) -> bytes:
    """The root over leaves with these hashes."""
    return root_at(len(hashes), reader_over(hashes)) if hashes else EMPTY_ROOT


def reader_over(hashes: list[bytes]) -> HashReader:
    """All hashes of the tree over leaves with these."""
    rows = [hashes]
    while len(rows[-1]) > 1:
        rows.append(paired(rows[-1]))

    def read(level: int, index: int) -> bytes:
        return rows[level][index]

    return read


class HeadsFollower:
    """The heads while a log is read entry by entry, and what they were a little earlier.

    An entry that states the heads comes after the entries that it speaks of, with others between:
    the latest ones wait until it is known on which side of a statement they are. Of a statement's
    tree only the leaves of chains that moved since the one before are made anew.
    """

    def __init__(self, reach: int = 1 << 16) -> None:
        """``reach``: how many entries may lie between."""
        self.reach = reach
        self._heads: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._chains: list[str] = []
        self._leaves: list[str] = []
        self._moved: set[str] = set()
        self._hashes: dict[str, bytes] = {}
        self._order: list[str] = []
        self.size = 0

    def follow(self, chains: Sequence[str], leaves: Sequence[str]) -> None:
        """The next entries of the log: the chain of each, and its hash in hex."""
        self._chains += chains
        self._leaves += leaves
        self.size += len(chains)
        if len(self._chains) >= 2 * self.reach:
            self._settle(len(self._chains) - self.reach)

    def stated(self, size: int) -> tuple[int, bytes]:
        """How many chains the first ``size`` entries had, and the root over their heads.

        Asked for larger and larger sizes. Raises Malformed when one is ahead, or too long ago.
        """
        settled = self.size - len(self._chains)
        if not settled <= size <= self.size or self.size - size > self.reach:
            raise Malformed("heads_out_of_reach", f"of {size}, at {self.size}")
        self._settle(size - settled)
        new = self._moved - self._hashes.keys()
        for chain in self._moved:
            self._hashes[chain] = head_hash(chain, self._counts[chain], self._heads[chain])
        self._moved.clear()
        self._order += sorted(new)
        self._order.sort()  # of two sorted runs: little more than merging them
        return len(self._order), root_over([self._hashes[chain] for chain in self._order])

    def _settle(self, entries: int) -> None:
        """So many of those that wait are before every statement that may come."""
        chains, leaves = self._chains[:entries], self._leaves[:entries]
        self._heads.update(zip(chains, leaves, strict=True))
        self._counts.update(chains)
        self._moved.update(chains)
        del self._chains[:entries], self._leaves[:entries]
