"""Nobody finishes a task alone, whatever roles, agencies and substitutions they have collected.

Whoever acts as maker and as checker must be different people, and so must those in whose places
they act (Art. 15.3). The attackers here try every step again and again, in every role at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.command import Actor
from domain.lifecycle import EVENTS
from domain.refusal import Refused
from domain.task import Role, State
from tests.support.walking import Walk, walk_to

TEXT = "sha256:" + "0" * 64
ITEMS = ("report", "extension", "withdrawal", "explanation")

STEPS: Sequence[tuple[str, dict[str, Any]]] = [
    ("confirm", {}),
    ("dispute", {"reason": TEXT}),
    ("keep", {"reason": TEXT}),
    ("correct", {"reason": TEXT}),
    ("start", {}),
    ("report", {"summary": TEXT}),
    ("submit", {"summary": TEXT}),
    ("approve", {}),
    ("send_back", {"reason": TEXT}),
    *(("endorse", {"item": item}) for item in ITEMS),
    *(("decline", {"item": item, "reason": TEXT}) for item in ITEMS),
    ("ask_extension", {"reason": TEXT, "due_on": "2026-12-01"}),
    ("ask_withdrawal", {"reason": TEXT, "committed_on": "2026-12-01"}),
    ("grant_extension", {}),
    ("grant_withdrawal", {}),
    ("explain", {"reason": TEXT}),
    ("evaluate", {"rating": "met"}),
]

ROLES = (
    (Role.OFFICER, "snv"),
    (Role.APPROVER, "snv"),
    (Role.OFFICE, "vp"),
    (Role.MONITOR, "ttt"),
)
COUNTING = {"approve", "send_back", "endorse", "decline", "grant_extension", "grant_withdrawal"}
"""What makes something count, or decides on it: never the work of one person alone."""


def guises(person: str, absent: Sequence[str | None]) -> list[Actor]:
    """One person in every role, of their own right and in the place of each of these."""
    return [Actor(person, agency, role, behalf) for role, agency in ROLES for behalf in absent]


@settings(max_examples=300)
@given(st.data())
def test_one_person_in_every_role_and_everybodys_place_makes_nothing_count(
    data: st.DataObject,
) -> None:
    walk = walk_to(State.ASSIGNED)
    masks = guises("an", [None, "binh", "chi"])
    for _ in range(data.draw(st.integers(5, 40))):
        event, arguments = data.draw(st.sampled_from(STEPS))
        _try(walk, event, arguments, data.draw(st.sampled_from(masks)))
    assert not COUNTING & {step.event for step in walk.steps}
    assert walk.state is not State.DONE


def test_such_a_person_gets_as_far_as_the_review_and_no_further() -> None:
    """The search above is no search if nothing is ever allowed."""
    walk = walk_to(State.ASSIGNED)
    officer, approver = Actor("an", "snv", Role.OFFICER), Actor("an", "snv", Role.APPROVER)
    for event, arguments in (("confirm", {}), ("start", {}), ("submit", {"summary": TEXT})):
        assert _try(walk, event, arguments, officer) is None
    assert _try(walk, "approve", {}, approver) == "maker_is_checker"
    assert _try(walk, "approve", {}, replace(approver, person="binh")) is None


MAKERS_AND_CHECKERS = [
    # who enters, in whose place; who approves, in whose place; allowed
    ("an", None, "binh", None, True),
    ("an", None, "an", None, False),
    ("an", None, "an", "binh", False),  # a substitute of the approver checks own work
    ("an", "chi", "chi", None, False),  # entered in the place of who approves
    ("an", "chi", "an", None, False),
    ("an", "chi", "binh", "chi", False),  # both in the place of the same person
    ("an", "chi", "binh", "an", False),  # approved in the place of who entered
    ("an", "chi", "binh", "dung", True),
    ("an", None, "binh", "an", False),
    ("an", "binh", "binh", "dung", False),
]


@pytest.mark.parametrize(("maker", "maker_for", "checker", "checker_for", "allowed"),
                         MAKERS_AND_CHECKERS)  # fmt: skip
def test_maker_and_checker_have_nobody_in_common(
    maker: str, maker_for: str | None, checker: str, checker_for: str | None, *, allowed: bool
) -> None:
    walk = walk_to(State.IN_PROGRESS)
    entered = Actor(maker, "snv", Role.OFFICER, maker_for)
    checks = Actor(checker, "snv", Role.APPROVER, checker_for)
    assert _try(walk, "submit", {"summary": TEXT}, entered) is None
    for event, arguments in (("approve", {}), ("send_back", {"reason": TEXT})):
        code = walk.refused(event, arguments, by=checks)
        assert (code is None) == allowed, event
        assert code in {None, "maker_is_checker"}


@pytest.mark.parametrize("role", [Role.OFFICE, Role.MONITOR])
@pytest.mark.parametrize("person", ["an", "binh", "chi"])
def test_who_acted_for_the_assignee_decides_nothing_for_the_other_side(
    role: Role, person: str
) -> None:
    """An entered it in the place of chi, binh endorsed it; so none of the three may go on."""
    walk = walk_to(State.IN_PROGRESS)
    maker = Actor("an", "snv", Role.OFFICER, "chi")
    checker = Actor("binh", "snv", Role.APPROVER)
    steps: tuple[tuple[str, dict[str, Any], Actor], ...] = (
        ("report", {"summary": TEXT}, maker),
        ("endorse", {"item": "report"}, checker),
        ("ask_extension", {"reason": TEXT, "due_on": "2026-12-01"}, maker),
        ("endorse", {"item": "extension"}, checker),
    )
    for event, arguments, who in steps:
        assert _try(walk, event, arguments, who) is None
    agency = {Role.OFFICE: "vp", Role.MONITOR: "ttt"}[role]
    event, arguments = {
        Role.OFFICE: ("grant_extension", {}),
        Role.MONITOR: ("evaluate", {"rating": "met"}),
    }[role]
    for mask in (Actor(person, agency, role), Actor("dung", agency, role, person)):
        assert walk.refused(event, arguments, by=mask) == "acted_for_assignee"
    assert walk.refused(event, arguments, by=Actor("dung", agency, role)) is None


def test_the_disputer_does_not_settle_the_dispute() -> None:
    walk = walk_to(State.ASSIGNED)
    assert _try(walk, "dispute", {"reason": TEXT}, Actor("an", "snv", Role.OFFICER)) is None
    office = Actor("an", "vp", Role.OFFICE)
    for event, more in (("keep", {}), ("correct", {}), ("reassign", {"lead": "sxd"})):
        code = walk.refused(event, {"reason": TEXT, **more}, by=office)
        assert code == "acted_for_assignee"


def test_every_step_of_the_lifecycle_was_tried() -> None:
    elsewhere = {"register", "transfer", "reassign", "refuse", "urge", "recall", "lapse"}
    assert {event for event, _ in STEPS} | elsewhere == EVENTS.keys()


def _try(walk: Walk, event: str, arguments: dict[str, Any], who: Actor) -> str | None:
    """Take the step; the code where it is refused."""
    try:
        walk.do(event, arguments, by=who)
    except Refused as refusal:
        return refusal.code
    return None


def test_an_approval_is_of_what_was_seen_and_of_nothing_else() -> None:
    """The result that the approver read is sent back and another one put in its place."""
    walk = walk_to(State.IN_REVIEW)
    read = walk.task
    walk.do("send_back", {"reason": TEXT}, by="approver").do("submit", {"summary": TEXT})
    assert walk.refused("approve", by="approver", seen=read) == "out_of_date"
    assert walk.refused("approve", by="approver") is None


@pytest.mark.parametrize("item", ITEMS)
def test_an_endorsement_is_of_the_item_that_was_seen(item: str) -> None:
    event = {"report": "report", "explanation": "explain"}.get(item, f"ask_{item}")
    arguments = dict(STEPS)[event]
    walk = walk_to(State.IN_PROGRESS).do(event, arguments)
    read = walk.task
    walk.do(event, arguments)
    assert walk.refused("endorse", {"item": item}, by="approver", seen=read) == "out_of_date"
    assert walk.refused("endorse", {"item": item}, by="approver") is None


def test_who_evaluated_or_decided_does_not_act_for_the_assignee_afterwards() -> None:
    walk = walk_to(State.IN_PROGRESS).do("report", {"summary": TEXT})
    walk.do("endorse", {"item": "report"}, by="approver")
    walk.do("evaluate", {"rating": "met"}, by=Actor("dung", "ttt", Role.MONITOR))
    walk.do("submit", {"summary": TEXT})
    for mask in (Actor("dung", "snv", Role.APPROVER), Actor("an", "snv", Role.APPROVER, "dung")):
        assert walk.refused("approve", by=mask) == "decided_before"
    assert walk.refused("approve", by="approver") is None


def test_who_acted_for_the_assignee_does_not_recall_the_task_as_office() -> None:
    walk = walk_to(State.ASSIGNED).do("confirm", by=Actor("an", "snv", Role.OFFICER))
    office = Actor("an", "vp", Role.OFFICE)
    assert walk.refused("recall", {"reason": TEXT}, by=office) == "acted_for_assignee"
    assert walk.refused("recall", {"reason": TEXT}, by="office") is None
