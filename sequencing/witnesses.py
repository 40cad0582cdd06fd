"""Asking witnesses to cosign a checkpoint (`audit.witnessing` has the protocol).

All are asked at once, and together they have one time limit: whoever has not answered by then is
silent, and the log goes on with those who have. Nothing that a witness sends is believed but a line
that verifies under the key that the policy has for it, and that isn't from the future: a verifier
would refuse the whole checkpoint for one of those.

What a witness *says* of its size is a claim. It can be checked by a person: ours gives its last
head, signed by the log, at ``/checkpoint``.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeAlias

import httpx

from audit.checkpoint import Checkpoint
from audit.cosignature import verify_line
from audit.malformed import Malformed
from audit.note import Line, Note, VerifierKey, parse_note
from audit.policy import CLOCK_SKEW_SECONDS, Witness
from audit.witnessing import (
    PATH,
    Request,
    format_request,
    parse_cosignatures,
    parse_size,
)

MAX_ANSWER_BYTES = 64 << 10
"""Room for a dozen lines by ML-DSA-44."""

Prove: TypeAlias = Callable[[int], Sequence[bytes]]
"""The proof that the tree of so many leaves begins the one of the checkpoint."""

_KEEP_SECONDS = 4.0
"""How long a connection is kept; servers close theirs after five."""
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Accept-Encoding": "identity",  # what is counted is what was sent
    "User-Agent": "dondoc",
}


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What came of asking, by the witnesses' names in the policy; each name is in one of them.

    ``ahead`` know a larger tree, of that size: our database is an old copy, or was forked.
    ``forked`` know another tree at a size that ours has, too. ``silent`` gave nothing of use.
    """

    lines: Mapping[str, Line] = field(default_factory=dict)
    ahead: Mapping[str, int] = field(default_factory=dict)
    forked: frozenset[str] = frozenset()
    silent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Asked:
    witness: Witness
    old: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Silent:
    reason: str


@dataclass(frozen=True, slots=True)
class _Ahead:
    size: int


@dataclass(frozen=True, slots=True)
class _Forked:
    pass


@dataclass(frozen=True, slots=True)
class _Behind:
    """To be asked again, from this size."""

    size: int


_Outcome: TypeAlias = Line | _Silent | _Ahead | _Forked | _Behind
_Heard: TypeAlias = SimpleQueue[tuple[_Asked, _Answer | _Silent]]


