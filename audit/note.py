r"""Signed notes (C2SP signed-note): a text, and under it the lines of those who signed it.

    text LF                                 one line or more
    LF                                      the last blank line separates
    "— " name SP base64(id || signature) LF   one line or more (the dash is U+2014)

The whole is UTF-8 without control characters but LF. This is one, complete:

    If you think cryptography is the answer to your problem,
    then you don't know what your problem is.

    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

What signs has a name, a type and a public key, and from all three the id in its lines:

    id    SHA-256(name LF type public)[:4]           type is one byte
    vkey  name "+" hex(id) "+" base64(type public)   how a key is written down

    PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW

The id only finds the key, it is no reason to trust one: it is short, and anybody can hit it.
`audit.cosignature` says what each type signs.
"""  # noqa: E501 a signature line has no place to break

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from audit.dsse import decode_base64
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed

ED25519 = 0x01
COSIGNATURE = 0x04
MLDSA44 = 0x06
MLDSA44_BYTES = 2420
"""How long an ML-DSA-44 signature is (FIPS 204)."""
TYPE_NAMES = {
    ED25519: "0x01 (Ed25519)",
    COSIGNATURE: "0x04 (Ed25519 cosignature)",
    MLDSA44: "0x06 (ML-DSA-44)",
}

MAX_BYTES = 1 << 20
MAX_LINES = 100
ID_BYTES = 4
MAX_NAME_BYTES = 255  # what the message of an ML-DSA-44 cosignature has room for

_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_MLDSA44_BYTES = 1312
# The one DER form of an Ed25519 SubjectPublicKeyInfo, up to the 32 bytes of the key.
_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line. Who may be behind it: `audit.cosignature.verified`."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class VerifierKey:
    """A key that notes are checked with. Raises Malformed for a name or key that is unfit."""

    name: str
    type: int
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.type not in TYPE_NAMES:
            raise Malformed("vkey_type_unknown", f"{self.type:#04x}")
        if self.type == MLDSA44:
            load_mldsa44(self.public)
        else:
            load_ed25519(self.public)

    @cached_property
    def id(self) -> bytes:
        return key_id(self.name, self.type, self.public)

    @cached_property
    def vkey(self) -> str:
        material = base64.b64encode(bytes([self.type]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    def __repr__(self) -> str:
        return f"VerifierKey({self.name}+{self.id.hex()}, {TYPE_NAMES[self.type]})"


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:ID_BYTES]


def parse_vkey(text: str) -> VerifierKey:
    """Raises Malformed."""
    try:
        # The base64 may have a plus of its own; the name may not.
        name, written, material = text.split("+", 2)
    except ValueError as error:
        raise Malformed("vkey_form") from error
    data = decode_base64(material)
    if not data:
        raise Malformed("vkey_form", "no key")
    key = VerifierKey(name, data[0], data[1:])
    if key.id.hex() != written:
        raise Malformed("vkey_id_wrong", f"{written[:8]}, not {key.id.hex()}")
    return key


def parse_note(data: bytes) -> Note:
    """The parts of a note. Raises Malformed; says nothing about the signatures."""
    if len(data) > MAX_BYTES:
        raise Malformed("note_too_long", f"{len(data)} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("note_encoding", f"byte {error.start}") from error
    if _CONTROL.search(whole):
        raise Malformed("note_control_character")
    split = whole.rfind("\n\n")
    if split < 0:
        raise Malformed("note_blank_line", "none")
    text, block = whole[: split + 1], whole[split + 2 :]
    if not block:
        raise Malformed("note_unsigned")
    if not block.endswith("\n"):
        raise Malformed("note_signature_line", "the last one has no end")
    written = block[:-1].split("\n")
    if len(written) > MAX_LINES:
        raise Malformed("note_too_many_signatures", str(len(written)))
    return Note(text, tuple(_parse_line(line) for line in written))


def format_note(note: Note) -> bytes:
    """Raises ValueError for what would not be read back as the same note."""
    data = "".join([note.text, "\n", *map(format_line, note.lines)]).encode()
    try:
        same = parse_note(data) == note
    except Malformed as error:
        raise ValueError("not a note") from error
    if not same:
        raise ValueError("not a note")
    return data


def _parse_line(line: str) -> Line:
    if not line.startswith(_DASH):
        raise Malformed("note_signature_line", line[:40])
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not space:
        raise Malformed("note_signature_line", line[:40])
    check_name(name)
    blob = decode_base64(encoded)
    if len(blob) <= ID_BYTES:
        raise Malformed("note_signature_line", "no signature")
    return Line(name, blob[:ID_BYTES], blob[ID_BYTES:])


def format_line(line: Line) -> str:
    return f"{_DASH}{line.name} {base64.b64encode(line.key_id + line.signature).decode()}\n"


def check_name(name: str) -> None:
    """Raise Malformed for what can't name a key: in a note, or in a log's origin."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise Malformed("key_name", "a lone surrogate") from error
    if not 0 < length <= MAX_NAME_BYTES or "+" in name or any(map(str.isspace, name)):
        raise Malformed("key_name", name[:40])
    if _CONTROL.search(name):
        raise Malformed("key_name", "a control character")


def load_ed25519(public: bytes) -> PublicKey:
    """The key in 32 bytes; refused when of small order, as everywhere. Raises Malformed."""
    return load_public(_ED25519_SPKI + public)


def spki_of(key: VerifierKey) -> bytes:
    """The key as a SubjectPublicKeyInfo, as which the log's directory names it."""
    if key.type != MLDSA44:
        return _ED25519_SPKI + key.public
    return load_mldsa44(key.public).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@lru_cache(maxsize=1024)
def load_mldsa44(public: bytes) -> MLDSA44PublicKey:
    """Raises Malformed."""
    if len(public) != _MLDSA44_BYTES:
        raise Malformed("public_key_unreadable", f"{len(public)} bytes")
    return MLDSA44PublicKey.from_public_bytes(public)
