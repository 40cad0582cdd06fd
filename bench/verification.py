"""Verifying a whole log beside its signature checks alone: `make bench-verify`.

    python -m bench.verification                       100,000 entries, five rounds: some minutes
    python -m bench.verification --entries 5000 --rounds 2 --cache /tmp/logs
    python -m bench.verification --json                every single measurement

The log is a real one: tasks walk through their lives, each step is signed by its giver, judged and
recorded, the ends of all chains are stated every ten minutes, and everything is sequenced and
published.
With ``--cache`` it is made once for each size and found again.

    raw         as many processes as there are cores do nothing but the two Ed25519 checks of every
                entry: keys, signatures and messages lie ready in memory, `cryptography` is called
                directly, and the time to start the processes is left out
    full        the published folder, all checks but the rules (`audit.verify`)
    rules       the same, each step judged again by the rules (`dondoc audit verify`)
    words       likewise an exported bundle (a zip file), with the words beside the entries
    skip        ``--skip-signatures``: only that the entries are those of the checkpoint

The sides take turns, round by round. A ratio is the median over neighbouring rounds. Each
verification is a process of its own; its time is that of the call, with the time to start further
processes, and ``command`` the same seen from outside, with the start of the interpreter.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import event

from activities.recorder import Handed, Recorded, Timeout
from audit.bundle import open_bundle
from audit.checkpoint import parse_checkpoint
from audit.entry import parse_entry
from audit.note import parse_note
from audit.offline import all_entries
from audit.trust_file import format_policy
from bench.lives import arguments
from bench.machine import load
from domain.task import Task
from sequencing.attesting import heads_due
from sequencing.exporting import export_log, open_source
from tests.support.publishing import Published, published
from tests.support.world import FOUNDING, PEOPLE, World, key_of

LEAST_FULL, LEAST_SKIP = 0.8, 20.0

LIFE = (
    ("register", "office"),
    ("transfer", "office"),
    ("confirm", "officer"),
    ("start", "officer"),
    ("report", "officer"),
    ("endorse", "approver"),
    ("submit", "officer"),
    ("approve", "approver"),
    ("evaluate", "monitor"),
    ("evaluate", "monitor"),
)
_ARGUMENTS = {"endorse": {"item": "report"}, "evaluate": {"rating": "met"}}
_AT_ONCE = 64
_LATE_EVERY = 5
_EPOCH = timedelta(minutes=10)
_TICK = 0.01
"""Seconds: what processor time is counted in."""
_HOLDS = "trust", "bundle.zip", "published"

WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "full": ("published", ()),
    "rules": ("published", ("rules",)),
    "words": ("bundle.zip", ("rules",)),
    "skip": ("published", ("skip",)),
}

Say = Callable[[str], None]


@dataclass
class Found:
    """What a run measured, round by round."""

    entries: int
    bytes_per_entry: float
    processes: int
    raw: list[dict[str, float]] = field(default_factory=list)
    ways: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    memory: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def ratio(self, way: str, figure: str = "seconds") -> float:
        """The speed of ``way`` to that of the signature checks alone."""
        pairs = zip(self.raw, self.ways[way], strict=True)
        return median(raw[figure] / max(found[figure], _TICK) for raw, found in pairs)

    def skipped(self) -> float:
        """How many times faster it is to trust the checkpoint."""
        pairs = zip(self.ways["full"], self.ways["skip"], strict=True)
        return median(full["seconds"] / skip["seconds"] for full, skip in pairs)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: every single measurement, and the ratios."""
        ratios = {
            figure: {way: self.ratio(way, figure) for way in self.ways}
            for figure in ("seconds", "cpu_seconds")
        }
        return asdict(self) | {"ratios": ratios, "full_to_skip": self.skipped()}


