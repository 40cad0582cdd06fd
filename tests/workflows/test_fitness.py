"""What may not pass through Temporal, whose history keeps it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.submission import Submission, format_submission
from domain.refusal import Refused
from domain.task import Secrecy
from tests.support.world import HEADER, World
from workflows.fitness import refuse_unfit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield made
    made.close()


def registration(world: World, secrecy: str) -> Submission:
    header = {**HEADER, "secrecy": secrecy}
    return world.submission("D1-9", "register", header, role="office")


def unfit(submission: Submission, level: Secrecy | None, more: str = "") -> bool:
    try:
        refuse_unfit(format_submission(submission).decode() + more, level)
    except Refused as refusal:
        return refusal.code == "words_by_door_only"
    return False


def test_a_registration_says_itself_whether_its_words_may_pass(world: World) -> None:
    assert unfit(registration(world, "secret"), None)
    assert unfit(registration(world, "top_secret"), None)
    assert not unfit(registration(world, "normal"), None)


def test_words_to_a_task_that_is_not_known_yet_do_not_pass(world: World) -> None:
    task = world.assigned("D1-1")
    dispute = world.submission(task, "dispute", {"reason": "Không thuộc"}, role="officer")
    assert unfit(dispute, None)
    assert unfit(dispute, Secrecy.SECRET)
    assert not unfit(dispute, Secrecy.NORMAL)
    assert not unfit(world.submission(task, "confirm", role="officer"), None)


def test_what_can_not_be_read_may_hide_words(world: World) -> None:
    task = world.assigned("D1-1")
    dispute = world.submission(task, "dispute", {"reason": "Không thuộc"}, role="officer")
    for level in (Secrecy.SECRET, None):
        assert unfit(dispute, level, " ")
    assert not unfit(dispute, Secrecy.NORMAL, " ")
