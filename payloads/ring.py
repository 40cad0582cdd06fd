"""The keys in use: the newest one encrypts, all of them decrypt.

Where they come from is somebody else's: `read` gives them, newest first, whenever it is asked, and
is quick when nothing has changed. It is asked again at once for a key that is not known, and before
encrypting when it was not asked for a second: so a new key is taken up by services that run.
"""

from collections.abc import Callable, Sequence
from threading import Lock

from payloads.keys import PayloadKey

REREAD_SECONDS = 1.0


class KeyMissing(LookupError):
    """A payload names a key that is not here. With the key, the same payload opens."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the payload key {key[:64]!r} is missing here")
        self.key = key


class Ring:
    """May be used from any thread."""

    def __init__(
        self, read: Callable[[], Sequence[PayloadKey]], monotonic: Callable[[], float]
    ) -> None:
        """``monotonic``: seconds since whenever. Raises ValueError when there is no key at all, and
        what ``read`` raises.
        """
        self._read = read
        self._monotonic = monotonic
        self._lock = Lock()
        self._keys: dict[str, PayloadKey] = {}
        self._reread_at = 0.0
        self._reread()
        if not self._keys:
            raise ValueError("there is no payload key")

    def newest(self) -> PayloadKey:
        """The key to encrypt with."""
        with self._lock:
            if self._monotonic() >= self._reread_at:
                self._reread()
            return next(iter(self._keys.values()))

    def find(self, key: str) -> PayloadKey:
        """The key of this id. Raises KeyMissing."""
        with self._lock:
            found = self._keys.get(key)
            if found is None:
                self._reread()
                found = self._keys.get(key)
        if found is None:
            raise KeyMissing(key)
        return found

    def _reread(self) -> None:
        self._reread_at = self._monotonic() + REREAD_SECONDS
        if keys := self._read():
            # Keys that are taken away go, but never the last: something must encrypt.
            self._keys = {key.id: key for key in keys}


def fixed(*keys: PayloadKey) -> Callable[[], Sequence[PayloadKey]]:
    """For a ring whose keys, newest first, stay what they are."""
    return lambda: keys
