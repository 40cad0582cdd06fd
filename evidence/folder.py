"""Files in a folder of this machine.

    ab/cd/abcd…   a file, by the 64 hex digits of its SHA-256, mode 0600. Its time of change is
                  when it was put in or claimed
    incoming/     files that still come in (`evidence.staging`)
    lock          held shared by whoever puts in or claims, alone by whoever deletes

A put writes, flushes, renames, and flushes the folder: a crash leaves the file or nothing but a
part in ``incoming/``. The same bytes put in again take the place of those there, which makes an
altered file whole. Below the root no symlink is followed: each step of a path is opened by itself.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.refusal import Refused
from evidence import staging
from evidence.digests import PREFIX, checked, hex_of, is_hex
from evidence.staging import Staging, available, make_private
from evidence.stores import CHUNK, Kept

_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe in a file's place must not make anybody wait.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
_FRESH = timedelta(hours=1)
"""A claim so soon after a put or another claim writes nothing; far less than a sweep's day."""


class Folder:
    """A `Store` in ``root``, which is made when it is first needed."""

    def __init__(self, root: Path, now: Callable[[], datetime]) -> None:
        self._root = root
        self._now = now

    def staging(self, limit: int) -> Staging:
        with available():
            make_private(self._root)
        return Staging(self._root / "incoming", limit)

    def adopt(self, staged: Staging) -> str:
        name = hex_of(staged.digest)
        staged.flush()
        with available(), self._locked(fcntl.LOCK_SH), self._made_folder(name) as folder:
            _stamp(staged.file.fileno(), self._now())
            os.replace(staged.name, name, src_dir_fd=staged.directory, dst_dir_fd=folder)
            os.fsync(folder)
        return staged.digest

    def open(self, digest: str) -> Iterator[bytes]:
        return checked(self._chunks(digest), digest)

    def size(self, digest: str) -> int | None:
        with available(), self._file(digest) as file:
            return None if file is None else os.fstat(file).st_size

    def has(self, digest: str) -> bool:
        return self.size(digest) is not None

    def claim(self, digest: str) -> bool:
        now = self._now()
        if not self.has(digest):
            return False
        with available(), self._locked(fcntl.LOCK_SH), self._file(digest) as file:
            if file is None:
                return False
            if _since(file) < now - _FRESH:
                _stamp(file, now)
            return True

    def delete(self, digest: str, before: datetime | None = None) -> bool:
        name = hex_of(digest)
        if not self.has(digest):
            return False
        with available(), self._locked(fcntl.LOCK_EX), self._file(digest) as file:
            if file is None or (before is not None and _since(file) >= before):
                return False
            with self._made_folder(name) as folder:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
            return True

    def iterate(self) -> Iterator[Kept]:
        for first in self._names("", _is_pair):
            for second in self._names(first, _is_pair):
                for name in self._names(first + second, is_hex):
                    digest = PREFIX + name
                    with available(), self._file(digest) as file:
                        if file is not None and name.startswith(first + second):
                            yield Kept(digest, os.fstat(file).st_size, _since(file))

    def sweep(self) -> int:
        return staging.sweep(self._root / "incoming")

    def _chunks(self, digest: str) -> Iterator[bytes]:
        with available(), self._file(digest) as file:
            if file is None:
                raise Refused("evidence_missing", digests=digest)
            while chunk := os.read(file, CHUNK):
                yield chunk

    def _names(self, path: str, wanted: Callable[[str], bool]) -> list[str]:
        """What lies in the folder of these first digits, by name, as far as it is wanted."""
        with available(), self._folder(path) as folder:
            return [] if folder is None else sorted(filter(wanted, os.listdir(folder)))  # noqa: PTH208 - by descriptor

    @contextmanager
    def _file(self, digest: str) -> Iterator[int | None]:
        """The regular file of that digest, open to read; None when there is none."""
        name = hex_of(digest)
        with self._folder(name) as folder:
            file = None if folder is None else _opened(name, _READ, folder)
        try:
            regular = file is not None and stat.S_ISREG(os.fstat(file).st_mode)
            yield file if regular else None
        finally:
            if file is not None:
                os.close(file)

    @contextmanager
    def _folder(self, name: str) -> Iterator[int | None]:
        """The folder of a file, or of its first digits; None when it is not there."""
        # No root is an empty store; one that can't be entered is none that could be believed.
        folder = _opened(self._root, _ENTER & ~os.O_NOFOLLOW, None, frozenset({errno.ENOENT}))
        for part in _parts(name):
            if folder is None:
                break
            above, folder = folder, _opened(part, _ENTER, folder)
            os.close(above)
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    @contextmanager
    def _made_folder(self, name: str) -> Iterator[int]:
        """The folder of a file, made where it is missing. Raises OSError for one that is none."""
        folder = os.open(self._root, _ENTER & ~os.O_NOFOLLOW)
        try:
            for part in _parts(name):
                _make(part, folder)
                above, folder = folder, os.open(part, _ENTER, dir_fd=folder)
                os.close(above)
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(self._root / "lock", flags, 0o600)
        try:
            os.fchmod(lock, 0o600)
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def _opened(
    name: str | Path, flags: int, folder: int | None, absent: frozenset[int] = _ABSENT
) -> int | None:
    """None for what is not there, and for what is a symlink or otherwise not what was meant."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in absent:
            return None
        raise


def _make(name: str, folder: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return
    # The umask may have taken away what the owner needs; it can't have added anything.
    os.chmod(name, 0o700, dir_fd=folder)
    os.fsync(folder)


def _parts(name: str) -> list[str]:
    return [part for part in (name[:2], name[2:4]) if part]


def _is_pair(name: str) -> bool:
    return len(name) == 2 and set(name) <= set("0123456789abcdef")  # noqa: PLR2004 - a pair


def _since(file: int) -> datetime:
    return datetime.fromtimestamp(os.fstat(file).st_mtime, UTC)


def _stamp(file: int, now: datetime) -> None:
    os.utime(file, (now.timestamp(), now.timestamp()))
