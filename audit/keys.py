"""Keys that sign: Ed25519 (RFC 8032), named by the SHA-256 of their SubjectPublicKeyInfo.

A private key at rest is an encrypted PKCS#8 PEM file. A key that comes from outside is refused
when it is of small order or not in canonical form: `cryptography` loads such keys, and under the
identity point a forged signature verifies for every message.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.malformed import Malformed

_P = 2**255 - 19
_SIGN_BIT = 1 << 255
# The y coordinates of the eight points whose order divides 8; this one's order is 8.
_Y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


@dataclass(frozen=True)
class PublicKey:
    """A public key that may be trusted as such; whom it stands for is said elsewhere."""

    spki: bytes
    _key: Ed25519PublicKey = field(repr=False, compare=False)

    @cached_property
    def id(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, 64 lower-case hex digits."""
        return hashlib.sha256(self.spki).hexdigest()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message``."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs. Its `repr` shows nothing of it."""

    _key: Ed25519PrivateKey = field(repr=False)

    @cached_property
    def public(self) -> PublicKey:
        return load_public(_spki(self._key.public_key()))

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def to_pem(self, passphrase: bytes) -> bytes:
        """Encrypted PKCS#8. Raises ValueError for an empty passphrase: no key rests in clear."""
        encryption = serialization.BestAvailableEncryption(passphrase)
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )


def private_key(seed: bytes) -> PrivateKey:
    """The key of a 32-byte seed; the caller brings the randomness."""
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(seed))


def load_private(pem: bytes, passphrase: bytes) -> PrivateKey:
    """Open an encrypted PKCS#8 PEM file. Raises Malformed for a wrong passphrase or file."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("private_key_unreadable", "wrong passphrase, or not a key file") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Malformed("key_type_unsupported", type(key).__name__)
    return PrivateKey(key)


@lru_cache(maxsize=65_536)
def load_public(spki: bytes) -> PublicKey:
    """The key in DER SubjectPublicKeyInfo. Raises Malformed for weak, unusual or other keys."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("public_key_unreadable") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Malformed("key_type_unsupported", type(key).__name__)
    if _spki(key) != spki:
        raise Malformed("public_key_not_canonical")
    y = int.from_bytes(key.public_bytes_raw(), "little") & ~_SIGN_BIT
    if y >= _P:
        raise Malformed("public_key_not_canonical")
    if y in _SMALL_ORDER_Y:
        raise Malformed("public_key_of_small_order")
    return PublicKey(spki, key)


def _spki(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
