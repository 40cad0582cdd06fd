"""A tree that grows step by step publishes what a tree built at once would."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.frontier import Frontier
from audit.growth import Edge, new_bundles, new_tiles, read_edge
from audit.malformed import Malformed
from audit.merkle import EMPTY_ROOT, leaf_hash, root_at
from audit.tiles import Tile, parse_bundle, parse_path, tile_reader

STEPS = st.lists(st.sampled_from([0, 1, 2, 3, 100, 255, 256, 257, 511, 700]), max_size=8)


def entries_of(start: int, count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]


@settings(max_examples=60)
@given(STEPS)
def test_each_step_writes_just_the_files_that_the_tree_did_not_have(steps: list[int]) -> None:
    edge = Edge()
    files: dict[str, bytes] = {}
    for count in steps:
        before = edge.size
        edge, written = edge.extended(entries_of(before, count))
        expected = {tile.path for tile in new_tiles(before, edge.size)}
        expected |= {bundle.path for bundle in new_bundles(before, edge.size)}
        assert {file.path for file in written} == expected
        files |= {file.path: file.data for file in written}
    leaves = [leaf_hash(entry) for entry in entries_of(0, edge.size)]
    assert edge.root() == Frontier().extended(leaves).root()
    if edge.size:
        assert root_at(edge.size, tile_reader(edge.size, files.__getitem__)) == edge.root()
    read = [
        entry
        for bundle in new_bundles(0, edge.size)
        for entry in parse_bundle(files[bundle.path], bundle.width)
    ]
    assert read == entries_of(0, edge.size)


@settings(max_examples=40)
@given(st.integers(0, 1500), st.integers(0, 600))
def test_an_edge_read_from_the_files_grows_like_the_one_that_wrote_them(
    size: int, more: int
) -> None:
    edge, written = Edge().extended(entries_of(0, size))
    files = {file.path: file.data for file in written}
    read = read_edge(size, files.__getitem__, entries_of(size - size % 256, size % 256))
    assert read == edge
    assert read.extended(entries_of(size, more)) == edge.extended(entries_of(size, more))


def test_three_levels_of_tiles_are_reached() -> None:
    edge, written = Edge().extended([b""] * (65_536 + 257))
    assert parse_path("tile/2/000.p/1") in [file.place for file in written]
    assert edge.root() == Frontier().extended([leaf_hash(b"")] * (65_536 + 257)).root()


def test_an_empty_log_has_no_files() -> None:
    edge, written = Edge().extended([])
    assert (edge.root(), written) == (EMPTY_ROOT, [])


def test_files_come_in_the_order_in_which_they_stand_for_each_other() -> None:
    _, written = Edge().extended(entries_of(0, 600))
    levels = [file.place.level for file in written if isinstance(file.place, Tile)]
    assert levels == sorted(levels)


def test_other_entries_than_the_tiles_have_are_refused() -> None:
    _, written = Edge().extended(entries_of(0, 10))
    files = {file.path: file.data for file in written}
    with pytest.raises(Malformed, match="tile_differs"):
        read_edge(10, files.__getitem__, entries_of(1, 10))
