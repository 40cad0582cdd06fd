"""Changes of the directory on their way into the log, on both databases, and what they do there."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from activities.rebuilding import rebuild
from activities.recorder import Handed, Recorded, Recorder
from audit.entry import open_command, open_record, parse_entry
from domain.directory import Directory
from domain.instants import format_instant
from domain.refusal import Refused
from domain.replay import Replay
from domain.task import State
from gateway.composing import Signer, compose_change
from store import queries
from tests.support.forging import audit_with_read_model
from tests.support.world import World, key_of, person_of


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def _code(answer: Recorded | Refused) -> str:
    assert isinstance(answer, Refused), "it was recorded"
    return answer.code


def _changes(world: World, *changes: tuple[str, dict[str, Any]]) -> list[Handed]:
    return [
        Handed(
            compose_change(
                world.origin,
                world.founding,
                event,
                arguments,
                world.administrator,
                world.now,
                world.random,
            ),
            world.now,
        )
        for event, arguments in changes
    ]


def test_many_changes_of_the_directory_in_one_batch_copy_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = []
    copy = Directory.copy

    def counted(self: Directory) -> Directory:
        copies.append(self.seq)
        return copy(self)

    before = world.recorder.directory()
    seq = before.seq
    jobs = _changes(
        world,
        *(("add_people", {"people": [person_of(f"snv.{each}")]}) for each in range(5)),
        ("leave", {"person": "snv.1"}),
        ("leave", {"person": "snv.1"}),
        ("add_agency", {"agency": "x", "name_vi": "X", "name_en": "X", "parent": "snv"}),
    )
    monkeypatch.setattr(Directory, "copy", counted)
    answers = world.recorder.record(jobs)
    assert [_code(answer) for answer in answers if isinstance(answer, Refused)] == ["person_left"]
    assert copies == [seq]
    # Whoever looked at the directory before sees nothing move.
    assert (before.seq, "snv.0" in before.people) == (seq, False)
    after = world.recorder.directory()
    assert (after.seq, "snv.0" in after.people, "x" in after.agencies) == (seq + 7, True, True)
    assert after == world.another_recorder().directory()


def test_a_batch_that_fails_leaves_the_directory_as_it_was(world: World) -> None:
    def plug(point: str) -> None:
        if point == "before_commit":
            raise RuntimeError("the plug was pulled")

    recorder = Recorder(world.engine, world.keys, world.calendar, lambda: world.now, plug)
    before = recorder.directory()
    with pytest.raises(RuntimeError, match="plug"):
        recorder.record(_changes(world, ("leave", {"person": "snv.officer"})))
    assert recorder.directory() == before == world.another_recorder().directory()
    assert recorder.directory().people["snv.officer"].left is None


def test_a_renamed_agency_is_renamed_in_listings_and_after_a_rebuild(world: World) -> None:
    agency = {"agency": "snv", "name_vi": "Tên mới", "name_en": "New name", "parent": "vp"}
    world.change("change_agency", agency)
    with world.engine.connect() as connection:
        shown = queries.agencies(connection)
    assert shown["snv"] == ("Tên mới", "New name")
    assert shown["vp"] == ("Văn phòng", "Office")
    assert rebuild(world.engine).agencies == 4
    with world.engine.connect() as connection:
        assert queries.agencies(connection) == shown


def test_a_substitute_s_step_is_recorded_for_both_and_verifies(world: World) -> None:
    task = world.assigned()
    world.add_people(person_of("snv.new"))
    world.enrol("snv.new", key_of("snv.new"))
    place = {"absent": "snv.officer", "substitute": "snv.new", "agency": "snv", "role": "officer"}
    until = world.now + timedelta(days=2)
    world.change("substitute", {**place, **_period(world.now, until)})
    world.people["new"] = Signer(key_of("snv.new"), "snv", "officer", "snv.officer")
    world.forward(hours=1)
    assert world.do(task, "confirm", role="new").state is State.CONFIRMED
    record = open_record(parse_entry(world.chain(task.id)[-1].data).record).predicate
    command = open_command(parse_entry(world.chain(task.id)[-1].data).command).predicate
    assert record["person"] == "snv.new"
    assert command["on_behalf"] == {"agency": "snv", "for": "snv.officer", "role": "officer"}
    world.forward_to(until)
    late = world.submission(world.tick(task), "start", role="new")
    assert _code(world.hand_in(late)) == "not_substitute"
    # At the door before the end, recorded after it: in time.
    early = world.submission(
        world.tick(task), "start", role="new", issued_at=until - timedelta(seconds=1)
    )
    answer = world.hand_in(early, received_at=until - timedelta(seconds=1))
    assert isinstance(answer, Recorded)
    assert audit_with_read_model(world).ok


def test_a_log_with_every_change_of_the_directory_verifies_and_is_followed_alike(
    world: World,
) -> None:
    officer = {"agency": "snv", "role": "officer"}
    world.change("add_agency", {"agency": "x", "name_vi": "X", "name_en": "X", "parent": "snv"})
    world.change("change_agency", {"agency": "x", "name_vi": "Y", "name_en": "Y", "parent": None})
    world.add_people(person_of("a"), person_of("b", ("x", "auditor")), person_of("c"))
    for who in ("a", "b"):
        world.enrol(who, key_of(who))
    always = _period(world.now, None)
    month = _period(world.now, world.now + timedelta(days=30))
    world.change("appoint", {"person": "a", **officer, **always})
    place = {"absent": "a", "substitute": "b", **officer}
    world.change("substitute", {**place, **month})
    world.change("clear", {"person": "a", "clearance": "top_secret"})
    world.forward(hours=1)
    world.change("end_substitution", place)
    world.change("dismiss", {"person": "a", **officer})
    world.rotate("a", key_of("a 2"))
    world.revoke(key_of("a 2"), since=0)
    world.enrol("a", key_of("a 3"))
    world.change("leave", {"person": "a"})
    world.change("leave", {"person": "c"})
    assert audit_with_read_model(world).ok
    replay = Replay()
    for row in world.rows():
        entry = parse_entry(row.data)
        command, record = open_command(entry.command), open_record(entry.record)
        digest = command.subject.digest
        replay(row.chain, digest, row.leaf, command.predicate, record.predicate)
    assert replay.directory == world.another_recorder().directory()
    assert replay.directory == world.recorder.directory()


def _period(begins: datetime, ends: datetime | None) -> dict[str, str | None]:
    return {"from": format_instant(begins), "until": format_instant(ends) if ends else None}
