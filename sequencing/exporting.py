"""Bundles out of a log: all of it, or the whole histories of chosen tasks and nothing of others.

`audit.bundle` says what is in them. A bundle is made for the checkpoint that was published last, so
it holds its cosignatures; entries that came later are not in it.
"""

import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from errno import EISDIR
from pathlib import Path

from sqlalchemy import Connection

from activities.words import ANYBODY, Reader, words_of
from audit.bundle import (
    CHECKPOINT,
    HEADS,
    POLICY,
    README,
    STAMPED,
    TIMESTAMP,
    HeadProofs,
    format_head_proofs,
    format_words,
)
from audit.chains import ATTESTATIONS, DIRECTORY
from audit.checkpoint import Checkpoint, parse_checkpoint
from audit.commitment import Opening
from audit.entry import leaf_hash
from audit.growth import new_bundles, tiles_of
from audit.heads import HeadTree
from audit.merkle import prove_inclusion, root_at
from audit.note import MLDSA44_BYTES, format_note, parse_note
from audit.proof import Proof, format_proof
from audit.share import stated_heads
from audit.tiles import WIDTH, Bundle, format_bundle, parse_bundle, parse_path, tile_reader
from domain.refusal import Refused
from sequencing.files import TreeFiles
from sequencing.opening import read_part
from store import tree

Progress = Callable[[int, int], None]
Write = Callable[[str, bytes], None]

_README = """\
Gói kiểm toán của nhật ký {origin}: {what}.
Kiểm tra mà không cần mạng, với tệp tin cậy lấy từ nguồn khác:

    dondoc audit verify GÓI --trust TỆP        hoặc        python -m audit.verify GÓI --trust TỆP

A bundle of the log {origin}: {what}.
It is checked offline, with a trust file got from elsewhere:

    dondoc audit verify BUNDLE --trust FILE    or    python -m audit.verify BUNDLE --trust FILE
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A published log: its database and its files, at the checkpoint published last. The words of
    its bundles are those that ``reader`` may open: by default none of protected tasks.
    """

    connection: Connection
    files: TreeFiles
    note: bytes
    checkpoint: Checkpoint
    reader: Reader = ANYBODY

    @property
    def size(self) -> int:
        return self.checkpoint.size

    def read(self, path: str) -> bytes:
        """A tile or bundle of this very size, also where a larger one has replaced it."""
        place = parse_path(path)
        if not isinstance(place, Bundle):
            return read_part(self.files, path)
        try:
            return self.files.read(path)
        except FileNotFoundError:
            if place.width == WIDTH:
                raise
            full = parse_bundle(self.files.read(Bundle(place.index).path), WIDTH)
            return format_bundle(full[: place.width])


def open_source(connection: Connection, files: TreeFiles) -> Source:
    """Raises Refused when nothing was published yet."""
    note = files.published()
    if note is None:
        raise Refused("nothing_published", path=str(files.root))
    return Source(connection, files, note, parse_checkpoint(parse_note(note).text))


def prove_entry(source: Source, leaf: str, *, small: bool = False) -> bytes:
    """The proof file of the entry with this leaf hash. Raises Refused when it has no place yet.

    A ``small`` one has no ML-DSA-44 signatures, which are larger than all the rest.
    """
    index = tree.index_of(source.connection, leaf)
    if index is None or index >= source.size:
        raise Refused("entry_not_published", size=source.size)
    reader = tile_reader(source.size, source.read)
    hashes = prove_inclusion(index, source.size, reader)
    return format_proof(Proof(index, hashes, _small(source.note) if small else source.note))


def _small(note: bytes) -> bytes:
    whole = parse_note(note)
    lines = tuple(each for each in whole.lines if len(each.signature) < MLDSA44_BYTES)
    return format_note(replace(whole, lines=lines))


@dataclass(frozen=True, slots=True)
class Exported:
    """How many ``entries`` a bundle has. Of chosen tasks it shows that they are whole as far as the
    first ``stated`` entries of the log go; ``later`` entries of theirs came since, perhaps not all.
    """

    entries: int
    stated: int
    later: int = 0


def export_log(
    source: Source, target: Path, *, words: bool, policy: bytes | None, progress: Progress
) -> Exported:
    """Write the whole log."""
    with _archive(target, private=words) as write:
        _write_frame(source, write, policy, f"{source.size} entries")
        for tile in tiles_of(source.size):
            write(tile.path, source.read(tile.path))
        for bundle in new_bundles(0, source.size):
            data = source.read(bundle.path)
            write(bundle.path, data)
            if words:
                _write_words(source, write, bundle.index, parse_bundle(data, bundle.width))
            progress(bundle.index * WIDTH + bundle.width, source.size)
    return Exported(source.size, source.size)


