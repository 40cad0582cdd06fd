"""Lives of tasks prepared beforehand: every command signed, every entry known to the last byte.

The commands of a life bind each other's entries, so they can only be signed in advance when those
entries can be foreseen. They can: signatures are deterministic, and the measured service is given a
clock that stands still. Whoever records the commands gets the very entries that were prepared here,
and whoever leaves the record out can send those entries as they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from activities.recorder import Recorded
from audit.submission import Submission, format_submission
from domain.task import Task
from tests.support.world import HEADER, World

OPENING = (("register", "office"), ("transfer", "office"))
WALK = (
    ("confirm", "officer"),
    ("start", "officer"),
    ("report", "officer"),
    ("report", "officer"),
    ("report", "officer"),
    ("report", "officer"),
    ("submit", "officer"),
    ("approve", "approver"),
)
"""The steps that are measured: one task from `assigned` to `done`."""

_WORDS = "Đã rà soát, lập danh mục và lấy ý kiến các đơn vị liên quan; đang hoàn thiện hồ sơ."


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what a person hands in, and what the log answers."""

    submission: Submission
    data: bytes
    recorded: Recorded

    @property
    def entry(self) -> bytes:
        assert self.recorded.entry is not None
        return self.recorded.entry


@dataclass(frozen=True, slots=True)
class Life:
    """A task: the steps that open it, and those that are measured."""

    task: str
    opening: tuple[Step, ...]
    walk: tuple[Step, ...]


class Author:
    """Writes lives into a scratch log that is founded as the measured one is."""

    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, task: str, reports: int = 0) -> Life:
        """The steps of `WALK`; with ``reports``, confirm, start and that many of those."""
        events = (*WALK[:2], *([WALK[2]] * reports)) if reports else WALK
        opening = self._steps(task, None, OPENING)
        return Life(task, opening, self._steps(task, opening[-1].recorded.task, events))

    def _steps(
        self, task: str, known: Task | None, events: Sequence[tuple[str, str]]
    ) -> tuple[Step, ...]:
        steps = []
        for event, role in events:
            submission = self._world.submission(
                known or task, event, arguments(event, self._world.now), role=role
            )
            recorded = self._world.hand_in(submission)
            assert isinstance(recorded, Recorded), recorded
            known = recorded.task
            steps.append(Step(submission, format_submission(submission), recorded))
        return tuple(steps)


@contextmanager
def author(now: datetime) -> Iterator[Author]:
    """An author whose log lasts as long as the context."""
    with TemporaryDirectory(prefix="dondoc-bench-") as directory:
        world = World(f"sqlite:///{Path(directory) / 'scratch.sqlite'}", start=now)
        try:
            yield Author(world)
        finally:
            world.close()


def arguments(event: str, now: datetime) -> dict[str, Any]:
    """What a usual step of this kind carries."""
    match event:
        case "register":
            days = {"issued_on": now - timedelta(days=3), "due_on": now + timedelta(days=110)}
            return {**HEADER, **{name: day.date().isoformat() for name, day in days.items()}}
        case "report":
            return {"summary": _WORDS, "percent": 40}
        case "submit":
            return {"summary": _WORDS}
        case _:
            return {}
