"""Bundles: a log, or the history of chosen tasks, as one zip file or as one folder.

    checkpoint            the signed note that everything in the bundle is checked against
    tile/…                the tree's hashes and entries, as the log publishes them (`audit.tiles`)
    entry/<index>         instead of entry bundles, when tasks were chosen: one file for each entry
    heads                 then also: that the chosen chains end where they do (`format_head_proofs`)
    words/<number>        the words of the 256 entries of that tile, where they were not erased
    stamped, timestamp    a checkpoint of this log and its RFC 3161 time-stamp, when it has any
    policy, README.txt    for people; a verifier never takes its trust out of the bundle

The folder that a log publishes is a bundle, too. Nothing in a bundle is believed: a zip file has
names as above and no others or it is refused, sizes are bounded before anything is read, and
nothing is unpacked to the disk.
"""

import base64
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from audit.canonical import Json, JsonLike, canonical, parse
from audit.commitment import Opening, format_opening, parse_opening
from audit.dsse import decode_base64
from audit.heads import HeadProof
from audit.malformed import Malformed
from audit.merkle import HASH_BYTES
from audit.tiles import MAX_ENTRY, WIDTH, Bundle, format_bundle, parse_bundle, parse_path

CHECKPOINT = "checkpoint"
HEADS = "heads"
STAMPED = "stamped"
TIMESTAMP = "timestamp"
POLICY = "policy"
README = "README.txt"

_MIB = 1 << 20
_LIMITS = dict.fromkeys((CHECKPOINT, STAMPED, TIMESTAMP, POLICY, README), _MIB) | {HEADS: 64 * _MIB}
_MAX_WORDS = 64 * _MIB
_MAX_TILE = WIDTH * HASH_BYTES
_MAX_BUNDLE = WIDTH * (MAX_ENTRY + 2)
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # the others unpack without a bound
_ENCRYPTED = 0x1
_BY_PARTS = _MIB
"""Larger JSON is looked over before it is parsed: a list of empty lists needs thirty times its
bytes, and packs to next to nothing.
"""
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_HASH = rb'"[A-Za-z0-9+/]{43}="'
_NUMBER = rb"[0-9]{1,16}"
_OPENING = rb'%b:\{"salt":%b,"value":%b\}' % (_STRING, _HASH, _STRING)


def _list_of(item: bytes) -> bytes:
    return b"(?:%b(?:,%b)*+)?" % (item, item)


_WORDS_FORM = re.compile(rb"\{%b\}" % _list_of(rb'"[0-9a-f]{64}":\{%b\}' % _list_of(_OPENING)))
_PROOF = rb'\{"chain":%b,"count":%b,"hashes":\[%b\],"head":%b,"index":%b\}' % (
    _STRING, _NUMBER, _list_of(_HASH), _STRING, _NUMBER,
)  # fmt: skip
_PROOFS_FORM = re.compile(rb'\{"index":%b,"proofs":\[%b\]\}' % (_NUMBER, _list_of(_PROOF)))
_ENTRY = re.compile(r"entry/(0|[1-9][0-9]{0,18})")
_WORDS = re.compile(r"words/(0|[1-9][0-9]{0,16})")


class Container(Protocol):
    """Where files lie. Raises Malformed for what is no bundle, FileNotFoundError for no file."""

    def names(self) -> Iterator[str]: ...
    def read(self, name: str, limit: int) -> bytes: ...


@dataclass(frozen=True)
class Files:
    """The files of a bundle, each checked for its name and size."""

    container: Container

    def read(self, name: str) -> bytes:
        """Raises Malformed for a name that no bundle has, FileNotFoundError when it is missing.

        A full tile or bundle stands for its parts: a log that publishes takes the parts away a
        moment before the checkpoint that no longer needs them.
        """
        limit = _limit(name)
        try:
            return self.container.read(name, limit)
        except FileNotFoundError:
            full, part, width = name.partition(".p/")
            if not part:
                raise
            try:
                data = self.container.read(full, limit)
            except FileNotFoundError:
                raise FileNotFoundError(name) from None
        if isinstance(parse_path(full), Bundle):
            return format_bundle(parse_bundle(data, WIDTH)[: int(width)])
        return data[: int(width) * HASH_BYTES]

    def find(self, name: str) -> bytes | None:
        """The same, or None when it is missing."""
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def chosen(self) -> list[int]:
        """The indexes of the entries that were chosen, ascending; none in a whole log."""
        found = (_ENTRY.fullmatch(name) for name in self.container.names())
        return sorted(int(match[1]) for match in found if match)

    def entries(self, number: int, size: int) -> list[bytes]:
        """Up to 256 entries: those of bundle ``number`` in a log of ``size``."""
        width = min(WIDTH, size - number * WIDTH)
        path = Bundle(number, width).path
        try:
            return parse_bundle(self.read(path), width)
        except Malformed as error:
            raise Malformed(error.code, f"{path}: {error.detail}") from error

    def words(self, number: int) -> dict[str, dict[str, Opening]]:
        """The openings beside the entries of a bundle, by leaf hash (hex) and field."""
        data = self.find(f"words/{number}")
        return {} if data is None else parse_words(data)


@contextmanager
def open_bundle(path: Path) -> Iterator[Files]:
    """The bundle at ``path``. Raises Malformed, or OSError when it can't be read at all."""
    if path.is_dir():
        yield Files(_Folder(path))
        return
    with path.open("rb") as file, _opened_zip(file) as archive:
        yield Files(_Zip(archive))