class Log:
    """A published log in a folder: ``trust``, ``published/`` and ``bundle.zip``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def size(self) -> int:
        note = (self.folder / "published" / "checkpoint").read_bytes()
        return parse_checkpoint(parse_note(note).text).size

    def entries(self) -> Iterator[bytes]:
        with open_bundle(self.folder / "published") as files:
            for _index, data in all_entries(files, self.size):
                yield data

    def verify(self, way: str, processes: int) -> dict[str, float]:
        """Once, in a process of its own."""
        name, words = WAYS[way]
        command = [sys.executable, "-m", "bench.auditor", str(self.folder / name)]
        command += [str(self.folder / "trust"), str(processes), *words]
        begun = perf_counter()
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found: dict[str, float] = json.loads(answer.stdout) | {"command": perf_counter() - begun}
        assert found["entries"] == self.size
        return found


def find_log(cache: Path, entries: int) -> Log:
    """The log of this size, made now where it is not there."""
    folder = cache / f"log-{entries}"
    if not all((folder / name).exists() for name in _HOLDS):
        rmtree(folder, ignore_errors=True)
        scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
        scratch.mkdir(parents=True)
        try:
            make_log(scratch, entries)
            scratch.replace(folder)
        finally:
            rmtree(scratch, ignore_errors=True)
    return Log(folder)


def make_log(folder: Path, entries: int) -> None:
    """Record, sequence, publish and export a log of so many entries, or a few more."""
    with TemporaryDirectory(dir=folder) as name:
        world = World(f"sqlite:///{name}/log.sqlite")
        _hurry(world)
        try:
            log = published(world, folder / "published")
            with Progress(console=Console(stderr=True)) as bar:
                task = bar.add_task(f"recording {entries} entries", total=entries)
                for more in record(world, log, entries):
                    bar.advance(task, more)
            log.publish()
            policy = format_policy(log.policy)
            with world.engine.connect() as connection:
                source, target = open_source(connection, log.files), folder / "bundle.zip"
                export_log(source, target, words=True, policy=policy, progress=_ignore)
            (folder / "trust").write_bytes(policy)
        finally:
            world.close()


def _hurry(world: World) -> None:
    """Nobody waits for the disk: if the machine dies now, the log is made anew."""

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's or psycopg's
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(world.engine, "connect", prepare)
    world.engine.dispose()


def record(world: World, log: Published, entries: int) -> Iterator[int]:
    """Lives of tasks, many at a time, until there are so many entries; yields how many came."""
    yield (done := len(world.rows()))
    stated = world.now
    for wave in count():
        for more in _wave(world, wave):
            done += more
            yield more
            if done >= entries:
                return
            if world.now - stated >= _EPOCH:
                stated = world.now
                added = _state(world, log)
                done += added
                yield added


def _wave(world: World, number: int) -> Iterator[int]:
    """Tasks side by side. Those of each fifth wave are confirmed after a deadline ran out."""
    tasks: list[Task | str] = [f"D{number}-{each}" for each in range(1, _AT_ONCE + 1)]
    for name, role in LIFE:
        world.forward(minutes=3)
        if name == "confirm" and number % _LATE_EVERY == 0:
            world.forward(days=1)
            jobs = [Timeout(task.id, world.now) for task in tasks if isinstance(task, Task)]
            tasks, appended = _answered(world.recorder.record(jobs))
            yield appended
        filled = _ARGUMENTS.get(name) or arguments(name, world.now)
        handed = [
            Handed(world.submission(task, name, filled, role=role), world.now) for task in tasks
        ]
        tasks, appended = _answered(world.recorder.record(handed))
        yield appended


def _state(world: World, log: Published) -> int:
    """Let the log state the ends of its chains, as the service does once an epoch."""
    log.publish()
    due = heads_due(world.engine, lambda: world.now)
    assert due is not None
    return _answered(world.recorder.record([due]))[1]


def _answered(answers: Sequence[object]) -> tuple[list[Task | str], int]:
    """The tasks after a step of each, and how many entries that took."""
    tasks: list[Task | str] = []
    appended = 0
    for answer in answers:
        assert isinstance(answer, Recorded), answer
        appended += len(answer.entries)
        if answer.task is not None:
            tasks.append(answer.task)
    return tasks, appended


def _ignore(_done: int, _of: int) -> None:
    """Nobody watches."""


Prepared = list[tuple[Callable[[bytes, bytes], None], bytes, bytes]]


def _prepare(folder: Path, number: int, processes: int) -> Prepared:
    """This process's part of the signature checks: who verifies, signature, message."""
    keys: dict[str, Ed25519PublicKey] = {}
    names = {person for person, _, _ in PEOPLE.values()} | (FOUNDING.keys() - {"checkpoint_pq"})
    for public in (key_of(name).public for name in names):
        loaded = load_der_public_key(public.spki)
        assert isinstance(loaded, Ed25519PublicKey)
        keys[public.id] = loaded
    return [
        (keys[envelope.keyid].verify, envelope.signature, envelope.signed_bytes)
        for at, data in enumerate(Log(folder).entries())
        if at % processes == number
        for entry in [parse_entry(data)]
        for envelope in (entry.record, entry.command)
    ]


def _raw_process(line: Connection, folder: Path, number: int, processes: int) -> None:
    """Check this part whenever told to, until told no more."""
    prepared = _prepare(folder, number, processes)
    line.send(len(prepared))
    while line.recv():
        begun = process_time()
        for verify, signature, message in prepared:
            verify(signature, message)
        line.send(process_time() - begun)


