"""What can be done with somebody's command by whoever has seen it, and with changes held back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from audit.commitment import Opening
from audit.stamp import Stamp
from domain.instants import format_instant
from domain.refusal import Refused
from gateway.composing import compose_change
from tests.support.refusals import refused
from tests.support.world import World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def code(world: World, submission: object) -> str:
    answer = world.hand_in(submission)  # type: ignore[arg-type]  # one helper for several
    assert isinstance(answer, Refused), answer
    return answer.code


def test_nobody_is_accused_of_what_stands_beside_their_command(world: World) -> None:
    """Words and stamps are not signed: who has seen a command can spoil them."""
    task = world.assigned("D1-1")
    dispute = world.submission(task, "dispute", {"reason": "Không thuộc"}, role="officer")
    assert code(world, replace(dispute, openings=())) == "opening_missing"
    (opening,) = dispute.openings
    wrong = Opening("reason", "Lời khác", opening.salt)
    assert code(world, replace(dispute, openings=(wrong,))) == "opening_wrong"
    stamp = Stamp(format_instant(world.now), bytes(64))
    assert code(world, replace(dispute, stamp=stamp)) == "stamp_wrong"
    assert [each["actor"] for each in refused(world)] == [None, None, None]
    assert code(world, world.submission(task, "approve", role="officer")) == "wrong_state"
    assert refused(world)[-1]["actor"] == "snv.officer"


def test_a_change_that_was_held_back_does_not_undo_a_later_one(world: World) -> None:
    def clear(clearance: str) -> object:
        arguments = {"person": "snv.officer", "clearance": clearance}
        return compose_change(
            world.origin, world.founding, "clear", arguments, world.administrator, world.now,
            world.random,
        )  # fmt: skip

    held = clear("top_secret")
    world.forward(hours=2)
    world.change("clear", {"person": "snv.officer", "clearance": "normal"})
    world.forward(minutes=1)
    assert code(world, held) == "change_stale"
    assert world.recorder.directory().people["snv.officer"].clearance == "normal"
    world.now += timedelta(minutes=1)
