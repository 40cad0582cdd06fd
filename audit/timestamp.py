"""Time-stamps (RFC 3161) over checkpoints: an authority says that the log was there at that time.

The stamped data are the bytes of a checkpoint's text, ``origin LF size LF base64(root) LF``, and
not the signatures under it; the authority is sent their SHA-256. Its token is CMS SignedData in
DER, at most 65,535 bytes, kept as it came; `audit.cms` has its ASN.1. It is good when

1.  it is DER in every part, and has nothing but: one digest algorithm, a TSTInfo, certificates, one
    signer; no revocation lists, no unsigned attributes, at most 16 certificates, none twice;
2.  its digests are SHA-256, SHA-384 or SHA-512, its signature PKCS#1 v1.5 with RSA of 2048 to 8192
    bits, ECDSA on P-256, P-384 or P-521, or Ed25519; the digest of the data is SHA-256;
3.  the signed attributes have a type once each, and are: contentType, a TSTInfo; messageDigest, the
    digest of that TSTInfo; signingCertificateV2 or signingCertificate, the digest of one of the
    certificates (RFC 5816), which the signer's identifier names too; others are not looked at;
4.  that certificate's key signed these attributes, as DER SET OF;
5.  the TSTInfo is of version 1, without critical extensions, its time no finer than microseconds,
    over the digest of the data, and has the nonce that was asked for, where the caller knows it;
6.  the certificate was valid at the time of the stamp, is critically for time-stamping and for that
    only, and leads to one of the caller's roots (`audit.timestamp_path`).

Authorities still write signingCertificate, whose digest is SHA-1. It is accepted where there is no
signingCertificateV2: it only says which certificate is meant, and whoever would make a second one
of the same SHA-1 needs an authority that issues it to the same key. Where both stand, both must be
right. Nothing else may rest on SHA-1.

What is not checked: revocation, which cannot be asked without a network, and so a token that was
made with a stolen key; the authority's policy and accuracy, which are its own words; whether its
clock was right. Signed parts bind every byte of a token, but for these: an ECDSA signature has two
forms; certificates may stand in any order; one off the way to a root, or a copy of a root, must
have issued another one, so its name and key are bound, but who issued it is not. None of this
changes what is said here.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ObjectIdentifier

from audit import cms
from audit.algorithms import verifier
from audit.malformed import Malformed
from audit.strength import check_digest, check_key, name_of
from audit.timestamp_path import check_path, check_signer
from audit.unreadable import UNREADABLE

MAX_TOKEN_BYTES = 65_535

_MAX_CERTIFICATES = 16
_VERSION, _SIGNED_DATA_VERSION = 1, 3
_BY_ISSUER, _BY_KEY = 1, 3  # versions of SignerInfo
_DIGESTS: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_DIGEST_NAMES = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
# The key's kind, and the digest; rsaEncryption leaves that to the signer's digest algorithm.
_SIGNATURES: Mapping[str, tuple[type, str | None]] = {
    "1.2.840.113549.1.1.1": (rsa.RSAPublicKey, None),
    "1.2.840.113549.1.1.4": (rsa.RSAPublicKey, "md5"),
    "1.2.840.113549.1.1.5": (rsa.RSAPublicKey, "sha1"),
    "1.2.840.113549.1.1.11": (rsa.RSAPublicKey, "sha256"),
    "1.2.840.113549.1.1.12": (rsa.RSAPublicKey, "sha384"),
    "1.2.840.113549.1.1.13": (rsa.RSAPublicKey, "sha512"),
    "1.2.840.10045.4.1": (ec.EllipticCurvePublicKey, "sha1"),
    "1.2.840.10045.4.3.2": (ec.EllipticCurvePublicKey, "sha256"),
    "1.2.840.10045.4.3.3": (ec.EllipticCurvePublicKey, "sha384"),
    "1.2.840.10045.4.3.4": (ec.EllipticCurvePublicKey, "sha512"),
    "1.3.101.112": (ed25519.Ed25519PublicKey, "sha512"),  # RFC 8419
}

Attributes = Mapping[ObjectIdentifier, bytes]


@dataclass(frozen=True, slots=True)
class Stamped:
    """What the authority says; its name is the subject of its certificate (RFC 4514)."""

    time: datetime
    authority: str
    serial: int
    policy: str


def check_token(
    token: bytes, data: bytes, roots: Sequence[x509.Certificate], nonce: int | None = None
) -> Stamped:
    """What a token says about ``data``. Raises Malformed unless all that the module names holds.

    Without a nonce the token may be an older one over the same data, which is no less true.
    """
    check_length(token)
    try:
        return _check(token, data, roots, nonce)
    except UNREADABLE as error:
        raise Malformed("timestamp_malformed", "a certificate") from error


def _check(
    token: bytes, data: bytes, roots: Sequence[x509.Certificate], nonce: int | None
) -> Stamped:
    signed = _signed_data(token)
    (signer,) = signed.signers.as_list()
    attributes = _attributes(signer)
    content = signed.encapsulated.content
    _check_content(signer, attributes, content)
    certificate = _certificate_of(signer, attributes, signed.certificates)
    _check_signature(signer, certificate)
    info = cms.read(cms.TSTInfo, content)
    _check_info(info, data, nonce)
    time = info.time.as_datetime()
    check_signer(certificate, time)
    others = [other for other in signed.certificates if other != certificate]
    check_path(certificate, others, roots, time)
    return Stamped(time, name_of(certificate), info.serial, info.policy.dotted_string)


def check_length(der: bytes) -> None:
    """Raise Malformed for more than a token may have, so that nothing reads it."""
    if len(der) > MAX_TOKEN_BYTES:
        raise Malformed("timestamp_malformed", f"{len(der)} bytes")


def _signed_data(token: bytes) -> cms.SignedData:
    outer = cms.read(cms.ContentInfo, token)
    signed = outer.content
    certificates = signed.certificates
    signers, algorithms = signed.signers.as_list(), signed.digest_algorithms.as_list()
    _require(outer.type == cms.SIGNED_DATA, "no SignedData")
    _require(signed.version == _SIGNED_DATA_VERSION, "version of SignedData")
    _require(signed.encapsulated.type == cms.TST_INFO, "no TSTInfo")
    _require(len(certificates) <= _MAX_CERTIFICATES, f"{len(certificates)} certificates")
    _require(len(set(certificates)) == len(certificates), "a certificate twice")
    _require(all(map(_is_whole, certificates)), "bits of a certificate's signature")
    _require(len(signers) == 1, f"{len(signers)} signers")
    expected = [signer.digest_algorithm.oid for signer in signers]
    _require([algorithm.oid for algorithm in algorithms] == expected, "digest algorithms")
    return signed


def _is_whole(certificate: x509.Certificate) -> bool:
    """Whether the signature is whole octets; else a byte beside it would be nobody's."""
    der = certificate.public_bytes(Encoding.DER)
    return cms.read(cms.SignedCertificate, der).signature.padding_bits() == 0


