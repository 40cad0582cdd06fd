"""Where the keys of Temporal's payloads rest: files ``payload-NUMBER-ID.pem``, the highest newest.

They lie in ``keys/`` of the data directory or, for several workers that share them, in the
directory that DONDOC_PAYLOAD_KEYS names, encrypted as all keys are: PKCS#8 under the same
passphrase. PKCS#8 has no form for a secret that is nobody's key pair; the 32 bytes stand there as
an X25519 key, and are never used as one.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain.refusal import Refused
from embedded.home import Home, write_private
from embedded.keyring import make_passphrase, read_passphrase
from payloads.keys import SECRET_BYTES, PayloadKey
from payloads.ring import Ring

log = structlog.get_logger(__name__)

DIRECTORY_VARIABLE = "DONDOC_PAYLOAD_KEYS"
_NAME = re.compile(r"payload-(\d{4,9})-([0-9a-f]{16})\.pem")
_Stamp = tuple[int, int, int]


def key_directory(home: Home) -> Path:
    named = os.environ.get(DIRECTORY_VARIABLE)
    return Path(named) if named else home.keys


def make_first(home: Home) -> None:
    """A first key, at the first start.

    Raises Refused when a log was founded here and its keys are gone: what Temporal has of it would
    not open with another one.
    """
    directory = key_directory(home)
    if next(_named(directory), None) is not None:
        return
    if home.is_founded:
        raise Refused("payload_keys_missing", path=str(directory))
    make_next(home)


def make_next(home: Home) -> PayloadKey:
    """Another key, newer than all that are there. It is in use as soon as its file is there."""
    directory = key_directory(home)
    passphrase = make_passphrase(home)
    key = PayloadKey(secrets.token_bytes(SECRET_BYTES))
    number = max((number for number, _, _ in _named(directory)), default=0) + 1
    path = directory / f"payload-{number:04}-{key.id}.pem"
    try:
        write_private(path, _to_pem(key, passphrase))
    except OSError as error:
        raise Refused("payload_key_not_written", path=str(path)) from error
    return key


def ring(home: Home) -> Ring:
    """The keys of this home, read again as they change. Raises Refused when there are none, or one
    does not open.
    """
    files = KeyFiles(key_directory(home), read_passphrase(home))
    if not files.read_all():
        raise Refused("payload_keys_missing", path=str(files.directory))
    return Ring(files, time.monotonic)


class KeyFiles:
    """Reads a directory; a file that was opened before is opened again only when it changed."""

    def __init__(self, directory: Path, passphrase: bytes) -> None:
        self.directory = directory
        self._passphrase = passphrase
        self._opened: dict[Path, tuple[_Stamp, PayloadKey | None]] = {}

    def read_all(self) -> list[PayloadKey]:
        """Newest first. Raises Refused for a file that does not open."""
        for _, key, path in _named(self.directory):
            self._opened[path] = _stamp(path), _read(path, key, self._passphrase)
        return self()

    def __call__(self) -> list[PayloadKey]:
        """Newest first. A service that runs does not stop for a file that does not open."""
        found = []
        for _, key, path in sorted(_named(self.directory), reverse=True):
            # Somebody may take the file away while we look.
            with suppress(FileNotFoundError):
                found.append(self._open(path, key))
        return [key for key in found if key is not None]

    def _open(self, path: Path, key: str) -> PayloadKey | None:
        stamp = _stamp(path)
        before = self._opened.get(path)
        if before is None or before[0] != stamp:
            before = stamp, self._try(path, key)
            self._opened[path] = before
        return before[1]

    def _try(self, path: Path, key: str) -> PayloadKey | None:
        try:
            opened = _read(path, key, self._passphrase)
        except (Refused, OSError) as error:
            log.error("payload_key_unreadable", path=str(path), reason=str(error))  # noqa: TRY400 - the path says it all
            return None
        log.info("payload_key_read", key=key)
        return opened


def _named(directory: Path) -> Iterator[tuple[int, str, Path]]:
    """Number, key id and path of every file that is a payload key by its name."""
    try:
        paths = list(directory.iterdir())
    except OSError as error:
        log.warning("payload_keys_not_listed", path=str(directory), error=str(error))
        return
    for path in paths:
        if fits := _NAME.fullmatch(path.name):
            yield int(fits[1]), fits[2], path


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _to_pem(key: PayloadKey, passphrase: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(key.secret).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


def _read(path: Path, key: str, passphrase: bytes) -> PayloadKey:
    """Raises Refused for a wrong passphrase, and for a file of another key than its name says."""
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused("private_key_unreadable", path=str(path)) from error
    if isinstance(loaded, X25519PrivateKey):
        found = PayloadKey(loaded.private_bytes_raw())
        if found.id == key:
            return found
    raise Refused("private_key_unreadable", path=str(path))
