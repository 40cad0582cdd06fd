"""What a signed entry costs without Temporal: the bare minimum, and the whole recorder."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from statistics import median
from time import perf_counter

from sqlalchemy import Engine, event

from activities.recorder import Handed, Recorder
from audit.canonical import canonical, parse
from audit.entry import (
    Entry,
    Statement,
    format_entry,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
)
from audit.signing import sign_record
from bench.figures import Raw
from bench.lives import Author, Life, Step
from domain.snapshot import format_task
from store import ledger
from store.engine import open_engine, writing
from store.ledger import Row
from store.upgrade import upgrade
from tests.support.world import PEOPLE, World, key_of

BATCHES = (1, 20)
_LIVES = 40
_LOG_KEY = key_of("log")
_KEYS = {key.id: key for person, _, _ in PEOPLE.values() for key in [key_of(person).public]}


def measure_raw(author: Author, now: datetime, new_database: Callable[[], str]) -> Raw:
    """Time both on fresh databases of their own."""
    lives = [author.write(f"RAW-{number}") for number in range(_LIVES)]
    insert = {size: _time_insert(new_database(), lives, size) for size in BATCHES}
    recorder: dict[int, float] = {}
    parts: dict[str, float] = {}
    for size in BATCHES:
        world = World(new_database(), start=now)
        try:
            stopwatch = Stopwatch()
            with stopwatch.on(world.engine):
                recorder[size] = _time_recorder(world, stopwatch, lives, size)
            if size == 1:
                parts = stopwatch.parts(_LIVES * len(lives[0].walk)) | _primitives(lives)
        finally:
            world.close()
    return Raw(insert, recorder, parts)


class Stopwatch:
    """Adds up what a recorder spends in the database's driver, in commits apart from the rest."""

    def __init__(self) -> None:
        self.statements = 0.0
        self.commits = 0.0
        self._since = 0.0

    def __call__(self, point: str) -> None:
        """A recorder's probe."""
        if point == "before_commit":
            self._since = perf_counter()
        elif point == "after_commit":
            self.commits += perf_counter() - self._since

    @contextmanager
    def on(self, engine: Engine) -> Iterator[None]:
        """Time the engine's statements while the context lasts."""

        def before(*_arguments: object) -> None:
            self._since = perf_counter()

        def after(*_arguments: object) -> None:
            self.statements += perf_counter() - self._since

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", before)
            event.remove(engine, "after_cursor_execute", after)

    def reset(self) -> None:
        self.statements = self.commits = 0.0

    def parts(self, steps: int) -> dict[str, float]:
        """Milliseconds a step."""
        return {
            "statements": self.statements / steps * 1_000,
            "commit": self.commits / steps * 1_000,
        }


def _time_insert(url: str, lives: Sequence[Life], size: int) -> float:
    """Verify the command, sign the record, insert the row; ``size`` rows a transaction."""
    engine = open_engine(url)
    try:
        upgrade(engine)
        timed = []
        for batch in _batches(lives, size):
            records = [open_record(parse_entry(step.entry).record) for step in batch]
            ids = [open_command(step.submission.command).text("id") for step in batch]
            begun = perf_counter()
            rows = list(map(_signed_row, batch, records, ids))
            with writing(engine) as connection:
                ledger.append(connection, rows, {})
            timed.append((perf_counter() - begun) / len(batch) * 1_000)
        return median(timed)
    finally:
        engine.dispose()


def _signed_row(step: Step, record: Statement, command: str) -> Row:
    envelope = step.submission.command
    assert envelope.verify(_KEYS[envelope.keyid])
    signed = sign_record(record.subject, record.predicate, _LOG_KEY)
    data = format_entry(Entry(envelope, signed))
    assert data == step.entry
    seq, prev = record.predicate["seq"], record.text("prev")
    assert isinstance(seq, int)
    return Row(record.subject.name, seq, prev, leaf_hash(data), command, data)


def _time_recorder(world: World, stopwatch: Stopwatch, lives: Sequence[Life], size: int) -> float:
    """The product's recorder on the same steps, with its rules, read model and outbox."""
    now = world.now
    recorder = Recorder(world.engine, world.keys, world.calendar, lambda: now, stopwatch)
    for position in range(len(lives[0].opening)):
        recorder.record([Handed(life.opening[position].submission, now) for life in lives])
    stopwatch.reset()
    timed = []
    for batch in _batches(lives, size):
        begun = perf_counter()
        recorder.record([Handed(step.submission, now) for step in batch])
        timed.append((perf_counter() - begun) / len(batch) * 1_000)
    return median(timed)


def _primitives(lives: Sequence[Life]) -> dict[str, float]:
    """Milliseconds a step of what the recorder does beside SQL, timed on the same bytes."""
    steps = [step for life in lives for step in life.walk]
    entries = [parse_entry(step.entry) for step in steps]
    statements = [parse(entry.record.payload) for entry in entries]
    tasks = [step.recorded.task for step in steps]

    def verify() -> None:
        for entry in entries:
            assert entry.command.verify(_KEYS[entry.command.keyid])

    def sign() -> None:
        for entry in entries:
            _LOG_KEY.sign(entry.record.signed_bytes)

    def write_json() -> None:
        for entry, statement, task in zip(entries, statements, tasks, strict=True):
            canonical(statement)
            format_entry(entry)
            assert task is not None
            json.dumps(format_task(task), ensure_ascii=False, separators=(",", ":"))

    def read_json() -> None:
        for entry in entries:
            open_command(entry.command)

    return {
        "verify": _each(verify, len(steps)),
        "sign": _each(sign, len(steps)),
        "json": _each(write_json, len(steps)) + _each(read_json, len(steps)),
    }


def _each(work: Callable[[], None], steps: int) -> float:
    timed = []
    for _ in range(5):
        begun = perf_counter()
        work()
        timed.append((perf_counter() - begun) / steps * 1_000)
    return median(timed)


def _batches(lives: Sequence[Life], size: int) -> Iterator[list[Step]]:
    """The lives' steps, all first ones before all second ones, so many at a time."""
    for steps in zip(*(life.walk for life in lives), strict=True):
        for at in range(0, len(steps), size):
            yield list(steps[at : at + size])