def _opened_zip(file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except Exception as error:  # a list of contents can be wrong in more ways than zipfile tells
        raise Malformed("bundle_unreadable", f"{type(error).__name__}: {error}"[:200]) from error


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            # What zipfile makes of a name with NUL or backslashes, others may read otherwise.
            name = info.orig_filename
            limit = _limit(name)
            if name in self._infos:
                raise Malformed("bundle_name_twice", name)
            if info.file_size > limit:
                raise Malformed("bundle_file_too_large", name)
            if info.compress_type not in _COMPRESSIONS or info.flag_bits & _ENCRYPTED:
                raise Malformed("bundle_compression", name)
            self._infos[name] = info

    def names(self) -> Iterator[str]:
        return iter(self._infos)

    def read(self, name: str, limit: int) -> bytes:
        info = self._infos.get(name)
        if info is None:
            raise FileNotFoundError(name)
        try:
            with self._archive.open(info) as file:
                data = file.read(limit + 1)
        except Exception as error:  # BadZipFile, zlib.error, struct.error, EOFError and others
            detail = f"{name}: {type(error).__name__}: {error}"
            raise Malformed("bundle_unreadable", detail[:200]) from error
        return _within(name, data, limit)


class _Folder:
    """Only regular files count, and only what lies in the folder itself: whoever sends a folder
    with links to elsewhere learns nothing from what a report says about them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = Path(os.path.realpath(root))
        self._places: dict[str, str] = {}

    def names(self) -> Iterator[str]:
        for path in self._root.glob("entry/*"):
            yield f"entry/{path.name}"

    def read(self, name: str, limit: int) -> bytes:
        folder, _, file_name = name.rpartition("/")
        path = f"{self._place_of(folder, name)}/{file_name}"
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(name) from None
        if stat.S_ISLNK(found.st_mode):
            raise Malformed("bundle_link", name)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(name)
        with Path(path).open("rb") as file:
            # Room for what is there, not for the most that might be.
            return _within(name, file.read(min(found.st_size, limit) + 1), limit)

    def _place_of(self, folder: str, name: str) -> str:
        """Where a folder of the bundle really is: no link on the way may lead out of it. Looked for
        once, as there are few folders and many files.
        """
        place = self._places.get(folder)
        if place is None:
            place = str(self._real / folder)
            if os.path.realpath(place) != place:
                raise Malformed("bundle_link", name)
            self._places[folder] = place
        return place


def _within(name: str, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise Malformed("bundle_file_too_large", name)
    return data


def _limit(name: str) -> int:
    """How large a file of this name may be. Raises Malformed for a name that no bundle has."""
    if name in _LIMITS:
        return _LIMITS[name]
    if _ENTRY.fullmatch(name):
        return MAX_ENTRY
    if _WORDS.fullmatch(name):
        return _MAX_WORDS
    try:
        place = parse_path(name)
    except Malformed as error:
        raise Malformed("bundle_name", ascii(name)[:80]) from error
    return _MAX_BUNDLE if isinstance(place, Bundle) else _MAX_TILE


def format_words(openings: Mapping[str, Mapping[str, Opening]]) -> bytes:
    """``JCS({leaf hash: {field: {"salt", "value"}}})``."""
    return canonical({
        leaf: {field: format_opening(opening) for field, opening in fields.items()}
        for leaf, fields in openings.items()
    })  # fmt: skip


def parse_words(data: bytes) -> dict[str, dict[str, Opening]]:
    """Raises Malformed; says nothing about whether the words fit."""
    _look_over(data, _WORDS_FORM, "words_form")
    return {
        leaf: {field: parse_opening(field, opening) for field, opening in _mapping(fields).items()}
        for leaf, fields in _mapping(parse(data)).items()
    }


@dataclass(frozen=True, slots=True)
class HeadProofs:
    """What the entry at ``index``, of event ``heads``, says about some chains."""

    index: int
    proofs: tuple[HeadProof, ...]


def format_head_proofs(found: HeadProofs) -> bytes:
    """``JCS({"index", "proofs": [{"chain", "count", "hashes": [base64], "head", "index"}]})``."""
    proofs: list[JsonLike] = [
        {
            "chain": proof.chain,
            "count": proof.count,
            "hashes": [base64.b64encode(each).decode() for each in proof.hashes],
            "head": proof.head,
            "index": proof.index,
        }
        for proof in found.proofs
    ]
    return canonical({"index": found.index, "proofs": proofs})


def parse_head_proofs(data: bytes) -> HeadProofs:
    """Raises Malformed; says nothing about whether they hold."""
    _look_over(data, _PROOFS_FORM, "head_proofs_form")
    match parse(data):
        case {"index": int(index), "proofs": list(proofs), **rest} if (
            type(index) is int and not rest
        ):
            found = tuple(map(_head_proof, proofs))
            if len({proof.chain for proof in found}) != len(found):
                raise Malformed("head_proofs_twice")
            return HeadProofs(index, found)
    raise Malformed("head_proofs_form")


def _head_proof(value: Json) -> HeadProof:
    match value:
        case {
            "chain": str(chain),
            "count": int(count),
            "hashes": list(hashes),
            "head": str(head),
            "index": int(index),
            **rest,
        } if type(count) is type(index) is int and not rest:  # True would be a second 1
            return HeadProof(chain, count, head, index, tuple(map(decode_base64, hashes)))
    raise Malformed("head_proofs_form")


def _look_over(data: bytes, form: re.Pattern[bytes], code: str) -> None:
    if len(data) > _BY_PARTS and form.fullmatch(data) is None:
        raise Malformed(code, f"{len(data)} bytes of another form")


def _mapping(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Malformed("words_form")
    return value
