"""Certificates and key files as an authority hands them out."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit.algorithms import PrivateHalf
from audit.certificates import load_certificate
from audit.keys import PrivateKey

_AUTHORITY = ec.derive_private_key(7, ec.SECP256R1())


def certificate_of(
    key: PrivateKey, begins: datetime, lasts: timedelta, *, name: str = "Cán bộ"
) -> bytes:
    """A certificate, in DER, of the key by some authority; its times in whole seconds."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
    public = key.unwrapped.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(4711)
        .not_valid_before(begins.replace(microsecond=0))
        .not_valid_after((begins + lasts).replace(microsecond=0))
        .sign(_AUTHORITY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def not_after(certificate: bytes) -> str:
    """When it ends, as the log writes it."""
    return load_certificate(certificate).not_after


def clear_pem(key: PrivateHalf) -> bytes:
    """The key as `openssl` takes it, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
