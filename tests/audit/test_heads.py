"""A chain's end is shown by the root over all ends."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.frontier import Frontier
from audit.heads import HeadProof, HeadsFollower, HeadTree, head_leaf
from audit.malformed import Malformed
from audit.merkle import EMPTY_ROOT, leaf_hash
from tests.support.heads import tree_of

HEADS = st.dictionaries(
    st.text("abcD-19ệ", min_size=1, max_size=6),
    st.tuples(st.integers(1, 500), st.integers(0, 2**256 - 1).map(lambda n: f"{n:064x}")),
    min_size=1,
    max_size=40,
)


@given(HEADS)
def test_every_head_is_proved_under_the_one_root(heads: dict[str, tuple[int, str]]) -> None:
    tree = tree_of(heads)
    for chain in heads:
        assert chain in tree
        tree.prove(chain).check(len(heads), tree.root())


@given(HEADS)
def test_a_shorter_or_another_chain_is_refused(heads: dict[str, tuple[int, str]]) -> None:
    root = tree_of(heads).root()
    chain = min(heads)
    proof = tree_of(heads).prove(chain)
    wrong = [
        replace(proof, count=proof.count + 1),
        replace(proof, head=("1" if proof.head[0] == "0" else "0") + proof.head[1:]),
        replace(proof, chain=chain + "x"),
        replace(proof, index=proof.index + 1),
        replace(proof, hashes=(*proof.hashes, bytes(32))),
    ]
    for each in wrong:
        with pytest.raises(Malformed):
            each.check(len(heads), root)


@given(
    st.lists(st.text("abcD-19ệ", min_size=1, max_size=2), min_size=1, max_size=60),
    st.lists(st.integers(0, 60)),
    st.integers(1, 9),
)
def test_who_follows_a_log_finds_the_root_of_every_statement(
    chains: list[str], sizes: list[int], at_once: int
) -> None:
    leaves = [f"{number:064x}" for number in range(len(chains))]
    follower = HeadsFollower(reach=20)
    asked = sorted(size for size in sizes if size <= len(chains))
    for start in range(0, len(chains), at_once):
        end = min(start + at_once, len(chains))
        follower.follow(chains[start:end], leaves[start:end])
        while asked and asked[0] <= end:
            size = asked.pop(0)
            if end - size > follower.reach:
                continue
            counts = Counter(chains[:size])
            last = dict(zip(chains[:size], leaves[:size], strict=True))
            heads = {chain: (counts[chain], last[chain]) for chain in last}
            assert follower.stated(size) == (len(heads), tree_of(heads).root())


@given(HEADS)
def test_the_tree_is_that_of_a_log_whose_entries_are_the_heads(
    heads: dict[str, tuple[int, str]],
) -> None:
    leaves = [leaf_hash(head_leaf(chain, *end)) for chain, end in heads.items()]
    tree = tree_of(heads)
    assert tree.root() == Frontier().extended(leaves).root()
    assert [tree.prove(chain).index for chain in heads] == list(range(len(heads)))


def test_the_root_says_which_chains_there_are() -> None:
    heads = {"a": (1, "0" * 64), "b": (2, "1" * 64)}
    assert HeadTree().root() == EMPTY_ROOT
    assert len({tree_of(each).root() for each in (heads, {"a": heads["a"]}, {})}) == 3
    tree = tree_of(heads)
    assert isinstance(tree.prove("b"), HeadProof)
    assert "c" not in tree
    with pytest.raises(KeyError):
        tree.prove("c")
