"""Whether the sequencer slows a step's receipt: `make bench-receipts`.

    python -m bench.receipts                          both databases, some minutes
    python -m bench.receipts --database sqlite --rounds 2 --steps 300 --every 0.3
    python -m bench.receipts --json

Signed commands go to the door as bytes; a receipt is there when the entry is committed and flushed.
No workflow, no Temporal. Two loads: one giver, whose next step begins with the receipt of the last,
and twenty of them side by side, who do four times as many steps. In every other round the sequencer
takes its turns meanwhile, in a thread of the same process as in `dondoc up`: on the same database,
its folder on the same disk, at once and then so many seconds after the last one, each with what
came since. Before each round of either kind everything is sequenced. A ratio is the median over
neighbouring rounds.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from activities.queue import Asker, RecorderQueue
from activities.recorder import Recorded
from bench.figures import percentile
from bench.lives import Life, Step, author
from bench.machine import load
from bench.servers import DURABILITY, durable_postgres
from gateway.door import Door
from sequencing.publisher import TURN_SECONDS, Publisher, Sequencing, open_publisher
from sequencing.signing import LogSigning
from tests.support.world import World

DATABASES = ("sqlite", "postgresql")
SIDES = ("without", "with")
MOST = 1.10
_MORE = 4

Say = Callable[[str], None]


@dataclass
class Side:
    """One side's rounds: latencies in milliseconds, and what the sequencer did meanwhile."""

    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    sequenced: list[int] = field(default_factory=list)


Sides = dict[str, Side]


@dataclass
class Found:
    """Everything measured over one database; loads by the number of givers."""

    database: str
    durability: str
    loads: dict[int, Sides]

    def ratio(self, givers: int, figure: str = "p50") -> float:
        """With the sequencer to without it."""
        sides = self.loads[givers]
        pairs = zip(getattr(sides["with"], figure), getattr(sides["without"], figure), strict=True)
        return float(median(having / lacking for having, lacking in pairs))

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: every round, and the ratios."""
        ratios = {
            str(givers): {figure: self.ratio(givers, figure) for figure in ("p50", "p95")}
            for givers in self.loads
        }
        return asdict(self) | {"ratios": ratios}


class Turning:
    """The sequencer at work in a thread, as `sequencing.publisher.keep_publishing` has it."""

    def __init__(self, publisher: Publisher, every: float) -> None:
        self._publisher = publisher
        self._every = every
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sequencer")
        self._error: BaseException | None = None
        self.turns = 0
        self.sequenced = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the turn under way end."""
        self._enough.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                before = _size(self._publisher)
                if self._publisher.step() is not None:
                    self.turns += 1
                    self.sequenced += _size(self._publisher) - before
                self._enough.wait(self._every)
        except BaseException as error:  # noqa: BLE001 - raised where the thread is waited for
            self._error = error


def _size(publisher: Publisher) -> int:
    signed = publisher.sequencer.signed
    return signed.checkpoint.size if signed else 0


@dataclass(frozen=True)
class Site:
    """A log with its door and its sequencer."""

    door: Door
    publisher: Publisher


@contextmanager
def open_site(url: str, folder: Path, now: datetime) -> Iterator[Site]:
    """Founded, with everything sequenced."""
    world = World(url, start=now)
    queue = RecorderQueue(world.recorder, _nobody)
    try:
        signing = LogSigning(world.origin, lambda _directory: world.checkpoint_keys)
        publisher = open_publisher(Sequencing(folder, signing), world.engine, lambda: now)
        yield Site(world.door(queue, lambda: now), publisher)
        publisher.close()
    finally:
        queue.stop()
        world.close()


def _nobody(_recorded: Recorded, _asker: Asker) -> None:
    """No workflow hears of it."""


async def hand_in(door: Door, steps: Sequence[Step]) -> list[float]:
    """One giver: milliseconds to each receipt. The entry must be the one that was foreseen."""
    timed = []
    for step in steps:
        begun = perf_counter()
        recorded = await door.submit_bytes(step.data)
        timed.append((perf_counter() - begun) * 1_000)
        assert recorded.entry == step.entry, "the service recorded something else"
    return timed


async def play(site: Site, lives: Sequence[Life], every: float | None, into: Side) -> None:
    """One round; with the sequencer when it has a pace."""
    for life in lives:
        await hand_in(site.door, life.opening)
    await asyncio.to_thread(site.publisher.step)
    turning = None if every is None else Turning(site.publisher, every)
    if turning is not None:
        turning.start()
    begun = perf_counter()
    try:
        timed = await asyncio.gather(*(hand_in(site.door, life.walk) for life in lives))
        seconds = perf_counter() - begun
    finally:
        if turning is not None:
            await asyncio.to_thread(turning.stop)
    latencies = [each for giver in timed for each in giver]
    into.p50.append(median(latencies))
    into.p95.append(percentile(latencies, 95))
    into.per_second.append(len(latencies) / seconds)
    into.turns.append(turning.turns if turning else 0)
    into.sequenced.append(turning.sequenced if turning else 0)