def _attributes(signer: cms.SignerInfo) -> Attributes:
    """The signed attributes that have one value, by type."""
    attributes = signer.signed.as_list()
    types = {attribute.type for attribute in attributes}
    _require(len(types) == len(attributes), "a signed attribute twice")
    values = {attribute.type: attribute.values.as_list() for attribute in attributes}
    return {kind: cms.write(found[0]) for kind, found in values.items() if len(found) == 1}


def _check_content(signer: cms.SignerInfo, attributes: Attributes, content: bytes) -> None:
    """The signature is over the attributes; these bind the content."""
    kind = _attribute(attributes, cms.CONTENT_TYPE, ObjectIdentifier)
    _require(kind == cms.TST_INFO, "contentType")
    digest = _digest(_digest_name(signer.digest_algorithm), content)
    if _attribute(attributes, cms.MESSAGE_DIGEST, bytes) != digest:
        raise Malformed("timestamp_signature_wrong", "messageDigest")


Wanted = TypeVar("Wanted")


def _attribute(attributes: Attributes, kind: ObjectIdentifier, shape: type[Wanted]) -> Wanted:
    _require(kind in attributes, f"signed attribute {kind.dotted_string}")
    return cms.read(shape, attributes[kind])


def _certificate_of(
    signer: cms.SignerInfo, attributes: Attributes, certificates: Sequence[x509.Certificate]
) -> x509.Certificate:
    """The certificate that the signed attributes mean: another one of this key is not it."""
    means = _meant(attributes)
    for certificate in certificates:
        if means(certificate.public_bytes(Encoding.DER)):
            _require(_is_named(signer, certificate), "the signer's identifier")
            return certificate
    raise Malformed("timestamp_signature_wrong", "its certificate is not there")


