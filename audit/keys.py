"""Keys that sign, named by the SHA-256 of their SubjectPublicKeyInfo; `audit.algorithms` has kinds.

A private key at rest is an encrypted file: PKCS#8 in PEM, or PKCS#12 (``.p12``, ``.pfx``) as
authorities hand it out, with a certificate. A key that comes from outside is refused when it is
weak, or not in the one form that its kind has.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12

from audit.algorithms import (
    Kind,
    PrivateHalf,
    Sign,
    Verify,
    as_private,
    signer,
    spki_of,
    verifier,
)
from audit.malformed import Malformed

__all__ = [
    "Kind",
    "PrivateKey",
    "PublicKey",
    "load_pkcs12",
    "load_private",
    "load_public",
    "pkcs12_certificates",
    "private_key",
]


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


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs. Its `repr` shows nothing of it."""

    _key: PrivateHalf = field(repr=False)

    @cached_property
    def public(self) -> PublicKey:
        """Raises Malformed for a weak key."""
        return load_public(spki_of(self._key.public_key()))

    @property
    def unwrapped(self) -> PrivateHalf:
        """For those who sign in other forms than DSSE."""
        return self._key

    @cached_property
    def _sign(self) -> Sign:
        return signer(self._key)

    def sign(self, message: bytes) -> bytes:
        return self._sign(message)

    def to_pem(self, passphrase: bytes) -> bytes:
        """Encrypted PKCS#8. Raises ValueError for an empty passphrase: no key rests in clear."""
        encryption = serialization.BestAvailableEncryption(passphrase)
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )


def private_key(seed: bytes) -> PrivateKey:
    """The Ed25519 key of a 32-byte seed; the caller brings the randomness."""
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(seed))


def load_private(pem: bytes, passphrase: bytes) -> PrivateKey:
    """Open an encrypted PKCS#8 PEM file. Raises Malformed for a wrong passphrase or file."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("private_key_unreadable", "wrong passphrase, or not a key file") from error
    return _sound(key)


def load_pkcs12(data: bytes, passphrase: bytes) -> tuple[PrivateKey, bytes | None]:
    """Open a PKCS#12 file: the key and, in DER, the certificate of this key where it has one.

    Raises Malformed for a wrong passphrase or file.
    """
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("private_key_unreadable", "wrong passphrase, or not a key file") from error
    if key is None:
        raise Malformed("private_key_unreadable", "the file holds no private key")
    der = certificate.public_bytes(serialization.Encoding.DER) if certificate else None
    return _sound(key), der


def pkcs12_certificates(data: bytes, passphrase: bytes) -> list[bytes]:
    """The certificates, in DER, that lie beside the key's own in a PKCS#12 file, in no order.

    Raises Malformed as `load_pkcs12` does.
    """
    try:
        others = pkcs12.load_pkcs12(data, passphrase).additional_certs
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("private_key_unreadable", "wrong passphrase, or not a key file") from error
    return [each.certificate.public_bytes(serialization.Encoding.DER) for each in others]


@lru_cache(maxsize=65_536)
def load_public(spki: bytes) -> PublicKey:
    """The key in DER SubjectPublicKeyInfo. Raises Malformed for weak, unusual or other keys."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("public_key_unreadable") from error
    kind, verify = verifier(key)
    if key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ) != spki:  # fmt: skip
        raise Malformed("public_key_not_canonical")
    return PublicKey(spki, kind, verify)


def _sound(key: object) -> PrivateKey:
    found = PrivateKey(as_private(key))
    found.public  # noqa: B018 - a weak key must not sign either
    return found
