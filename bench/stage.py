"""One database measured: both sides in turn over one service and one Temporal server."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from bench.figures import Alone, Figures, Rounds
from bench.lives import Author, Life, author
from bench.machine import cpu_seconds, cpu_seconds_of_group
from bench.raw import measure_raw
from bench.servers import DURABILITY, Temporal
from bench.steps import (
    Audited,
    Side,
    Unaudited,
    Unrecorded,
    applied,
    hand_in_together,
    open_lives,
    walk_together,
)
from bench.watching import Watch, watching
from tests.support.clients import connect
from tests.support.world import World
from worker import Settings, service

SIDES = ("audited", "unaudited")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 6
    tasks: int = 20
    alone: int = 40


@dataclass
class Marks:
    """A probe that notes when each point of a step was passed."""

    at: dict[str, float] = field(default_factory=dict)

    def __call__(self, point: str) -> None:
        self.at[point] = perf_counter()


@dataclass(frozen=True)
class Stage:
    """A running service, with both ways to it."""

    watch: Watch
    sides: Mapping[str, Side]
    marks: Marks
    processes: Mapping[str, int]


async def measure(
    kind: str, new_database: Callable[[], str], temporal: Temporal, sizes: Sizes, say: Say,
    database_pid: int | None = None,
) -> Figures:  # fmt: skip
    """Everything about one kind of database. ``new_database`` makes the address of an empty one."""
    now = datetime.now(UTC)
    with author(now) as writer:
        say(f"{kind}: preparing tasks and their commands")
        raw = measure_raw(writer, now, new_database)
        plan = await asyncio.to_thread(_plan, writer, kind, sizes)
    processes = {"worker": os.getpid(), "temporal": temporal.pid}
    if database_pid is not None:
        processes["database"] = database_pid
    async with _staged(kind, new_database(), temporal.address, now, processes) as stage:
        say(f"{kind}: warming up")
        await _warm_up(stage, plan)
        together = {side: Rounds() for side in SIDES}
        for number, lives in enumerate(plan.rounds):
            for side in SIDES if number % 2 == 0 else reversed(SIDES):
                await _round(stage, side, lives[side], together[side])
                say(f"{kind}: round {number + 1}, {side}: {together[side].per_second[-1]:.0f}/s")
        receipts, caught_up = await _receipts(stage, plan.receipts)
        say(f"{kind}: one step alone")
        alone, stages = await _one_alone(stage, plan.alone)
    return Figures(kind, DURABILITY[kind], together, receipts, caught_up, alone, stages, raw)


@dataclass(frozen=True)
class _Plan:
    warm_up: Mapping[str, list[Life]]
    rounds: Sequence[Mapping[str, list[Life]]]
    receipts: Sequence[list[Life]]
    alone: Mapping[str, Life]


def _plan(writer: Author, kind: str, sizes: Sizes) -> _Plan:
    """All lives of a run; ids tell the databases apart, which share a Temporal server."""

    def several(name: str) -> list[Life]:
        return [writer.write(f"{kind}-{name}-{number}") for number in range(sizes.tasks)]

    return _Plan(
        {side: several(f"warm-{side}") for side in SIDES},
        [{side: several(f"{side}-{number}") for side in SIDES} for number in range(sizes.rounds)],
        [several(f"receipts-{number}") for number in range(3)],
        {side: writer.write(f"{kind}-alone-{side}", sizes.alone) for side in SIDES},
    )


@asynccontextmanager
async def _staged(
    kind: str, url: str, address: str, now: datetime, processes: Mapping[str, int]
) -> AsyncIterator[Stage]:
    world = World(url, start=now)
    marks = Marks()
    settings = Settings(url, world.keys, task_queue=f"bench-{kind}")
    try:
        with watching() as watch:
            client = await connect(address, interceptors=[watch])
            async with service(settings, client, lambda: now, marks) as running:
                driver = Unrecorded(
                    client, running.engine, running.recorder.directory, settings.task_queue, marks
                )
                delivering = asyncio.create_task(driver.run())
                sides: dict[str, Side] = {
                    "audited": Audited(running.door),
                    "unaudited": Unaudited(driver),
                }
                try:
                    yield Stage(watch, sides, marks, processes)
                finally:
                    delivering.cancel()
                    await asyncio.gather(delivering, return_exceptions=True)
    finally:
        world.close()


async def _warm_up(stage: Stage, plan: _Plan) -> None:
    for side in SIDES:
        await _round(stage, side, plan.warm_up[side], Rounds())


async def _round(stage: Stage, side: str, lives: list[Life], into: Rounds) -> None:
    """Many tasks at once, each giver waiting for the workflow before the next step."""
    await open_lives(stage.sides[side], stage.watch, lives)
    await _calm()
    before, begun = _cpu(stage), perf_counter()
    await walk_together(stage.sides[side], stage.watch, lives)
    seconds, after = perf_counter() - begun, _cpu(stage)
    steps = sum(len(life.walk) for life in lives)
    into.per_second.append(steps / seconds)
    into.cpu_ms.append(
        {name: (after[name] - before[name]) / steps * 1_000 for name in stage.processes}
    )


async def _receipts(stage: Stage, rounds: Sequence[list[Life]]) -> tuple[list[float], list[float]]:
    """Many tasks at once, each giver waiting for the receipt only: steps a second until the last
    receipt, and until the last workflow has caught up.
    """
    receipts, caught_up = [], []
    for lives in rounds:
        await open_lives(stage.sides["audited"], stage.watch, lives)
        await _calm()
        steps, begun = sum(len(life.walk) for life in lives), perf_counter()
        await hand_in_together(stage.sides["audited"], lives)
        receipts.append(steps / (perf_counter() - begun))
        await applied(stage.watch, lives)
        caught_up.append(steps / (perf_counter() - begun))
    return receipts, caught_up


async def _one_alone(
    stage: Stage, lives: Mapping[str, Life]
) -> tuple[dict[str, Alone], dict[str, dict[str, float]]]:
    """One step at a time, one of each side in turn, and the stages each passed."""
    alone = {side: Alone() for side in SIDES}
    passed: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for side in SIDES:
        await open_lives(stage.sides[side], stage.watch, [lives[side]])
    for position in range(len(lives["audited"].walk)):
        for side in SIDES if position % 2 == 0 else reversed(SIDES):
            await _calm(0.02)
            passed[side].append(await _step(stage, side, lives[side], position, alone[side]))
    stages = {
        side: {name: median(each[name] for each in all_) for name in all_[0]}
        for side, all_ in passed.items()
    }
    return alone, stages


async def _step(
    stage: Stage, side: str, life: Life, position: int, into: Alone
) -> dict[str, float]:
    marks = stage.marks.at
    marks.clear()
    begun = perf_counter()
    await stage.sides[side].take(life.walk[position])
    receipt = perf_counter()
    await stage.watch.until(life.task, len(life.opening) + position + 1)
    ended = perf_counter()
    into.receipt.append((receipt - begun) * 1_000)
    into.applied.append((ended - begun) * 1_000)
    answered = marks.get("after_commit", begun)
    points = {"begun": begun, **marks, "answered": answered, "ended": ended}
    return {
        name: (points[last] - points[first]) * 1_000
        for name, first, last in _STAGES
        if first in points and last in points
    }


_STAGES = (
    ("check", "begun", "prepared"),
    ("record", "prepared", "before_commit"),
    ("commit", "before_commit", "after_commit"),
    ("hand_on", "answered", "before_signal"),
    ("follow", "before_signal", "ended"),
)
"""Name, first and last point: only an audited step passes the first three."""


def _cpu(stage: Stage) -> dict[str, float]:
    return {
        name: (cpu_seconds_of_group if name == "database" else cpu_seconds)(pid)
        for name, pid in stage.processes.items()
    }


async def _calm(seconds: float = 0.3) -> None:
    """Let what the last steps left behind (strikes, visibility, acknowledgements) be done."""
    await asyncio.sleep(seconds)
