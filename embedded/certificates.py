"""Certificates and lists of revocations out of files: PEM, DER, and what lies in a PKCS#12 file."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit.malformed import Malformed
from audit.private_keys import PrivateKey, load_pkcs12, pkcs12_certificates
from domain.refusal import Refused

_PEM = b"-----BEGIN "
_DER = serialization.Encoding.DER


@dataclass(frozen=True, slots=True)
class Bag:
    """What is in a PKCS#12 file: a key, and certificates in DER. ``others`` may be in any order,
    and may be strangers.
    """

    key: PrivateKey = field(repr=False)
    certificate: bytes
    others: tuple[bytes, ...]


def read_bag(path: Path, passphrase: bytes) -> Bag:
    """Raises Refused when the file is missing, does not open, or has no certificate of its key."""
    try:
        data = path.read_bytes()
        if data.lstrip().startswith(_PEM):
            raise Refused("key_file_without_certificate", path=str(path))
        key, certificate = load_pkcs12(data, passphrase)
        others = pkcs12_certificates(data, passphrase)
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except Malformed as error:
        raise Refused(error.code, path=str(path)) from error
    if certificate is None:
        raise Refused("key_file_without_certificate", path=str(path))
    return Bag(key, certificate, tuple(others))


def read_certificates(path: Path) -> list[bytes]:
    """The certificates of a file in PEM, or the one in DER; each as DER. Raises Refused."""
    try:
        data = path.read_bytes()
        if not data.lstrip().startswith(_PEM):
            return [data]
        return [each.public_bytes(_DER) for each in x509.load_pem_x509_certificates(data)]
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except ValueError as error:
        raise Refused("certificate_unreadable", path=str(path)) from error


def read_revocations(path: Path) -> bytes:
    """A list of revocations in PEM or DER, as DER. Raises Refused."""
    try:
        data = path.read_bytes()
        if not data.lstrip().startswith(_PEM):
            return data
        return x509.load_pem_x509_crl(data).public_bytes(_DER)
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except ValueError as error:
        raise Refused("crl_unreadable", path=str(path)) from error
