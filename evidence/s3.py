"""Files in S3-compatible storage, over its plain HTTP API: no SDK, six kinds of request.

An object is named ``PREFIXab/cd/abcd…`` by its digest, path-style (``/BUCKET/KEY``). The body's
SHA-256 is in the signature, so that the storage itself refuses bytes that were altered on the
way. What is already there is not sent again (``If-None-Match: *``).

What the storage can't do is delete an object on the condition that it wasn't put again just now: a
sweep looks once more, immediately before it deletes, and a file that is put in and named by a step
within that one round trip is lost. Switch versioning of the bucket on, or sweep when nobody works.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import httpx

from domain.refusal import Refused
from evidence import staging
from evidence.digests import PREFIX, checked, hex_of, is_hex
from evidence.sigv4 import Call, Credentials, signed, target
from evidence.staging import Staging, Unavailable
from evidence.stores import CHUNK, Kept

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Seconds for a connection, and for each piece that is sent or received."""

_TRIES = 4
_PAUSE = 0.25
"""Seconds before the second try; each time four times as long."""
_AGAIN = frozenset({429, 500, 502, 503, 504})
_FRESH = timedelta(hours=1)
_MISSING, _CONFLICT, _IS_THERE, _NOT_IMPLEMENTED = 404, 409, 412, 501
_MOST_XML = 8 << 20


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where: ``endpoint`` is an address such as https://host:port; ``prefix`` of all keys."""

    endpoint: httpx.URL
    name: str
    prefix: str = ""


