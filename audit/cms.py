"""The ASN.1 of time-stamps as `cryptography` reads it: what stands where, and nothing about trust.

CMS SignedData (RFC 5652) holding a TSTInfo (RFC 3161), as far as an authority needs it. The decoder
takes DER only: definite and shortest lengths, sets in order, no byte behind the end. What is not
declared here is refused where it stands: revocation lists, unsigned attributes, certificates other
than X.509. A list with an implicit tag is a set whose order nobody signs, or a value of any type
behind its tag: authorities put certificates in the order of the chain.
"""

from typing import Annotated, TypeVar

from cryptography import x509
from cryptography.hazmat.asn1 import (
    TLV,
    BitString,
    Default,
    Explicit,
    GeneralizedTime,
    Implicit,
    Null,
    SetOf,
    decode_der,
    encode_der,
    sequence,
)
from cryptography.x509 import ObjectIdentifier

from audit.malformed import Malformed
from audit.unreadable import UNREADABLE

Shape = TypeVar("Shape")

SIGNED_DATA = ObjectIdentifier("1.2.840.113549.1.7.2")
TST_INFO = ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
CONTENT_TYPE = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_CERTIFICATE = ObjectIdentifier("1.2.840.113549.1.9.16.2.12")
SIGNING_CERTIFICATE_V2 = ObjectIdentifier("1.2.840.113549.1.9.16.2.47")


def read(shape: type[Shape], der: bytes) -> Shape:
    """Raises Malformed."""
    try:
        return decode_der(shape, der)
    except UNREADABLE as error:
        raise Malformed("timestamp_malformed", f"no {shape.__name__}") from error


def write(value: object) -> bytes:
    """The bytes that `read` took it from: DER has one form of each value."""
    return encode_der(value)


@sequence
class PssParameters:
    """Those of RSASSA-PSS: read, so that such a signature is named and not called damage."""

    digest: Annotated[list[TLV] | None, Implicit(0)]
    mask: Annotated[list[TLV] | None, Implicit(1)]
    salt: Annotated[list[TLV] | None, Implicit(2)]
    trailer: Annotated[list[TLV] | None, Implicit(3)]


@sequence
class Algorithm:
    oid: ObjectIdentifier
    parameters: Null | PssParameters | None


@sequence
class MessageImprint:
    algorithm: Algorithm
    digest: bytes


@sequence
class Attribute:
    type: ObjectIdentifier
    values: SetOf[TLV]


@sequence
class IssuerAndSerialNumber:
    issuer: x509.Name
    serial: int


@sequence
class SignerInfo:
    version: int
    sid: IssuerAndSerialNumber | Annotated[bytes, Implicit(0)]
    digest_algorithm: Algorithm
    signed: Annotated[SetOf[Attribute], Implicit(0)]
    signature_algorithm: Algorithm
    signature: bytes


@sequence
class SignedCertificate:
    """`cryptography` does not look at how many bits of the last octet the signature leaves out."""

    signed: TLV
    algorithm: TLV
    signature: BitString


@sequence
class EncapsulatedContent:
    type: ObjectIdentifier
    content: Annotated[bytes, Explicit(0)]


@sequence
class SignedData:
    version: int
    digest_algorithms: SetOf[Algorithm]
    encapsulated: EncapsulatedContent
    certificates: Annotated[list[x509.Certificate], Implicit(0)]
    signers: SetOf[SignerInfo]


@sequence
class ContentInfo:
    type: ObjectIdentifier
    content: Annotated[SignedData, Explicit(0)]


@sequence
class EssCertID:
    digest: bytes
    issuer_serial: list[TLV] | None


@sequence
class SigningCertificate:
    certificates: list[EssCertID]
    policies: list[TLV] | None


@sequence
class EssCertIDv2:
    """The digest is SHA-256 when none is named. Some name it all the same, against DER."""

    algorithm: Algorithm | None
    digest: bytes
    issuer_serial: list[TLV] | None


@sequence
class SigningCertificateV2:
    certificates: list[EssCertIDv2]
    policies: list[TLV] | None


@sequence
class Accuracy:
    seconds: int | None
    millis: Annotated[int | None, Implicit(0)]
    micros: Annotated[int | None, Implicit(1)]


@sequence
class Extension:
    oid: ObjectIdentifier
    critical: Annotated[bool, Default(value=False)]
    value: bytes


@sequence
class TSTInfo:
    version: int
    policy: ObjectIdentifier
    imprint: MessageImprint
    serial: int
    time: GeneralizedTime
    accuracy: Accuracy | None
    ordering: bool | None
    nonce: int | None
    tsa: Annotated[list[TLV] | None, Implicit(0)]
    extensions: Annotated[list[Extension] | None, Implicit(1)]