@contextmanager
def raw_processes(log: Log, processes: int) -> Iterator[Callable[[], dict[str, float]]]:
    """A function that has every signature of the log checked and gives the seconds it took."""
    context = get_context("spawn")
    lines: list[Connection] = []
    started = []
    try:
        for number in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_raw_process, args=(theirs, log.folder, number, processes)
            )
            process.start()
            started.append(process)
            lines.append(ours)
        checked = sum(line.recv() for line in lines)
        assert checked == 2 * log.size

        def check() -> dict[str, float]:
            begun = perf_counter()
            for line in lines:
                line.send(True)
            cpu = sum(line.recv() for line in lines)
            return {"seconds": perf_counter() - begun, "cpu_seconds": cpu}

        yield check
    finally:
        for line in lines:
            line.send(False)
        for process in started:
            process.join()


def measure(cache: Path, entries: int, rounds: int, processes: int, say: Say) -> Found:
    """Everything about logs of this size, and of a tenth of it for the memory."""
    logs = {size: find_log(cache, size) for size in (entries // 10, entries)}
    log = logs[entries]
    average = sum(map(len, log.entries())) / log.size
    found = Found(log.size, average, processes, ways={way: [] for way in WAYS})
    with raw_processes(log, processes) as check:
        check()  # warm
        for number in range(rounds):
            order = [None, *WAYS]
            for way in order if number % 2 == 0 else reversed(order):
                if way is None:
                    found.raw.append(check())
                else:
                    found.ways[way].append(log.verify(way, processes))
            full = found.ways["full"][-1]["seconds"]
            raw = found.raw[-1]["seconds"]
            say(f"round {number + 1}: raw {raw:.2f} s, full {full:.2f} s")
    for each in logs.values():
        say(f"memory at {each.size} entries")
        found.memory[str(each.size)] = {way: each.verify(way, processes) for way in WAYS}
    return found


def show(console: Console, found: Found) -> None:
    """Print all tables."""
    console.print(_speeds(found))
    console.print(_memory(found))


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _speeds(found: Found) -> Table:
    table = _table(
        f"{found.entries} entries of {found.bytes_per_entry:.0f} bytes, two signatures each;"
        f" {found.processes} processes",
        "", "seconds", "fastest-slowest", "entries/s", "ratio", "target", "CPU µs an entry",
        "ratio of CPU", "command, s",
    )  # fmt: skip
    sides = {"raw": found.raw, **found.ways}
    for way, rounds in sides.items():
        seconds = [each["seconds"] for each in rounds]
        cpu = median(each["cpu_seconds"] for each in rounds) / found.entries * 1e6
        cells = [_LABELS[way], f"{median(seconds):.2f}", f"{min(seconds):.2f}-{max(seconds):.2f}"]
        cells.append(f"{found.entries / median(seconds):.0f}")
        if way == "raw":
            cells += ["", "", f"{cpu:.1f}"]
        else:
            target = f"≥ {LEAST_FULL}" if way == "full" else ""
            cells += [f"{found.ratio(way):.2f}", target, f"{cpu:.1f}"]
            cells.append(f"{found.ratio(way, 'cpu_seconds'):.2f}")
            cells.append(f"{median(each['command'] for each in rounds):.2f}")
        table.add_row(*cells)
    table.add_section()
    faster = f"{found.skipped():.1f}"
    table.add_row("skip to full: times faster", "", "", "", faster, f"≥ {LEAST_SKIP:g}")
    return table


_LABELS = {
    "raw": "raw: the signature checks alone",
    "full": "full: all but the rules",
    "rules": "rules: with the rules",
    "words": "words: a bundle with the words, and the rules",
    "skip": "skip: trusting the checkpoint",
}


def _memory(found: Found) -> Table:
    sizes = list(found.memory)
    table = _table(
        "Most resident memory, MiB: the process that was started, and its largest worker",
        "", *(f"{size} entries" for size in sizes), "times progress was told",
    )  # fmt: skip
    for way in WAYS:
        cells = [
            f"{found.memory[size][way]['main_mib']:.0f} / "
            f"{found.memory[size][way]['worker_mib']:.0f}"
            for size in sizes
        ]
        table.add_row(_LABELS[way], *cells, f"{found.memory[sizes[-1]][way]['told']:.0f}")
    return table


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.verification", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--entries", type=int, default=100_000, help="of the log")
    parser.add_argument("--rounds", type=int, default=5, help="of each side")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, help="where logs are kept for the next run")
    parser.add_argument("--json", action="store_true", help="every measurement, as JSON")
    given = parser.parse_args()
    progress = Console(stderr=True)
    begun, load_before = perf_counter(), load()
    with TemporaryDirectory(prefix="dondoc-bench-") as scratch:
        run = partial(measure, given.cache or Path(scratch), given.entries, given.rounds)
        found = run(given.processes, progress.print)
    if given.json:
        json.dump(found.as_json(), sys.stdout, indent=1)
        return
    console = Console(width=140) if not sys.stdout.isatty() else Console()
    show(console, found)
    console.print(
        f"{perf_counter() - begun:.0f} s in all; load of the machine before {load_before},"
        f" after {load()}. Each figure is the median of this run."
    )


if __name__ == "__main__":
    main()