class S3:
    """A `Store` in a bucket that exists. Files come in through the folder ``incoming``."""

    def __init__(
        self,
        bucket: Bucket,
        credentials: Credentials,
        incoming: Path,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._credentials = credentials
        self._incoming = incoming
        self._now = now
        self._sleep = sleep
        # Nothing from the environment: a proxy or a .netrc is not asked for secretly.
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def staging(self, limit: int) -> Staging:
        return Staging(self._incoming, limit)

    def adopt(self, staged: Staging) -> str:
        digest = staged.digest
        staged.flush()
        answer = self._put(staged, {"if-none-match": "*"})
        if answer.status_code == _IS_THERE:
            if self.size(digest) == staged.size and self.claim(digest):
                return digest
            answer = self._put(staged, {})
        elif answer.status_code in {_NOT_IMPLEMENTED, _CONFLICT}:
            # Storage without conditions, or somebody puts the same in just now: the same bytes
            # under the same name harm nobody.
            answer = self._put(staged, {})
        _expect(answer)
        return digest

    def open(self, digest: str) -> Iterator[bytes]:
        return checked(self._chunks(digest), digest)

    def size(self, digest: str) -> int | None:
        found = self._head(digest)
        return None if found is None else found.size

    def has(self, digest: str) -> bool:
        return self._head(digest) is not None

    def claim(self, digest: str) -> bool:
        found = self._head(digest)
        if found is not None and found.since < self._now() - _FRESH:
            self._touch(digest)
        return found is not None

    def delete(self, digest: str, before: datetime | None = None) -> bool:
        found = self._head(digest)
        if found is None or (before is not None and found.since >= before):
            return False
        _expect(self._ask(Call("DELETE", self._host, self._path(digest))))
        return True

    def iterate(self) -> Iterator[Kept]:
        token: str | None = None
        while True:
            query = {"list-type": "2", "prefix": self._bucket.prefix, "encoding-type": "url"}
            if token:
                query["continuation-token"] = token
            answer = self._ask(Call("GET", self._host, f"/{self._bucket.name}", query))
            _expect(answer)
            page = _parse(answer.content)
            for item in page.iter("Contents"):
                kept = self._kept(item)
                if kept is not None:
                    yield kept
            token = page.findtext("NextContinuationToken")
            if page.findtext("IsTruncated") != "true" or not token:
                return

    def sweep(self) -> int:
        return staging.sweep(self._incoming)

    def _kept(self, item: ET.Element) -> Kept | None:
        key = unquote(item.findtext("Key") or "")
        name = key.rpartition("/")[2]
        if not is_hex(name) or key != self._key(PREFIX + name):
            return None
        try:
            since = datetime.fromisoformat(item.findtext("LastModified") or "")
            return Kept(PREFIX + name, int(item.findtext("Size") or ""), since)
        except ValueError as error:
            raise Unavailable("a listing that can't be read") from error

    def _head(self, digest: str) -> Kept | None:
        answer = self._ask(Call("HEAD", self._host, self._path(digest)))
        if answer.status_code == _MISSING:
            return None
        _expect(answer)
        try:
            since = parsedate_to_datetime(answer.headers["last-modified"]).astimezone(UTC)
            return Kept(digest, int(answer.headers["content-length"]), since)
        except (KeyError, ValueError) as error:
            raise Unavailable("an answer without size or time") from error

    def _touch(self, digest: str) -> None:
        """Copy the object onto itself: it becomes a new one of the same bytes."""
        headers = {
            "x-amz-copy-source": target(Call("PUT", self._host, self._path(digest))),
            "x-amz-metadata-directive": "REPLACE",
        }
        answer = self._ask(Call("PUT", self._host, self._path(digest), headers=headers))
        _expect(answer)
        # A copy may fail after its status was sent.
        if _parse(answer.content).tag.rpartition("}")[2] == "Error":
            raise Unavailable("a copy failed")

    def _put(self, staged: Staging, condition: Mapping[str, str]) -> httpx.Response:
        call = Call(
            "PUT",
            self._host,
            self._path(staged.digest),
            headers={
                **condition,
                "content-length": str(staged.size),
                "content-type": "application/octet-stream",
            },
            body=hex_of(staged.digest),
        )
        return self._ask(call, staged.file)

    def _chunks(self, digest: str) -> Iterator[bytes]:
        with self._sent(Call("GET", self._host, self._path(digest)), None) as answer:
            if answer.status_code == _MISSING:
                raise Refused("evidence_missing", digests=digest)
            _expect(answer)
            try:
                yield from answer.iter_raw(CHUNK)
            except httpx.HTTPError as error:
                raise Unavailable(type(error).__name__) from error

    def _ask(self, call: Call, body: BinaryIO | None = None) -> httpx.Response:
        with self._sent(call, body) as answer:
            content = bytearray()
            try:
                for chunk in answer.iter_raw():
                    content += chunk
                    if len(content) > _MOST_XML:
                        raise Unavailable("an answer too long")
            except httpx.HTTPError as error:
                raise Unavailable(type(error).__name__) from error
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=bytes(content)
            )

    @contextmanager
    def _sent(self, call: Call, body: BinaryIO | None) -> Iterator[httpx.Response]:
        """The answer's beginning, asked for again when the storage is busy or away."""
        answer = self._tried(call, body, is_last=False)
        for attempt in range(1, _TRIES):
            if answer is not None:
                break
            self._sleep(_PAUSE * 4 ** (attempt - 1))
            answer = self._tried(call, body, is_last=attempt == _TRIES - 1)
        assert answer is not None  # noqa: S101 - the last try answers or raises
        try:
            yield answer
        finally:
            answer.close()

    def _tried(self, call: Call, body: BinaryIO | None, *, is_last: bool) -> httpx.Response | None:
        """The answer; None when it is worth asking again."""
        try:
            answer = self._client.send(self._request(call, body), stream=True)
        except httpx.HTTPError as error:
            if is_last:
                raise Unavailable(type(error).__name__) from error
            return None
        if answer.status_code in _AGAIN and not is_last:
            answer.close()
            return None
        return answer

    def _request(self, call: Call, body: BinaryIO | None) -> httpx.Request:
        """Signed anew for each try: a signature counts for some minutes only."""
        headers = signed(call, self._credentials, self._now())
        url = self._bucket.endpoint.copy_with(raw_path=target(call).encode())
        content = None if body is None else _from_start(body)
        # Identity: a body that httpx would unpack could not be checked.
        headers["accept-encoding"] = "identity"
        return self._client.build_request(call.method, url, headers=headers, content=content)

    @property
    def _host(self) -> str:
        return self._bucket.endpoint.netloc.decode()

    def _key(self, digest: str) -> str:
        name = hex_of(digest)
        return f"{self._bucket.prefix}{name[:2]}/{name[2:4]}/{name}"

    def _path(self, digest: str) -> str:
        return f"/{self._bucket.name}/{self._key(digest)}"


def _from_start(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def _expect(answer: httpx.Response) -> None:
    """Raise `Unavailable` unless it was done. The storage's own words stay out: they name keys."""
    if not answer.is_success:
        raise Unavailable(f"HTTP {answer.status_code}")


def _parse(content: bytes) -> ET.Element:
    """XML of the storage that we chose to trust with the files, without its namespace."""
    try:
        root = ET.fromstring(content)  # noqa: S314 - see above; expat bounds entities
    except ET.ParseError as error:
        raise Unavailable("an answer that is no XML") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
