"""Time-stamps from an authority over HTTP (RFC 3161, 3.4): one request, one checked token.

A stamp is worth having and not worth waiting for: whatever goes wrong is logged with its reason,
the checkpoint goes out without a stamp, and the next one asks again. Only a token that the offline
verifier would accept is returned.
"""

import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread

import httpx
import structlog
from cryptography import x509

from audit.malformed import Malformed
from audit.timestamp import MAX_TOKEN_BYTES, check_token
from audit.timestamp_request import make_request, parse_response

log = structlog.get_logger(__name__)

_REPLY = "application/timestamp-reply"
_HEADERS = {
    "Content-Type": "application/timestamp-query",
    "Accept": _REPLY,
    "Accept-Encoding": "identity",  # what is counted is what was sent
    "User-Agent": "dondoc",
}
_KEEP_SECONDS = 4.0


class _Silent(Exception):
    """Nothing came that could be a token; the text says why."""


class Authority:
    """A time-stamping authority at one address, trusted through ``roots``. For one thread."""

    def __init__(self, url: str, roots: Sequence[x509.Certificate], timeout: float = 10.0) -> None:
        """``timeout`` is for the whole of `stamp`, in seconds.

        Raises ValueError when there are no roots: no token could ever be accepted.
        """
        if not roots:
            raise ValueError("an authority that no root vouches for")
        self._url = url
        self._roots = tuple(roots)
        self._timeout = timeout
        self._asking: Thread | None = None
        # Settings come in as arguments: no proxy and no .netrc of whoever starts the process.
        self._client = httpx.Client(
            headers=_HEADERS,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=_KEEP_SECONDS),
        )

    def close(self) -> None:
        self._client.close()

    def stamp(self, data: bytes, nonce: int) -> bytes | None:
        """A token over ``data`` that was checked, or None when there is none to be had now.

        ``nonce``, from 1 to 2**64 - 1, must be a fresh random one; else an answer to an earlier
        request would pass for a new one.
        """
        request = make_request(data, nonce)
        try:
            token = parse_response(self._answer(request))
            stamped = check_token(token, data, self._roots, nonce)
        except Malformed as error:
            log.warning("timestamp_unusable", url=self._url, code=error.code, detail=error.detail)
            return None
        except _Silent as error:
            log.warning("timestamp_not_given", url=self._url, reason=str(error))
            return None
        log.info("timestamp_taken", authority=stamped.authority, time=stamped.time.isoformat())
        return token

    def _answer(self, request: bytes) -> bytes:
        """What the authority answers within the time. It is asked by a thread of its own.

        httpx limits each wait for bytes, not their sum: one that dribbles could hold us for hours.
        """
        if self._asking is not None and self._asking.is_alive():
            # One thread is what it gets of us.
            raise _Silent("still_answering")
        heard: SimpleQueue[bytes | _Silent] = SimpleQueue()
        end = time.monotonic() + self._timeout

        def ask() -> None:
            try:
                heard.put(self._fetch(request, end))
            except _Silent as silent:
                heard.put(silent)

        self._asking = Thread(target=ask, name="time-stamp", daemon=True)
        self._asking.start()
        try:
            answer = heard.get(timeout=self._timeout)
        except Empty:
            raise _Silent("timeout") from None
        if isinstance(answer, _Silent):
            raise answer
        return answer

    def _fetch(self, request: bytes, end: float) -> bytes:
        try:
            return self._post(request, end)
        except httpx.TimeoutException as error:
            raise _Silent("timeout") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
            # RuntimeError: closed meanwhile.
            raise _Silent(type(error).__name__) from error

    def _post(self, request: bytes, end: float) -> bytes:
        posted = self._client.stream("POST", self._url, content=request, timeout=self._timeout)
        with posted as response:
            if response.status_code != httpx.codes.OK:
                raise _Silent(f"status_{response.status_code}")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != _REPLY:
                raise _Silent("not_a_timestamp_reply")
            body = bytearray()
            for part in response.iter_raw():
                body += part
                if len(body) > MAX_TOKEN_BYTES:
                    raise _Silent("answer_too_long")
                if time.monotonic() > end:
                    raise _Silent("timeout")
            return bytes(body)