Plan = dict[int, list[dict[str, list[Life]]]]
"""By number of givers, for each round and side, a life for each giver."""


def prepare(now: datetime, givers: Sequence[int], rounds: int, steps: int) -> Plan:
    """Sign everything beforehand; round 0 is for warming up."""
    with author(now) as writer:

        def lives(count: int, name: str) -> list[Life]:
            # A life begins with two steps that are no reports. Many at once are faster.
            reports = steps * (1 if count == 1 else _MORE) // count - 2
            return [writer.write(f"{name}-{giver}", max(reports, 1)) for giver in range(count)]

        return {
            count: [
                {side: lives(count, f"G{count}-{number}-{side}") for side in SIDES}
                for number in range(rounds + 1)
            ]
            for count in givers
        }


async def measure(site: Site, plan: Plan, every: float, say: Say) -> dict[int, Sides]:
    """All rounds of all loads."""
    loads: dict[int, Sides] = {}
    for givers, rounds in plan.items():
        loads[givers] = {side: Side() for side in SIDES}
        for number, lives in enumerate(rounds):
            for side in SIDES if number % 2 == 0 else reversed(SIDES):
                into = loads[givers][side] if number else Side()
                pace = every if side == "with" else None
                await play(site, lives[side], pace, into)
            if number:
                p50 = {side: f"{each.p50[-1]:.2f}" for side, each in loads[givers].items()}
                say(f"{givers} at once, round {number}: p50 {p50} ms")
    return loads


def run(given: argparse.Namespace, say: Say) -> list[Found]:
    """Each database in turn, with the same commands."""
    now = datetime.now(UTC)
    say("preparing tasks and their commands")
    plan = prepare(now, given.givers, given.rounds, given.steps)
    found = []
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="dondoc-bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        for database in given.database or DATABASES:
            url = f"sqlite:///{directory / 'log.sqlite'}"
            if database == "postgresql":
                url = stack.enter_context(durable_postgres()).create()
            say(database)
            with open_site(url, directory / database, now) as site:
                loads = asyncio.run(measure(site, plan, given.every, say))
            found.append(Found(database, DURABILITY[database], loads))
    return found


def show(console: Console, found: Found, every: float) -> None:
    """Print one database's table."""
    table = Table(
        title=f"{found.database} ({found.durability}): a step's receipt, ms",
        title_justify="left", title_style="bold",
    )  # fmt: skip
    table.add_column("")
    headings = ("without", f"sequencer, every {every:g} s", "ratio", "target")
    for name in headings:
        table.add_column(name, justify="right")
    for givers, sides in found.loads.items():
        having, lacking = sides["with"], sides["without"]
        table.add_section()
        table.add_row("one giver" if givers == 1 else f"{givers} givers at once")
        table.add_row(
            "  p50: median of rounds", _range(lacking.p50), _range(having.p50),
            f"{found.ratio(givers):.2f}", f"≤ {MOST:.2f}",
        )  # fmt: skip
        table.add_row(
            "  p95", _range(lacking.p95), _range(having.p95), f"{found.ratio(givers, 'p95'):.2f}"
        )
        table.add_row(
            "  receipts a second",
            f"{median(lacking.per_second):.0f}",
            f"{median(having.per_second):.0f}",
            f"{found.ratio(givers, 'per_second'):.2f}",
        )
        turns = f"{median(having.turns):.0f} of {_mean_turn(having):.0f} entries"
        table.add_row("  turns of the sequencer in a round", "", turns)
    console.print(table)


def _mean_turn(side: Side) -> float:
    return sum(side.sequenced) / max(sum(side.turns), 1)


def _range(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.receipts", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=4, help="of each side")
    parser.add_argument("--steps", type=int, default=1_500, help="of one giver in a round")
    parser.add_argument("--givers", type=int, nargs="+", default=[1, 20], help="at once")
    parser.add_argument("--every", type=float, default=TURN_SECONDS, help="seconds between turns")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    parser.add_argument("--directory", type=Path, help="for all files; default: the temporary one")
    parser.add_argument("--json", action="store_true", help="every round, as JSON")
    given = parser.parse_args()
    progress = Console(stderr=True)
    begun, load_before = perf_counter(), load()
    found = run(given, progress.print)
    if given.json:
        json.dump([each.as_json() for each in found], sys.stdout, indent=1)
        return
    console = Console(width=110) if not sys.stdout.isatty() else Console()
    for each in found:
        show(console, each, given.every)
    console.print(
        f"{perf_counter() - begun:.0f} s in all; load of the machine before {load_before},"
        f" after {load()}. Each figure is the median of this run."
    )


if __name__ == "__main__":
    main()
