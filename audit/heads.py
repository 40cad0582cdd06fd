r"""Task-heads: a root over the last entry of every chain, so that a chain's end can't be cut off.

A tree of its own beside the log's, with a leaf for each chain that has an entry among the first
``size`` of the log, in the order in which the chains began:

    leaf = SHA-256(0x00 || JCS({"chain": …, "count": 17, "head": leaf hash of entry 17}))

Its root enters the log as an entry, signed like any other. Who holds such an entry, a chain's leaf
and the proof of its inclusion knows how many entries the chain had then, and which was the last;
the others hang on that one by their hashes. So the history of *one* task is shown to be complete
without showing any other.

A chain keeps its place for ever. When its end moves, one path of the tree is made anew; who follows
a log from statement to statement never makes the whole tree twice.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from audit.canonical import check_text, written
from audit.malformed import Malformed
from audit.merkle import (
    EMPTY_ROOT,
    check_inclusion,
    leaf_hash,
    node_hash,
    prove_inclusion,
    root_at,
)

REACH = 1 << 16
"""So many entries may lie between a statement and the last one that it speaks of."""


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


class HeadTree:
    """The tree over the ends of chains."""

    def __init__(self, heads: Iterable[tuple[str, int, str]] = ()) -> None:
        """``heads`` as for `move`."""
        self._ends: dict[str, tuple[int, int, str]] = {}
        self._rows: list[list[bytes]] = [[]]
        self.move(heads)

    def __len__(self) -> int:
        """How many chains there are."""
        return len(self._ends)

    def __contains__(self, chain: str) -> bool:
        return chain in self._ends

    def move(self, heads: Iterable[tuple[str, int, str]]) -> None:
        """Where chains end now: the chain, the number of its entries, the leaf hash of the last
        (hex). New chains stand in the order in which they began.
        """
        leaves, moved = self._rows[0], set[int]()
        for chain, count, head in heads:
            place = self._ends[chain][0] if chain in self._ends else len(leaves)
            _put(leaves, place, leaf_hash(head_leaf(chain, count, head)))
            self._ends[chain] = (place, count, head)
            moved.add(place)
        self._lift(moved)

    def root(self) -> bytes:
        """The root over all heads."""
        return root_at(len(self), self._read) if self._ends else EMPTY_ROOT

    def prove(self, chain: str) -> HeadProof:
        """Raises KeyError for a chain that has no head."""
        place, count, head = self._ends[chain]
        hashes = prove_inclusion(place, len(self), self._read)
        return HeadProof(chain, count, head, place, hashes)

    def _read(self, level: int, index: int) -> bytes:
        return self._rows[level][index]

    def _lift(self, moved: Collection[int]) -> None:
        """Make anew what stands above these leaves, as far as it is complete."""
        for level, row in enumerate(self._rows):
            if len(row) > 1 and level + 1 == len(self._rows):
                self._rows.append([])
            pairs = sorted({place // 2 for place in moved if place | 1 < len(row)})
            for pair in pairs:
                _put(self._rows[level + 1], pair, node_hash(row[2 * pair], row[2 * pair + 1]))
            moved = pairs


def _put(row: list[bytes], place: int, node: bytes) -> None:
    if place == len(row):
        row.append(node)
    else:
        row[place] = node


class HeadsFollower:
    """The heads while a log is read entry by entry, and what they were a little earlier.

    An entry that states the heads comes after the entries that it speaks of, with others between:
    the latest ones wait until it is known on which side of a statement they are.
    """

    def __init__(self, reach: int = REACH) -> None:
        self.reach = reach
        self._tree = HeadTree()
        self._counts: Counter[str] = Counter()
        self._moved: dict[str, str] = {}
        self._chains: list[str] = []
        self._leaves: list[str] = []
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
        counts = self._counts
        self._tree.move((chain, counts[chain], head) for chain, head in self._moved.items())
        self._moved.clear()
        return len(self._tree), self._tree.root()

    def _settle(self, entries: int) -> None:
        """So many of those that wait are before every statement that may come."""
        chains, leaves = self._chains[:entries], self._leaves[:entries]
        self._moved.update(zip(chains, leaves, strict=True))
        self._counts.update(chains)
        del self._chains[:entries], self._leaves[:entries]
