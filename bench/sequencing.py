"""What it costs to give entries their places, as a log grows: `make bench-sequence`.

    python -m bench.sequencing                      to a million on SQLite, a tenth on PostgreSQL
    python -m bench.sequencing --entries 20000 --chunk 1000 --database sqlite
    python -m bench.sequencing --directory FOLDER   where everything lies while it runs
    python -m bench.sequencing --json

A founded log is filled with entries of 2.4 kB whose content nobody reads here, with true leaf
hashes. At a hundredth, a tenth and all of ``--entries`` it is measured, in rounds of one
``--chunk`` that take turns with what stands beside:

    plain       the same rows into the same table, 1,000 in a flushed transaction, while the trigger
                that notes them for the sequencer is away
    entry       the same with the trigger: what recording costs the database
    place       1,000 entries in a transaction get their indexes
    write       tiles and bundles, each file flushed
    sign        one checkpoint, Ed25519 and ML-DSA-44, persisted, and published
    pymerkle    the same bytes into its SqliteTree, which has grown as far, with WAL and
                synchronous=FULL: one by one; 1,000 in a transaction; and the root after each
                thousand, which pymerkle finds when asked

SQLite and PostgreSQL flush at each commit. In the end proofs, a sequencer's start, and writing all
tiles anew are timed at the full size. A million entries take about 9 GB while it runs.
"""

import argparse
import base64
import hashlib
import json
import random
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from pymerkle import SqliteTree  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, text

from audit.entry import NO_PREVIOUS, leaf_hash
from audit.merkle import check_inclusion, root_at
from audit.note import Note, format_note, parse_note
from audit.proof import Proof, format_proof, parse_proof
from audit.tiles import tile_reader
from bench.figures import percentile
from bench.machine import load
from bench.servers import DURABILITY, durable_postgres
from sequencing.exporting import open_source, prove_entry
from sequencing.sequencer import Sequencer
from store import ledger, tree
from store.engine import writing
from store.ledger import Row
from tests.support.publishing import Published, published
from tests.support.world import World

DATABASES = ("sqlite", "postgresql")
LEAST_PER_SECOND, MOST_PROOF_MS, MOST_PROOF_BYTES = 5_000, 20.0, 3_000

_ENTRY_BYTES = 2_400
_SEQS = 10
_GROUP = 1_000
_GROW = 20_000
_ALONE = 100
PARTS = ("plain", "entry", "place", "write", "sign")
PEER = ("one by one", "1,000 at once", "root after each 1,000")

Say = Callable[[str], None]
Step = Callable[[], None]


@dataclass
class Level:
    """What was measured at one size: microseconds an entry, round by round."""

    size: int
    micros: dict[str, list[float]] = field(default_factory=dict)

    def add(self, part: str, seconds: float, entries: int) -> None:
        self.micros.setdefault(part, []).append(seconds / entries * 1e6)

    def median(self, part: str) -> float:
        return median(self.micros[part])

    @property
    def sequencing(self) -> float:
        """The sequencer's own work: median over rounds."""
        rounds = (self.micros[part] for part in ("place", "write", "sign"))
        return median(map(sum, zip(*rounds, strict=True)))


@dataclass
class AtTheEnd:
    """At the full size. ``proof_bytes``: the hashes, a file with one line, with both lines."""

    size: int
    proof_ms: list[float]
    proof_bytes: dict[str, int]
    open_ms: list[float]
    rebuild_seconds: float


