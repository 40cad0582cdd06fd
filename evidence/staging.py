"""A file while it comes in: counted, hashed, readable by its owner only, gone unless it is kept.

The file is locked for as long as its process lives. What `kill -9` leaves behind is unlocked, and
by that `sweep` knows it from what is still being written, however long that takes.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from domain.refusal import Refused
from evidence.digests import PREFIX

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SUFFIX = ".part"


class Unavailable(Exception):
    """The store can't be reached, or has no room. Trying again later is safe."""


@contextmanager
def available() -> Iterator[None]:
    """Turn what the disk says into `Unavailable`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(error.strerror or str(error)) from error


class Staging:
    """Room for one file of up to ``limit`` bytes in ``folder``. Raises `Unavailable`."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._limit = limit
        self._hasher = hashlib.sha256()
        self.size = 0
        with available():
            make_private(folder)
            self.directory = os.open(folder, _DIRECTORY)
            try:
                self.name, descriptor = _locked_file(self.directory)
            except OSError:
                os.close(self.directory)
                raise
        self.file: BinaryIO = os.fdopen(descriptor, "w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return PREFIX + self._hasher.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Raises Refused when it becomes too large, `Unavailable` when the disk is full."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise Refused("evidence_too_large", limit=self._limit)
        self._hasher.update(chunk)
        with available():
            self.file.write(chunk)

    def flush(self) -> None:
        """Bring what was written to the disk."""
        with available():
            self.file.flush()
            os.fsync(self.file.fileno())

    def discard(self) -> None:
        """Remove the file, unless it was moved away; safe to repeat."""
        if self.file.closed:
            return
        with suppress(OSError):  # what can't be removed now is swept later
            os.unlink(self.name, dir_fd=self.directory)
        with suppress(OSError):  # what was not written yet, on a full disk
            self.file.close()
        os.close(self.directory)


def sweep(folder: Path) -> int:
    """Remove staged files whose process has died. How many there were."""
    swept = 0
    with available():
        if not folder.is_dir():
            return 0
        directory = os.open(folder, _DIRECTORY)
        try:
            for name in sorted(os.listdir(directory)):  # noqa: PTH208 - by descriptor
                swept += name.endswith(_SUFFIX) and _remove_dead(directory, name)
        finally:
            os.close(directory)
    return swept


def make_private(folder: Path) -> None:
    """Make the folder, for its owner only, whatever the umask. Raises OSError."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    folder.chmod(0o700)


def _locked_file(directory: int) -> tuple[str, int]:
    while True:
        name = secrets.token_hex(16) + _SUFFIX
        descriptor = os.open(name, _NEW, 0o600, dir_fd=directory)
        try:
            os.fchmod(descriptor, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return name, descriptor
        except OSError:
            os.close(descriptor)
            raise
        # A sweep came between the making and the locking.
        os.close(descriptor)


def _remove_dead(directory: int, name: str) -> bool:
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
        )
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=directory)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
