"""AWS Signature Version 4, as S3 and what is compatible with it want it.

canonical request   method, path, query and headers sorted, names of the headers, hash of the body
string to sign      AWS4-HMAC-SHA256, instant, day/region/s3/aws4_request, hash of the above
signature           HMAC-SHA256 with a key derived from secret, day, region and service

Source: AWS, "Create a signed AWS API request". S3 does not encode the path a second time.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"
EMPTY = hashlib.sha256(b"").hexdigest()
"""The hash of no body."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """``token`` belongs to credentials that count for a while only."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be asked. ``path`` begins with a slash and is not yet encoded; ``body`` is the
    SHA-256 of the body in hex: the server refuses any other.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = EMPTY


def target(call: Call) -> str:
    """Path and query as they go over the wire, which is what is signed."""
    query = _query(call.query)
    return encoded_path(call.path) + (f"?{query}" if query else "")


def encoded_path(path: str) -> str:
    return quote(path, safe="/" + _UNRESERVED)


def signed(call: Call, credentials: Credentials, now: datetime) -> dict[str, str]:
    """The headers of the call, with its signature."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        **{name.lower(): value for name, value in call.headers.items()},
        "host": call.host,
        "x-amz-content-sha256": call.body,
        "x-amz-date": stamp,
    }
    if credentials.token is not None:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers)]
    request = "\n".join(
        (
            call.method,
            encoded_path(call.path),
            _query(call.query),
            "".join(lines),
            names,
            call.body,
        )
    )
    scope = f"{stamp[:8]}/{credentials.region}/s3/aws4_request"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashed}"
    signature = hmac.new(_key(credentials, stamp[:8]), text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope},"
        f" SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _query(query: Mapping[str, str]) -> str:
    pairs = sorted(
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for name, value in query.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _key(credentials: Credentials, day: str) -> bytes:
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
