"""Lists of revoked certificates (CRL), as an authority signs and the log keeps them.

What is asked of a list follows RFC 5280:

    5.1.2.3    its issuer is who issued the certificates that it speaks of; so 6.3.3 (b). More than
               the RFC asks, by the same key: a name may be given to anybody by any authority
               above, so what another key of this name signed says nothing about these
    5.1.2.4    the day from which it is may not lie ahead
    5.1.2.5    it says when the next one comes; from then on it is stale
    5.2.3      its number, where it has one, only grows
    5.2.4      lists of changes to another list are refused
    5.2.5      lists that speak of a part of the certificates are refused, as are
    5.3.3      lists that speak for other issuers
    6.3.3 (f)  its issuer's certificate leads to the authority (`audit.paths`), and its key usage,
               where it has one, allows to sign lists
    6.3.3 (g)  its issuer's key signed it, not with a weak digest

Every certificate that a list names counts as revoked, for whatever reason and from whatever day,
also one that is only on hold.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from audit.malformed import Malformed
from audit.names import Comparable, comparable
from audit.paths import extension
from audit.strength import check_digest, name_of
from audit.unreadable import UNREADABLE

MAX_LIST_BYTES = 30_000
"""Of a list in DER: with the base64 of two envelopes it still fits in one entry of 65,535 bytes."""

_UNDERSTOOD = frozenset({ExtensionOID.CRL_NUMBER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})
_PARTIAL = frozenset({ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.ISSUING_DISTRIBUTION_POINT})


@dataclass(frozen=True)
class RevocationList:
    """``begins`` and ``next`` are its thisUpdate and nextUpdate, in UTC; ``number`` is None where
    it has none.
    """

    issuer: x509.Name
    begins: datetime
    next: datetime
    number: int | None
    serials: frozenset[int]
    signed: x509.CertificateRevocationList

    def is_newer(self, other: "RevocationList") -> bool:
        """By number, where both have one, and never by going back in time."""
        if self.number is None or other.number is None:
            return self.begins > other.begins
        return self.number > other.number and self.begins >= other.begins

    def check_signed_by(self, issuer: x509.Certificate) -> None:
        """Raise Malformed unless this issuer's key signed the list, and may sign lists."""
        usage = extension(issuer, x509.KeyUsage)
        if self.issuer != issuer.subject or (usage is not None and not usage.crl_sign):
            raise Malformed("crl_not_of_authority", name_of(issuer))
        if not _is_signed(self.signed, issuer):
            raise Malformed("crl_not_of_authority", f"signature: {name_of(issuer)}")


def load_list(der: bytes) -> RevocationList:
    """The list in DER. Raises Malformed, also for one that speaks only of a part."""
    if len(der) > MAX_LIST_BYTES:
        raise Malformed("crl_too_long", f"{len(der)} bytes")
    try:
        signed = x509.load_der_x509_crl(der)
        found = _read(signed)
    except UNREADABLE as error:
        raise Malformed("crl_unreadable") from error
    return found


def _read(signed: x509.CertificateRevocationList) -> RevocationList:
    number = None
    for each in signed.extensions:
        if each.oid in _PARTIAL or (each.critical and each.oid not in _UNDERSTOOD):
            raise Malformed("crl_partial", each.oid.dotted_string)
        if isinstance(each.value, x509.CRLNumber):
            number = each.value.crl_number
    ends = signed.next_update_utc
    if ends is None:
        raise Malformed("crl_unreadable", "it does not say when the next one comes")
    return RevocationList(
        signed.issuer, signed.last_update_utc, ends, number, frozenset(_serials(signed)), signed
    )


def _serials(signed: x509.CertificateRevocationList) -> list[int]:
    found = []
    for entry in signed:
        for each in entry.extensions:
            if each.critical or each.oid == CRLEntryExtensionOID.CERTIFICATE_ISSUER:
                raise Malformed("crl_partial", each.oid.dotted_string)
        found.append(entry.serial_number)
    return found


def _is_signed(signed: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        digest = signed.signature_hash_algorithm
        if digest is not None:  # Ed25519 has its own
            check_digest(digest.name, "list")
        return signed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # others raise
    except (Malformed, TypeError, ValueError, UnsupportedAlgorithm):
        return False  # a weak signature is nobody's


Place = tuple[bytes, Comparable]


def place_of(issuer: x509.Certificate) -> Place:
    """Whose lists are about the certificates that this one issued: its key, under its name. After a
    change of the key, or of the name, they are others.
    """
    return key_of(issuer), comparable(issuer.subject)


def key_of(certificate: x509.Certificate) -> bytes:
    """The certificate's key, as its SubjectPublicKeyInfo in DER."""
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