def _meant(attributes: Attributes) -> Callable[[bytes], bool]:
    """Whether a certificate is the one that the attributes mean: the first one that each names.

    Issuer and serial number, which may stand there too, say nothing beyond the digest.
    """
    expected: list[tuple[str, bytes]] = []
    if cms.SIGNING_CERTIFICATE_V2 in attributes:
        second = _attribute(attributes, cms.SIGNING_CERTIFICATE_V2, cms.SigningCertificateV2)
        _require(bool(second.certificates), "signingCertificateV2")
        named = second.certificates[0]
        expected.append(
            (_digest_name(named.algorithm) if named.algorithm else "sha256", named.digest)
        )
    if cms.SIGNING_CERTIFICATE in attributes:
        first = _attribute(attributes, cms.SIGNING_CERTIFICATE, cms.SigningCertificate)
        _require(bool(first.certificates), "signingCertificate")
        expected.append(("sha1", first.certificates[0].digest))
    _require(bool(expected), "no signingCertificate")
    return lambda der: all(_digest(name, der) == digest for name, digest in expected)


def _is_named(signer: cms.SignerInfo, certificate: x509.Certificate) -> bool:
    if isinstance(signer.sid, cms.IssuerAndSerialNumber):
        named = (signer.sid.issuer.public_bytes(), signer.sid.serial)
        meant = (certificate.issuer.public_bytes(), certificate.serial_number)
        return signer.version == _BY_ISSUER and named == meant
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return signer.version == _BY_KEY and extension.value.digest == signer.sid


def _check_signature(signer: cms.SignerInfo, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    check_key(certificate)
    kind, digest = _signature_algorithm(signer)
    message = cms.write(signer.signed)
    if not isinstance(key, kind):
        raise Malformed("timestamp_signature_wrong", "another kind of key")
    try:
        match key:
            case rsa.RSAPublicKey():
                key.verify(signer.signature, message, padding.PKCS1v15(), digest)
            case ec.EllipticCurvePublicKey():
                key.verify(signer.signature, message, ec.ECDSA(digest))
            case _:
                _, verify = verifier(key)  # refuses points of small order
                verify(signer.signature, message)
    except InvalidSignature as error:
        raise Malformed("timestamp_signature_wrong") from error


def _signature_algorithm(signer: cms.SignerInfo) -> tuple[type, hashes.HashAlgorithm]:
    algorithm = signer.signature_algorithm
    found = _SIGNATURES.get(algorithm.oid.dotted_string)
    if found is None or isinstance(algorithm.parameters, cms.PssParameters):
        raise Malformed("timestamp_algorithm_unsupported", algorithm.oid.dotted_string)
    kind, name = found
    name = name or _digest_name(signer.digest_algorithm)
    check_digest(name, "signature")
    return kind, _DIGESTS[name]


def _digest_name(algorithm: cms.Algorithm) -> str:
    """The name in `hashlib`. Raises Malformed for weak and unknown digests."""
    dotted = algorithm.oid.dotted_string
    name = _DIGEST_NAMES.get(dotted, dotted)
    check_digest(name, "digest")
    _require(not isinstance(algorithm.parameters, cms.PssParameters), "parameters of a digest")
    return name


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).digest()


def _check_info(info: cms.TSTInfo, data: bytes, nonce: int | None) -> None:
    _require(info.version == _VERSION, "version of TSTInfo")
    critical = any(extension.critical for extension in info.extensions or ())
    _require(not critical, "a critical extension of TSTInfo")
    name = _digest_name(info.imprint.algorithm)
    if name != "sha256" or info.imprint.digest != _digest(name, data):
        raise Malformed("timestamp_other_digest", f"{name} {info.imprint.digest.hex()[:64]}")
    if nonce is not None and info.nonce != nonce:
        raise Malformed("timestamp_nonce_differs", str(info.nonce)[:40])


def _require(holds: bool, what: str) -> None:  # noqa: FBT001 it says what must hold
    if not holds:
        raise Malformed("timestamp_malformed", what)
