"""Which store, and what it takes: from the environment.

DONDOC_EVIDENCE_S3_ENDPOINT   an address such as https://s3.example:9000; without it files lie in
                              ``evidence/`` of the data directory
DONDOC_EVIDENCE_S3_BUCKET     a bucket that exists
DONDOC_EVIDENCE_S3_REGION     us-east-1 unless given
DONDOC_EVIDENCE_S3_PREFIX     what all keys begin with; nothing unless given
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN   as everywhere; the last may be missing
DONDOC_EVIDENCE_MAX_MIB       the largest file, 50 unless given
DONDOC_EVIDENCE_TYPES         the kinds that are taken, with commas between (`evidence.kinds`)
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import httpx

from domain.refusal import Refused
from evidence.folder import Folder
from evidence.keeper import MEBIBYTE, Keeper, Limits
from evidence.kinds import FileKind
from evidence.s3 import S3, Bucket
from evidence.sigv4 import Credentials
from evidence.stores import Store

_NAME = "DONDOC_EVIDENCE_"
_ENDPOINT, _BUCKET = f"{_NAME}S3_ENDPOINT", f"{_NAME}S3_BUCKET"
_REGION, _PREFIX = f"{_NAME}S3_REGION", f"{_NAME}S3_PREFIX"
_SIZE, _TYPES = f"{_NAME}MAX_MIB", f"{_NAME}TYPES"
_ACCESS, _SECRET, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"


def open_keeper(folder: Path, environ: Mapping[str, str], now: Callable[[], datetime]) -> Keeper:
    """``folder`` is where files lie or, with S3, where they wait. Raises Refused for a setting that
    is missing or wrong, naming it.
    """
    return Keeper(_store(folder, environ, now), now, _limits(environ))


def _store(folder: Path, environ: Mapping[str, str], now: Callable[[], datetime]) -> Store:
    endpoint = environ.get(_ENDPOINT)
    if not endpoint:
        return Folder(folder, now)
    bucket = Bucket(
        _address(endpoint), _needed(environ, _BUCKET).strip("/"), environ.get(_PREFIX, "")
    )
    credentials = Credentials(
        _needed(environ, _ACCESS),
        _needed(environ, _SECRET),
        environ.get(_REGION) or "us-east-1",
        environ.get(_TOKEN) or None,
    )
    return S3(bucket, credentials, folder / "incoming", now)


def _address(endpoint: str) -> httpx.URL:
    """Files and signatures go over the network encrypted, or not at all."""
    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL as error:
        raise Refused("evidence_setting_wrong", variable=_ENDPOINT) from error
    secure = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host))
    if not (secure and url.host and url.path in {"", "/"} and not url.query and not url.userinfo):
        raise Refused("evidence_setting_wrong", variable=_ENDPOINT)
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _limits(environ: Mapping[str, str]) -> Limits:
    usual = Limits()
    try:
        size = int(environ.get(_SIZE) or usual.size // MEBIBYTE) * MEBIBYTE
    except ValueError as error:
        raise Refused("evidence_setting_wrong", variable=_SIZE) from error
    if size <= 0:
        raise Refused("evidence_setting_wrong", variable=_SIZE)
    if not environ.get(_TYPES):
        return Limits(size)
    try:
        named = environ[_TYPES].split(",")
        return Limits(size, frozenset(FileKind(name.strip()) for name in named))
    except ValueError as error:
        raise Refused("evidence_setting_wrong", variable=_TYPES) from error


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise Refused("evidence_setting_wrong", variable=name)
    return value
