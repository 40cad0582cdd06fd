"""What each type of key signs, put together a second time by hand; and signatures that are none."""

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from hypothesis import given
from hypothesis import strategies as st

from audit import cosignature as module
from audit.cosignature import (
    MAX_TIME,
    message_ed25519,
    message_mldsa,
    parse_decimal,
    signed_tree,
    verified,
    verify_line,
)
from audit.malformed import Malformed
from audit.note import ID_BYTES, Line, Note, VerifierKey
from audit.signers import Ed25519Cosigner, Ed25519Signer, MLDSACosigner

ORIGIN = "log.example/đơn"
ROOT = bytes(range(32))
TEXT = "log.example/đơn\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
TIME = 1_679_315_147
ORDER = 2**252 + 27742317777372353535851937790883648493

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MLDSA = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
SIGNER = Ed25519Signer(ORIGIN, ED25519)
COSIGNER = Ed25519Cosigner("w.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
MLDSA_COSIGNER = MLDSACosigner(ORIGIN, MLDSA)
ALL = (SIGNER, COSIGNER, MLDSA_COSIGNER)
KEYS = tuple(signer.verifier for signer in ALL)
NOTE = Note(TEXT, tuple(signer.sign(TEXT, TIME) for signer in ALL))


def refused(code: str) -> pytest.RaisesExc[Malformed]:
    return pytest.raises(Malformed, match=rf"^{code}\b")


def test_each_type_s_signature_holds_and_gives_its_time() -> None:
    assert verified(NOTE, KEYS) == dict(zip(KEYS, (None, TIME, TIME), strict=True))
    assert [key.type for key in KEYS] == [0x01, 0x04, 0x06]


def test_an_ed25519_cosignature_is_the_time_and_a_signature_over_header_and_text() -> None:
    blob = NOTE.lines[1].signature
    assert len(blob) == 8 + 64
    assert struct.unpack(">Q", blob[:8]) == (TIME,)
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}".encode()
    assert message_ed25519(TIME, TEXT) == message
    COSIGNER.key.public_key().verify(blob[8:], message)


def test_an_ml_dsa_cosignature_is_the_time_and_a_signature_over_the_structure() -> None:
    blob = NOTE.lines[2].signature
    assert len(blob) == 8 + 2420
    assert struct.unpack(">Q", blob[:8]) == (TIME,)
    name = ORIGIN.encode()
    counted = struct.pack(f">B{len(name)}s", len(name), name)
    message = b"subtree/v1\n\0" + counted + struct.pack(">Q", TIME)
    message += counted + struct.pack(">QQ32s", 0, 5, ROOT)
    assert message_mldsa(ORIGIN, TIME, ORIGIN, 5, ROOT) == message
    MLDSA44PublicKey.from_public_bytes(KEYS[2].public).verify(blob[8:], message)


def test_the_structure_is_that_of_the_module_s_own_specification() -> None:
    assert module.__doc__ is not None
    rows = (line[:44].split() for line in module.__doc__.split("\n"))
    digits = {"".join(row) for row in rows if row and all(len(word) == 2 for word in row)}
    message = message_mldsa("w.example", TIME, "l.example", 5, ROOT)
    parts = (message[:12], message[12:22], message[22:30], message[30:40], message[48:56])
    for part in (*parts, message[40:48]):
        assert part.hex() in digits
    assert message[56:] == ROOT


def test_no_byte_of_a_line_or_of_the_text_can_change() -> None:
    for key, line in zip(KEYS, NOTE.lines, strict=True):
        for place in range(len(line.signature)):
            if place > 80 and place % 97:
                continue  # of ML-DSA's 2,428 bytes some, for each costs a verification
            flipped = bytearray(line.signature)
            flipped[place] ^= 1
            with refused("note_signature_wrong"):
                verify_line(key, NOTE, Line(line.name, line.key_id, bytes(flipped)))
        for text in (TEXT.replace("5", "6"), TEXT.replace("AAEC", "AAED"), f"x{TEXT}"):
            with refused("note_signature_wrong"):
                verify_line(key, Note(text, NOTE.lines), line)


def test_a_signature_of_another_length_is_refused() -> None:
    for key, line in zip(KEYS, NOTE.lines, strict=True):
        signature = line.signature
        for wrong in (b"", signature[:8], signature[:-1], signature + b"\x00", signature[1:]):
            with refused(f"note_signature_wrong: .* {len(wrong)} bytes"):
                verify_line(key, NOTE, Line(line.name, line.key_id, wrong))


def test_a_signature_with_s_plus_the_group_order_is_refused() -> None:
    for key, line in zip(KEYS[:2], NOTE.lines[:2], strict=True):
        start, s = line.signature[:-32], int.from_bytes(line.signature[-32:], "little")
        other = start + (s + ORDER).to_bytes(32, "little")
        with refused("note_signature_wrong"):
            verify_line(key, NOTE, Line(line.name, line.key_id, other))


def test_another_key_s_line_is_not_this_key_s() -> None:
    for key in KEYS:
        for line in NOTE.lines:
            if line.key_id != key.id:
                with refused("note_signature_wrong"):
                    verify_line(key, NOTE, line)
                with refused("note_signature_wrong"):
                    verify_line(key, NOTE, Line(key.name, key.id, line.signature))


def test_a_good_signature_in_a_line_of_another_name_or_id_is_refused() -> None:
    for key, line in zip(KEYS, NOTE.lines, strict=True):
        for wrong in (
            Line("other.example", key.id, line.signature),
            Line(key.name, bytes(ID_BYTES), line.signature),
        ):
            with refused("note_signature_wrong: .*another key's line"):
                verify_line(key, NOTE, wrong)


