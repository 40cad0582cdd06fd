"""Keys that sign: made, opened from their files, and how each kind of key signs.

A private key at rest is an encrypted file: PKCS#8 in PEM, or PKCS#12 (``.p12``, ``.pfx``) as
authorities hand it out, with a certificate. One whose public half `audit.keys` would refuse as weak
doesn't sign either. `audit.algorithms` says what a signature of each kind is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12

from audit.algorithms import CURVES, spki_of, width_of
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed

PrivateHalf: TypeAlias = (
    ed25519.Ed25519PrivateKey
    | ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | mldsa.MLDSA44PrivateKey
)
Sign: TypeAlias = Callable[[bytes], bytes]


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
        return _signer(self._key)

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
    return PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed))


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


def _sound(key: object) -> PrivateKey:
    found = PrivateKey(_as_private(key))
    found.public  # noqa: B018 - a weak key must not sign either
    return found


def _as_private(key: object) -> PrivateHalf:
    """``key`` when it is of a kind that signs here. Raises Malformed."""
    match key:
        case (
            ed25519.Ed25519PrivateKey()
            | ec.EllipticCurvePrivateKey()
            | rsa.RSAPrivateKey()
            | mldsa.MLDSA44PrivateKey()
        ):
            return key
    raise Malformed("key_type_unsupported", type(key).__name__)


def _signer(key: PrivateHalf) -> Sign:
    """How a private key signs."""
    match key:
        case ec.EllipticCurvePrivateKey():
            _, order, digest = CURVES[key.curve.name]
            return partial(_sign_ecdsa, key, order, digest)
        case rsa.RSAPrivateKey():
            return partial(key.sign, padding=padding.PKCS1v15(), algorithm=hashes.SHA256())
    return key.sign


def _sign_ecdsa(
    key: ec.EllipticCurvePrivateKey, order: int, digest: hashes.HashAlgorithm, message: bytes
) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
    width = width_of(order)
    return r.to_bytes(width, "big") + min(s, order - s).to_bytes(width, "big")
