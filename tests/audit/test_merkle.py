"""The tree against the definition of RFC 9162, and proofs that are almost right."""

import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.consistency import check_consistency, prove_consistency
from audit.frontier import Frontier, frontier_at
from audit.malformed import Malformed
from audit.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    check_inclusion,
    leaf_hash,
    node_hash,
    prove_inclusion,
    root_at,
)

MOST = 70
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(MOST)]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# The definitions of RFC 9162, 2.1.1, 2.1.3.1 and 2.1.4.1, as they stand there: recursive and slow.


def split(size: int) -> int:
    return max(1 << power for power in range(size.bit_length()) if 1 << power < size)


@cache
def naive_root(low: int, high: int) -> bytes:
    if high == low:
        return sha256(b"")
    if high - low == 1:
        return LEAVES[low]
    middle = low + split(high - low)
    return sha256(b"\x01" + naive_root(low, middle) + naive_root(middle, high))


def naive_path(index: int, low: int, high: int) -> list[bytes]:
    if high - low == 1:
        return []
    middle = low + split(high - low)
    if index < middle:
        return [*naive_path(index, low, middle), naive_root(middle, high)]
    return [*naive_path(index, middle, high), naive_root(low, middle)]


def naive_subproof(old: int, low: int, high: int, *, known: bool) -> list[bytes]:
    if old == high:
        return [] if known else [naive_root(low, high)]
    middle = low + split(high - low)
    if old <= middle:
        return [*naive_subproof(old, low, middle, known=known), naive_root(middle, high)]
    return [*naive_subproof(old, middle, high, known=False), naive_root(low, middle)]


def reader(level: int, index: int) -> bytes:
    return naive_root(index << level, (index + 1) << level)


def refused(code: str) -> pytest.RaisesExc[Malformed]:
    return pytest.raises(Malformed, match=rf"^{code}\b")


def test_every_root_is_that_of_the_definition() -> None:
    for size in range(MOST + 1):
        assert root_at(size, reader) == naive_root(0, size)


def test_every_inclusion_is_proved_as_defined_and_holds() -> None:
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = prove_inclusion(index, size, reader)
            assert list(proof) == naive_path(index, 0, size)
            check_inclusion(proof, index, size, LEAVES[index], naive_root(0, size))


def test_every_consistency_is_proved_as_defined_and_holds() -> None:
    for new in range(1, MOST + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, reader)
            assert list(proof) == naive_subproof(old, 0, new, known=True)
            check_consistency(proof, old, new, naive_root(0, old), naive_root(0, new))


def test_the_roots_are_those_of_the_certificate_transparency_test_data() -> None:
    # The eight entries with which implementations of RFC 6962 have been compared since 2013.
    entries = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    frontier = Frontier()
    assert frontier.root().hex() == roots[0]
    for entry, root in zip(entries, roots[1:], strict=True):
        frontier = frontier.extended([leaf_hash(bytes.fromhex(entry))])
        assert frontier.root().hex() == root


@given(st.lists(st.integers(0, MOST), min_size=1))
def test_a_frontier_grows_to_the_same_tree_in_any_steps(cuts: list[int]) -> None:
    frontier = Frontier()
    for low, high in pairwise(sorted({0, *cuts})):
        frontier = frontier.extended(LEAVES[low:high])
        assert frontier == frontier_at(high, reader)
        assert frontier.root() == naive_root(0, high)


def test_a_frontier_takes_more_leaves_than_it_hashes_at_a_time() -> None:
    leaves = [number.to_bytes(32, "big") for number in range(70_001)]
    steps = Frontier().extended(leaves[:3]).extended(leaves[3:66_000]).extended(leaves[66_000:])
    assert steps == Frontier().extended(iter(leaves))
    row = leaves[: 1 << 16]
    while len(row) > 1:
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    assert steps.hashes[0] == row[0]


def test_a_frontier_that_cannot_be_is_a_bug_and_not_an_attack() -> None:
    with pytest.raises(ValueError, match="hashes for a tree"):
        Frontier(3, (bytes(32),))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier(1, (bytes(31),))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().extended([b"an entry, not its hash"])
    with pytest.raises(ValueError, match="no tree has"):
        Frontier(MAX_SIZE + 1, (bytes(32),))