@dataclass
class Found:
    """Everything measured over one database."""

    database: str
    durability: str
    levels: list[Level]
    end: AtTheEnd
    memory_mib: float

    @property
    def growth(self) -> float:
        """What an entry costs the sequencer at the last size, to the first."""
        return self.levels[-1].sequencing / self.levels[0].sequencing

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: every single measurement, and the ratios."""
        beside = {
            str(level.size): level.sequencing / level.median("plain") for level in self.levels
        }
        return asdict(self) | {"ratios": {"growth": self.growth, "to_plain_insert": beside}}


def entries(start: int, count: int) -> list[Row]:
    """Rows from number ``start`` on, ten to a chain."""
    rows: list[Row] = []
    for number in range(start, start + count):
        seed = f"{number}".encode()
        content = base64.b64encode(hashlib.shake_256(seed).digest(_ENTRY_BYTES * 3 // 4))
        task, seq = divmod(number, _SEQS)
        prev = NO_PREVIOUS if seq == 0 else _name(number - 1)
        command = hashlib.sha256(b"command" + seed).hexdigest()[:32]
        rows.append(Row(f"bench-{task}", seq + 1, prev, leaf_hash(content), command, content))
    return rows


def _name(number: int) -> str:
    """Stands for the hash of the entry before: nobody here follows the chains."""
    return hashlib.sha256(f"{number}".encode()).hexdigest()


class Site:
    """A log that grows, and its sequencer."""

    def __init__(self, url: str, folder: Path) -> None:
        self.world = World(url)
        self.log: Published = published(self.world, folder)
        self.sequencer: Sequencer = self.log.sequencer()
        self.numbered = 0
        self.turn()

    @property
    def engine(self) -> Engine:
        return self.world.engine

    @property
    def size(self) -> int:
        signed = self.sequencer.signed
        return signed.checkpoint.size if signed else 0

    def rows(self, count: int) -> list[Row]:
        self.numbered += count
        return entries(self.numbered - count, count)

    def turn(self) -> dict[str, float]:
        """One turn of the sequencer, as it makes them: seconds of its parts."""
        times = [perf_counter()]
        self.sequencer.place()
        times.append(perf_counter())
        self.sequencer.write()
        times.append(perf_counter())
        signed = self.sequencer.sign()
        assert signed is not None
        self.sequencer.publish(signed.note)
        times.append(perf_counter())
        return {
            part: end - begun
            for part, begun, end in zip(("place", "write", "sign"), times, times[1:], strict=False)
        }

    def grow(self, size: int, peer: "Peer | None") -> None:
        """Up to so many entries, untimed."""
        while self.size < size:
            rows = self.rows(min(_GROW, size - self.size))
            self.insert(rows)
            self.turn()
            if peer is not None:
                peer.grow(rows)

    def insert(self, rows: Sequence[Row]) -> None:
        """As plain as the log's own statement, many in a flushed transaction."""
        for group in _groups(rows):
            with writing(self.engine) as connection:
                ledger.append(connection, group, {})


@contextmanager
def without_trigger(engine: Engine) -> Iterator[None]:
    """Entries inserted meanwhile are not noted for the sequencer; they are in the end."""
    with writing(engine) as connection:
        if connection.dialect.name == "sqlite":
            restore = str(connection.scalar(text(
                "SELECT sql FROM sqlite_master WHERE name = 'entry_to_sequence'"
            )))  # fmt: skip
            connection.execute(text("DROP TRIGGER entry_to_sequence"))
        else:
            restore = "ALTER TABLE entry ENABLE TRIGGER entry_to_sequence"
            connection.execute(text("ALTER TABLE entry DISABLE TRIGGER entry_to_sequence"))
        last = connection.scalar(text("SELECT max(id) FROM entry"))
    try:
        yield
    finally:
        with writing(engine) as connection:
            connection.exec_driver_sql(restore)
            note = "INSERT INTO unsequenced (entry) SELECT id FROM entry WHERE id > :last"
            connection.execute(text(note), {"last": last})


class Peer:
    """pymerkle's tree in a SQLite file, flushed as ours is."""

    def __init__(self, file: Path) -> None:
        self._tree = SqliteTree(str(file))
        self._tree.con.execute("PRAGMA journal_mode = WAL")
        self._tree.con.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        self._tree.close()

    def grow(self, rows: Sequence[Row]) -> None:
        """Untimed; asks for the root now and then, as whoever publishes it does."""
        self._tree.append_entries([row.data for row in rows])
        self._tree.get_root()

    def measure(self, rows: Sequence[Row], level: Level) -> None:
        data = [row.data for row in rows]
        alone, rest = data[:_ALONE], data[_ALONE:]
        begun = perf_counter()
        for each in alone:
            self._tree.append_entry(each)
        level.add(PEER[0], perf_counter() - begun, len(alone))
        appending = rooting = 0.0
        for group in _groups(rest):
            begun = perf_counter()
            self._tree.append_entries(group)
            between = perf_counter()
            self._tree.get_root()
            appending += between - begun
            rooting += perf_counter() - between
        level.add(PEER[1], appending, len(rest))
        level.add(PEER[2], rooting, len(rest))


