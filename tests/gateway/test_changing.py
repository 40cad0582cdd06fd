"""Many changes of the directory, on a real recorder and a real queue."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from activities.queue import RecorderQueue
from activities.recorder import Handed
from audit.entry import header_digest, open_command, parse_entry
from audit.report import Finding
from audit.stored import verify
from audit.submission import Submission
from domain.refusal import Refused
from domain.replay import Replay
from gateway.changing import AT_ONCE, make_changes
from intake.people.difference import Change, Difference, compare
from intake.people.directory import listing_of
from intake.people.listing import Agency, Holding, Listing, Person
from tests.support.world import PEOPLE, START, World

AGENCIES = {f"xa-{number}": Agency(f"xa-{number}", f"Xã {number}", f"Commune {number}", "vp")
            for number in range(40)}  # fmt: skip


@pytest.fixture(name="world")
def _world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.close()


def people(count: int, role: str = "officer") -> dict[str, Person]:
    return {
        f"xa.{number}": Person(
            f"xa.{number}", "Cán bộ xã", "Commune officer", "normal",
            (Holding(f"xa-{number % 40}", role, START),),
        )
        for number in range(count)
    }  # fmt: skip


def make(world: World, found: Difference) -> int:
    """Carry it out as a service does; how many agencies and people it was about."""
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    told = [0]

    async def submit(submission: Submission) -> None:
        await queue.record(Handed(submission, world.now))

    chain = world.origin, header_digest(world.founding)
    try:
        asyncio.run(
            make_changes(
                found.phases, chain, world.administrator, submit, lambda: world.now,
                progress=told.append,
            )
        )  # fmt: skip
    finally:
        queue.stop()
    assert told == sorted(told)
    return told[-1]


def difference(world: World, listing: Listing, *, leave_missing: bool = False) -> Difference:
    known = listing_of(world.recorder.directory())
    return compare(listing, known, world.now, leave_missing=leave_missing)


def test_a_whole_directory_comes_in_and_changes_and_goes_and_verifies(world: World) -> None:
    listing = Listing(AGENCIES, people(400))
    found = difference(world, listing)
    assert len(found.changes) < 8
    assert make(world, found) == 440
    assert difference(world, listing).changes == ()
    world.forward(days=1)
    other = Listing(
        {**AGENCIES, "xa-1": Agency("xa-1", "Phường 1", "Ward 1", "xa-2")},
        {**people(400), **people(30, "approver")},
    )
    found = difference(world, other)
    assert (found.count("change_agency"), found.count("dismiss"), found.count("appoint")) == (
        1, 30, 30,
    )  # fmt: skip
    make(world, found)
    world.forward(days=1)
    assert difference(world, other).changes == ()
    make(world, difference(world, Listing(people=people(390)), leave_missing=True))
    own = {who for who, _, _ in PEOPLE.values()}
    directory = world.another_recorder().directory()
    assert directory == world.recorder.directory()
    assert sum(person.left is not None for person in directory.people.values()) == 10 + len(own)
    assert verified(world) == []
    with world.engine.connect() as connection:
        shown = {row.id: row.name_vi for row in connection.execute(text("SELECT * FROM agency"))}
    assert (len(shown), shown["xa-1"]) == (44, "Phường 1")


def verified(world: World) -> list[Finding]:
    """What the verifier finds wrong with the whole log, judged again from the beginning."""
    report = verify(
        world.rows(), origin=world.origin, log_key=world.keys.log.public,
        openings=lambda _leaf: {}, judge=Replay(),
    )  # fmt: skip
    return list(report.findings)


def test_a_refusal_stops_the_rest_and_what_is_left_can_be_done_later(world: World) -> None:
    make(world, difference(world, Listing(AGENCIES)))
    wanted = Listing(AGENCIES, people(1_000))
    found = difference(world, wanted)
    world.add_people({
        "person": "xa.7", "title_vi": "x", "title_en": "x", "clearance": "normal", "roles": [],
    })  # fmt: skip
    with pytest.raises(Refused, match="person_exists"):
        make(world, found)
    rest = difference(world, wanted)
    assert (rest.count("appoint"), rest.count("dismiss")) == (1, 0)
    assert 0 < rest.count("add_people") < 1_000
    make(world, rest)
    assert difference(world, wanted).changes == ()


def test_every_entry_of_an_import_fits(world: World) -> None:
    long = {
        f"xa.{number}": Person(
            f"xa.{number}", "“Ủy ban” " * 40, "“é” " * 90, "top_secret",
            tuple(Holding(f"xa-{each}", "officer", None) for each in range(10)),
        )
        for number in range(100)
    }  # fmt: skip
    make(world, difference(world, Listing(AGENCIES, long)))
    sizes = [
        len(row.data)
        for row in world.chain("directory")
        if open_command(parse_entry(row.data).command).predicate["event"] == "add_people"
    ]
    assert 55_000 < max(sizes) <= 65_535


async def test_after_an_error_nothing_more_is_handed_in(world: World) -> None:
    phases = [
        [[Change("leave", {"person": f"p{number}"})] * 2 for number in range(100)],
        [[Change("leave", {"person": "p1"})]],
    ]
    handed: list[Submission] = []

    async def submit(submission: Submission) -> None:
        handed.append(submission)
        is_fourth = len(handed) == 4
        await asyncio.sleep(0)
        if is_fourth:
            raise Refused("door_silent", task="directory")

    chain = world.origin, header_digest(world.founding)
    with pytest.raises(Refused, match="door_silent"):
        await make_changes(phases, chain, world.administrator, submit, lambda: world.now)
    assert 4 < len(handed) <= 2 * AT_ONCE  # units that were begun are finished


async def test_a_phase_waits_for_the_one_before(world: World) -> None:
    under_way: list[str] = []
    together: list[int] = []

    async def submit(submission: Submission) -> None:
        event = str(open_command(submission.command).predicate["event"])
        under_way.append(event)
        assert set(under_way) == {event}
        together.append(len(under_way))
        await asyncio.sleep(0.001)
        under_way.remove(event)

    clear = Change("clear", {"person": "p", "clearance": "normal"})
    phases = [[[clear, clear]] * 20, [[Change("leave", {"person": "p"})]] * 3]
    chain = world.origin, header_digest(world.founding)
    await make_changes(phases, chain, world.administrator, submit, lambda: world.now)
    assert len(together) == 43
    assert max(together) == AT_ONCE
