"""Tiles, bundles and their paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.consistency import check_consistency, prove_consistency
from audit.frontier import Frontier
from audit.growth import new_bundles, new_tiles, tiles_of
from audit.malformed import Malformed
from audit.merkle import MAX_SIZE, check_inclusion, leaf_hash, node_hash, prove_inclusion, root_at
from audit.tiles import (
    WIDTH,
    Bundle,
    Tile,
    format_bundle,
    parse_bundle,
    parse_path,
    parse_tile,
    tile_reader,
    tile_root,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(70_000)]


def published(size: int) -> dict[str, bytes]:
    """The tiles of a tree, made from the rows of 256 times fewer hashes each."""
    row = LEAVES[:size]
    files = {}
    level = 0
    while row:
        for tile in tiles_of(size):
            if tile.level == level:
                start = tile.index * WIDTH
                files[tile.path] = b"".join(row[start : start + tile.width])
        row = [
            Frontier().extended(row[start : start + WIDTH]).root()
            for start in range(0, len(row) - WIDTH + 1, WIDTH)
        ]
        level += 1
    return files


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067, 5), "tile/0/x001/x234/067.p/5"),
        (Tile(6, 127, 255), "tile/6/127.p/255"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Bundle(0, 3), "tile/entries/000.p/3"),
        (Bundle(1_234_067), "tile/entries/x001/x234/067"),
    ],
)
def test_a_path_names_one_tile_or_bundle(item: Tile | Bundle, path: str) -> None:
    assert item.path == path
    assert parse_path(path) == item


@given(st.integers(0, 7), st.integers(0, 2**63), st.integers(1, WIDTH))
def test_every_tile_that_a_tree_can_have_has_a_path(level: int, index: int, width: int) -> None:
    index = index % max(1, (MAX_SIZE >> 8 * level) // WIDTH)
    if (index * WIDTH + width) << (8 * level) <= MAX_SIZE:
        for item in (Tile(level, index, width), Bundle(index, width)):
            assert parse_path(item.path) == item


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "/tile/0/000",
        "tile/0/000/",
        "tile//000",
        "tile/00/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/8/000.p/1",
        "tile/7/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x000/001",
        "tile/0/X001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/05",
        "tile/0/000.p/",
        "tile/0/000.p/-1",
        "tile/0/000.p/1 ",
        "tile/0/000.p/1\n",
        "tile/0/000.p",
        "tile/0/000.P/1",
        "tile/0/٠٠٠",  # Arabic digits, which \d and int() would take
        "tile/0/../000",
        "tile/0/..",
        "tile/../checkpoint",
        "tile/0/x001/../000",
        "tile/entries/../../etc/passwd",
        "tile/entries/%2e%2e/000",
        "tile/entries",
        "tile/Entries/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0\\000",
        "tile/0/000\x00",
        "tile/0/" + "x001/" * 7 + "000",
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/" + "x001/" * 10_000 + "000",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(Malformed, match="tile_path"):
        parse_path(path)


@given(st.text() | st.from_regex(r"tile/[0-9a-z]{1,7}/[x0-9./p]*", fullmatch=True))
def test_no_text_is_read_as_a_path_but_its_own(text: str) -> None:
    try:
        found = parse_path(text)
    except Malformed:
        return
    assert found.path == text


def test_the_tiles_of_a_tree_are_those_of_the_specification() -> None:
    # The example of C2SP tlog-tiles, for a tree of 70,000.
    paths = [tile.path for tile in tiles_of(70_000)]
    assert len(paths) == 273 + 1 + 1 + 1 + 1
    assert paths[0] == "tile/0/000"
    assert paths[272:] == [
        "tile/0/272",
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [tile.path for tile in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 3_000))
def test_a_tree_that_grows_gets_just_the_tiles_that_it_had_not(old: int, more: int) -> None:
    new = old + more
    assert set(new_tiles(old, new)) == set(tiles_of(new)) - set(tiles_of(old))
    had, has = set(new_bundles(0, old)), set(new_bundles(0, new))
    assert set(new_bundles(old, new)) == has - had
    assert sum(bundle.width for bundle in has) == new
    assert {Tile(0, bundle.index, bundle.width) for bundle in has} == {
        tile for tile in tiles_of(new) if tile.level == 0
    }


def test_a_tree_never_shrinks() -> None:
    for old, new in ((1, 0), (-1, 1), (0, MAX_SIZE + 1)):
        with pytest.raises(ValueError, match="no log grows"):
            list(new_bundles(old, new))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 511, 512, 1000, 65_536, 70_000])
def test_the_tiles_hold_every_hash_that_proofs_need(size: int) -> None:
    files = published(size)
    reader = tile_reader(size, files.__getitem__)
    root = root_at(size, reader)
    assert root == Frontier().extended(LEAVES[:size]).root()
    for index in {0, size // 3, size // 2, size - 1}:
        proof = prove_inclusion(index, size, reader)
        check_inclusion(proof, index, size, LEAVES[index], root)
        old_root = Frontier().extended(LEAVES[: index + 1]).root()
        proof = prove_consistency(index + 1, size, reader)
        check_consistency(proof, index + 1, size, old_root, root)


def test_a_reader_gives_every_complete_subtree_of_its_tree_and_no_other() -> None:
    size = 600
    reader = tile_reader(size, published(size).__getitem__)
    row = LEAVES[:size]
    for level in range(11):
        for index, found in enumerate(row):
            assert reader(level, index) == found
        with pytest.raises(ValueError, match="no subtree"):
            reader(level, len(row))
        row = [node_hash(*row[at : at + 2]) for at in range(0, len(row) - 1, 2)]
    for level, index in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="no subtree"):
            reader(level, index)


def test_a_reader_asks_for_the_tiles_of_its_own_size_and_once() -> None:
    files = published(1000)
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return files[path]

    reader = tile_reader(1000, read)
    for index in range(1000):
        reader(0, index)
    assert asked == ["tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003.p/232"]


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(32 * 99), bytes(32 * 101), bytes(8192)])
def test_a_tile_of_another_length_is_refused(wrong: bytes) -> None:
    reader = tile_reader(100, lambda _: wrong)
    with pytest.raises(Malformed, match=r"tile_length: tile/0/000\.p/100"):
        reader(0, 0)


def test_a_full_tile_has_one_hash_above_it() -> None:
    row = LEAVES[:WIDTH]
    assert tile_root(b"".join(row)) == Frontier().extended(row).root()
    assert parse_tile(b"".join(row), WIDTH) == row
    with pytest.raises(Malformed, match="tile_length"):
        tile_root(b"".join(row[:-1]))


def test_a_bundle_is_each_entry_behind_its_length() -> None:
    assert format_bundle([b"hi", b"!"]) == bytes.fromhex("0002 6869 0001 21")
    assert format_bundle([]) == b""
    assert parse_bundle(bytes.fromhex("0002 6869 0001 21"), 2) == [b"hi", b"!"]


def test_an_entry_has_65535_bytes_at_most() -> None:
    assert parse_bundle(format_bundle([bytes(65_535)]), 1) == [bytes(65_535)]
    with pytest.raises(ValueError, match="65536"):
        format_bundle([bytes(65_536)])


@given(st.lists(st.binary(max_size=300), max_size=WIDTH))
def test_a_bundle_is_read_as_it_was_written_and_in_no_other_width(entries: list[bytes]) -> None:
    data = format_bundle(entries)
    assert parse_bundle(data, len(entries)) == entries
    with pytest.raises(Malformed, match="bundle_short"):
        parse_bundle(data, len(entries) + 1)
    if entries:
        with pytest.raises(Malformed, match="bundle_long"):
            parse_bundle(data, len(entries) - 1)


def test_a_bundle_cut_anywhere_or_with_something_behind_it_is_refused() -> None:
    data = format_bundle([b"one", b"", b"three"])
    for length in range(len(data)):
        with pytest.raises(Malformed, match="bundle_short"):
            parse_bundle(data[:length], 3)
    with pytest.raises(Malformed, match="bundle_long"):
        parse_bundle(data + b"\x00", 3)


@given(st.binary(max_size=600), st.integers(1, WIDTH))
def test_arbitrary_bytes_are_a_bundle_or_malformed(data: bytes, width: int) -> None:
    try:
        entries = parse_bundle(data, width)
    except Malformed:
        return
    assert format_bundle(entries) == data