def _groups(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[at : at + _GROUP] for at in range(0, len(items), _GROUP))


def measure_level(site: Site, peer: Peer | None, size: int, chunk: int, rounds: int) -> Level:
    """Grow to ``size``, then take turns."""
    site.grow(size, peer)
    level = Level(site.size)
    for number in range(rounds):
        plain, noted = site.rows(chunk // 2), site.rows(chunk // 2)

        def insert_plain(rows: Sequence[Row] = plain) -> None:
            with without_trigger(site.engine):
                begun = perf_counter()
                site.insert(rows)
                level.add("plain", perf_counter() - begun, len(rows))

        def insert_noted(rows: Sequence[Row] = noted) -> None:
            begun = perf_counter()
            site.insert(rows)
            level.add("entry", perf_counter() - begun, len(rows))

        inserts: list[Step] = [insert_plain, insert_noted]
        for insert in inserts if number % 2 == 0 else reversed(inserts):
            insert()
        for part, seconds in site.turn().items():
            level.add(part, seconds, chunk)
        if peer is not None:
            peer.measure([*plain, *noted], level)
    return level


def measure_end(site: Site, proofs: int) -> AtTheEnd:
    """Proofs, opening and rebuilding, at the size there is."""
    with site.engine.connect() as connection:
        timed, lengths = _prove(site, connection, proofs)
    opening = []
    for _ in range(5):
        begun = perf_counter()
        site.log.reopen()
        opening.append((perf_counter() - begun) * 1_000)
    shutil.rmtree(site.log.files.root / "tile")
    begun = perf_counter()
    site.log.reopen()
    return AtTheEnd(site.size, timed, lengths, opening, perf_counter() - begun)


def _prove(site: Site, connection: Connection, proofs: int) -> tuple[list[float], dict[str, int]]:
    """Milliseconds of each proof of a random entry, and how long the longest is."""
    chosen = random.Random(9162)  # noqa: S311 - the same in every run
    timed, hashes, one, both = [], 0, 0, 0
    for _ in range(proofs):
        index = chosen.randrange(site.size)
        leaf = next(tree.read_leaves(connection, index, index + 1)).leaf
        begun = perf_counter()
        source = open_source(connection, site.log.files)
        data = prove_entry(source, leaf)
        timed.append((perf_counter() - begun) * 1_000)
        proof, note = parse_proof(data), parse_note(source.note)
        root = source.checkpoint.root
        check_inclusion(proof.hashes, index, source.size, bytes.fromhex(leaf), root)
        first = Note(note.text, note.lines[:1])
        short = format_proof(Proof(proof.index, proof.hashes, format_note(first)))
        hashes = max(hashes, data.index(b"\n\n") + 2)
        one, both = max(one, len(short)), max(both, len(data))
    source = open_source(connection, site.log.files)
    assert root_at(source.size, tile_reader(source.size, source.read)) == source.checkpoint.root
    return timed, {"hashes": hashes, "ed25519": one, "both": both}


def measure(
    database: str, url: str, directory: Path, sizes: Sequence[int], given: argparse.Namespace,
    say: Say,
) -> Found:  # fmt: skip
    """Everything about one kind of database."""
    site = Site(url, directory / database)
    # On PostgreSQL it would be measured a second time.
    peer = Peer(directory / "pymerkle.sqlite") if database == "sqlite" else None
    try:
        levels = []
        for size in sizes:
            level = measure_level(site, peer, size, given.chunk, given.rounds)
            levels.append(level)
            say(f"{database}: at {level.size}: {1e6 / level.sequencing:.0f} entries/s")
        end = measure_end(site, given.proofs)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Found(database, DURABILITY[database], levels, end, memory)
    finally:
        site.world.close()
        if peer is not None:
            peer.close()
        shutil.rmtree(directory, ignore_errors=True)


def run(given: argparse.Namespace, say: Say) -> list[Found]:
    """Each database in turn."""
    found = []
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="dondoc-bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        for database in given.database or DATABASES:
            folder = directory / f"run-{database}"
            folder.mkdir()
            most = given.entries if database == "sqlite" else given.entries // 10
            sizes = [size for size in (given.entries // 100, given.entries // 10, given.entries)
                     if size <= most]  # fmt: skip
            url = f"sqlite:///{folder / 'log.sqlite'}"
            if database == "postgresql":
                url = stack.enter_context(durable_postgres()).create()
            found.append(measure(database, url, folder, sizes, given, say))
    return found


def show(console: Console, found: Found) -> None:
    """Print all tables of one database."""
    console.rule(f"{found.database} ({found.durability})")
    console.print(_costs(found))
    console.print(_end(found))


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


_LABELS = {
    "plain": "plain insert, 1,000 in a transaction",
    "entry": "the same, noted for the sequencer",
    "place": "sequencer: places",
    "write": "sequencer: tiles and bundles",
    "sign": "sequencer: signed, persisted, published",
}


def _costs(found: Found) -> Table:
    levels = found.levels
    table = _table(
        "An entry of 2.4 kB, µs: median (slowest round)",
        "", *(f"at {level.size}" for level in levels), "last to first", "target",
    )  # fmt: skip

    def add(label: str, part: str) -> None:
        cells = [f"{level.median(part):.0f} ({max(level.micros[part]):.0f})" for level in levels]
        growth = levels[-1].median(part) / levels[0].median(part)
        table.add_row(label, *cells, f"{growth:.2f}")

    for part in PARTS:
        add(_LABELS[part], part)
    table.add_section()
    whole = [level.sequencing for level in levels]
    table.add_row(
        "sequencer in all", *(f"{each:.0f}" for each in whole), f"{found.growth:.2f}", "about 1",
    )  # fmt: skip
    rates = [f"{1e6 / each:.0f}" for each in whole]
    table.add_row("  entries a second", *rates, "", f"≥ {LEAST_PER_SECOND}")
    beside = [level.sequencing / level.median("plain") for level in levels]
    table.add_row("  to the plain insert", *(f"{each:.2f}" for each in beside))
    if PEER[0] in levels[0].micros:
        table.add_section()
        for part in PEER:
            add(f"pymerkle: {part}", part)
        table.add_row(
            "pymerkle, 1,000 at once with root: entries a second",
            *(f"{1e6 / (each.median(PEER[1]) + each.median(PEER[2])):.0f}" for each in levels),
        )
    return table


def _end(found: Found) -> Table:
    end = found.end
    table = _table(f"At {end.size} entries", "", "", "target")
    proofs = f"{median(end.proof_ms):.2f} / {percentile(end.proof_ms, 99):.2f}"
    table.add_row(
        f"proof of one entry, ms: median / p99 / max of {len(end.proof_ms)}",
        f"{proofs} / {max(end.proof_ms):.2f}", f"< {MOST_PROOF_MS:g}",
    )  # fmt: skip
    table.add_row("  bytes: index and hashes", f"{end.proof_bytes['hashes']}")
    table.add_row(
        "  bytes: with the checkpoint, Ed25519 line only", f"{end.proof_bytes['ed25519']}",
        f"< {MOST_PROOF_BYTES}",
    )  # fmt: skip
    table.add_row("  bytes: with the checkpoint, ML-DSA-44 line, too", f"{end.proof_bytes['both']}")
    table.add_row("a sequencer starts, ms", f"{median(end.open_ms):.1f}")
    table.add_row("all tiles and bundles written anew, s", f"{end.rebuild_seconds:.1f}")
    table.add_row(
        "most resident memory of this process (pymerkle in it), MiB", f"{found.memory_mib:.0f}"
    )
    return table


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sequencing", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the log in the end")
    parser.add_argument("--chunk", type=int, default=5_000, help="of a round: one turn")
    parser.add_argument("--rounds", type=int, default=4, help="at each size")
    parser.add_argument("--proofs", type=int, default=1_000, help="of random entries")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    parser.add_argument("--directory", type=Path, help="for all files; default: the temporary one")
    parser.add_argument("--json", action="store_true", help="every measurement, as JSON")
    given = parser.parse_args()
    progress = Console(stderr=True)
    begun, load_before = perf_counter(), load()
    found = run(given, progress.print)
    if given.json:
        json.dump([each.as_json() for each in found], sys.stdout, indent=1)
        return
    console = Console(width=120) if not sys.stdout.isatty() else Console()
    for each in found:
        show(console, each)
    console.print(
        f"{perf_counter() - begun:.0f} s in all; load of the machine before {load_before},"
        f" after {load()}. Each figure is the median of this run."
    )


if __name__ == "__main__":
    main()
