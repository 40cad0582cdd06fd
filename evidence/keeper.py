"""The files of one log: a store, and what may come into it."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from domain.refusal import Refused
from evidence.kinds import USUAL, FileKind, recognise
from evidence.staging import Staging, Unavailable
from evidence.stores import Store, put

MEBIBYTE = 1 << 20
SWEPT_AFTER = timedelta(days=1)
"""A file that no entry names is kept so long: whoever put it in may still be writing the step."""

_REMEMBERED = timedelta(minutes=1)
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken: bytes of one file, and kinds. How many files a step names says the domain."""

    size: int = 50 * MEBIBYTE
    kinds: frozenset[FileKind] = USUAL


class Keeper:
    """For any thread. Everything may raise `evidence.staging.Unavailable`."""

    def __init__(
        self, store: Store, now: Callable[[], datetime], limits: Limits | None = None
    ) -> None:
        self.store = store
        self.limits = limits or Limits()
        self._now = now
        self._claimed: OrderedDict[str, datetime] = OrderedDict()
        self._lock = Lock()

    def staging(self) -> Staging:
        """Room for one file."""
        return self.store.staging(self.limits.size)

    def keep(self, staged: Staging) -> str:
        """Keep a file that is complete; its digest. Raises Refused for a kind that is not taken."""
        self._inspect(staged)
        return self.store.adopt(staged)

    def put(self, chunks: Iterable[bytes]) -> str:
        """The same for a file that comes in chunks."""
        return put(self.store, chunks, self.limits.size, self._inspect)

    def clear_up(self) -> None:
        """Remove what uploads left behind whose process died. Storage that is away is no reason
        not to start.
        """
        with suppress(Unavailable):
            self.store.sweep()

    def missing(self, digests: Sequence[str]) -> Sequence[str]:
        """Those that are not stored; the others are safe from a sweep until their step is recorded.

        A digest that was found is not looked up again for a minute, far less than a sweep's day.
        """
        return [digest for digest in digests if not self._has(digest)]

    def _inspect(self, staged: Staging) -> None:
        kind = recognise(staged.file)
        if kind not in self.limits.kinds:
            raise Refused("evidence_type_refused", type=str(kind))

    def _has(self, digest: str) -> bool:
        now = self._now()
        with self._lock:
            found = self._claimed.get(digest)
        if found is not None and timedelta(0) <= now - found < _REMEMBERED:
            return True
        if not self.store.claim(digest):
            return False
        with self._lock:
            self._claimed[digest] = now
            self._claimed.move_to_end(digest)
            while len(self._claimed) > _MOST_REMEMBERED:
                self._claimed.popitem(last=False)
        return True
