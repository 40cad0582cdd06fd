"""Which digests and keys a certificate may rest on: X.509 as authorities use it today.

Wider than `audit.algorithms`, whose keys sign in the log: an authority's key may be larger.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from audit.malformed import Malformed

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192

_STRONG = frozenset({"sha256", "sha384", "sha512"})
_WEAK = frozenset({"sha1", "md5"})


def check_key(certificate: x509.Certificate) -> None:
    """Raise Malformed for a key that is too weak, or of a kind that is not used here."""
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits) if bits < MIN_RSA_BITS:
            raise Malformed("timestamp_algorithm_weak", f"RSA, {bits} bits")
        case rsa.RSAPublicKey(key_size=bits) if bits <= MAX_RSA_BITS:
            return
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1() | ec.SECP521R1()):
            return
        case ed25519.Ed25519PublicKey():
            return
    raise Malformed("timestamp_algorithm_unsupported", f"key of {name_of(certificate)}")


def check_digest(name: str, where: str) -> None:
    """Raise Malformed for a digest other than SHA-256, SHA-384 and SHA-512."""
    if name in _STRONG:
        return
    code = "timestamp_algorithm_weak" if name in _WEAK else "timestamp_algorithm_unsupported"
    raise Malformed(code, f"{name}: {where}")


def name_of(certificate: x509.Certificate) -> str:
    """The subject, for findings (RFC 4514)."""
    return certificate.subject.rfc4514_string()