def test_what_is_not_in_the_tree_cannot_be_proved() -> None:
    for index, size in ((0, 0), (-1, 3), (3, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            prove_inclusion(index, size, reader)
    for old, new in ((4, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no tree"):
            prove_consistency(old, new, reader)


def spoilt(proof: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """The proof with each single thing wrong with it."""
    hashes = list(proof)
    for place, found in enumerate(hashes):
        for byte in range(len(found)):
            flipped = bytearray(found)
            flipped[byte] ^= 1
            yield (*hashes[:place], bytes(flipped), *hashes[place + 1 :])
        yield (*hashes[:place], found[:-1], *hashes[place + 1 :])
        yield (*hashes[:place], found + b"\x00", *hashes[place + 1 :])
        yield (*hashes[:place], *hashes[place + 1 :])
        yield (*hashes[: place + 1], *hashes[place:])
        if place:
            yield (*hashes[: place - 1], found, hashes[place - 1], *hashes[place + 1 :])
        yield proof[:place]
    for more in (bytes(32), b"", EMPTY_ROOT):
        yield (*proof, more)
        yield (more, *proof)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 8, 11, 16, 21])
def test_a_spoilt_inclusion_is_refused(size: int) -> None:
    root = naive_root(0, size)
    for index in range(size):
        proof = prove_inclusion(index, size, reader)
        for wrong in spoilt(proof):
            with pytest.raises(Malformed):
                check_inclusion(wrong, index, size, LEAVES[index], root)


@pytest.mark.parametrize("new", [1, 2, 3, 5, 6, 7, 8, 11, 16])
def test_a_spoilt_consistency_is_refused(new: int) -> None:
    for old in range(new + 1):
        proof = prove_consistency(old, new, reader)
        for wrong in spoilt(proof):
            with pytest.raises(Malformed):
                check_consistency(wrong, old, new, naive_root(0, old), naive_root(0, new))


def test_an_inclusion_holds_for_its_own_index_size_leaf_and_root_only() -> None:
    for size in range(1, 20):
        for index in range(size):
            proof = prove_inclusion(index, size, reader)
            leaf, root = LEAVES[index], naive_root(0, size)
            for other in range(size + 2):
                if other != index:
                    with pytest.raises(Malformed):
                        check_inclusion(proof, other, size, leaf, root)
                    if other < size:
                        with pytest.raises(Malformed):
                            check_inclusion(proof, index, size, LEAVES[other], root)
                        # A tree of another size has another root, which only the signed size ties
                        # to it; with that root, nothing holds.
                        with pytest.raises(Malformed):
                            check_inclusion(proof, index, size, leaf, naive_root(0, other))


def test_a_consistency_holds_for_its_own_sizes_and_roots_only() -> None:
    for new in range(1, 14):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, reader)
            for other in range(1, 14):
                roots = naive_root(0, old), naive_root(0, new)
                if other != old:
                    with pytest.raises(Malformed):
                        check_consistency(proof, old, new, naive_root(0, other), roots[1])
                if other != new:
                    with pytest.raises(Malformed):
                        check_consistency(proof, old, new, roots[0], naive_root(0, other))
                if other != old:
                    with pytest.raises(Malformed):
                        check_consistency(proof, other, new, naive_root(0, other), roots[1])


def test_an_index_outside_the_tree_is_refused() -> None:
    for index, size in ((-1, 4), (4, 4), (5, 4), (0, 0), (0, -1), (0, MAX_SIZE + 1)):
        with refused("proof_index"):
            check_inclusion((), index, size, LEAVES[0], LEAVES[0])


def test_a_node_shown_as_a_leaf_is_refused() -> None:
    # The entry is the concatenation of two leaf hashes: without the prefix its hash would be
    # that of the inner node, one step higher.
    pair = LEAVES[0] + LEAVES[1]
    root = naive_root(0, 4)
    with refused("inclusion_wrong"):
        check_inclusion((naive_root(2, 4),), 0, 2, leaf_hash(pair), root)
    with refused("proof_length"):
        check_inclusion((naive_root(2, 4),), 0, 4, node_hash(LEAVES[0], LEAVES[1]), root)


def test_a_hash_of_31_bytes_is_refused_wherever_it_stands() -> None:
    good, short = bytes(32), bytes(31)
    for leaf, root, proof in (
        (short, good, (good,)),
        (good, short, (good,)),
        (good, good, (short,)),
    ):
        with refused("proof_hash_length"):
            check_inclusion(proof, 0, 2, leaf, root)
        with refused("proof_hash_length"):
            check_consistency(proof, 1, 2, leaf, root)


def test_trees_of_one_size_have_one_root_and_an_empty_proof() -> None:
    root = naive_root(0, 5)
    check_consistency((), 5, 5, root, root)
    with refused("consistency_wrong"):
        check_consistency((), 5, 5, root, naive_root(0, 6))
    with refused("proof_length"):
        check_consistency((root,), 5, 5, root, root)


def test_an_empty_tree_begins_every_tree_and_has_one_root() -> None:
    check_consistency((), 0, 0, EMPTY_ROOT, EMPTY_ROOT)
    check_consistency((), 0, 5, EMPTY_ROOT, naive_root(0, 5))
    with refused("proof_length"):
        check_consistency((EMPTY_ROOT,), 0, 5, EMPTY_ROOT, naive_root(0, 5))
    for new_size, new_root in ((0, bytes(32)), (5, naive_root(0, 5))):
        with refused("consistency_wrong"):
            check_consistency((), 0, new_size, bytes(32), new_root)


def test_a_tree_never_shrinks() -> None:
    for old, new in ((5, 4), (-1, 4), (4, MAX_SIZE + 1)):
        with refused("proof_sizes"):
            check_consistency((), old, new, bytes(32), bytes(32))


@given(
    st.integers(-1, MAX_SIZE + 1),
    st.integers(-1, MAX_SIZE + 1),
    st.lists(st.binary(max_size=33), max_size=70),
)
def test_no_proof_from_outside_is_a_bug_of_ours(
    first: int, second: int, proof: list[bytes]
) -> None:
    with pytest.raises(Malformed):
        check_inclusion(proof, first, second, LEAVES[0], LEAVES[1])
    with pytest.raises(Malformed):
        check_consistency(proof, first, second, LEAVES[0], LEAVES[1])


@given(st.integers(1, MAX_SIZE), st.data())
def test_proofs_in_trees_of_any_size_hold(size: int, data: st.DataObject) -> None:
    # A tree whose leaves are all the same: its hashes can be known without having it.
    def uniform(level: int, _: int) -> bytes:
        return UNIFORM[level]

    index = data.draw(st.integers(0, size - 1))
    root = root_at(size, uniform)
    check_inclusion(prove_inclusion(index, size, uniform), index, size, UNIFORM[0], root)
    old_root = root_at(index + 1, uniform)
    proof = prove_consistency(index + 1, size, uniform)
    check_consistency(proof, index + 1, size, old_root, root)


UNIFORM = [leaf_hash(b"")]
while len(UNIFORM) < 63:
    UNIFORM.append(node_hash(UNIFORM[-1], UNIFORM[-1]))
