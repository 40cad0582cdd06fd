"""The kinds of keys that may sign, what each one's signature is, and which keys are too weak.

    ed25519       Ed25519 (RFC 8032), 64 bytes
    ecdsa-p256    ECDSA on P-256 with SHA-256 (FIPS 186-5), r || s, 64 bytes, s in the lower half
    ecdsa-p384    ECDSA on P-384 with SHA-384, r || s, 96 bytes, s in the lower half
    rsa           RSA of 2048 to 4096 bits, PKCS#1 v1.5 with SHA-256 (RFC 8017, 8.2): smart cards
    ml-dsa-44     ML-DSA-44 (FIPS 204), 2420 bytes

Each signature has one form: (r, n - s) would be a second one of the same ECDSA signature, and so a
second entry of the same command. `cryptography` loads keys under which anybody could sign; they
are refused here.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from math import gcd, prod
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from audit.malformed import Malformed

Verify: TypeAlias = Callable[[bytes, bytes], None]
"""Takes signature and message. Raises InvalidSignature."""


class Kind(StrEnum):
    ED25519 = "ed25519"
    P256 = "ecdsa-p256"
    P384 = "ecdsa-p384"
    RSA = "rsa"
    ML_DSA_44 = "ml-dsa-44"


CURVES: dict[str, tuple[Kind, int, hashes.HashAlgorithm]] = {
    "secp256r1": (
        Kind.P256,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        hashes.SHA256(),
    ),
    "secp384r1": (
        Kind.P384,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        hashes.SHA384(),
    ),
}
"""By name: the kind, the order of the group, and the digest (FIPS 186-5, SP 800-186)."""

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
RSA_EXPONENT = 65_537

_P = 2**255 - 19
_SIGN_BIT = 1 << 255
# The y coordinates of the eight points whose order divides 8; this one's order is 8.
_Y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


def spki_of(key: PublicKeyTypes) -> bytes:
    """DER SubjectPublicKeyInfo (RFC 5280)."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def verifier(key: object) -> tuple[Kind, Verify]:
    """Kind of a public key, and how its signatures are verified.

    Chosen once for each key: verification is what a reader of the log does most. Raises Malformed
    for a key that is weak or of another kind.
    """
    match key:
        case ed25519.Ed25519PublicKey():
            _check_ed25519(key)
            return Kind.ED25519, key.verify
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVES:
            kind, order, digest = CURVES[key.curve.name]
            return kind, partial(_verify_ecdsa, key, order, digest)
        case ec.EllipticCurvePublicKey():
            raise Malformed("key_type_unsupported", key.curve.name)
        case rsa.RSAPublicKey():
            _check_rsa(key)
            return Kind.RSA, partial(_verify_rsa, key)
        case mldsa.MLDSA44PublicKey():
            return Kind.ML_DSA_44, key.verify
    raise Malformed("key_type_unsupported", type(key).__name__)


def _check_ed25519(key: ed25519.Ed25519PublicKey) -> None:
    """Under a point of small order a forged signature verifies for every message."""
    y = int.from_bytes(key.public_bytes_raw(), "little") & ~_SIGN_BIT
    if y >= _P:
        raise Malformed("public_key_not_canonical")
    if y in _SMALL_ORDER_Y:
        raise Malformed("public_key_of_small_order")


def width_of(order: int) -> int:
    """How many bytes each of the two numbers of an ECDSA signature takes."""
    return (order.bit_length() + 7) // 8


def _verify_ecdsa(
    key: ec.EllipticCurvePublicKey,
    order: int,
    digest: hashes.HashAlgorithm,
    signature: bytes,
    message: bytes,
) -> None:
    width = width_of(order)
    if len(signature) != 2 * width:
        raise InvalidSignature
    r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
    if not (0 < r < order and 0 < s <= order // 2):
        raise InvalidSignature
    key.verify(encode_dss_signature(r, s), message, ec.ECDSA(digest))


def _verify_rsa(key: rsa.RSAPublicKey, signature: bytes, message: bytes) -> None:
    if len(signature) != (key.key_size + 7) // 8:
        raise InvalidSignature
    key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


def _primes(limit: int) -> list[int]:
    return [n for n in range(2, limit) if all(n % d for d in range(2, int(n**0.5) + 1))]


_SMALL_PRIMES = prod(_primes(752))  # as SP 800-89, 5.3.3 asks at least
# The keys of CVE-2017-15361, made by smart cards of one maker and soon factored: n is a power of
# 65537 modulo each of these primes. Of other moduli not one in 2**27 is.
_ROCA = [(p, frozenset(pow(RSA_EXPONENT, i, p) for i in range(p))) for p in _primes(168)[1:]]


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise Malformed("rsa_key_size", f"{key.key_size} bits")
    numbers = key.public_numbers()
    if numbers.e != RSA_EXPONENT:
        raise Malformed("rsa_exponent", str(numbers.e)[:40])
    if gcd(numbers.n, _SMALL_PRIMES) != 1:
        raise Malformed("rsa_modulus_weak", "a small prime divides it")
    if all(numbers.n % p in powers for p, powers in _ROCA):
        raise Malformed("rsa_modulus_weak", "CVE-2017-15361")
