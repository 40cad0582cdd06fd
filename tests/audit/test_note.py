"""Signed notes: the published example, and the many texts that are none."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import note as module
from audit.cosignature import verified
from audit.malformed import Malformed
from audit.note import (
    MAX_BYTES,
    Line,
    Note,
    VerifierKey,
    format_note,
    key_id,
    parse_note,
    parse_vkey,
)
from audit.signers import Ed25519Signer

# The example of the Go package that notes come from, which its users know by heart.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNED = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
ENOCH = (
    "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ="
)
EXAMPLE = f"{TEXT}\n— PeterNeumann {SIGNED}\n".encode()
KEY = parse_vkey(VKEY)
MLDSA = MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()


def refused(code: str) -> pytest.RaisesExc[Malformed]:
    return pytest.raises(Malformed, match=rf"^{code}\b")


def test_the_published_example_verifies() -> None:
    note = parse_note(EXAMPLE)
    assert note.text == TEXT
    assert verified(note, [KEY]) == {KEY: None}
    assert format_note(note) == EXAMPLE


def test_the_example_stands_in_the_module_s_own_specification() -> None:
    assert module.__doc__ is not None
    lines = [line[4:] for line in module.__doc__.split("\n") if line.startswith("    ")]
    start = lines.index(TEXT.partition("\n")[0])
    shown = "\n".join([*lines[start : start + 2], "", lines[start + 2], ""])
    assert shown.encode() == EXAMPLE
    assert VKEY in lines


def test_a_key_that_the_example_s_author_made_from_zeros_signs_as_his_does() -> None:
    # The same package's second example: its key is made from 32 zero bytes.
    signer = Ed25519Signer("EnochRoot", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    line = signer.sign(TEXT, 0)
    assert base64.b64encode(line.key_id + line.signature).decode() == ENOCH
    note = parse_note(EXAMPLE + f"— EnochRoot {ENOCH}\n".encode())
    assert verified(note, [KEY, signer.verifier]) == {KEY: None, signer.verifier: None}


def test_each_flipped_byte_and_each_cut_is_refused() -> None:
    for place in range(len(EXAMPLE)):
        for bit in (1, 0x20, 0x80):
            flipped = bytearray(EXAMPLE)
            flipped[place] ^= bit
            assert not signed_by_key(bytes(flipped)), (place, bit)
        assert not signed_by_key(EXAMPLE[:place]), place


def signed_by_key(data: bytes) -> bool:
    try:
        return KEY in verified(parse_note(data), [KEY])
    except Malformed:
        return False


LINE = f"— PeterNeumann {SIGNED}\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "note_blank_line"),
        (TEXT, "note_blank_line"),
        (TEXT + LINE, "note_blank_line"),
        ("\n" + LINE, "note_blank_line"),
        (f"{TEXT}\n", "note_unsigned"),
        (f"{TEXT}\n{LINE}\n", "note_unsigned"),
        (f"{TEXT}\n{LINE}".rstrip("\n"), "note_signature_line"),
        (f"{TEXT}\n{LINE}\n{LINE}\n\n", "note_unsigned"),
        (f"{TEXT}\n{LINE}something\n", "note_signature_line"),
        (f"{TEXT}\n{LINE.replace('—', '-')}", "note_signature_line"),
        (f"{TEXT}\n {LINE}", "note_signature_line"),
        (f"{TEXT}\n— PeterNeumann\n", "note_signature_line"),
        (f"{TEXT}\n— PeterNeumann \n", "note_signature_line"),
        (f"{TEXT}\n— PeterNeumann x08gow==\n", "note_signature_line"),
        (f"{TEXT}\n— PeterNeumann *\n", "base64"),
        (f"{TEXT}\n— PeterNeumann {SIGNED} \n", "base64"),
        (f"{TEXT}\n— PeterNeumann  {SIGNED}\n", "base64"),
        (f"{TEXT}\n— PeterNeumann {SIGNED.rstrip('=')}\n", "base64"),
        (f"{TEXT}\n— PeterNeumann {SIGNED.replace('M=', 'N=')}\n", "base64_not_canonical"),
        (f"{TEXT}\n— PeterNeumann {SIGNED.replace('/', '_')}\n", "base64"),
        (f"{TEXT}\n—  {SIGNED}\n", "key_name"),
        (f"{TEXT}\n— Peter+Neumann {SIGNED}\n", "key_name"),
        (f"{TEXT}\n— Peter\u00a0Neumann {SIGNED}\n", "key_name"),
        (f"{TEXT}\n— Peter\u2028Neumann {SIGNED}\n", "key_name"),
        (f"{TEXT}\n— Peter\u0085Neumann {SIGNED}\n", "key_name"),
        (f"{TEXT}\n— {'x' * 256} {SIGNED}\n", "key_name"),
        (EXAMPLE.replace(b"\n", b"\r\n"), "note_control_character"),
        (EXAMPLE.replace(b"your", b"yo\tur"), "note_control_character"),
        (EXAMPLE.replace(b"your", b"yo\x00ur"), "note_control_character"),
        (EXAMPLE.replace(b"your", b"yo\xffur"), "note_encoding"),
        (EXAMPLE.replace(b"your", b"yo\xed\xa0\x80ur"), "note_encoding"),
        (EXAMPLE[:-1] + "é".encode()[:1], "note_encoding"),
        (TEXT + "\n" + LINE * 101, "note_too_many_signatures"),
        (b"x" * (MAX_BYTES + 1), "note_too_long"),
    ],
)
def test_what_is_no_note_is_refused_by_name(data: bytes | str, code: str) -> None:
    with refused(code):
        parse_note(data if isinstance(data, bytes) else data.encode())


def test_a_note_may_have_a_hundred_lines() -> None:
    assert len(parse_note((TEXT + "\n" + LINE * 100).encode()).lines) == 100


def test_the_last_blank_line_separates_so_that_any_before_it_is_text() -> None:
    note = parse_note(f"{TEXT}\n\n{LINE}".encode())
    assert note.text == TEXT + "\n"
    with refused("note_signature_wrong"):
        verified(note, [KEY])
    earlier = parse_note(f"{TEXT}\n{LINE}\n{LINE}".encode())
    assert earlier.text == f"{TEXT}\n{LINE}"
    assert len(earlier.lines) == 1


@pytest.mark.parametrize(
    "note",
    [
        Note("no end", (Line("a", bytes(4), b"x"),)),
        Note("text\n", ()),
        Note("te\rxt\n", (Line("a", bytes(4), b"x"),)),
        Note("text\n", (Line("a b", bytes(4), b"x"),)),
        Note("text\n", (Line("a\n", bytes(4), b"x"),)),
        Note("text\n", (Line("a", bytes(4), b""),)),
        Note("text\n", (Line("a", bytes(3), b"xy"),)),
        Note("text\n", (Line("a\n\n— b", bytes(4), b"x"),)),
        Note("\ud800\n", (Line("a", bytes(4), b"x"),)),
    ],
)
def test_what_would_not_be_read_back_is_not_written(note: Note) -> None:
    with pytest.raises(ValueError, match=r"not a note|surrogates"):
        format_note(note)


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1
).filter(lambda name: "+" not in name and len(name.encode()) < 256)
LINES = st.builds(Line, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")).map("{}\n".format)


@given(st.builds(Note, TEXTS, st.lists(LINES, min_size=1, max_size=100).map(tuple)))
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert parse_note(format_note(note)) == note


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_are_malformed_or_read_exactly(data: bytes) -> None:
    is_note_or_malformed(data)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 9), st.binary(max_size=9))
def test_a_mutated_note_is_malformed_or_read_exactly(at: int, cut: int, put: bytes) -> None:
    is_note_or_malformed(EXAMPLE[:at] + put + EXAMPLE[at + cut :])


def is_note_or_malformed(data: bytes) -> None:
    try:
        note = parse_note(data)
    except Malformed:
        return
    assert format_note(note) == data


def test_a_vkey_is_read_as_it_was_written() -> None:
    assert KEY.name == "PeterNeumann"
    assert KEY.id.hex() == "c74f20a3"
    assert KEY.id == key_id("PeterNeumann", 1, KEY.public)
    for kind, public in ((1, KEY.public), (4, KEY.public), (6, MLDSA)):
        key = VerifierKey("log.example/đơn", kind, public)
        assert parse_vkey(key.vkey) == key
    assert KEY.vkey == VKEY
    assert repr(KEY) == "VerifierKey(PeterNeumann+c74f20a3, 0x01 (Ed25519))"


def vkey(name: str, material: bytes) -> str:
    number = key_id(name, material[0], material[1:]) if material else bytes(4)
    return f"{name}+{number.hex()}+{base64.b64encode(material).decode()}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "vkey_form"),
        ("PeterNeumann", "vkey_form"),
        ("PeterNeumann+c74f20a3", "vkey_form"),
        ("PeterNeumann+c74f20a3+", "vkey_form"),
        (VKEY.replace("c74f", "C74F"), "vkey_id_wrong"),
        (VKEY.replace("c74f", "c74e"), "vkey_id_wrong"),
        (VKEY.replace("+c74f20a3", "+0xc74f20a3"), "vkey_id_wrong"),
        (VKEY.replace("Peter", "Paul"), "vkey_id_wrong"),
        (VKEY + "\n", "base64"),
        (VKEY + "=", "base64_not_canonical"),
        (VKEY.replace("W", "X"), "vkey_id_wrong"),
        (VKEY.replace("/", "_"), "base64"),
        (vkey("", b"\x01" + KEY.public), "key_name"),
        (vkey("a b", b"\x01" + KEY.public), "key_name"),
        (vkey("a\u2003b", b"\x01" + KEY.public), "key_name"),
        (vkey("a\x01b", b"\x01" + KEY.public), "key_name"),
        (vkey("a\nb", b"\x01" + KEY.public), "key_name"),
        ("\ud800" + VKEY, "key_name"),
        (vkey("é" * 128, b"\x01" + KEY.public), "key_name"),
        (vkey("a", b"\x00" + KEY.public), "vkey_type_unknown"),
        (vkey("a", b"\x02" + KEY.public), "vkey_type_unknown"),
        (vkey("a", b"\x05" + KEY.public), "vkey_type_unknown"),
        (vkey("a", b"\xff" + KEY.public), "vkey_type_unknown"),
        (vkey("a", b"\x01"), "public_key_unreadable"),
        (vkey("a", b"\x01" + KEY.public[:-1]), "public_key_unreadable"),
        (vkey("a", b"\x04" + KEY.public + b"\x00"), "public_key_unreadable"),
        (vkey("a", b"\x01" + MLDSA), "public_key_unreadable"),
        (vkey("a", b"\x06" + KEY.public), "public_key_unreadable"),
        (vkey("a", b"\x06" + MLDSA[:-1]), "public_key_unreadable"),
        (vkey("a", b"\x06" + MLDSA + b"\x00"), "public_key_unreadable"),
        (vkey("a", b"\x01\x01" + bytes(31)), "public_key_of_small_order"),
        (vkey("a", b"\x04" + bytes(32)), "public_key_of_small_order"),
        (vkey("a", b"\x01" + (2**255 - 18).to_bytes(32, "little")), "public_key_not_canonical"),
    ],
)
def test_what_is_no_vkey_is_refused_by_name(text: str, code: str) -> None:
    with refused(code):
        parse_vkey(text)


@given(
    st.text()
    | st.text(alphabet="+ab0123456789\n\ud800")
    | st.tuples(NAMES, st.binary()).map(lambda pair: vkey(*pair))
)
def test_arbitrary_text_is_a_vkey_or_malformed(text: str) -> None:
    try:
        found = parse_vkey(text)
    except Malformed:
        return
    assert found.vkey == text
