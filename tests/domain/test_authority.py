"""Every cell of the table of authority, held against a second reading of the rules.

The oracle below knows nothing of `domain.authority`: it says in its own words who acts for whom
(Art. 2, 6, 10, 15 and the directive), and is asked about every step, role, relation, level of
secrecy and clearance; the real judgement is asked through `decide`, with a task in that relation.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product

import pytest

from domain.authority import GRANTS, Relation, check, permits, relations
from domain.command import Actor
from domain.decide import decide
from domain.lifecycle import EVENTS
from domain.refusal import Refused
from domain.task import Role, Secrecy, State, Task
from tests.support.walking import Walk, walk_to

LEVELS = ("normal", "secret", "top_secret")
AGENCY = "xyz"

BY_ASSIGNEE_OFFICER = "confirm dispute start report submit ask_extension ask_withdrawal explain"
BY_ASSIGNEE_APPROVER = "approve send_back endorse decline"
BY_OFFICE_OF_THE_TASK = (
    "transfer keep correct reassign grant_extension grant_withdrawal refuse recall urge"
)
BY_MONITOR = "evaluate urge"


def oracle(event: str, role: str, held: set[str], level: str, clearance: str) -> bool:
    """The rules once more, role by role."""
    if role == "clock":
        return event == "lapse" and held == {"none"}
    if LEVELS.index(clearance) < LEVELS.index(level):
        return False
    if event == "register":
        return role == "office" and "new" in held
    mine = {
        ("officer", "lead"): BY_ASSIGNEE_OFFICER,
        ("approver", "lead"): BY_ASSIGNEE_APPROVER,
        ("office", "registrar"): BY_OFFICE_OF_THE_TASK,
        ("monitor", "monitor"): BY_MONITOR,
    }
    return any(event in mine.get((role, relation), "").split() for relation in held)


def sets_of_relations() -> list[frozenset[Relation]]:
    """Alone, and every way in which one agency can stand to a task in several ways at once."""
    several = [Relation.REGISTRAR, Relation.LEAD, Relation.COORDINATOR, Relation.MONITOR]
    together = [frozenset(c) for n in range(1, 5) for c in combinations(several, n)]
    return [frozenset({Relation.NEW}), frozenset({Relation.NONE}), *together]


def test_every_cell_is_as_the_rules_say() -> None:
    cells = list(product(EVENTS, Role, sets_of_relations(), Secrecy, Secrecy))
    assert len(cells) > 30_000
    differ = [
        cell
        for cell in cells
        if permits(*cell)
        != oracle(cell[0], cell[1], {str(one) for one in cell[2]}, str(cell[3]), str(cell[4]))
    ]
    assert differ == []


def standing(task: Task, held: frozenset[Relation]) -> Task:
    """The task as if `AGENCY` stood so to it."""
    return replace(
        task,
        office=AGENCY if Relation.REGISTRAR in held else "vp",
        lead=AGENCY if Relation.LEAD in held else "snv",
        coordinators=(AGENCY,) if Relation.COORDINATOR in held else ("sxd",),
        monitor=AGENCY if Relation.MONITOR in held else "ttt",
    )


@pytest.mark.parametrize("held", [h for h in sets_of_relations() if Relation.NEW not in h])
def test_relations_are_read_off_the_task(held: frozenset[Relation]) -> None:
    task = standing(walk_to(State.ASSIGNED).task, held)
    assert relations(task, AGENCY) == held


AUTHORITY = {"role_may_not", "other_agency", "not_cleared"}


@pytest.mark.parametrize("event", sorted(EVENTS.keys() - {"register", "lapse"}))
def test_a_step_is_judged_by_the_table_whatever_else_may_be_wrong_with_it(event: str) -> None:
    """Through `decide` itself, in a state that the step leads from."""
    walk = walk_to(_state_before(event))
    for role, held, level, clearance in product(Role, sets_of_relations(), Secrecy, Secrecy):
        if Relation.NEW in held or role is Role.CLOCK:
            continue
        task = replace(standing(walk.task, held), secrecy=level)
        who = Actor("somebody", AGENCY, role, clearance=clearance)
        command = walk.command(event, _arguments(event), who, walk.now)
        code = ""
        try:
            decide(task, command, who, walk.now, walk.calendar)
        except Refused as refusal:
            code = refusal.code
        allowed = oracle(event, str(role), {str(h) for h in held}, str(level), str(clearance))
        assert (code not in AUTHORITY) == allowed, (role, held, level, clearance, code)


def test_nobody_but_an_office_registers() -> None:
    for role, level, clearance in product(Role, Secrecy, Secrecy):
        if role is Role.CLOCK:
            continue
        expected = oracle("register", str(role), {"new"}, str(level), str(clearance))
        try:
            check("register", role, AGENCY, None, level, clearance)
            allowed = True
        except Refused:
            allowed = False
        assert allowed == expected


def test_every_step_has_a_line_and_no_line_a_step_that_is_none() -> None:
    assert {grant.event for grant in GRANTS} == EVENTS.keys()


def test_who_only_looks_is_in_no_line() -> None:
    looking = {Role.INSPECTOR, Role.LEADER, Role.AUDITOR, Role.OPERATOR}
    assert not looking & {grant.role for grant in GRANTS}


@pytest.mark.parametrize("event", ["register", "reassign"])
def test_an_agency_does_not_monitor_what_it_carries_out(event: str) -> None:
    if event == "register":
        with pytest.raises(Refused, match="monitor_is_lead"):
            Walk(lead="ttt", monitor="ttt")
        return
    walk = walk_to(State.DISPUTED)
    assert walk.refused("reassign", {"reason": TEXT, "lead": "ttt"}, by="office") == (
        "monitor_is_lead"
    )


TEXT = "sha256:" + "0" * 64


def _state_before(event: str) -> State:
    sources = [State(source) for source in EVENTS[event].sources]
    return State.IN_PROGRESS if State.IN_PROGRESS in sources else sources[0]


def _arguments(event: str) -> Mapping[str, object]:
    return {
        "dispute": {"reason": TEXT},
        "keep": {"reason": TEXT},
        "correct": {"reason": TEXT},
        "reassign": {"reason": TEXT, "lead": "sxd"},
        "report": {"summary": TEXT},
        "submit": {"summary": TEXT},
        "send_back": {"reason": TEXT},
        "endorse": {"item": "report"},
        "decline": {"item": "report", "reason": TEXT},
        "ask_extension": {"reason": TEXT, "due_on": "2026-09-01"},
        "ask_withdrawal": {"reason": TEXT, "committed_on": "2026-09-01"},
        "refuse": {"item": "extension", "reason": TEXT},
        "explain": {"reason": TEXT},
        "evaluate": {"rating": "met"},
        "urge": {"channel": "phone"},
        "recall": {"reason": TEXT},
    }.get(event, {})