class Witnesses:
    """Those of a policy that have an address. For one thread; it remembers how far each one is."""

    def __init__(
        self,
        witnesses: Sequence[Witness],
        timeout: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``timeout`` is for all of `cosign`, in seconds."""
        self._witnesses = tuple(witness for witness in witnesses if witness.url)
        self._timeout = timeout
        self._now = now
        self._sizes: dict[str, int] = {}
        self._busy: set[str] = set()
        # Settings come in as arguments: no proxy and no .netrc of whoever starts the process.
        self._client = httpx.Client(
            headers=_HEADERS,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=_KEEP_SECONDS),
        )

    def close(self) -> None:
        self._client.close()

    def cosign(self, note: bytes, checkpoint: Checkpoint, prove: Prove) -> Cosigned:
        """Who signs ``note``, which is that of ``checkpoint``. Network trouble is never raised.

        ``prove`` is called in this thread only, so it may read a database that belongs to it.
        """
        text = parse_note(note).text
        end = time.monotonic() + self._timeout
        heard: _Heard = SimpleQueue()
        outcomes: dict[str, _Outcome] = {}
        for item in self._first(checkpoint):
            outcomes[item.witness.name] = _Silent("timeout")
            self._ask(item, format_request(_request(item, note, prove)), end, heard)
        waiting = len(outcomes)
        while waiting:
            try:
                item, answer = heard.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            outcome = self._judged(item, answer, text, checkpoint)
            if isinstance(outcome, _Behind):
                item = _Asked(item.witness, outcome.size, again=True)
                self._ask(item, format_request(_request(item, note, prove)), end, heard)
            else:
                outcomes[item.witness.name] = outcome
                waiting -= 1
        return _sorted(outcomes)

    def _first(self, checkpoint: Checkpoint) -> Iterator[_Asked]:
        """From where each one stood when it was last heard of."""
        for witness in self._witnesses:
            known = self._sizes.get(witness.name, 0)
            # It may know more than this checkpoint has; then it will say so.
            yield _Asked(witness, min(known, checkpoint.size))

    def _ask(self, item: _Asked, data: bytes, end: float, heard: _Heard) -> None:
        """Have the answer put into ``heard``, by a thread that nobody waits for at the exit."""
        name, url = item.witness.name, f"{(item.witness.url or '').rstrip('/')}{PATH}"
        if name in self._busy:
            # It dribbles, just fast enough not to time out. One thread is what it gets of us.
            heard.put((item, _Silent("still_answering")))
            return

        def fetch() -> None:
            answer = _fetch(self._client, url, data, end)
            self._busy.discard(name)
            heard.put((item, answer))

        self._busy.add(name)
        Thread(target=fetch, name=f"witness {name}", daemon=True).start()

    def _judged(
        self, item: _Asked, answer: _Answer | _Silent, text: str, checkpoint: Checkpoint
    ) -> _Outcome:
        if isinstance(answer, _Silent):
            return answer
        match answer.status:
            case HTTPStatus.OK:
                line = _line(item.witness.key, answer.body, text, self._now())
                if isinstance(line, Line):
                    self._sizes[item.witness.name] = checkpoint.size
                return line
            case HTTPStatus.CONFLICT:
                outcome = _conflict(item, answer.body, checkpoint.size)
                if isinstance(outcome, _Behind):
                    self._sizes[item.witness.name] = outcome.size
                return outcome
            case HTTPStatus.UNPROCESSABLE_ENTITY if item.old:
                # Our proof is right: it was from another tree that the witness came.
                return _Forked()
        return _Silent(f"status_{answer.status}")


def _request(item: _Asked, note: bytes, prove: Prove) -> Request:
    return Request(item.old, tuple(prove(item.old)) if item.old else (), note)


def _fetch(client: httpx.Client, url: str, data: bytes, end: float) -> _Answer | _Silent:
    left = end - time.monotonic()
    if left <= 0:
        return _Silent("timeout")
    body = bytearray()
    try:
        with client.stream("POST", url, content=data, timeout=left) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    return _Silent("answer_too_long")
                if time.monotonic() > end:
                    return _Silent("timeout")
            return _Answer(response.status_code, bytes(body))
    except httpx.TimeoutException:
        return _Silent("timeout")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
        # RuntimeError: closed meanwhile.
        return _Silent(type(error).__name__)


def _line(key: VerifierKey, body: bytes, text: str, now: float) -> Line | _Silent:
    """The line of this key, verified; all others are ignored."""
    try:
        for line in parse_cosignatures(text, body):
            if (line.name, line.key_id) == (key.name, key.id):
                at = verify_line(key, Note(text, (line,)), line)
                is_early = at is not None and at > now + CLOCK_SKEW_SECONDS
                return _Silent("cosignature_from_the_future") if is_early else line
    except Malformed as error:
        return _Silent(error.code)
    return _Silent("cosignature_missing")


def _conflict(item: _Asked, body: bytes, ours: int) -> _Outcome:
    """A 409: the witness stands elsewhere, or at the same size with another root."""
    try:
        size = parse_size(body)
    except Malformed as error:
        # Of another root the protocol doesn't say what the body is.
        return _Forked() if item.again and item.old == ours else _Silent(error.code)
    if size > ours:
        return _Ahead(size)
    if size == item.old:
        return _Forked() if size == ours else _Silent("conflict_with_itself")
    return _Silent("conflict_again") if item.again else _Behind(size)


def _sorted(outcomes: Mapping[str, _Outcome]) -> Cosigned:
    return Cosigned(
        {name: item for name, item in outcomes.items() if isinstance(item, Line)},
        {name: item.size for name, item in outcomes.items() if isinstance(item, _Ahead)},
        frozenset(name for name, item in outcomes.items() if isinstance(item, _Forked)),
        {name: item.reason for name, item in outcomes.items() if isinstance(item, _Silent)},
    )
