r"""DSSE envelopes: a payload, its type, and one signature over both.

What is signed is the pre-authentication encoding (lengths are in *bytes*):

    PAE = "DSSEv1" SP len(type) SP type SP len(body) SP body

    >>> pae("text/plain", "Tết".encode())
    b'DSSEv1 10 text/plain 5 T\xe1\xba\xbft'

The ``keyid`` in an envelope is a hint for finding the key, never a reason to trust it.
"""

import base64
import binascii
import re
from typing import NamedTuple

from audit.canonical import Json
from audit.keys import PublicKey
from audit.malformed import Malformed

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_ENVELOPE_FIELDS = {"payload", "payloadType", "signatures"}
_SIGNATURE_FIELDS = {"keyid", "sig"}
# What decoders take besides the one form differs between Pythons: bits that the last character has
# too many of, and padding that is not needed. So none of them is asked.
_LETTER = "[A-Za-z0-9+/]"
_ONE_FORM = re.compile(
    f"(?:{_LETTER}{{4}})*+(?:{_LETTER}[AQgw]==|{_LETTER}{{2}}[AEIMQUYcgkosw048]=)?"
)
_OTHER_FORM = re.compile(
    f"(?:{_LETTER}{{4}})*+(?:{_LETTER}{{2}}==|{_LETTER}{{3}}=|(?<={_LETTER})=+)"
)

_MIN_SIGNATURE_BYTES, _MAX_SIGNATURE_BYTES = 64, 512
"""Ed25519 to RSA of 4096 bits. How long a key's signature must be, the key itself knows."""


class Envelope(NamedTuple):
    payload: bytes
    keyid: str
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        return signed_bytes(self.payload)

    def verify(self, key: PublicKey) -> bool:
        """Whether ``key`` signed this payload under our payload type."""
        return self.keyid == key.id and key.verify(self.signature, self.signed_bytes)


def pae(payload_type: str, body: bytes) -> bytes:
    """The bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


_BEFORE_LENGTH = pae(PAYLOAD_TYPE, b"").removesuffix(b"0 ")


def signed_bytes(payload: bytes) -> bytes:
    """`pae` under our payload type, whose part is always the same."""
    return b"%b%d %b" % (_BEFORE_LENGTH, len(payload), payload)


def format_envelope(envelope: Envelope) -> dict[str, Json]:
    return {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": envelope.keyid, "sig": base64.b64encode(envelope.signature).decode()}
        ],
    }


def parse_envelope(value: Json) -> Envelope:
    """The envelope of a JSON value. Raises Malformed; says nothing about the signature."""
    if not isinstance(value, dict) or set(value) != _ENVELOPE_FIELDS:
        raise Malformed("envelope_fields")
    if value["payloadType"] != PAYLOAD_TYPE:
        raise Malformed("envelope_payload_type")
    signatures = value["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise Malformed("envelope_signature_count")
    signature = signatures[0]
    if not isinstance(signature, dict) or set(signature) != _SIGNATURE_FIELDS:
        raise Malformed("envelope_fields")
    keyid = signature["keyid"]
    if not isinstance(keyid, str):
        raise Malformed("envelope_fields")
    return Envelope(decode_base64(value["payload"]), keyid, decode_signature(signature["sig"]))


def decode_signature(text: Json) -> bytes:
    """A signature of a length that some key of ours makes. Raises Malformed."""
    raw = decode_base64(text)
    if not _MIN_SIGNATURE_BYTES <= len(raw) <= _MAX_SIGNATURE_BYTES:
        raise Malformed("signature_length")
    return raw


def decode_base64(text: Json) -> bytes:
    """Standard base64 in its one canonical form. Raises Malformed."""
    if not isinstance(text, str):
        raise Malformed("base64")
    if not _ONE_FORM.fullmatch(text):
        raise Malformed("base64_not_canonical" if _OTHER_FORM.fullmatch(text) else "base64")
    return binascii.a2b_base64(text)
