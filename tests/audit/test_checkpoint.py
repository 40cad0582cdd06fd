"""Checkpoints: read strictly, and believed only with every signature that was asked for."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import checkpoint as module
from audit.checkpoint import Checkpoint, format_checkpoint, open_checkpoint, parse_checkpoint
from audit.malformed import Malformed
from audit.merkle import MAX_SIZE
from audit.note import Note, format_note, parse_note
from audit.signers import Ed25519Cosigner, Ed25519Signer, MLDSACosigner, sign_checkpoint

ORIGIN = "log.example"
TIME = 1_700_000_000
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
MLDSA = MLDSACosigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))))
WITNESS = Ed25519Cosigner("w.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
KEYS = (SIGNER.verifier, MLDSA.verifier)
CHECKPOINT = Checkpoint(ORIGIN, 1000, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, [SIGNER, MLDSA, WITNESS], TIME)
DATA = format_note(NOTE)
# The example of C2SP's texts about checkpoints and cosignatures.
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def refused(code: str) -> pytest.RaisesExc[Malformed]:
    return pytest.raises(Malformed, match=rf"^{code}\b")


def test_a_checkpoint_is_three_lines() -> None:
    text = "log.example\n1000\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert format_checkpoint(CHECKPOINT) == text
    assert parse_checkpoint(text) == CHECKPOINT


def test_the_published_example_is_read() -> None:
    found = parse_checkpoint(SOFA)
    assert found.origin == "example.com/behind-the-sofa"
    assert found.size == 20_852_163
    assert base64.b64encode(found.root) == b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    assert format_checkpoint(found) == SOFA


def test_the_specification_s_example_is_read_with_its_signature_line() -> None:
    assert module.__doc__ is not None
    start = module.__doc__.index("    example.com/")
    end = module.__doc__.index("\n\nThe origin")
    shown = module.__doc__[start:end].replace("\n    ", "\n").removeprefix("    ") + "\n"
    note = parse_note(shown.encode())
    assert note.text == SOFA
    assert note.lines[0].key_id.hex() == "033de0ae"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "checkpoint_lines"),
        ("log.example\n", "checkpoint_lines"),
        ("log.example\n5\n", "checkpoint_lines"),
        (SOFA.rstrip("\n"), "checkpoint_lines"),
        (SOFA + "x", "checkpoint_lines"),
        (SOFA + "\n", "checkpoint_extension"),
        (SOFA + "extension\n", "checkpoint_extension"),
        (SOFA + "\nextension\n", "checkpoint_extension"),
        (SOFA.replace("\n", "\r\n"), "checkpoint_origin"),
        (SOFA.replace("example.com/behind-the-sofa", ""), "checkpoint_origin"),
        (SOFA.replace("-", " "), "checkpoint_origin"),
        (SOFA.replace("-", "+"), "checkpoint_origin"),
        (SOFA.replace("-", "\u2028"), "checkpoint_origin"),
        (SOFA.replace("sofa", "x" * 256), "checkpoint_origin"),
        (SOFA.replace("20852163", ""), "checkpoint_size"),
        (SOFA.replace("20852163", "020852163"), "checkpoint_size"),
        (SOFA.replace("20852163", "00"), "checkpoint_size"),
        (SOFA.replace("20852163", "-1"), "checkpoint_size"),
        (SOFA.replace("20852163", "+1"), "checkpoint_size"),
        (SOFA.replace("20852163", " 1"), "checkpoint_size"),
        (SOFA.replace("20852163", "1.0"), "checkpoint_size"),
        (SOFA.replace("20852163", "1_000"), "checkpoint_size"),
        (SOFA.replace("20852163", "٣"), "checkpoint_size"),
        (SOFA.replace("20852163", str(MAX_SIZE + 1)), "checkpoint_size"),
        (SOFA.replace("20852163", "1" * 5000), "checkpoint_size"),
        (SOFA.replace("q2I=", "q2J="), "base64_not_canonical"),
        (SOFA.replace("q2I=", "q2I"), "base64"),
        (SOFA.replace("q2I=", "q2I= "), "base64"),
        (SOFA.replace("q2I=", "qw=="), "checkpoint_root"),
        (SOFA.replace("q2I=", "q2Iq"), "checkpoint_root"),
        ("log.example\n5\n\n", "checkpoint_root"),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_name(text: str, code: str) -> None:
    with refused(code):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(CHECKPOINT, origin=""),
        replace(CHECKPOINT, origin="two\nlines"),
        replace(CHECKPOINT, size=-1),
        replace(CHECKPOINT, size=MAX_SIZE + 1),
        replace(CHECKPOINT, root=bytes(31)),
    ],
)
def test_what_would_not_be_read_back_is_not_written(wrong: Checkpoint) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        format_checkpoint(wrong)


def test_a_checkpoint_opens_with_the_keys_that_signed_it() -> None:
    opened = open_checkpoint(DATA, ORIGIN, KEYS)
    assert opened.checkpoint == CHECKPOINT
    assert opened.note == NOTE
    assert opened.times == {KEYS[0]: None, KEYS[1]: TIME}
    with_witness = open_checkpoint(DATA, ORIGIN, [*KEYS, WITNESS.verifier])
    assert with_witness.times[WITNESS.verifier] == TIME


def test_an_empty_log_and_the_largest_have_checkpoints() -> None:
    for size in (0, MAX_SIZE):
        note = sign_checkpoint(replace(CHECKPOINT, size=size), [SIGNER, MLDSA], TIME)
        assert open_checkpoint(format_note(note), ORIGIN, KEYS).checkpoint.size == size


def test_each_flipped_byte_and_each_cut_of_a_checkpoint_is_refused() -> None:
    data = format_note(sign_checkpoint(CHECKPOINT, [SIGNER, MLDSA], TIME))
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(Malformed):
            open_checkpoint(bytes(flipped), ORIGIN, KEYS)
        with pytest.raises(Malformed):
            open_checkpoint(data[:place], ORIGIN, KEYS)


def test_a_stripped_line_is_missed_by_its_type() -> None:
    for number, kind in ((0, "0x01"), (1, "0x06")):
        left = tuple(line for place, line in enumerate(NOTE.lines) if place != number)
        with refused(f"checkpoint_signature_missing: log.example {kind}"):
            open_checkpoint(format_note(Note(NOTE.text, left)), ORIGIN, KEYS)


def test_another_log_s_checkpoint_is_refused_even_when_well_signed() -> None:
    other = replace(CHECKPOINT, origin="other.example")
    data = format_note(sign_checkpoint(other, [SIGNER, MLDSA], TIME))
    with refused("checkpoint_other_log: other.example"):
        open_checkpoint(data, ORIGIN, KEYS)
    # The ML-DSA cosigner's name is not the origin: the structure that it signs has both.
    assert open_checkpoint(data, "other.example", KEYS).checkpoint == other


def test_signatures_of_another_checkpoint_do_not_fit() -> None:
    for other in (
        replace(CHECKPOINT, size=1001),
        replace(CHECKPOINT, root=bytes(32)),
    ):
        note = Note(format_checkpoint(other), NOTE.lines)
        for key in KEYS:
            with refused("note_signature_wrong"):
                open_checkpoint(format_note(note), ORIGIN, [key])


def test_two_keys_whose_ids_are_swapped_are_refused() -> None:
    first, second, _ = NOTE.lines
    swapped = (replace(first, key_id=second.key_id), replace(second, key_id=first.key_id))
    with refused("note_signature_wrong"):
        open_checkpoint(format_note(Note(NOTE.text, swapped)), ORIGIN, KEYS)


def test_a_hundred_lines_are_too_many_when_the_log_s_own_come_on_top() -> None:
    witnesses = tuple(replace(NOTE.lines[2], key_id=bytes([0, 0, 0, n])) for n in range(99))
    most = Note(NOTE.text, (*NOTE.lines[:1], *witnesses))
    assert open_checkpoint(format_note(most), ORIGIN, KEYS[:1]).checkpoint == CHECKPOINT
    lines = DATA.split(b"\n")
    with refused("note_too_many_signatures"):
        open_checkpoint(b"\n".join([*lines[:-1], *[lines[-2]] * 98, b""]), ORIGIN, KEYS)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (DATA.replace(b"\n", b"\r\n"), "note_control_character"),
        (DATA.replace(b"\n\n", b"\n\n\n"), "checkpoint_extension"),
        (DATA.replace(b"\n\n", b"\nextension\n\n"), "checkpoint_extension"),
        (DATA.replace(b"\n1000\n", b"\n01000\n"), "checkpoint_size"),
        (DATA.replace(b"Hh8=", b"Hh9="), "base64_not_canonical"),
        (DATA + b"\n", "note_unsigned"),
        (DATA + DATA, "checkpoint_extension"),
        (DATA + b"\n" + DATA, "checkpoint_extension"),
    ],
)
def test_another_form_of_a_checkpoint_is_refused_by_name(data: bytes, code: str) -> None:
    with refused(code):
        open_checkpoint(data, ORIGIN, KEYS)


def test_somebody_must_be_asked_to_have_signed() -> None:
    with pytest.raises(ValueError, match="nobody"):
        open_checkpoint(DATA, ORIGIN, [])


@given(st.text() | st.lists(st.text(), max_size=5).map("\n".join))
def test_arbitrary_text_is_a_checkpoint_or_malformed(text: str) -> None:
    try:
        found = parse_checkpoint(text)
    except Malformed:
        return
    assert format_checkpoint(found) == text


@given(st.integers(0, len(DATA)), st.integers(0, 9), st.binary(max_size=9))
def test_a_mutated_checkpoint_is_refused_or_says_the_same(at: int, cut: int, put: bytes) -> None:
    # The same: only lines of keys that nobody asked for can change.
    try:
        opened = open_checkpoint(DATA[:at] + put + DATA[at + cut :], ORIGIN, KEYS)
    except Malformed:
        return
    assert opened.checkpoint == CHECKPOINT
    assert set(opened.times) == set(KEYS)
