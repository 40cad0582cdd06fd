"""A whole province's directory imported, and the question that every step asks of it.

    python -m bench.directory                        both databases, some minutes
    python -m bench.directory --database sqlite --agencies 200 --people 5000
    python -m bench.directory --json

A workbook of agencies in a tree and people with a role or two is written, read and held against the
directory; the changes are signed by the administrator and go as bytes to the recorder, in the same
process, flushed at each commit. Beside it, in the same run: the same agencies,
people and roles inserted as plain rows, with as many commits as the import made entries. Then the
workbook is imported again, which has to find nothing to do, from a directory folded anew from its
entries; and `Directory.actor` is asked about people of that directory, and of one with seven.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from activities.queue import RecorderQueue
from activities.recorder import Handed
from audit.entry import header_digest
from audit.submission import Submission, format_submission, parse_submission
from bench.figures import percentile
from bench.machine import load, rss_mib
from bench.servers import DURABILITY, durable_postgres
from domain.directory import Directory
from gateway.changing import make_changes
from intake.people.difference import Difference, compare
from intake.people.directory import listing_of
from intake.people.listing import Agency, Holding, Listing, Person
from intake.people.reading import read
from intake.people.writing import write_listing
from store.engine import writing
from tests.support.world import START, World, key_of

DATABASES = ("sqlite", "postgresql")
MOST_SECONDS, MOST_ACTOR_MS = 60.0, 1.0
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
_QUESTIONS = 2_000
_ROLES = ("officer", "approver", "monitor")

Say = Callable[[str], None]


@dataclass
class Found:
    """Everything measured over one database: seconds, but for ``actor``, microseconds a question
    at 50 % and 99 %, in the large directory and in the small one.
    """

    database: str
    durability: str
    agencies: int
    people: int
    entries: int
    log_bytes: int
    workbook_bytes: int
    write: float
    read: float
    compare: float
    record: float
    plain: float
    fold: float
    again: float
    actor: dict[str, list[float]]
    memory_mib: float

    @property
    def whole(self) -> float:
        """The import from the file to the last receipt."""
        return self.read + self.compare + self.record

    def as_json(self) -> dict[str, Any]:
        ratios = {
            "record_to_plain": self.record / self.plain,
            "actor_large_to_small": self.actor["large"][0] / self.actor["small"][0],
        }
        return asdict(self) | {"whole": self.whole, "ratios": ratios}


def province(agencies: int, people: int) -> Listing:
    """A tree of four levels, and people of whom every fourth has two roles."""
    tree = {
        name: Agency(name, f"Cơ quan số {number} của tỉnh", f"Agency {number}", parent)
        for number in range(agencies)
        for name, parent in [(f"cq-{number}", f"cq-{(number - 1) // 12}" if number else None)]
    }
    posts = {
        who: Person(
            who, f"Chuyên viên đầu mối số {number}", f"Contact officer {number}",
            "secret" if number % 10 == 0 else "normal", _held(number, agencies),
        )
        for number in range(people)
        for who in [f"cq-{number % agencies}.p{number}"]
    }  # fmt: skip
    return Listing(tree, posts)


def _held(number: int, agencies: int) -> tuple[Holding, ...]:
    agency = f"cq-{number % agencies}"
    begins = datetime(2025, 12, 31, 17, tzinfo=UTC)
    until = begins + timedelta(days=365) if number % 3 == 0 else None
    first = Holding(agency, _ROLES[number % 3], begins, until)
    second = Holding(agency, _ROLES[(number + 1) % 3], begins)
    return (first, second) if number % 4 == 0 else (first,)


def measure(database: str, url: str, file: Path, listing: Listing, say: Say) -> Found:
    """One import, and what is asked afterwards."""
    begun = perf_counter()
    write_listing(file, listing, ZONE)
    written = perf_counter() - begun
    say(f"{database}: workbook of {file.stat().st_size / 1e6:.1f} MB written in {written:.1f} s")
    world = World(url, start=START)
    try:
        before = listing_of(world.recorder.directory())
        begun = perf_counter()
        reading = read([file], ZONE, before)
        was_read = perf_counter() - begun
        assert reading.errors == (), reading.errors[:3]
        begun = perf_counter()
        found = compare(reading.listing, before, world.now)
        compared = perf_counter() - begun
        recorded = record(world, found, say)
        plain = insert(world.engine, found)
        begun = perf_counter()
        directory = world.another_recorder().directory()
        folded = perf_counter() - begun
        begun = perf_counter()
        known = listing_of(directory)
        second = compare(read([file], ZONE, known).listing, known, world.now)
        again = perf_counter() - begun
        assert not second.changes, "a second import changes something"
        actor = ask(world, listing)
        data = [row.data for row in world.chain("directory")]
    finally:
        world.close()
    return Found(
        database=database, durability=DURABILITY[database], agencies=len(listing.agencies),
        people=len(listing.people), entries=len(found.changes), log_bytes=sum(map(len, data)),
        workbook_bytes=file.stat().st_size, write=written, read=was_read, compare=compared,
        record=recorded, plain=plain, fold=folded, again=again, actor=actor,
        memory_mib=rss_mib_of_this(),
    )  # fmt: skip


def record(world: World, found: Difference, say: Say) -> float:
    """Seconds until the last receipt: signed, made bytes and read again, judged, recorded."""
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    shown = 0

    async def submit(submission: Submission) -> None:
        await queue.record(Handed(parse_submission(format_submission(submission)), world.now))

    def progress(done: int) -> None:
        nonlocal shown
        if done >= shown + 10_000:
            shown = done
            say(f"  {done} …")

    chain = world.origin, header_digest(world.founding)
    begun = perf_counter()
    try:
        asyncio.run(
            make_changes(
                found.phases, chain, world.administrator, submit, lambda: world.now,
                progress=progress,
            )
        )  # fmt: skip
    finally:
        queue.stop()
    return perf_counter() - begun


def insert(engine: Engine, found: Difference) -> float:
    """Seconds for the same agencies, people and roles as plain rows, a commit for each entry."""
    with writing(engine) as connection:
        for table in (
            "plain_agency (agency text primary key, name_vi text, name_en text, parent text)",
            "plain_person (person text primary key, title_vi text, title_en text, clearance text)",
            "plain_role (person text, agency text, role text, begins text, until text)",
        ):
            connection.execute(text(f"CREATE TABLE {table}"))
    into = {
        "agencies": "plain_agency VALUES (:agency, :name_vi, :name_en, :parent)",
        "people": "plain_person VALUES (:person, :title_vi, :title_en, :clearance)",
        "roles": "plain_role VALUES (:person, :agency, :role, :from, :until)",
    }
    begun = perf_counter()
    for change in found.changes:
        fields = change.resolved(START)
        people = fields.get("people", [])
        roles = [{"person": each["person"], **held} for each in people for held in each["roles"]]
        with writing(engine) as connection:
            for name, rows in (*fields.items(), ("roles", roles)):
                if rows:
                    plain = [{k: v for k, v in row.items() if k != "roles"} for row in rows]
                    connection.execute(text(f"INSERT INTO {into[name]}"), plain)
    return perf_counter() - begun


def ask(world: World, listing: Listing) -> dict[str, list[float]]:
    """Who acts with a key: microseconds at 50 % and 99 %, in both directories."""
    people = list(listing.people.values())
    asked = [people[len(people) * number // 20] for number in range(20)]
    for person in asked:
        world.enrol(person.id, key_of(person.id))
    large = world.recorder.directory()
    questions = [
        (key_of(each.id).public.id, each.holdings[0].agency, each.holdings[0].role)
        for each in asked
    ]
    small = [(world.people[who].key.public.id, world.people[who].agency, world.people[who].role)
             for who in ("officer", "approver", "monitor")]  # fmt: skip
    few = Directory()
    with TemporaryDirectory(prefix="dondoc-bench-") as name:
        other = World(f"sqlite:///{Path(name) / 'small.sqlite'}")
        few = other.recorder.directory()
        other.close()
    return {
        "large": _timed(large, questions, world.now),
        "small": _timed(few, small, world.now),
    }


def _timed(
    directory: Directory, questions: Sequence[tuple[str, str, str]], at: datetime
) -> list[float]:
    times = []
    for number in range(_QUESTIONS):
        key, agency, role = questions[number % len(questions)]
        begun = perf_counter()
        directory.actor(key, agency, role, at)
        times.append((perf_counter() - begun) * 1e6)
    return [median(times), percentile(times, 99)]


def rss_mib_of_this() -> float:
    """The most memory that this process has held."""
    return rss_mib(os.getpid(), "VmHWM")


def show(console: Console, found: Found) -> None:
    console.rule(f"{found.database} ({found.durability})")
    title = f"{found.agencies} agencies, {found.people} people, {found.entries} entries"
    table = Table("", "measured", "target", title=title, title_justify="left")
    for name, value, target in (
        ("workbook written (export)", f"{found.write:.1f} s", ""),
        ("read and checked", f"{found.read:.1f} s", ""),
        ("held against the directory", f"{found.compare:.2f} s", ""),
        ("signed, handed in, recorded", f"{found.record:.1f} s", ""),
        ("the import in all", f"{found.whole:.1f} s", f"< {MOST_SECONDS:.0f} s"),
        ("the same as plain inserts", f"{found.plain:.2f} s", ""),
        ("recorded to plain inserts", f"{found.record / found.plain:.1f}", ""),
        ("directory folded from its entries", f"{found.fold:.1f} s", ""),
        ("imported again: read, compared, nothing to do", f"{found.again:.1f} s", ""),
        ("the log's entries", f"{found.log_bytes / 1e6:.1f} MB", ""),
        ("actor, µs: p50 / p99", _pair(found.actor["large"]), f"< {MOST_ACTOR_MS * 1e3:.0f}"),
        ("the same with seven people", _pair(found.actor["small"]), ""),
        ("most memory of the process", f"{found.memory_mib:.0f} MiB", ""),
    ):
        table.add_row(name, value, target)
    console.print(table)


def _pair(times: Sequence[float]) -> str:
    return f"{times[0]:.1f} / {times[1]:.1f}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.directory", description=__doc__)
    parser.add_argument("--json", action="store_true", help="every measurement, as JSON")
    parser.add_argument("--agencies", type=int, default=2_000)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    given = parser.parse_args()
    progress, before = Console(stderr=True), load()
    listing = province(given.agencies, given.people)
    found = []
    with TemporaryDirectory(prefix="dondoc-bench-") as name, ExitStack() as servers:
        directory = Path(name)
        for database in given.database or DATABASES:
            url = f"sqlite:///{directory / uuid4().hex}.sqlite"
            if database == "postgresql":
                url = servers.enter_context(durable_postgres()).create()
            file = directory / f"{database}.xlsx"
            found.append(measure(database, url, file, listing, progress.print))
    if given.json:
        json.dump([each.as_json() for each in found], sys.stdout, indent=1)
        return
    console = Console(width=100) if not sys.stdout.isatty() else Console()
    for each in found:
        show(console, each)
    console.print(f"Load of the machine before {before}, after {load()}.")


if __name__ == "__main__":
    main()
