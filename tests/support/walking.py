"""A task walked through its life by the rules alone: no keys, no log, no database.

    walk = Walk().do("transfer", by="office").do("confirm").forward(days=3)
    walk.refused("dispute", REASON) == "dispute_window_closed"

As in the recorder, what has run out before a step is lapsed by the clock first.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from domain.calendars import load
from domain.command import Actor, Command
from domain.decide import decide, due_clocks
from domain.instants import format_instant
from domain.refusal import Refused
from domain.step import Step, evolve
from domain.task import Role, Secrecy, State, Task
from tests.support.world import HEADER, PEOPLE, START

TEXT = "sha256:" + "0" * 64
REASON = {"reason": TEXT}
REPORT = {"summary": TEXT}

CLOCK = Actor("clock", "clock", Role.CLOCK)


def actor(name: str) -> Actor:
    person, agency, role = PEOPLE[name]
    return Actor(person, agency, Role(role), clearance=Secrecy.TOP_SECRET)


class Walk:
    """Registered on `START` unless told otherwise; ``steps`` hold all that has happened."""

    def __init__(self, **header: Any) -> None:
        self.now = START
        self.calendar = load()
        self.steps: list[Step] = []
        self.current: Task | None = None
        given = {**HEADER, "document_title": TEXT, "title": TEXT, **header}
        self.header = {name: value for name, value in given.items() if value is not None}
        self.do("register", self.header, by="office")

    @property
    def task(self) -> Task:
        assert self.current is not None
        return self.current

    @property
    def state(self) -> State:
        return self.task.state

    def forward(self, **delta: float) -> Self:
        """Move the time on. Nothing lapses yet."""
        self.now += timedelta(**delta)
        return self

    def tick(self) -> Self:
        """Let the clock do what is due by now."""
        while self.current is not None and (due := due_clocks(self.current, self.now)):
            self.lapse(due[0])
        return self

    def lapse(self, name: str) -> Self:
        """The clock's own step, on the deadline it speaks of."""
        due = self.task.clocks[name].due
        arguments = {"clock": name, "due": format_instant(due)}
        return self._take(self.command("lapse", arguments, CLOCK, due), CLOCK, due)

    def do(
        self,
        event: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        by: str | Actor = "officer",
        at: datetime | None = None,
        seen: Task | None = None,
    ) -> Self:
        """A step by one of `tests.support.world.PEOPLE`, or by anybody. Raises Refused.

        ``at``: when it stood at the door, if not now. ``seen``: the task as it was looked at.
        """
        who, received = by if isinstance(by, Actor) else actor(by), at or self.now
        if at is None:
            self.tick()
        return self._take(self.command(event, arguments or {}, who, received, seen), who, received)

    def refused(
        self, event: str, arguments: Mapping[str, Any] | None = None, **how: Any
    ) -> str | None:
        """The code that a step is refused with; None when it is allowed. It changes nothing."""
        before, steps = self.current, list(self.steps)
        try:
            self.do(event, arguments, **how)
        except Refused as refusal:
            return refusal.code
        finally:
            self.current, self.steps = before, steps
        return None

    def command(
        self,
        event: str,
        arguments: Mapping[str, Any],
        who: Actor,
        at: datetime,
        seen: Task | None = None,
    ) -> Command:
        task = seen or self.current
        return Command(
            id=_digest(f"command {len(self.steps)} {event}")[:32],
            task="D1-1",
            event=event,
            arguments=arguments,
            seen=(task.version, task.seen) if task else None,
            agency=who.agency,
            role=str(who.role),
            key=_digest(who.person),
            issued_at=at,
        )

    def _take(self, command: Command, who: Actor, at: datetime) -> Self:
        decision = decide(self.current, command, who, at, self.calendar)
        seq = len(self.steps) + 1
        step = Step(
            task=command.task,
            header="0" * 64,
            event=command.event,
            agency=who.agency,
            role=str(who.role),
            arguments=command.arguments,
            command=command.id,
            person=who.person,
            behalf=who.behalf,
            received_at=at,
            recorded_at=at,
            to=decision.to,
            clocks=decision.clocks,
            seq=seq,
            leaf=_digest(f"leaf {seq}"),
        )
        self.current = evolve(self.current, step)
        self.steps.append(step)
        return self


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_PATHS: Mapping[State, tuple[tuple[str, Mapping[str, Any], str], ...]] = {
    State.REGISTERED: (),
    State.ASSIGNED: (("transfer", {}, "office"),),
    State.CONFIRMED: (("transfer", {}, "office"), ("confirm", {}, "officer")),
    State.DISPUTED: (("transfer", {}, "office"), ("dispute", REASON, "officer")),
    State.IN_PROGRESS: (
        ("transfer", {}, "office"),
        ("confirm", {}, "officer"),
        ("start", {}, "officer"),
    ),
    State.IN_REVIEW: (
        ("transfer", {}, "office"),
        ("confirm", {}, "officer"),
        ("start", {}, "officer"),
        ("submit", REPORT, "officer"),
    ),
    State.DONE: (
        ("transfer", {}, "office"),
        ("confirm", {}, "officer"),
        ("start", {}, "officer"),
        ("submit", REPORT, "officer"),
        ("approve", {}, "approver"),
    ),
    State.WITHDRAWN: (("recall", REASON, "office"),),
}


def walk_to(state: State, **header: Any) -> Walk:
    """A task that has just come to ``state`` by the shortest way."""
    walk = Walk(**header)
    for event, arguments, by in _PATHS[state]:
        walk.do(event, arguments, by=by)
    return walk
