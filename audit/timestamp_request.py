"""Asking an authority for a time-stamp (RFC 3161, 2.4): what it is sent, and what it answers.

`audit.timestamp` says what is stamped, and judges the token in the answer.
"""

import hashlib
from typing import Annotated

from cryptography.hazmat.asn1 import TLV, BitString, Default, Explicit, Null, sequence
from cryptography.x509 import ObjectIdentifier

from audit import cms
from audit.malformed import Malformed
from audit.timestamp import check_length

MAX_NONCE = 2**64 - 1

_VERSION = 1
_GRANTED = (0, 1)  # 1: with modifications; all that matters is checked in the token
_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")


@sequence
class TimeStampReq:
    version: int
    imprint: cms.MessageImprint
    policy: ObjectIdentifier | None
    nonce: int | None
    certificates: Annotated[bool, Default(value=False)]


@sequence
class StatusInfo:
    status: int
    text: list[str] | None
    failure: BitString | None


@sequence
class AnyContentInfo:
    type: ObjectIdentifier
    content: Annotated[TLV, Explicit(0)]


@sequence
class TimeStampResp:
    status: StatusInfo
    token: AnyContentInfo | None


def make_request(data: bytes, nonce: int) -> bytes:
    """A TimeStampReq in DER that asks for a token over ``data`` with certificates in it.

    Raises ValueError for a nonce outside 1 to 2**64 - 1; the caller brings the randomness.
    """
    if not 0 < nonce <= MAX_NONCE:
        raise ValueError("not a nonce")
    imprint = cms.MessageImprint(
        algorithm=cms.Algorithm(oid=_SHA256, parameters=Null()),
        digest=hashlib.sha256(data).digest(),
    )
    request = TimeStampReq(
        version=_VERSION, imprint=imprint, policy=None, nonce=nonce, certificates=True
    )
    return cms.write(request)


def parse_response(der: bytes) -> bytes:
    """The token in a TimeStampResp, not yet checked. Raises Malformed, also for a refusal."""
    check_length(der)
    response = cms.read(TimeStampResp, der)
    if response.status.status not in _GRANTED:
        raise Malformed("timestamp_refused", _refusal(response.status))
    if response.token is None:
        raise Malformed("timestamp_malformed", "granted, and no token")
    return cms.write(response.token)


def _refusal(status: StatusInfo) -> str:
    failure = status.failure.as_bytes().hex() if status.failure else ""
    said = " ".join(status.text or ())[:200]
    return f"status {status.status} {failure} {said}".strip()
