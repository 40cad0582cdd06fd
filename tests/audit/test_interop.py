"""Go's packages for notes and logs, and OpenSSL, agree with ours in both directions.

golang.org/x/mod/sumdb is where these formats come from. Debian's version knows Ed25519 notes, trees
and tiles; cosignatures it ignores, as it must, and ML-DSA is younger than it.
"""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint, open_checkpoint
from audit.consistency import check_consistency, prove_consistency
from audit.cosignature import message_ed25519, verified
from audit.frontier import Frontier
from audit.growth import new_tiles, tiles_of
from audit.malformed import Malformed
from audit.merkle import (
    EMPTY_ROOT,
    HashReader,
    check_inclusion,
    leaf_hash,
    paired,
    prove_inclusion,
    root_at,
)
from audit.note import Note, format_note, parse_note
from audit.signers import Ed25519Cosigner, Ed25519Signer, MLDSACosigner, sign_checkpoint
from audit.tiles import WIDTH, Bundle, Tile, parse_tile, tile_reader, tile_root
from tests.support import oracle
from tests.support.oracle import GoSaysNo, Oracle

needs_go = pytest.mark.skipif(not oracle.is_installed(), reason=oracle.MISSING)

ORIGIN = "log.example"
SEED = bytes(range(32))
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(SEED))
MLDSA = MLDSACosigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(SEED))
WITNESS = Ed25519Cosigner("w.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
TIME = 1_700_000_000

SMALL = 40
LARGE = (255, 256, 257, 511, 512, 513, 1000, 2047, 3001)
ENTRIES = [b"entry %d" % number for number in range(max(LARGE))]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = {size: Frontier().extended(LEAVES[:size]).root() for size in (*range(SMALL + 1), *LARGE)}


@pytest.fixture(scope="module", name="program")
def _program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return oracle.build(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="module", name="go")
def _go(program: Path) -> Iterator[Oracle]:
    with oracle.running(program) as found:
        found.grow(ENTRIES)
        yield found


@pytest.fixture(scope="module", name="reader")
def _reader() -> HashReader:
    rows = [LEAVES]
    while len(rows[-1]) > 1:
        rows.append(paired(rows[-1]))
    return lambda level, index: rows[level][index]


def vkey(signer: Ed25519Signer) -> str:
    return signer.verifier.vkey


def private_vkey(name: str, seed: bytes) -> str:
    """The form in which Go takes a private key."""
    key = Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(seed)).verifier
    material = base64.b64encode(b"\x01" + seed).decode()
    return f"PRIVATE+KEY+{name}+{key.id.hex()}+{material}"


@needs_go
def test_go_computes_the_same_roots(go: Oracle, reader: HashReader) -> None:
    for size, root in ROOTS.items():
        assert root_at(size, reader) == root
        # The one difference: for an empty tree this version has zeros, where the RFC has a hash.
        assert (go.root(size) if size else EMPTY_ROOT) == root


