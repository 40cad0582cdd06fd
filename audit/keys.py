"""Public keys, named by the SHA-256 of their SubjectPublicKeyInfo; `audit.algorithms` has kinds.

A key that comes from outside is refused when it is weak, or not in the one form that its kind has.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from audit.algorithms import Kind, Verify, spki_of, verifier
from audit.malformed import Malformed


@dataclass(frozen=True)
class PublicKey:
    """A public key that may be trusted as such; whom it stands for is said elsewhere."""

    spki: bytes
    kind: Kind
    _verify: Verify = field(repr=False, compare=False)

    @cached_property
    def id(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, 64 lower-case hex digits."""
        return hashlib.sha256(self.spki).hexdigest()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message``, in the one form that it has."""
        try:
            self._verify(signature, message)
        except InvalidSignature:
            return False
        return True


@lru_cache(maxsize=65_536)
def load_public(spki: bytes) -> PublicKey:
    """The key in DER SubjectPublicKeyInfo. Raises Malformed for weak, unusual or other keys."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("public_key_unreadable") from error
    kind, verify = verifier(key)
    if spki_of(key) != spki:
        raise Malformed("public_key_not_canonical")
    return PublicKey(spki, kind, verify)
