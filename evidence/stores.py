"""What keeps files: a folder (`evidence.folder`) or S3-compatible storage (`evidence.s3`).

Putting in: bytes go into a `Staging`; once all are there, its digest is known and the file can be
looked at, `adopt` makes it part of the store, whole or not at all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from evidence.staging import Staging

CHUNK = 1 << 20
"""Bytes that are in memory of one file that is read."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the store. ``size`` in bytes; ``since`` (UTC) it was put in or claimed."""

    digest: str
    size: int
    since: datetime


class Store(Protocol):
    """All methods are for any thread. All raise `Unavailable`, and Refused for what is no digest.

    "Not there" is said of what is not a file of our own too: nothing here follows a symlink.
    """

    def staging(self, limit: int) -> Staging:
        """Room for one file of up to ``limit`` bytes; use it as a context."""
        ...

    def adopt(self, staged: Staging) -> str:
        """Keep a staged file, durably; its digest. The same bytes again are kept once."""
        ...

    def open(self, digest: str) -> Iterator[bytes]:
        """The bytes, checked while they are read (`evidence.digests.checked`).

        Raises Refused at the first chunk when the file is not there, before the last when it was
        altered.
        """
        ...

    def size(self, digest: str) -> int | None:
        """Bytes of the file as it lies there, unchecked; None when it is not there."""
        ...

    def has(self, digest: str) -> bool: ...

    def claim(self, digest: str) -> bool:
        """Whether it is there; from now on it counts as just put in, so that no sweep takes it
        before the step that names it is recorded.
        """
        ...

    def delete(self, digest: str, before: datetime | None = None) -> bool:
        """Remove it, but not when it was put in or claimed at ``before`` (UTC) or later. Whether
        it was removed.
        """
        ...

    def iterate(self) -> Iterator[Kept]:
        """Every file, in the order of the digests."""
        ...

    def sweep(self) -> int:
        """Remove what puts left behind whose process died. How many there were."""
        ...


def put(
    store: Store,
    chunks: Iterable[bytes],
    limit: int,
    inspect: Callable[[Staging], None] | None = None,
) -> str:
    """Keep a file that comes in chunks; its digest. ``inspect`` may refuse it before it is kept.

    Raises Refused (``evidence_too_large``, or whatever ``inspect`` says) and `Unavailable`.
    """
    with store.staging(limit) as staged:
        for chunk in chunks:
            staged.write(chunk)
        if inspect is not None:
            inspect(staged)
        return store.adopt(staged)
