"""How many refusals the log takes: a bound that nobody outside can lift, and a count of the rest.

A refusal costs its giver nothing, and an entry stays for ever. So each person has a bucket of
tokens, and all that no signature attributes share one; an entry takes a token from its giver's
bucket and one from the bucket of all. Where there is none, the refusal is counted, and the counts
come out as one entry: when nothing was counted for a while, so that there is room again, or at the
latest after `LONGEST`.

A bucket of ``burst`` tokens that gets one more each ``refill`` gives, in any span of time T, at
most ``burst + T / refill``: in any hour 80 entries of one person, 800 of all, and 15 sums, whatever
comes. The times stand in the entries, so the buckets are a fold of the log: services that share a
log share them, and a restart does not fill them up.

Values and pure functions; instants are aware, the time is passed in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.instants import format_instant
from domain.refused import MAX_ACTORS, MAX_CODES

_FOREVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` at once, then one more each ``refill``.

    A bucket is told by the instant at which it will be full again, if nothing more is taken.
    """

    burst: int
    refill: timedelta

    @property
    def whole(self) -> timedelta:
        """How long an empty bucket takes to be full."""
        return self.burst * self.refill

    def has_room(self, full_at: datetime, at: datetime) -> bool:
        """Whether a token may be taken ``at`` that instant."""
        return max(full_at, at) + self.refill <= at + self.whole

    def taken(self, full_at: datetime, at: datetime) -> datetime:
        """The bucket after it; no emptier than empty."""
        return min(max(full_at, at) + self.refill, at + self.whole)

    def most(self, span: timedelta) -> int:
        """How many tokens it gives in any span of this length."""
        return self.burst + span // self.refill


PER_ACTOR = Rate(20, timedelta(minutes=1))
OF_ALL = Rate(200, timedelta(seconds=6))
SUMS = Rate(3, timedelta(minutes=5))

QUIET = timedelta(minutes=5)
LONGEST = timedelta(hours=1)

LOOK_BACK = max(rate.whole for rate in (PER_ACTOR, OF_ALL, SUMS))
"""A bucket that nothing was taken from for so long is full."""


@dataclass(frozen=True, slots=True)
class Room:
    """The buckets. ``actors`` has those that are not full; None stands for whoever is not known."""

    actors: Mapping[str | None, datetime] = field(default_factory=dict)
    of_all: datetime = _FOREVER
    sums: datetime = _FOREVER

    def for_one(self, actor: str | None, at: datetime) -> bool:
        """Whether a refusal of this actor may have an entry of its own."""
        mine = self.actors.get(actor, _FOREVER)
        return PER_ACTOR.has_room(mine, at) and OF_ALL.has_room(self.of_all, at)

    def for_sum(self, at: datetime) -> bool:
        return SUMS.has_room(self.sums, at)

    def after_one(self, actor: str | None, at: datetime) -> "Room":
        """The buckets after the entry of a refusal, recorded ``at`` that instant."""
        actors = {name: full_at for name, full_at in self.actors.items() if full_at > at}
        actors[actor] = PER_ACTOR.taken(self.actors.get(actor, _FOREVER), at)
        return replace(self, actors=actors, of_all=OF_ALL.taken(self.of_all, at))

    def after_sum(self, at: datetime) -> "Room":
        return replace(self, sums=SUMS.taken(self.sums, at))


def remembered(actors: Iterable[str | None], sums: int, at: datetime) -> Room:
    """The buckets ``at`` that instant: the ``actors`` of the entries received in the `LOOK_BACK`
    before it, one for each entry, and the number of sums.

    What came earlier may have left a bucket less than full. So each that a token was taken from
    counts as empty when we began to look: there is never more room than the log allows.
    """
    room = Room()
    for actor in actors:
        room = room.after_one(actor, at)
    for _ in range(sums):
        room = room.after_sum(at)
    return room


@dataclass(frozen=True, slots=True)
class Tally:
    """What was refused without an entry of its own, between ``since`` and ``until``."""

    since: datetime | None = None
    until: datetime | None = None
    total: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    actors: Mapping[str, int] = field(default_factory=dict)

    def counted(self, code: str, actor: str | None, at: datetime) -> "Tally":
        """With one more, received ``at`` that instant. Of too many actors the first are named."""
        actors = self.actors
        if actor is not None and (actor in actors or len(actors) < MAX_ACTORS):
            actors = {**actors, actor: actors.get(actor, 0) + 1}
        return Tally(
            min(self.since, at) if self.since else at,
            max(self.until, at) if self.until else at,
            self.total + 1,
            {**self.codes, code: self.codes.get(code, 0) + 1},
            actors,
        )

    def is_due(self, at: datetime) -> bool:
        """Whether it is time to state the sum."""
        if self.since is None or self.until is None:
            return False
        return at >= self.until + QUIET or at >= self.since + LONGEST

    def arguments(self) -> dict[str, Any]:
        """Those of the entry ``refusals_summed``: the most frequent codes, and the whole total."""
        assert self.since is not None  # noqa: S101 - there is nothing to state of an empty one
        assert self.until is not None  # noqa: S101 - likewise
        frequent = sorted(self.codes.items(), key=lambda item: (-item[1], item[0]))[:MAX_CODES]
        return {
            "since": format_instant(self.since),
            "until": format_instant(self.until),
            "total": self.total,
            "counts": dict(sorted(frequent)),
            "actors": dict(sorted(self.actors.items())),
        }
