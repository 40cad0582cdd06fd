"""Consistency of Merkle trees (RFC 9162, 2.1.4): that one tree begins another, proved and checked.

Of the trees in `audit.merkle`:

    consistency of 2 with 3:         c           (the old root is B, which the checker knows)
    consistency of 3 with 4:         c, d, B     (old = node(B, c), new = node(B, node(c, d)))

`prove_consistency` trusts its reader; `check_consistency` trusts nothing.
"""

from collections.abc import Sequence

from audit.malformed import Malformed
from audit.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    HashReader,
    check_count,
    check_lengths,
    check_size,
    climbed,
    folded,
    left_size,
    subtree,
)


def prove_consistency(old: int, new: int, reader: HashReader) -> tuple[bytes, ...]:
    """What shows that the tree of ``old`` leaves begins the tree of ``new``."""
    check_size(new)
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {old} begins one of {new}")
    if old == 0:
        return ()
    low, high = 0, new
    path = []
    while high != old:
        middle = low + left_size(high - low)
        if old <= middle:
            path.append(subtree(middle, high, reader))
            high = middle
        else:
            path.append(subtree(low, middle, reader))
            low = middle
    if low:  # else what is left is the whole old tree, whose root the checker has
        path.append(subtree(low, high, reader))
    return tuple(reversed(path))


def check_consistency(
    proof: Sequence[bytes], old: int, new: int, old_root: bytes, new_root: bytes
) -> None:
    """Raise Malformed unless the tree under ``old_root`` begins the one under ``new_root``.

    An empty old tree begins every tree: then nothing is known of ``new_root``.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise Malformed("proof_sizes", f"{old} and {new}")
    check_lengths([old_root, new_root, *proof])
    if old in {0, new}:
        check_count(proof, 0)
        if (old == 0 and old_root != EMPTY_ROOT) or (old == new and old_root != new_root):
            raise Malformed("consistency_wrong", f"{old} and {new}")
        return
    # The last leaf of the old tree stands in a complete subtree that ends the old tree. From it
    # the path climbs to both roots; all on its left is in both trees, on its right in the new one.
    end = (old & -old).bit_length() - 1
    last = (old - 1) >> end
    inner = (last ^ ((new - 1) >> end)).bit_length()
    known = last == 0  # that subtree is the whole old tree
    check_count(proof, (not known) + inner + (last >> inner).bit_count())
    start = old_root if known else proof[0]
    path = proof if known else proof[1:]
    lefts = [path[level] for level in range(inner) if last >> level & 1]
    border = path[inner:]
    old_found = folded((*reversed(border), *reversed(lefts), start))
    new_found = folded((*reversed(border), climbed(start, path[:inner], last)))
    if old_found != old_root or new_found != new_root:
        raise Malformed("consistency_wrong", f"{old} and {new}")
