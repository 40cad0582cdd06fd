"""Salted commitments: a field's value enters the log as a digest, and can be erased beside it.

    commitment = SHA-256(JCS([salt, field, value]))      salt: 32 random bytes, base64

The log keeps the digest for ever; salt and value (the *opening*) rest outside. Without the salt a
digest of a short text could be guessed; with the salt deleted it can't, and the log still verifies.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from audit.canonical import Json, canonical
from audit.dsse import decode_base64
from audit.malformed import Malformed

SALT_BYTES = 32
_PREFIX = "sha256:"
_FORM = re.compile(_PREFIX + "[0-9a-f]{64}")
_LENGTH = len(_PREFIX) + 64


@dataclass(frozen=True, slots=True)
class Opening:
    """What a commitment commits to."""

    field: str
    value: str
    salt: bytes

    @property
    def commitment(self) -> str:
        preimage = canonical([base64.b64encode(self.salt).decode(), self.field, self.value])
        return _PREFIX + hashlib.sha256(preimage).hexdigest()

    def opens(self, commitment: str) -> bool:
        return len(self.salt) == SALT_BYTES and hmac.compare_digest(self.commitment, commitment)


def is_commitment(value: object) -> bool:
    """Whether ``value`` has the form of a commitment."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


def commitments_in(arguments: Mapping[str, Json]) -> dict[str, str]:
    """The fields of a command that hold commitments, with these."""
    return {
        field: text
        for field, text in arguments.items()
        # Most fields are seen at once to be none.
        if isinstance(text, str) and len(text) == _LENGTH and is_commitment(text)
    }


def format_opening(opening: Opening) -> dict[str, Json]:
    return {"salt": base64.b64encode(opening.salt).decode(), "value": opening.value}


def parse_opening(field: str, value: Json) -> Opening:
    """The opening of a JSON value. Raises Malformed."""
    if not isinstance(value, dict) or set(value) != {"salt", "value"}:
        raise Malformed("opening_fields", field)
    text = value["value"]
    if not isinstance(text, str):
        raise Malformed("opening_fields", field)
    salt = decode_base64(value["salt"])
    if len(salt) != SALT_BYTES:
        raise Malformed("opening_salt", field)
    return Opening(field, text, salt)
