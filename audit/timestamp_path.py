"""From a time-stamp's signer to an authority that the reader trusts, as things stood at its time.

`cryptography.x509.verification` follows the rules of web servers, which know no Ed25519 and say
only that a chain is wrong. Here the rules are RFC 5280's as far as time-stamps need them:

1. Each certificate of the token other than the signer's has issued another one there: no
   certificate rides along. Where the issuer that one names is at hand, it has signed it; unless
   it is a root, or its signature is a weak one, which counts as none.
2. The signer's leads, through certificates of the token, to one of the roots; or it is a root.
3. At that time each on the way was valid; each above the signer's was that of an authority that
   may sign certificates and, where its use is limited, make time-stamps; the length of the path is
   within what each allows; no extension is critical that is not understood here.
4. No signature on the way is by SHA-1 or MD5, no key RSA of less than 2048 bits. A root's own
   signature means nothing.

Not checked: revocation, certificate policies, names that an authority is limited to (where that is
critical, its certificate is refused).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from audit.malformed import Malformed
from audit.paths import is_issued
from audit.strength import check_digest, check_key, name_of

_MAX_LEVELS = 8
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])

Certificates = Sequence[x509.Certificate]
Issuers = dict[x509.Certificate, list[x509.Certificate]]


def check_signer(certificate: x509.Certificate, at: datetime) -> None:
    """Raise Malformed unless this certificate is for stamping, and nothing else, at that time."""
    _check_sound(certificate, at)
    purpose = _extension(certificate, x509.ExtendedKeyUsage)
    if purpose is None or not purpose.critical or purpose.value != _STAMPING:
        raise _unfit(certificate, "not for time-stamping only")
    usage = _extension(certificate, x509.KeyUsage)
    if usage and not (usage.value.digital_signature or usage.value.content_commitment):
        raise _unfit(certificate, "may not sign")


def check_path(
    signer: x509.Certificate, others: Certificates, roots: Certificates, at: datetime
) -> None:
    """Raise Malformed unless the signer leads to a root through the other certificates."""
    issuers = _issuers([signer, *others], roots)
    linked = [issuer for found in issuers.values() for issuer in found]
    for other in others:
        if other not in linked:
            raise Malformed("timestamp_malformed", f"has issued nothing here: {name_of(other)}")
    if signer not in roots:
        _climb(signer, issuers, roots, at)


def _climb(signer: x509.Certificate, issuers: Issuers, roots: Certificates, at: datetime) -> None:
    """Level by level: a certificate is met with as few below it as can be, which favours it most.

    A way that turns out wrong is left; when no way remains, the first wrong is told.
    """
    wrongs: list[Malformed] = []
    level, seen = [signer], {signer}
    for below in range(_MAX_LEVELS):
        wrongs += [wrong for child in level if (wrong := _weakness(child))]
        above: list[x509.Certificate] = []
        for issuer in (issuer for child in level for issuer in issuers.get(child, ())):
            try:
                _check_issuer(issuer, below, at)
            except Malformed as wrong:
                wrongs.append(wrong)
            else:
                above.append(issuer)
        if any(issuer in roots for issuer in above):
            return
        level = [issuer for issuer in dict.fromkeys(above) if issuer not in seen]
        seen.update(level)
    raise next(iter(wrongs), Malformed("timestamp_authority_unknown", name_of(signer)))


def _issuers(certificates: Certificates, roots: Certificates) -> Issuers:
    """Who has signed each certificate, of those at hand that have the name of its issuer.

    Nobody has, where the signature is weak: copies of old roots, signed by themselves with SHA-1,
    may come along, and `cryptography` verifies no such signature.
    """
    found: Issuers = {}
    for child in certificates:
        if child in roots or _weakness(child):
            continue
        known = dict.fromkeys((*roots, *certificates))
        named = [issuer for issuer in known if issuer.subject == child.issuer]
        found[child] = [issuer for issuer in named if is_issued(child, issuer)]
        if named and not found[child]:
            raise Malformed("timestamp_authority_unknown", f"not the issuer of {name_of(child)}")
    return found


def _weakness(certificate: x509.Certificate) -> Malformed | None:
    """What is wrong with the digest under a certificate's signature."""
    try:
        digest = certificate.signature_hash_algorithm
        if digest is not None:  # Ed25519 has its own
            check_digest(digest.name, f"signature on {name_of(certificate)}")
    except UnsupportedAlgorithm:
        return Malformed("timestamp_algorithm_unsupported", name_of(certificate))
    except Malformed as wrong:
        return wrong
    return None


def _check_issuer(issuer: x509.Certificate, below: int, at: datetime) -> None:
    """``below`` counts the authorities between this issuer and the signer."""
    _check_sound(issuer, at)
    basic = _extension(issuer, x509.BasicConstraints)
    if basic is None or not basic.value.ca:
        raise _unfit(issuer, "no authority's")
    if basic.value.path_length is not None and basic.value.path_length < below:
        raise _unfit(issuer, "the path is too long")
    usage = _extension(issuer, x509.KeyUsage)
    if usage and not usage.value.key_cert_sign:
        raise _unfit(issuer, "may not sign certificates")
    purpose = _extension(issuer, x509.ExtendedKeyUsage)
    if purpose and not _may_stamp(purpose.value):
        raise _unfit(issuer, "its authority is not over time-stamps")


def _may_stamp(purposes: Iterable[x509.ObjectIdentifier]) -> bool:
    allowed = (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return any(purpose in allowed for purpose in purposes)


def _check_sound(certificate: x509.Certificate, at: datetime) -> None:
    if certificate.serial_number <= 0:
        raise _unfit(certificate, "its serial number is not positive")
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise _unfit(certificate, f"not valid at {at.isoformat()}")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise _unfit(certificate, f"critical extension {extension.oid.dotted_string}")
    check_key(certificate)


Wanted = TypeVar("Wanted", bound=x509.ExtensionType)


def _extension(
    certificate: x509.Certificate, wanted: type[Wanted]
) -> x509.Extension[Wanted] | None:
    try:
        return certificate.extensions.get_extension_for_class(wanted)
    except x509.ExtensionNotFound:
        return None


def _unfit(certificate: x509.Certificate, why: str) -> Malformed:
    return Malformed("timestamp_certificate_unfit", f"{name_of(certificate)}: {why}")
