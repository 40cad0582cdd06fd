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

That one tree begins another is proved in `audit.consistency`; `audit.frontier` appends.

Prove… trusts its reader and knows no lies: who doubts the stored hashes compares the root. Check…
trusts nothing. A proof binds index and sizes: one that fits has exactly one length.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from audit.malformed import Malformed

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
MAX_SIZE = 2**63 - 1

HashReader = Callable[[int, int], bytes]
"""(level, index) -> the hash of the complete subtree number ``index`` of 2**level leaves."""

_LEAF = b"\x00"
_NODE = b"\x01"


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


def root_at(size: int, reader: HashReader) -> bytes:
    """The root over the first ``size`` leaves."""
    return folded(complete_subtrees(size, reader))


def complete_subtrees(size: int, reader: HashReader) -> tuple[bytes, ...]:
    """The roots of the complete subtrees of the first ``size`` leaves, the largest first."""
    check_size(size)
    hashes = tuple(_parts(0, size, reader))
    check_hashes(hashes)
    return hashes


def subtree(low: int, high: int, reader: HashReader) -> bytes:
    """The root over the leaves [low, high) of a tree that splits at ``low``."""
    return folded(tuple(_parts(low, high, reader)))


def _parts(low: int, high: int, reader: HashReader) -> Iterator[bytes]:
    """The complete subtrees over [low, high); low is where a tree splits, so they are aligned."""
    for level in levels(high - low):
        yield reader(level, low >> level)
        low += 1 << level


def prove_inclusion(index: int, size: int, reader: HashReader) -> tuple[bytes, ...]:
    """What leads from leaf ``index`` to the root over ``size`` leaves: siblings, from below."""
    check_size(size)
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    low, high = 0, size
    path = []
    while high - low > 1:
        middle = low + left_size(high - low)
        if index < middle:
            path.append(subtree(middle, high, reader))
            high = middle
        else:
            path.append(subtree(low, middle, reader))
            low = middle
    return tuple(reversed(path))


def check_inclusion(
    proof: Sequence[bytes], index: int, size: int, leaf: bytes, root: bytes
) -> None:
    """Raise Malformed unless the leaf with hash ``leaf`` is number ``index`` under ``root``."""
    if not 0 <= index < size <= MAX_SIZE:
        raise Malformed("proof_index", f"{index} in a tree of {size}")
    check_lengths([leaf, root, *proof])
    # Below, the path is one of two siblings; above, it is the right edge and has left ones only.
    inner = (index ^ (size - 1)).bit_length()
    check_count(proof, inner + (index >> inner).bit_count())
    found = climbed(leaf, proof[:inner], index)
    if folded((*reversed(proof[inner:]), found)) != root:
        raise Malformed("inclusion_wrong", f"entry {index} in a tree of {size}")


def climbed(start: bytes, siblings: Sequence[bytes], index: int) -> bytes:
    """The hash that ``siblings`` lead to, from number ``index`` on their level up."""
    found = start
    for level, sibling in enumerate(siblings):
        found = node_hash(sibling, found) if index >> level & 1 else node_hash(found, sibling)
    return found


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring subtrees, the largest and leftmost first."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in hashes[-2::-1]:
        found = node_hash(left, found)
    return found


def levels(size: int) -> Iterator[int]:
    """The levels of a tree's complete subtrees, the largest first."""
    return (level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1)


def left_size(size: int) -> int:
    """How many leaves are in the left part: the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def check_size(size: int) -> None:
    """Raise ValueError for a size that no tree has."""
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"no tree has {size} leaves")


def check_hashes(hashes: Sequence[bytes]) -> None:
    """Raise ValueError unless these are hashes. For what is our own."""
    if set(map(len, hashes)) - {HASH_BYTES}:
        raise ValueError("a hash has 32 bytes")


def check_lengths(hashes: Sequence[bytes]) -> None:
    """Raise Malformed unless these are hashes. For what a stranger proves with."""
    for number in hashes:
        if len(number) != HASH_BYTES:
            raise Malformed("proof_hash_length", f"{len(number)} bytes")


def check_count(proof: Sequence[bytes], expected: int) -> None:
    """Raise Malformed unless the proof has the one length that it can have."""
    if len(proof) != expected:
        raise Malformed("proof_length", f"{len(proof)} hashes, not {expected}")