def export_tasks(
    source: Source,
    target: Path,
    tasks: Sequence[str],
    *,
    words: bool,
    policy: bytes | None,
    progress: Progress,
) -> Exported:
    """Write the histories of these tasks, with the proof that they are whole.

    Raises Refused for a task that the published log doesn't have, and when no entry of it states
    yet how long the task's chain is.
    """
    chains = [DIRECTORY, *dict.fromkeys(tasks)]
    histories = dict(_entries_of(source, chains[1:]))
    stated, stating, proofs = _head_proofs(source, chains)
    later = sum(index >= stated for index in histories)
    entries = {**dict(_entries_of(source, chains[:1])), **histories, proofs.index: stating}
    needed: dict[str, bytes] = {}

    def read(path: str) -> bytes:
        needed[path] = source.read(path)
        return needed[path]

    reader = tile_reader(source.size, read)
    root_at(source.size, reader)
    stamped = tree.last_stamped(source.connection, source.size)
    if stamped is not None:
        root_at(stamped[0].size, reader)
    with _archive(target, private=words) as write:
        _write_frame(source, write, policy, ", ".join(chains[1:]))
        write(HEADS, format_head_proofs(proofs))
        for done, (index, data) in enumerate(sorted(entries.items()), start=1):
            prove_inclusion(index, source.size, reader)
            write(f"entry/{index}", data)
            progress(done, len(entries))
        for path, data in sorted(needed.items()):
            write(path, data)
        if words:
            for number in sorted({index // WIDTH for index in entries}):
                within = [d for i, d in entries.items() if i // WIDTH == number]
                _write_words(source, write, number, within)
    return Exported(len(entries), stated, later)


def _entries_of(source: Source, chains: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    for chain in chains:
        found = [
            (index, data)
            for index, data in tree.chain_with_indexes(source.connection, chain)
            if index is not None and index < source.size
        ]
        if not found:
            raise Refused("task_not_published", task=chain)
        yield from found


def _head_proofs(source: Source, chains: Sequence[str]) -> tuple[int, bytes, HeadProofs]:
    """The newest entry that states the heads: of how many entries, its bytes, and what it says
    about these chains.
    """
    for index, data in tree.newest_first(source.connection, ATTESTATIONS, source.size):
        stated = stated_heads(data)
        if stated is None:
            continue
        size, _chains, root = stated
        heads = HeadTree(tree.heads_at(source.connection, size))
        if heads.root() != root:
            raise Refused("heads_differ", index=index)
        for chain in chains:
            if chain not in heads:
                raise Refused("task_not_stated", task=chain, size=size)
        return size, data, HeadProofs(index, tuple(map(heads.prove, chains)))
    raise Refused("no_heads_yet")


def _write_frame(source: Source, write: Write, policy: bytes | None, what: str) -> None:
    write(README, _README.format(origin=source.checkpoint.origin, what=what).encode())
    write(CHECKPOINT, source.note)
    if policy is not None:
        write(POLICY, policy)
    stamped = tree.last_stamped(source.connection, source.size)
    if stamped is not None:
        checkpoint, token = stamped
        write(STAMPED, checkpoint.note)
        write(TIMESTAMP, token)


def _write_words(source: Source, write: Write, number: int, entries: Sequence[bytes]) -> None:
    found: dict[str, Mapping[str, Opening]] = {}
    for leaf in map(leaf_hash, entries):
        if openings := words_of(source.connection, leaf, source.reader).opened:
            found[leaf] = openings
    if found:
        write(f"words/{number}", format_words(found))


@contextmanager
def _archive(target: Path, *, private: bool) -> Iterator[Write]:
    """A zip file that is there whole in the end, or not at all; ``private``: for its owner only.

    Entries are stored as they are: who reads them again and again need not unpack them.
    """
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        if target.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(target))
        # A file, or a link, that somebody laid there beforehand is not written through.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        opened = os.open(scratch, flags, 0o600 if private else 0o666)
        with os.fdopen(opened, "w+b") as file, zipfile.ZipFile(file, "w") as archive:

            def write(name: str, data: bytes) -> None:
                # The time of the export is nobody's business: equal logs give equal files.
                archive.writestr(zipfile.ZipInfo(name), data)

            yield write
        scratch.replace(target)
    except OSError as error:
        if error.filename in {None, str(scratch)}:
            # What the caller named is what he can do something about.
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    finally:
        scratch.unlink(missing_ok=True)
