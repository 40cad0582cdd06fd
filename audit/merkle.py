r"""The Merkle tree of a log (RFC 9162, 2.1): roots, and proofs that are short to check.

    empty root   SHA-256("")
    leaf         SHA-256(0x00 || entry)
    node         SHA-256(0x01 || left || right)

A tree of n > 1 leaves splits at the largest power of two below n; its left part is complete. So
every root and proof is made of *complete* subtrees of 2**level leaves, which never change again.
Who stores them gives a `HashReader`, by level and number. A tree of three leaves:

        root = node(B, c)                reader(0, 0) = a    reader(0, 2) = c
          B = node(a, b)                 reader(0, 1) = b    reader(1, 0) = B
          a = leaf   b = leaf   c = leaf

    inclusion of b in 3 leaves:      a, c        (from the leaf up)
    consistency of 2 with 3:         c           (the old root is B, which the checker knows)
    consistency of 3 with 4:         c, d, B     (old = node(B, c), new = node(B, node(c, d)))

Prove… trusts its reader and knows no lies: who doubts the stored hashes compares the root. Check…
trusts nothing. A proof binds index and sizes: one that fits has exactly one length.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from audit.malformed import Malformed

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
MAX_SIZE = 2**63 - 1

HashReader = Callable[[int, int], bytes]
"""(level, index) -> the hash of the complete subtree number ``index`` of 2**level leaves."""

_LEAF = b"\x00"
_NODE = b"\x01"
_BATCH = 1 << 16


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def paired(row: Iterable[bytes]) -> list[bytes]:
    """The row of nodes above ``row``. A last one without a partner has no node yet."""
    sha256 = hashlib.sha256  # a local name: this line is what appending costs
    pairs = iter(row)
    return [
        sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)
    ]


@dataclass(frozen=True, slots=True)
class Frontier:
    """What must be known of ``size`` leaves to append more: the roots of its complete subtrees.

    One hash for each bit that is set in ``size``, the largest subtree first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        _check_size(self.size)
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{len(self.hashes)} hashes for a tree of {self.size}")
        _check_hashes(self.hashes)

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """With these leaf *hashes* behind the others."""
        waiting = dict(zip(_levels(self.size), self.hashes, strict=True))
        size, coming = self.size, iter(leaves)
        while row := list(islice(coming, _BATCH)):
            _check_hashes(row)
            size += len(row)
            _add(row, waiting)
        return Frontier(size, tuple(waiting[level] for level in _levels(size)))

    def root(self) -> bytes:
        return _folded(self.hashes)


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
    _check_size(size)
    return Frontier(size, tuple(_parts(0, size, reader)))


def root_at(size: int, reader: HashReader) -> bytes:
    """The root over the first ``size`` leaves."""
    return frontier_at(size, reader).root()


def prove_inclusion(index: int, size: int, reader: HashReader) -> tuple[bytes, ...]:
    """What leads from leaf ``index`` to the root over ``size`` leaves: siblings, from below."""
    _check_size(size)
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    low, high = 0, size
    path = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_subtree(middle, high, reader))
            high = middle
        else:
            path.append(_subtree(low, middle, reader))
            low = middle
    return tuple(reversed(path))


def prove_consistency(old: int, new: int, reader: HashReader) -> tuple[bytes, ...]:
    """What shows that the tree of ``old`` leaves begins the tree of ``new``."""
    _check_size(new)
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {old} begins one of {new}")
    if old == 0:
        return ()
    low, high = 0, new
    path = []
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_subtree(middle, high, reader))
            high = middle
        else:
            path.append(_subtree(low, middle, reader))
            low = middle
    if low:  # else what is left is the whole old tree, whose root the checker has
        path.append(_subtree(low, high, reader))
    return tuple(reversed(path))


def check_inclusion(
    proof: Sequence[bytes], index: int, size: int, leaf: bytes, root: bytes
) -> None:
    """Raise Malformed unless the leaf with hash ``leaf`` is number ``index`` under ``root``."""
    if not 0 <= index < size <= MAX_SIZE:
        raise Malformed("proof_index", f"{index} in a tree of {size}")
    _check_lengths([leaf, root, *proof])
    # Below, the path is one of two siblings; above, it is the right edge and has left ones only.
    inner = (index ^ (size - 1)).bit_length()
    _check_count(proof, inner + (index >> inner).bit_count())
    found = _climbed(leaf, proof[:inner], index)
    if _folded((*reversed(proof[inner:]), found)) != root:
        raise Malformed("inclusion_wrong", f"entry {index} in a tree of {size}")


def check_consistency(
    proof: Sequence[bytes], old: int, new: int, old_root: bytes, new_root: bytes
) -> None:
    """Raise Malformed unless the tree under ``old_root`` begins the one under ``new_root``.

    An empty old tree begins every tree: then nothing is known of ``new_root``.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise Malformed("proof_sizes", f"{old} and {new}")
    _check_lengths([old_root, new_root, *proof])
    if old in {0, new}:
        _check_count(proof, 0)
        if (old == 0 and old_root != EMPTY_ROOT) or (old == new and old_root != new_root):
            raise Malformed("consistency_wrong", f"{old} and {new}")
        return
    # The last leaf of the old tree stands in a complete subtree that ends the old tree. From it
    # the path climbs to both roots; all on its left is in both trees, on its right in the new one.
    end = (old & -old).bit_length() - 1
    last = (old - 1) >> end
    inner = (last ^ ((new - 1) >> end)).bit_length()
    known = last == 0  # that subtree is the whole old tree
    _check_count(proof, (not known) + inner + (last >> inner).bit_count())
    start = old_root if known else proof[0]
    path = proof if known else proof[1:]
    lefts = [path[level] for level in range(inner) if last >> level & 1]
    border = path[inner:]
    old_found = _folded((*reversed(border), *reversed(lefts), start))
    new_found = _folded((*reversed(border), _climbed(start, path[:inner], last)))
    if old_found != old_root or new_found != new_root:
        raise Malformed("consistency_wrong", f"{old} and {new}")


def _climbed(start: bytes, siblings: Sequence[bytes], index: int) -> bytes:
    found = start
    for level, sibling in enumerate(siblings):
        found = node_hash(sibling, found) if index >> level & 1 else node_hash(found, sibling)
    return found


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring subtrees, the largest and leftmost first."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in hashes[-2::-1]:
        found = node_hash(left, found)
    return found


def _levels(size: int) -> Iterator[int]:
    """The levels of a tree's complete subtrees, the largest first."""
    return (level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1)


def _parts(low: int, high: int, reader: HashReader) -> Iterator[bytes]:
    """The complete subtrees over [low, high); low is where a tree splits, so they are aligned."""
    for level in _levels(high - low):
        yield reader(level, low >> level)
        low += 1 << level


def _subtree(low: int, high: int, reader: HashReader) -> bytes:
    return _folded(tuple(_parts(low, high, reader)))


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"no tree has {size} leaves")


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if set(map(len, hashes)) - {HASH_BYTES}:
        raise ValueError("a hash has 32 bytes")


def _check_lengths(hashes: Sequence[bytes]) -> None:
    for number in hashes:
        if len(number) != HASH_BYTES:
            raise Malformed("proof_hash_length", f"{len(number)} bytes")


def _check_count(proof: Sequence[bytes], expected: int) -> None:
    if len(proof) != expected:
        raise Malformed("proof_length", f"{len(proof)} hashes, not {expected}")
