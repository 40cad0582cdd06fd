"""The ends of chains as a tree, made from what a test knows of them."""

from collections.abc import Mapping

from audit.heads import HeadTree


def tree_of(heads: Mapping[str, tuple[int, str]]) -> HeadTree:
    """``heads``: the last seq and its leaf hash, by chain, in the order in which these began."""
    return HeadTree((chain, count, head) for chain, (count, head) in heads.items())
