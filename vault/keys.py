"""The keys that sealed words are opened with: X25519, of the vault or of one reader.

A key is named like those that sign: SHA-256 of its SubjectPublicKeyInfo, 64 hex digits. At rest a
private one is an encrypted PKCS#8 file in PEM.
"""

import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from audit.malformed import Malformed


@dataclass(frozen=True)
class Recipient:
    """The public half: whom words may be sealed for."""

    public: X25519PublicKey = field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def spki(self) -> bytes:
        return self.public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def to_pem(self) -> bytes:
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@dataclass(frozen=True)
class ReadingKey:
    """A private half. Its `repr` shows nothing of it."""

    private: X25519PrivateKey = field(repr=False)

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.private.public_key())

    def to_pem(self, passphrase: bytes) -> bytes:
        """Encrypted PKCS#8. Raises ValueError for an empty passphrase: no key rests in clear."""
        encryption = serialization.BestAvailableEncryption(passphrase)
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )


def reading_key(seed: bytes) -> ReadingKey:
    """The key of 32 random bytes, which the caller brings."""
    return ReadingKey(X25519PrivateKey.from_private_bytes(seed))


def load_reading_key(pem: bytes, passphrase: bytes) -> ReadingKey:
    """Raises Malformed for a wrong passphrase, a file that is no key, or a key of another kind."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("vault_key_unreadable") from error
    if not isinstance(key, X25519PrivateKey):
        raise Malformed("vault_key_unreadable", "not X25519")
    return ReadingKey(key)


def load_recipient(data: bytes) -> Recipient:
    """A public key in PEM, or in DER SubjectPublicKeyInfo. Raises Malformed, also for a key of
    small order: what is wrapped for such a one, anybody could open.
    """
    is_pem = data.lstrip().startswith(b"-----BEGIN")
    load = serialization.load_pem_public_key if is_pem else serialization.load_der_public_key
    try:
        key = load(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("reader_key_unreadable") from error
    if not isinstance(key, X25519PublicKey):
        raise Malformed("reader_key_unreadable", "not X25519")
    try:
        X25519PrivateKey.from_private_bytes(bytes(range(32))).exchange(key)
    except ValueError as error:
        raise Malformed("reader_key_weak") from error
    return Recipient(key)
