"""However many commands are refused, the log takes no more than so many entries in any hour."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.refusals import (
    LONGEST,
    LOOK_BACK,
    OF_ALL,
    PER_ACTOR,
    QUIET,
    SUMS,
    Rate,
    Room,
    Tally,
    remembered,
)
from domain.refused import MAX_ACTORS, MAX_CODES

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
Entries = list[tuple[str | None, datetime]]


def after(**delta: float) -> datetime:
    return START + timedelta(**delta)


def most_in_an_hour(times: Sequence[datetime]) -> int:
    """In any closed hour: the busiest one begins with one of them."""
    ordered = sorted(times)
    return max(
        (sum(first <= each <= first + HOUR for each in ordered[at:]) for at, first in
         enumerate(ordered)),
        default=0,
    )  # fmt: skip


def entered(commands: Sequence[tuple[str | None, datetime]]) -> Entries:
    """Those of the refused commands that have an entry."""
    room, entries = Room(), []
    for actor, at in commands:
        if room.for_one(actor, at):
            room = room.after_one(actor, at)
            entries.append((actor, at))
    return entries


ACTORS = st.sampled_from([None, "a", "b", "c"])
GAPS = st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 120), st.integers(0, 4_000))


@st.composite
def commands(draw: st.DrawFn) -> Entries:
    """Bursts and trickles by several actors, over hours; the clock never goes back."""
    now, found = START, []
    for _ in range(draw(st.integers(1, 12))):
        actor, gap = draw(ACTORS), draw(GAPS)
        for _ in range(draw(st.integers(1, 150))):
            now += gap * SECOND
            found.append((actor, now))
    return found


def test_the_bound_of_an_hour_is_what_the_documentation_says() -> None:
    assert (PER_ACTOR.most(HOUR), OF_ALL.most(HOUR), SUMS.most(HOUR)) == (80, 800, 15)


@given(commands())
@example([("a", START + n * SECOND) for n in range(8_000)])
@example([(f"p{n}", START + n * SECOND) for n in range(8_000)])
def test_in_any_hour_an_actor_has_so_many_entries_and_all_have_so_many(given: Entries) -> None:
    entries = entered(given)
    for actor in {actor for actor, _ in entries}:
        mine = [at for each, at in entries if each == actor]
        assert most_in_an_hour(mine) <= PER_ACTOR.most(HOUR)
    assert most_in_an_hour([at for _, at in entries]) <= OF_ALL.most(HOUR)


def test_the_bound_is_reached_so_it_is_no_lower() -> None:
    alone = entered([("a", START + n * SECOND) for n in range(3_601)])
    assert most_in_an_hour([at for _, at in alone]) == PER_ACTOR.most(HOUR)
    many = entered([(f"p{n}", START + n * SECOND / 4) for n in range(4 * 3_601)])
    assert most_in_an_hour([at for _, at in many]) == OF_ALL.most(HOUR)


@given(commands(), st.lists(st.integers(0, 40_000), max_size=6))
@example([(None, START + n * 23 * SECOND) for n in range(1, 74)], [400, 762, 1661])
def test_restarts_give_nobody_more_room(given: Entries, restarts: list[int]) -> None:
    """A restart knows nothing but the log of the last minutes: less than all entries would tell."""
    stops = sorted(START + each * SECOND for each in restarts)
    room, of_the_log, entries = Room(), Room(), Entries()
    for actor, at in given:
        while stops and stops[0] <= at:
            stop = stops.pop(0)
            recent = [each for each, when in entries if when >= stop - LOOK_BACK]
            room = remembered(recent, 0, stop)
            for each in (None, "a", "b", "c"):
                assert of_the_log.for_one(each, stop) or not room.for_one(each, stop)
        if room.for_one(actor, at):
            room, of_the_log = room.after_one(actor, at), of_the_log.after_one(actor, at)
            entries.append((actor, at))
    for actor in {actor for actor, _ in entries}:
        assert most_in_an_hour([at for each, at in entries if each == actor]) <= 80
    assert most_in_an_hour([at for _, at in entries]) <= 800


def test_who_was_quiet_has_the_whole_room_after_a_restart() -> None:
    room = remembered(["a"] * 20, 0, START)
    assert not room.for_one("a", START)
    entries = [room := room.after_one("b", START) for _ in range(20) if room.for_one("b", START)]
    assert len(entries) == 20


@given(commands())
def test_what_has_no_entry_is_counted_and_sums_are_few(given: Entries) -> None:
    room, tally, sums, totals = Room(), Tally(), [], 0
    entries = 0
    for actor, at in given:
        if room.for_one(actor, at):
            room, entries = room.after_one(actor, at), entries + 1
        else:
            tally = tally.counted("code", actor, at)
        if tally.is_due(at) and room.for_sum(at):
            sums.append(at)
            totals += tally.arguments()["total"]
            room, tally = room.after_sum(at), Tally()
    assert entries + totals + tally.total == len(given)
    assert most_in_an_hour(sums) <= SUMS.most(HOUR)


def test_one_who_floods_leaves_room_for_the_others() -> None:
    flood: Entries = [(None, START + n * SECOND / 100) for n in range(10_000)]
    entries = entered([*flood, ("a", after(seconds=100))])
    assert entries[-1] == ("a", after(seconds=100))
    assert len(entries) <= 20 + 2 + 1


def test_a_bucket_is_full_again_after_a_while() -> None:
    room = Room()
    for _ in range(20):
        assert room.for_one("a", START)
        room = room.after_one("a", START)
    assert not room.for_one("a", START)
    assert not room.for_one("a", after(seconds=59))
    assert room.for_one("a", after(minutes=1))
    later = after(minutes=1) + LOOK_BACK
    assert room.after_one("b", later).actors.keys() == {"b"}, "a full bucket is forgotten"


def test_a_sum_comes_when_it_is_quiet_and_after_an_hour_at_the_latest() -> None:
    tally = Tally().counted("not_json", None, START).counted("wrong_state", "a", after(minutes=4))
    assert not tally.is_due(after(minutes=4) + QUIET - SECOND)
    assert tally.is_due(after(minutes=4) + QUIET)
    flooded = Tally()
    for minute in range(61):
        flooded = flooded.counted("not_json", None, after(minutes=minute))
        assert flooded.is_due(after(minutes=minute)) == (after(minutes=minute) >= START + LONGEST)
    assert not Tally().is_due(after(days=1))


def test_a_sum_names_the_most_frequent_codes_and_some_of_the_actors() -> None:
    tally = Tally()
    for number in range(100):
        tally = tally.counted(f"code_{number}", f"p{number}", START)
    tally = tally.counted("code_99", "p99", after(minutes=1))
    stated = tally.arguments()
    assert stated["total"] == 101
    assert stated["counts"]["code_99"] == 2
    assert (len(stated["counts"]), len(stated["actors"])) == (MAX_CODES, MAX_ACTORS)
    assert (stated["since"], stated["until"]) == (
        "2026-03-02T02:00:00.000000Z", "2026-03-02T02:01:00.000000Z",
    )  # fmt: skip


@pytest.mark.parametrize("burst", [1, 3])
def test_a_clock_set_back_gives_no_room(burst: int) -> None:
    rate = Rate(burst, timedelta(minutes=1))
    full_at = START
    for _ in range(burst):
        full_at = rate.taken(full_at, START)
    assert not rate.has_room(full_at, after(hours=-1))
