"""The published tree on disk: a folder of static files, each written whole or not at all.

    checkpoint               the newest one; the only file that ever changes
    tile/<level>/…           hashes       (`audit.tiles` has the paths)
    tile/entries/…           entries
    .lock, .scratch          ours: who writes has the first; the second becomes the next file

Any web server can serve it as it is. At every moment all files are there that the published
checkpoint speaks of: partial ones go when one is published that needs them no more.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from audit.checkpoint import parse_checkpoint
from audit.growth import File, new_bundles, new_tiles
from audit.malformed import Malformed
from audit.note import parse_note
from audit.tiles import HEIGHT, WIDTH, Bundle, Tile, parse_path

CHECKPOINT = "checkpoint"
_LOCK = ".lock"
_SCRATCH = ".scratch"


@dataclass(frozen=True)
class TreeFiles:
    root: Path

    def read(self, path: str) -> bytes:
        """The bytes of a tile or bundle. Raises Malformed for another path, OSError if missing."""
        parse_path(path)
        return (self.root / path).read_bytes()

    def write(self, files: Iterable[File]) -> None:
        """Write the files, and see them and their names on the disk before returning."""
        folders: dict[Path, None] = {}
        with self._alone():
            published = self._published_size()
            for file in files:
                if _is_outgrown(file.place, published):
                    continue
                target = self.root / file.path
                for made in _make_folder(target.parent):
                    folders[made.parent] = None
                self._put(target, file.data)
                folders[target.parent] = None
            for folder in folders:
                _sync_folder(folder)

    def publish(self, note: bytes) -> bool:
        """Exchange the checkpoint for a newer one, or for the same with more signatures.

        False when there is a newer one already: another sequencer was faster.
        """
        size = _size(note)
        with self._alone():
            before = self._published_size()
            if before > size:
                return False
            self._put(self.root / CHECKPOINT, note)
            _sync_folder(self.root)
            places: Iterator[Tile | Bundle] = chain(
                new_tiles(before, size), new_bundles(before, size)
            )
            for place in places:
                if place.width == WIDTH:
                    # A full one says what its partial ones said.
                    shutil.rmtree(self.root / f"{place.path}.p", ignore_errors=True)
        return True

    def published(self) -> bytes | None:
        """The note that was published last; None before the first."""
        try:
            return (self.root / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def reach(self, size: int = 0) -> int:
        """How many entries there are hashes of, be they signed or not, looking from ``size`` on."""
        index = size // WIDTH
        while (self.root / Tile(0, index).path).exists():
            index += 1
        parts = (self.root / f"{Tile(0, index).path}.p").glob("*")
        return index * WIDTH + max((int(p.name) for p in parts if p.name.isdecimal()), default=0)

    def _published_size(self) -> int:
        """That of the published checkpoint; 0 where none can be read, which then is replaced."""
        with suppress(Malformed, OSError):
            return _size((self.root / CHECKPOINT).read_bytes())
        return 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from writing here; a lock that ends with its process, however that ends."""
        for made in _make_folder(self.root):
            _sync_folder(made.parent)
        with (self.root / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _put(self, target: Path, data: bytes) -> None:
        """Write beside it, flush to the disk, rename: a reader sees all of it or what was before.

        What a crash leaves behind is overwritten by the next file.
        """
        scratch = self.root / _SCRATCH
        try:
            with scratch.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._rename(scratch, target)
        except BaseException as error:
            scratch.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename is None:
                # A full disk does not say where.
                raise OSError(error.errno, error.strerror, str(target)) from error
            raise

    def _rename(self, scratch: Path, target: Path) -> None:
        """Where tests pull the plug, too."""
        scratch.replace(target)


def _is_outgrown(place: Tile | Bundle, published: int) -> bool:
    """Whether the full file in this place is published: another sequencer was faster."""
    level = place.level if isinstance(place, Tile) else 0
    full = (place.index + 1) * WIDTH <= published >> (HEIGHT * level)
    return full and place.width < WIDTH


def _size(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> list[Path]:
    """The folders that were missing and are made now, the outermost last."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
    return missing
