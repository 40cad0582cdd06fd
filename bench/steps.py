"""The two sides that are compared: steps through the door, and the same signals with no record."""

import asyncio
from typing import Protocol

from activities.queue import Asker
from bench.lives import Life, Step
from bench.watching import Watch
from gateway.door import Door
from gateway.driver import Driver


class Side(Protocol):
    """How a step reaches its workflow."""

    async def take(self, step: Step) -> None:
        """Return when the giver has all the answer there is before the workflow acts."""


class Audited:
    """The product's way: door, recorder, driver."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def take(self, step: Step) -> None:
        """Hand the command in at the door; the receipt must be the entry that was foreseen."""
        recorded = await self._door.submit_bytes(step.data)
        assert recorded.entry == step.entry, "the service recorded something else"


class Unaudited:
    """The record left out: the prepared entry goes to the same driver at once."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def take(self, step: Step) -> None:
        self._driver.hear(step.recorded, Asker.DOOR)


class Unrecorded(Driver):
    """The driver without its outbox, for steps that nobody has recorded."""

    async def _sweep(self) -> None:
        """Nothing is ever posted."""

    async def _strike(self) -> None:
        self._delivered.clear()


async def open_lives(side: Side, watch: Watch, lives: list[Life]) -> None:
    """Bring every task to where its measured walk begins."""

    async def open_one(life: Life) -> None:
        for step in life.opening:
            await side.take(step)
        await watch.until(life.task, len(life.opening))

    await asyncio.gather(*map(open_one, lives))


async def walk_together(side: Side, watch: Watch, lives: list[Life]) -> None:
    """All lives at once, each at the pace of its own workflow."""
    await asyncio.gather(*(walk(side, watch, life) for life in lives))


async def hand_in_together(side: Side, lives: list[Life]) -> None:
    """All lives at once; each giver waits for the receipt only."""

    async def hand_in(life: Life) -> None:
        for step in life.walk:
            await side.take(step)

    await asyncio.gather(*map(hand_in, lives))


async def applied(watch: Watch, lives: list[Life]) -> None:
    """Wait until every workflow has applied its last step."""
    for life in lives:
        await watch.until(life.task, len(life.opening) + len(life.walk))


async def walk(side: Side, watch: Watch, life: Life) -> None:
    """All steps of one life; each begins when the workflow has applied the one before."""
    for done, step in enumerate(life.walk, start=len(life.opening) + 1):
        await side.take(step)
        await watch.until(life.task, done)
