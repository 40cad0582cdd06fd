"""From a person's certificate to an authority that the log trusts, as things stood at one instant.

A path is given whole and in order: the person's certificate, the intermediates, each the issuer of
the one before, and last the trusted authority's own. No path is searched for, and nothing is left
over, so that everybody who repeats the check looks at the same certificates. It follows RFC 5280:

    6.1.1 (d)     a trusted authority is its name and key: its own signature means nothing. More
                  than the RFC asks, it must itself be valid then, and an authority's certificate
    6.1.3 (a)(1)  each signature is by the key of the next certificate
    6.1.3 (a)(2)  each certificate was valid at the instant
    6.1.3 (a)(3)  none was revoked, as the key above it says: `audit.revocations`, asked by
                  `audit.authorities`
    6.1.3 (a)(4)  each names the next one's subject as its issuer; names are compared as bytes,
                  which is stricter than 7.1
    6.1.4 (k)     each above the person's says by basic constraints that it is an authority's
    6.1.4 (l, m)  as many authorities may stand below it as its path length says; one that issued
                  to itself does not count
    6.1.4 (n)     its key usage, where it has one, allows to sign certificates
    6.1.4 (o), 6.1.5 (f)  no critical extension is unknown here
    4.2.1.3       the person's key usage, where there is one, has digitalSignature
    4.2.1.10      name constraints are not understood: a certificate with them is refused
    4.2.1.12      extended key usage, where there is one, allows one of `PURPOSES`; an authority's
                  narrows that of all below it, as other implementations hold too; "any" is none
                  of them, which 4.2.1.12 leaves to us

Certificate policies (6.1.3 (d) to (f)) are not asked: any will do (6.1.1 (c)), and a certificate
that insists on one does so by a critical extension that is unknown here. No signature on the way is
by SHA-1 or MD5, no key too small.

`cryptography.x509.verification` is not used: it takes no Ed25519 keys, asks no revocation list, and
says of every failure only that it failed.
"""

from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from audit.malformed import Malformed
from audit.strength import check_digest, check_key, name_of
from audit.unreadable import UNREADABLE

MAX_INTERMEDIATES = 5

PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # id-kp-documentSigning (RFC 9336)
        ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),  # the same by Microsoft, in wide use before it
    }
)
"""What a person's certificate may be for: one of these is enough."""

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)

Path = tuple[x509.Certificate, ...]
"""From a certificate up to a trusted authority's own, at least these two."""


def load(der: bytes) -> x509.Certificate:
    """A certificate in DER whose extensions can be read. Raises Malformed."""
    try:
        found = x509.load_der_x509_certificate(der)
        found.extensions  # noqa: B018 - they are parsed only when they are asked for
        found.public_key()
        found.subject, found.issuer, found.version  # noqa: B018 - likewise
    except (UnsupportedAlgorithm, x509.UnsupportedGeneralNameType) as error:
        raise Malformed("certificate_key_weak", "of a kind that is not known here") from error
    except UNREADABLE as error:
        raise Malformed("certificate_unreadable") from error
    if found.serial_number <= 0:  # 4.1.2.2; lists could not name it
        raise Malformed("certificate_unreadable", "its serial number is not positive")
    return found


def check_person(path: Path, at: datetime) -> None:
    """Raise Malformed unless the first of the path was fit to sign for a person ``at`` that
    instant, and the path leads up from it.
    """
    person = path[0]
    basic, usage = extension(person, x509.BasicConstraints), extension(person, x509.KeyUsage)
    if basic is not None and basic.ca:
        raise Malformed("certificate_wrong_purpose", f"an authority's: {name_of(person)}")
    if usage is not None and not usage.digital_signature:
        raise Malformed("certificate_wrong_purpose", f"no digitalSignature: {name_of(person)}")
    check_links(path, at)
    _check_purposes(path)


