"""With one person's key, and everything that the directory ever gave that person, nobody finishes a
task: tried against the recorder itself, command by command, as an attacker with the key would.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from activities.recorder import Recorded
from audit.entry import open_command, parse_entry
from domain.instants import format_instant
from domain.lifecycle import EVENTS
from domain.refusal import Refused
from domain.task import State
from gateway.composing import Signer
from tests.support.forging import audit
from tests.support.world import PEOPLE, START, World, key_of

TASK = "D1-1"
COUNTING = {"approve", "send_back", "endorse", "decline", "grant_extension", "grant_withdrawal"}
PLACES = (("snv", "officer"), ("snv", "approver"), ("vp", "office"), ("ttt", "monitor"))
OTHERS = {"officer": "snv.officer", "approver": "snv.approver", "office": "vp.office",
          "monitor": "ttt.monitor"}  # fmt: skip
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "dispute": {"reason": "Không thuộc thẩm quyền"},
    "keep": {"reason": "Đúng thẩm quyền"},
    "correct": {"reason": "Sửa"},
    "report": {"summary": "Được một nửa"},
    "submit": {"summary": "Đã xong"},
    "send_back": {"reason": "Chưa xong"},
    "ask_extension": {"reason": "Chưa kịp", "due_on": "2026-12-01"},
    "ask_withdrawal": {"reason": "Trùng", "committed_on": "2026-12-01"},
    "explain": {"reason": "Chậm"},
    "evaluate": {"rating": "met"},
}
ITEMS = ("report", "extension", "withdrawal", "explanation")


def attempts() -> Iterator[tuple[str, Mapping[str, Any]]]:
    # A dispute comes last: whoever disputes can't settle it, and would get no further.
    for event in sorted(EVENTS, key=lambda name: name == "dispute"):
        if event in {"endorse", "decline", "refuse"}:
            for item in ITEMS:
                words = {} if event == "endorse" else {"reason": "Không"}
                yield event, {"item": item, **words}
        elif event not in {"register", "transfer", "reassign", "urge", "recall", "lapse"}:
            yield event, ARGUMENTS.get(event, {})


def give_everything(world: World, person: str) -> None:
    """Every role at every place, and the place of everybody else."""
    world.forward(hours=1)
    begins, ends = format_instant(START), format_instant(START + timedelta(days=60))
    held = {("snv", "officer"), ("snv", "approver")} if person == "snv.both" else set()
    for agency, role in PLACES:
        if (agency, role) not in held:
            world.change("appoint", {
                "person": person, "agency": agency, "role": role, "from": begins, "until": None,
            })  # fmt: skip
        world.change("substitute", {
            "absent": OTHERS[role], "substitute": person, "agency": agency, "role": role,
            "from": begins, "until": ends,
        })  # fmt: skip


def attack(world: World, person: str) -> list[str]:
    """Everything that may be tried, three times over; what was accepted."""
    accepted = []
    guises = [
        Signer(key_of(person), agency, role, behalf)
        for agency, role in PLACES
        for behalf in (None, OTHERS[role])
    ]
    for _ in range(3):
        for (event, arguments), signer in product(attempts(), guises):
            world.people["attacker"] = signer
            task = world.recorder.task(TASK)
            assert task is not None
            try:
                submission = world.submission(task, event, arguments, role="attacker")
            except Refused:
                continue
            if isinstance(world.hand_in(submission), Recorded):
                accepted.append(event)
    return accepted


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def test_one_person_with_all_roles_and_in_everybodys_place_makes_nothing_count(
    world: World,
) -> None:
    world.assigned(TASK)
    give_everything(world, "snv.both")
    accepted = attack(world, "snv.both")
    assert {"confirm", "start", "submit"} <= set(accepted), "the attack goes as far as it can"
    assert not COUNTING & set(accepted)
    task = world.recorder.task(TASK)
    assert task is not None
    assert task.state is State.IN_REVIEW
    assert audit(world).first is None


@pytest.mark.parametrize("name", ["office", "officer", "approver", "monitor", "other_officer"])
def test_the_key_of_one_role_alone_finishes_nothing(name: str, tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    world.assigned(TASK)
    accepted = attack(world, PEOPLE[name][0])
    assert not {"approve", "endorse", "grant_extension", "grant_withdrawal"} & set(accepted)
    task = world.recorder.task(TASK)
    assert task is not None
    assert task.state is not State.DONE
    world.close()


def test_who_left_this_morning_does_nothing_this_afternoon(world: World) -> None:
    task = world.in_progress(TASK)
    prepared = world.submission(task, "submit", {"summary": "Đã xong"}, role="officer")
    world.change("leave", {"person": "snv.officer"})
    world.forward(hours=4)
    answer = world.hand_in(prepared)
    assert isinstance(answer, Refused)
    assert answer.code in {"key_revoked", "person_left"}
    assert attack(world, "snv.officer") == []


def test_a_person_of_two_agencies_acts_for_each_in_its_own_name_only(world: World) -> None:
    task = world.assigned(TASK)
    begins = format_instant(START)
    world.change("appoint", {
        "person": "sxd.officer", "agency": "snv", "role": "officer", "from": begins, "until": None,
    })  # fmt: skip
    wrong = world.submission(task, "confirm", role="other_officer")
    answer = world.hand_in(wrong)
    assert isinstance(answer, Refused)
    assert answer.code == "other_agency"
    world.people["shared"] = Signer(key_of("sxd.officer"), "snv", "officer")
    task = world.do(task, "confirm", role="shared")
    row = world.rows()[-1]
    command = open_command(parse_entry(row.data).command).predicate
    assert command["on_behalf"] == {"agency": "snv", "for": None, "role": "officer"}
    begun = world.do(task, "start", role="shared")
    review = world.do(begun, "submit", {"summary": "Đã xong"}, role="shared")
    world.change("appoint", {
        "person": "sxd.officer", "agency": "snv", "role": "approver", "from": begins, "until": None,
    })  # fmt: skip
    world.people["shared"] = Signer(key_of("sxd.officer"), "snv", "approver")
    answer = world.hand_in(world.submission(review, "approve", role="shared"))
    assert isinstance(answer, Refused)
    assert answer.code == "maker_is_checker"
