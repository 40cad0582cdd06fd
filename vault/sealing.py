"""Envelope encryption of words: pure functions of bytes.

    data key   32 random bytes, a new one for each entry that brings words
    box        nonce || AES-256-GCM(data key, nonce, padded; JCS([chain, leaf, field]))
               nonce: 12 random bytes; what stands behind the semicolon is authenticated beside it
    padded     JCS({"salt", "value"}) || 0x80 || zeros, up to a multiple of 512 bytes
    wrapped    enc || ciphertext of the data key: HPKE (RFC 9180), base mode, DHKEM(X25519,
               HKDF-SHA256), HKDF-SHA256, AES-256-GCM; no associated data; info =
               "dondoc data key v1" || 0x00 || JCS([chain, leaf, recipient])

``chain`` and ``leaf`` name the entry, ``field`` the commitment, ``recipient`` the key's id: no box
and no wrapped key means anything in another place than its own. The salt is sealed with the words,
since with it a commitment could be tested against guesses; the padding hides how long they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from audit.canonical import canonical, parse
from audit.commitment import Opening, format_opening, parse_opening
from audit.malformed import Malformed
from vault.keys import ReadingKey, Recipient

DATA_KEY_BYTES = 32
_NONCE_BYTES = 12
_BLOCK = 512
_INFO = b"dondoc data key v1\x00"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """The entry that words belong to: its chain and its leaf hash."""

    chain: str
    leaf: str


def seal(opening: Opening, place: Place, data_key: bytes, random: Random) -> bytes:
    """The box of one opening."""
    nonce = random(_NONCE_BYTES)
    padded = _pad(canonical(format_opening(opening)))
    return nonce + AESGCM(data_key).encrypt(nonce, padded, _bound(place, opening.field))


def open_box(box: bytes, field: str, place: Place, data_key: bytes) -> Opening:
    """What was sealed. Raises Malformed for any other key, place or field, and a changed box."""
    nonce, sealed = box[:_NONCE_BYTES], box[_NONCE_BYTES:]
    try:
        padded = AESGCM(data_key).decrypt(nonce, sealed, _bound(place, field))
    except (InvalidTag, ValueError) as error:
        raise Malformed("box_unopened", field) from error
    return parse_opening(field, parse(_unpad(padded, field)))


def wrap(data_key: bytes, place: Place, recipient: Recipient) -> bytes:
    """The data key for one recipient. The library draws the ephemeral key by itself."""
    return _SUITE.encrypt(data_key, recipient.public, info=_info(place, recipient))


def unwrap(wrapped: bytes, place: Place, key: ReadingKey) -> bytes:
    """The data key. Raises Malformed when it was wrapped for another key, or another place."""
    try:
        data_key = _SUITE.decrypt(wrapped, key.private, info=_info(place, key.recipient))
    except (InvalidTag, ValueError) as error:
        raise Malformed("box_unopened", "data key") from error
    if len(data_key) != DATA_KEY_BYTES:
        raise Malformed("box_unopened", "data key")
    return data_key


def _bound(place: Place, field: str) -> bytes:
    return canonical([place.chain, place.leaf, field])


def _info(place: Place, recipient: Recipient) -> bytes:
    return _INFO + canonical([place.chain, place.leaf, recipient.id])


def _pad(data: bytes) -> bytes:
    marked = data + b"\x80"
    return marked + bytes(-len(marked) % _BLOCK)


def _unpad(padded: bytes, field: str) -> bytes:
    data, mark, zeros = padded.rpartition(b"\x80")
    if not mark or any(zeros):
        raise Malformed("box_unopened", field)
    return data