def check_authority(certificate: x509.Certificate, at: datetime) -> None:
    """Raise Malformed unless it is fit, ``at`` that instant, to be trusted as an authority's."""
    _check_sound(certificate, at)
    _check_may_issue(certificate, 0, "authority_unfit")


def check_links(path: Path, at: datetime) -> None:
    """Raise Malformed unless each of the path, at ``at`` valid and sound, was issued by the next,
    which may issue certificates.
    """
    if len(path) > MAX_INTERMEDIATES + 2:
        raise Malformed("certificate_chain_broken", f"more than {MAX_INTERMEDIATES} intermediates")
    # From above: what an authority that is not valid has signed says nothing about what is below.
    for place in reversed(range(len(path))):
        if place + 1 < len(path):
            _check_issued(path[place], path[place + 1])
        _check_sound(path[place], at)
        if place > 0:
            below = sum(each.subject != each.issuer for each in path[1:place])
            _check_may_issue(path[place], below, "certificate_chain_broken")


def _check_issued(child: x509.Certificate, issuer: x509.Certificate) -> None:
    _check_digest(child)
    if child.issuer != issuer.subject:
        named = f"{name_of(issuer)} is not the issuer of {name_of(child)}"
        raise Malformed("certificate_chain_broken", named)
    if not is_issued(child, issuer):
        named = f"{name_of(issuer)} did not sign {name_of(child)}"
        raise Malformed("certificate_chain_broken", named)


def is_issued(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether it names this issuer, whose key signed it."""
    try:
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False  # also for another kind of key than the one that signed
    return True


def _check_digest(certificate: x509.Certificate) -> None:
    try:
        digest = certificate.signature_hash_algorithm
        if digest is not None:  # Ed25519 has its own
            check_digest(digest.name, f"signature on {name_of(certificate)}")
    except (UnsupportedAlgorithm, ValueError, Malformed) as error:
        raise Malformed("certificate_key_weak", f"signature on {name_of(certificate)}") from error


def _check_sound(certificate: x509.Certificate, at: datetime) -> None:
    name = name_of(certificate)
    if at < certificate.not_valid_before_utc:
        raise Malformed("certificate_not_yet_valid", name)
    if at > certificate.not_valid_after_utc:
        raise Malformed("certificate_expired", name)
    for each in certificate.extensions:
        if each.oid == ExtensionOID.NAME_CONSTRAINTS or (
            each.critical and each.oid not in _UNDERSTOOD
        ):
            raise Malformed("certificate_extension_unknown", f"{each.oid.dotted_string}: {name}")
    try:
        check_key(certificate)
    except Malformed as error:
        raise Malformed("certificate_key_weak", error.detail) from error


def _check_may_issue(certificate: x509.Certificate, below: int, code: str) -> None:
    """``below`` counts the authorities between this one and the first of the path."""
    name = name_of(certificate)
    basic, usage = (
        extension(certificate, x509.BasicConstraints),
        extension(certificate, x509.KeyUsage),
    )
    if basic is None or not basic.ca or not certificate.subject.rdns:
        raise Malformed(code, f"no authority's: {name}")
    if basic.path_length is not None and basic.path_length < below:
        raise Malformed(code, f"too many below {name}")
    if usage is not None and not usage.key_cert_sign:
        raise Malformed(code, f"may not sign certificates: {name}")


def _check_purposes(path: Path) -> None:
    allowed = PURPOSES
    for certificate in path:
        purposes = extension(certificate, x509.ExtendedKeyUsage)
        if purposes is None:
            continue
        allowed &= frozenset(purposes)
        if not allowed:
            name = name_of(certificate)
            raise Malformed("certificate_wrong_purpose", f"extended key usage of {name}")


Wanted = TypeVar("Wanted", bound=x509.ExtensionType)


def extension(certificate: x509.Certificate, wanted: type[Wanted]) -> Wanted | None:
    """The extension of this kind, critical or not; None when there is none."""
    try:
        return certificate.extensions.get_extension_for_class(wanted).value
    except x509.ExtensionNotFound:
        return None
