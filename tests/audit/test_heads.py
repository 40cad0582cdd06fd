"""A chain's end is shown by the root over all ends."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.head_proofs import heads_root, prove_head
from audit.heads import HeadProof, HeadsFollower
from audit.malformed import Malformed
from audit.merkle import EMPTY_ROOT

HEADS = st.dictionaries(
    st.text("abcD-19ệ", min_size=1, max_size=6),
    st.tuples(st.integers(1, 500), st.integers(0, 2**256 - 1).map(lambda n: f"{n:064x}")),
    min_size=1,
    max_size=40,
)


@given(HEADS)
def test_every_head_is_proved_under_the_one_root(heads: dict[str, tuple[int, str]]) -> None:
    root = heads_root(heads)
    for chain in heads:
        prove_head(heads, chain).check(len(heads), root)


@given(HEADS)
def test_a_shorter_or_another_chain_is_refused(heads: dict[str, tuple[int, str]]) -> None:
    root = heads_root(heads)
    chain = min(heads)
    proof = prove_head(heads, chain)
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
            assert follower.stated(size) == (len(heads), heads_root(heads))


def test_the_root_says_which_chains_there_are() -> None:
    heads = {"a": (1, "0" * 64), "b": (2, "1" * 64)}
    assert heads_root({}) == EMPTY_ROOT
    assert len({heads_root(heads), heads_root({"a": heads["a"]}), heads_root({})}) == 3
    assert isinstance(prove_head(heads, "b"), HeadProof)
    with pytest.raises(KeyError):
        prove_head(heads, "c")
