"""The judge of a finished log, fed with predicates alone: no signatures, no database."""

from typing import Any

import pytest

from audit.entry import open_command, open_record, parse_entry
from domain.calendars import load
from domain.replay import Illegal, Replay
from tests.support.world import World

Judged = tuple[str, str, str, dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module", name="entries")
def _entries(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    world = World(f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}")
    world.assigned()
    world.forward(hours=7)
    world.tick("D1-1")
    task = world.recorder.task("D1-1")
    assert task is not None
    world.do(task, "confirm", role="officer")
    entries: list[Judged] = []
    for row in world.rows():
        entry = parse_entry(row.data)
        command, record = open_command(entry.command), open_record(entry.record)
        header = command.subject.digest
        entries.append((row.chain, header, row.leaf, command.predicate, record.predicate))
    world.close()
    return entries


def replay_until(entries: list[Judged], event: str) -> tuple[Replay, Judged]:
    """A replay that has followed everything before the first ``event``, and that entry."""
    replay = Replay()
    for entry in entries:
        if entry[3]["event"] == event:
            return replay, entry
        replay(*entry)
    raise AssertionError(event)


def code(
    replay: Replay, entry: Judged, command: dict[str, Any] | None = None, **record: Any
) -> str:
    chain, header, leaf, before, told = entry
    tasks, directory = dict(replay.tasks), replay.directory.copy()
    with pytest.raises(Illegal) as found:
        replay(chain, header, leaf, {**before, **(command or {})}, {**told, **record})
    assert (replay.tasks, replay.directory) == (tasks, directory), "it has not followed"
    return found.value.code


def test_a_log_as_recorded_is_followed_to_the_end(entries: list[Judged]) -> None:
    replay = Replay()
    for entry in entries:
        replay(*entry)
    assert replay.directory.seq == 13
    snapshot = replay.snapshot("D1-1")
    assert snapshot is not None
    assert (snapshot["state"], snapshot["seq"]) == ("confirmed", 4)
    assert replay.snapshot("D9-9") is None


@pytest.mark.parametrize(
    ("event", "record", "expected"),
    [
        ("register", {"to": "assigned"}, "to_differs"),
        ("register", {"from": "registered"}, "from_differs"),
        ("register", {"clocks": {"due": None}}, "clock_differs"),
        ("register", {"person": "snv.officer"}, "person_differs"),
        ("register", {"rules": "0"}, "unknown_rules"),
        ("register", {"calendar": "0"}, "unknown_calendar"),
        ("register", {"received_at": "2025-03-02T02:00:00.000000Z"}, "issued_in_future"),
        ("register", {"received_at": None}, "malformed_step"),
        ("transfer", {"clocks": {}}, "clock_differs"),
        ("transfer", {"received_at": "2026-03-02T02:00:00.000001Z"}, "clock_differs"),
        ("lapse", {"received_at": "2026-03-02T08:00:00.000001Z"}, "received_at_differs"),
        ("lapse", {"recorded_at": "2026-03-02T03:00:00.000000Z"}, "lapse_too_early"),
        ("confirm", {"received_at": "2026-03-09T02:00:00.000000Z"}, "deadline_not_recorded"),
        ("add_agency", {"to": "done"}, "to_differs"),
        ("add_agency", {"person": "clock"}, "person_differs"),
        ("add_agency", {"clocks": {"due": None}}, "clocks_differs"),
    ],
)
def test_an_effect_that_the_rules_do_not_give_is_found(
    entries: list[Judged], event: str, record: dict[str, Any], expected: str
) -> None:
    replay, entry = replay_until(entries, event)
    assert code(replay, entry, **record) == expected


@pytest.mark.parametrize(
    ("event", "command", "expected"),
    [
        ("register", {"on_behalf": {"agency": "vp", "for": None, "role": "monitor"}},
         "role_not_held"),
        ("register", {"key": "0" * 64}, "unknown_key"),
        ("register", {"event": "to_done"}, "unknown_event"),
        ("register", {"arguments": {"lead": "nobody"}}, "unknown_agency"),
        ("register", {"arguments": {"lead": ["snv"]}}, "unknown_agency"),
        ("register", {"arguments": {"coordinators": 5}}, "unknown_agency"),
        ("register", {"arguments": {"coordinators": [[]]}}, "unknown_agency"),
        ("register", {"arguments": {}}, "missing_argument"),
        ("transfer", {"seen": None}, "out_of_date"),
        ("lapse", {"arguments": {"clock": "due", "due": "2026-03-02T08:00:00.000000Z"}},
         "clock_differs"),
        ("lapse", {"arguments": {"clock": "confirm", "due": "2026-03-02T08:01:00.000000Z"}},
         "due_differs"),
        ("lapse", {"arguments": {}}, "malformed_step"),
        ("lapse", {"on_behalf": {"agency": "vp", "for": None, "role": "office"}}, "role_not_held"),
        ("found", {"event": "add_agency"}, "log_not_founded"),
        ("add_agency", {"event": "found"}, "log_already_founded"),
        ("add_agency", {"event": "abolish"}, "unknown_event"),
        ("add_agency", {"key": "0" * 64}, "unknown_key"),
        ("enrol", {"arguments": {"person": "x", "spki": "x", "proof": ""}}, "bad_argument"),
        ("enrol", {"arguments": {"person": "x", "spki": "", "proof": ""}}, "unknown_person"),
        ("add_people", {"arguments": {"people": [7]}}, "bad_argument"),
        ("confirm", {"on_behalf": {"agency": "snv", "for": "snv.both", "role": "officer"}},
         "not_substitute"),
    ],
)  # fmt: skip
def test_a_command_that_the_rules_do_not_allow_is_found(
    entries: list[Judged], event: str, command: dict[str, Any], expected: str
) -> None:
    replay, entry = replay_until(entries, event)
    assert code(replay, entry, command) == expected


def test_the_calendar_is_the_one_that_the_record_names(entries: list[Judged]) -> None:
    asked: list[str] = []

    def calendars(version: str) -> Any:
        asked.append(version)
        return load(version)

    replay = Replay(calendars)
    for entry in entries:
        replay(*entry)
    assert set(asked) == {entry[4]["calendar"] for entry in entries}