def test_one_ed25519_key_signs_differently_under_each_type() -> None:
    plain, timed = Ed25519Signer("a", ED25519), Ed25519Cosigner("a", ED25519)
    assert plain.verifier.id != timed.verifier.id
    bare = plain.sign(TEXT, TIME).signature
    as_cosignature = Line("a", timed.verifier.id, struct.pack(">Q", TIME) + bare)
    with refused("note_signature_wrong"):
        verify_line(timed.verifier, NOTE, as_cosignature)


def test_the_ml_dsa_signature_names_its_cosigner() -> None:
    other = VerifierKey("other.example", 6, KEYS[2].public)
    with refused("note_signature_wrong"):
        verify_line(other, NOTE, Line(other.name, other.id, NOTE.lines[2].signature))


def test_a_line_counts_when_name_and_id_are_the_key_s_and_is_ignored_else() -> None:
    line = NOTE.lines[0]
    for stranger in (
        Line("other.example", line.key_id, line.signature),
        Line(line.name, bytes(ID_BYTES), line.signature),
        Line(line.name, bytes(ID_BYTES), b"anything"),
    ):
        assert verified(Note(TEXT, (stranger,)), KEYS) == {}
        assert verified(Note(TEXT, (stranger, line)), KEYS) == {KEYS[0]: None}


def test_a_known_key_s_wrong_line_refuses_the_whole_note() -> None:
    wrong = Line(ORIGIN, KEYS[0].id, bytes(64))
    with refused("note_signature_wrong"):
        verified(Note(TEXT, (*NOTE.lines[1:], wrong)), KEYS)


def test_a_key_s_second_line_refuses_the_whole_note() -> None:
    later = COSIGNER.sign(TEXT, TIME + 1)
    for second in (NOTE.lines[1], later):
        with refused("note_signature_twice"):
            verified(Note(TEXT, (*NOTE.lines, second)), KEYS)


def test_two_keys_of_one_name_and_id_cannot_both_be_known() -> None:
    twin = VerifierKey(ORIGIN, 1, KEYS[0].public)
    assert verified(NOTE, [KEYS[0], twin]) == {KEYS[0]: None}
    # Four bytes are soon met by chance; here the cached id is set as if they had been.
    other = VerifierKey(ORIGIN, 1, COSIGNER.verifier.public)
    other.__dict__["id"] = KEYS[0].id
    with refused("vkey_ambiguous"):
        verified(NOTE, [KEYS[0], other])


def test_a_time_beyond_2_to_63_is_refused_and_not_signed() -> None:
    for signer in ALL[1:]:
        for time in (0, MAX_TIME):
            line = signer.sign(TEXT, time)
            assert verify_line(signer.verifier, NOTE, line) == time
        for time in (-1, MAX_TIME + 1):
            with pytest.raises(ValueError, match="no time"):
                signer.sign(TEXT, time)
    late = MAX_TIME + 1
    blob = struct.pack(">Q", late) + COSIGNER.key.sign(message_ed25519(late, TEXT))
    with refused("note_signature_wrong"):
        verify_line(KEYS[1], NOTE, Line("w.example", KEYS[1].id, blob))


def test_only_a_checkpoint_is_cosigned_and_only_its_cosignature_counts() -> None:
    for text in ("a text\n", f"{TEXT}extension\n"):
        for signer in ALL[1:]:
            with pytest.raises(Malformed, match="checkpoint"):
                signer.sign(text, TIME)
        assert verified(Note(text, (SIGNER.sign(text, TIME),)), KEYS) == {KEYS[0]: None}
        blob = struct.pack(">Q", TIME) + COSIGNER.key.sign(message_ed25519(TIME, text))
        with pytest.raises(Malformed, match="checkpoint"):
            verified(Note(text, (Line("w.example", KEYS[1].id, blob),)), KEYS)


def test_a_signer_shows_nothing_of_its_key() -> None:
    assert repr(SIGNER) == "Ed25519Signer(name='log.example/đơn')"
    assert repr(COSIGNER) == "Ed25519Cosigner(name='w.example')"
    assert repr(MLDSA_COSIGNER) == "MLDSACosigner(name='log.example/đơn')"


def test_a_signer_whose_name_is_unfit_has_no_key_to_verify_with() -> None:
    with refused("key_name"):
        _ = Ed25519Signer("a name", ED25519).verifier


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "+1", "-1", "01", "00", "1 ", "1_0", "1.0", "1e3", "0x1", "٣", "²"),
        *("9" * 19, str(2**63), "1" * 5000),
    ],
)
def test_a_number_has_one_form(text: str) -> None:
    with refused("a_code"):
        parse_decimal(text, "a_code")


@given(st.integers(0, 2**63 - 1))
def test_a_number_in_its_one_form_is_read(number: int) -> None:
    assert parse_decimal(str(number), "a_code") == number


@given(st.sampled_from(ALL), st.binary(max_size=80))
def test_an_arbitrary_signature_is_malformed(signer: Ed25519Signer, blob: bytes) -> None:
    key = signer.verifier
    with refused("note_signature_wrong"):
        verify_line(key, NOTE, Line(key.name, key.id, blob))


@given(st.text())
def test_an_arbitrary_text_is_no_checkpoint(text: str) -> None:
    with pytest.raises(Malformed):
        signed_tree(text)