@needs_go
def test_go_proves_inclusion_as_we_do_and_each_accepts_the_other(
    go: Oracle, reader: HashReader
) -> None:
    places = [(index, size) for size in range(1, SMALL + 1) for index in range(size)]
    places += [(index, size) for size in LARGE for index in {0, 1, size // 2, size - 2, size - 1}]
    for index, size in places:
        theirs = go.prove_record(index, size)
        check_inclusion(theirs, index, size, LEAVES[index], ROOTS[size])
        ours = prove_inclusion(index, size, reader)
        go.check_record(ours, index, size, LEAVES[index], ROOTS[size])
        assert ours == theirs


@needs_go
def test_go_proves_consistency_as_we_do_and_each_accepts_the_other(
    go: Oracle, reader: HashReader
) -> None:
    sizes = list(ROOTS)[1:]
    pairs = [(old, new) for new in sizes for old in sizes if old <= new]
    for old, new in pairs:
        theirs = go.prove_tree(old, new)
        check_consistency(theirs, old, new, ROOTS[old], ROOTS[new])
        ours = prove_consistency(old, new, reader)
        go.check_tree(ours, old, new, ROOTS[old], ROOTS[new])
        assert ours == theirs


@needs_go
def test_go_refuses_the_proofs_that_we_refuse(go: Oracle, reader: HashReader) -> None:
    proof = prove_inclusion(6, 13, reader)
    for wrong in (proof[:-1], (*proof, proof[0]), proof[::-1]):
        with pytest.raises(GoSaysNo):
            go.check_record(wrong, 6, 13, LEAVES[6], ROOTS[13])
        with pytest.raises(Malformed):
            check_inclusion(wrong, 6, 13, LEAVES[6], ROOTS[13])
    proof = prove_consistency(6, 13, reader)
    for wrong in (proof[:-1], (*proof, proof[0]), proof[::-1]):
        with pytest.raises(GoSaysNo):
            go.check_tree(wrong, 6, 13, ROOTS[6], ROOTS[13])
        with pytest.raises(Malformed):
            check_consistency(wrong, 6, 13, ROOTS[6], ROOTS[13])


@needs_go
def test_go_s_tiles_have_our_paths_and_hold_our_hashes(go: Oracle) -> None:
    for size in (1, 40, 255, 256, 257, 1000, 3001):
        files: dict[str, bytes] = {}
        for tile in tiles_of(size):
            path, data = go.tile(tile.level, tile.index, tile.width)
            assert path == tile.path
            if tile.level == 0:
                start = tile.index * WIDTH
                assert parse_tile(data, tile.width) == LEAVES[start : start + tile.width]
            else:
                below = [files[Tile(0, index).path] for index in range(tile.width)]
                assert parse_tile(data, tile.width) == [tile_root(item) for item in below]
            files[path] = data
        assert root_at(size, tile_reader(size, files.__getitem__)) == ROOTS[size]


@needs_go
def test_go_names_tiles_and_bundles_of_any_place_as_we_do(go: Oracle) -> None:
    for index in (0, 7, 999, 1000, 1001, 999_999, 1_000_000, 1_234_067, 2**54):
        for width in (1, 99, 255, 256):
            assert go.path(0, index, width) == Tile(0, index, width).path
            assert go.path(-1, index, width) == Bundle(index, width).path
    assert go.path(5, 12, 34) == Tile(5, 12, 34).path


@needs_go
@settings(max_examples=50)
@given(old=st.integers(0, 200_000), more=st.integers(0, 2000))
def test_go_publishes_our_new_tiles_and_each_width_on_the_way(
    go: Oracle, old: int, more: int
) -> None:
    theirs = go.new_tiles(old, old + more)
    ours = {tile.path for tile in new_tiles(old, old + more)}
    widest = {path.partition(".p/")[0]: path for path in theirs}
    assert ours <= set(theirs)
    # What Go has beyond ours is narrower, or the tile that the old tree had already.
    had = {tile.path for tile in tiles_of(old)}
    assert {path for path in widest.values() if path not in had} == ours


@needs_go
def test_go_opens_our_notes(go: Oracle) -> None:
    other = Ed25519Signer("other.example/đơn", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    for text in ("one line\n", "two\n\nwith a blank line\n", "Tiếng Việt\n", "\n"):
        note = Note(text, (SIGNER.sign(text, 0), other.sign(text, 0)))
        assert go.open_note(format_note(note), [vkey(SIGNER)]) == (text, [ORIGIN])
        names = [ORIGIN, other.name]
        assert go.open_note(format_note(note), [vkey(SIGNER), vkey(other)]) == (text, names)


@needs_go
def test_we_open_go_s_notes(go: Oracle) -> None:
    names = (ORIGIN, "other.example/đơn")
    for text in ("one line\n", "two\n\nwith a blank line\n", "Tiếng Việt\n", "\n"):
        data = go.sign_note(text, [private_vkey(name, SEED) for name in names])
        keys = [
            Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(SEED)).verifier
            for name in names
        ]
        note = parse_note(data)
        assert note.text == text
        assert verified(note, keys) == dict.fromkeys(keys)
        assert format_note(note) == data


@needs_go
def test_go_opens_our_checkpoints_and_ignores_the_types_that_it_does_not_know(go: Oracle) -> None:
    checkpoint = Checkpoint(ORIGIN, SMALL, ROOTS[SMALL])
    note = sign_checkpoint(checkpoint, [SIGNER, MLDSA, WITNESS], TIME)
    assert go.open_note(format_note(note), [vkey(SIGNER)]) == (note.text, [ORIGIN])
    for signer in (MLDSA, WITNESS):
        with pytest.raises(GoSaysNo, match="unknown verifier algorithm"):
            go.open_note(format_note(note), [signer.verifier.vkey])


@needs_go
def test_we_open_a_checkpoint_that_go_signed(go: Oracle) -> None:
    checkpoint = Checkpoint(ORIGIN, SMALL, ROOTS[SMALL])
    text = sign_checkpoint(checkpoint, [], TIME).text
    data = go.sign_note(text, [private_vkey(ORIGIN, SEED)])
    assert open_checkpoint(data, ORIGIN, [SIGNER.verifier]).checkpoint == checkpoint


@needs_go
@given(at=st.integers(0, 200), cut=st.integers(0, 5), put=st.binary(max_size=5))
def test_what_we_open_go_opens_too(go: Oracle, at: int, cut: int, put: bytes) -> None:
    text = "a\n\nnote\n"
    data = format_note(Note(text, (SIGNER.sign(text, 0),)))
    data = data[:at] + put + data[at + cut :]
    try:
        ours = parse_note(data)
        if not verified(ours, [SIGNER.verifier]):
            return
    except Malformed:
        return  # Go may be more lenient: it takes a key's second line
    assert go.open_note(data, [vkey(SIGNER)]) == (ours.text, [ORIGIN])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_our_ed25519_cosignature(tmp_path: Path) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, SMALL, ROOTS[SMALL]), [WITNESS], TIME)
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key").write_bytes(WITNESS.key.public_key().public_bytes(*form))
    (tmp_path / "signature").write_bytes(note.lines[0].signature[8:])
    for time, answer in ((TIME, 0), (TIME + 1, 1)):
        (tmp_path / "message").write_bytes(message_ed25519(time, note.text))
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key"]
        command += ["-in", "message", "-sigfile", "signature"]
        asked = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
        assert asked.returncode == answer, asked.stderr
