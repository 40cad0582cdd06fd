"""X.509 certificates as holders of a person's key: which key, and until when.

Who issued one, and whether that is somebody whom the log trusts, is asked by `audit.authorities`.
The certificate and its path stand in the entry, so that anybody may ask again, today or in ten
years.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit.keys import PublicKey, load_public
from audit.malformed import Malformed
from audit.unreadable import UNREADABLE


@dataclass(frozen=True, slots=True)
class Certificate:
    """Instants are text as in the log: UTC, fixed width, so that text order is time order."""

    key: PublicKey
    not_before: str
    not_after: str

    def check_valid(self, at: str) -> None:
        """Raise Malformed unless the certificate is valid at the instant ``at``."""
        if at < self.not_before:
            raise Malformed("certificate_not_yet_valid", f"before {self.not_before}")
        if at > self.not_after:
            raise Malformed("certificate_expired", f"after {self.not_after}")


def load_certificate(der: bytes) -> Certificate:
    """The certificate in DER. Raises Malformed, also for one of a weak key."""
    try:
        found = x509.load_der_x509_certificate(der)
        spki = found.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        times = _instant(found.not_valid_before_utc), _instant(found.not_valid_after_utc)
    except UNREADABLE as error:
        raise Malformed("certificate_unreadable") from error
    return Certificate(load_public(spki), *times)


def _instant(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
