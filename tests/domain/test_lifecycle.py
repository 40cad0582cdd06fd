"""The lifecycle, held against a table written by hand from the regulation."""

import pytest

from domain.authority import roles_of
from domain.lifecycle import EVENTS, allowed, destination, mermaid
from domain.task import OPEN_STATES, Role, State

# One line a state: the events that are legal there, and the state each leads to ("=": stays).
TABLE = {
    None: "register>registered",
    "registered": "transfer>assigned recall>withdrawn",
    "assigned": "confirm>confirmed dispute>disputed endorse>= decline>= explain>= urge>= "
                "recall>withdrawn lapse>=",
    "confirmed": "dispute>disputed start>in_progress endorse>= decline>= ask_extension>= "
                 "ask_withdrawal>= grant_extension>= grant_withdrawal>withdrawn refuse>= "
                 "explain>= urge>= recall>withdrawn lapse>=",
    "disputed": "keep>assigned correct>assigned reassign>assigned endorse>= decline>= explain>= "
                "urge>= recall>withdrawn lapse>=",
    "in_progress": "report>= submit>in_review endorse>= decline>= ask_extension>= "
                   "ask_withdrawal>= grant_extension>= grant_withdrawal>withdrawn refuse>= "
                   "explain>= evaluate>= urge>= recall>withdrawn lapse>=",
    "in_review": "approve>done send_back>in_progress endorse>= decline>= grant_extension>= "
                 "grant_withdrawal>withdrawn refuse>= explain>= evaluate>= "
                 "urge>= recall>withdrawn lapse>=",
    "done": "endorse>= decline>= explain>= evaluate>= lapse>=",
    "withdrawn": "",
}  # fmt: skip

WHO = {
    "office": "register transfer keep correct reassign grant_extension grant_withdrawal refuse "
              "urge recall",
    "officer": "confirm dispute start report submit ask_extension ask_withdrawal explain",
    "approver": "approve send_back endorse decline",
    "monitor": "evaluate urge",
    "clock": "lapse",
}  # fmt: skip

LEGAL = {
    (state and State(state), event): dest
    for state, line in TABLE.items()
    for event, dest in (cell.split(">") for cell in line.split())
}


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_leads_from_every_state_where_the_table_says(
    state: State | None, event: str
) -> None:
    dest = LEGAL.get((state, event))
    expected = None if dest is None else state if dest == "=" else State(dest)
    assert destination(event, state) == expected
    assert (event in allowed(state)) == (expected is not None)
    assert (str(state or "new") in EVENTS[event].sources) == (expected is not None)


@pytest.mark.parametrize("role", Role)
def test_every_role_has_the_events_of_its_office_and_no_others(role: Role) -> None:
    found = {name for name in EVENTS if role in roles_of(name)}
    assert found == set(WHO.get(role, "").split())


def test_an_event_nobody_declared_leads_nowhere() -> None:
    assert destination("to_done", State.ASSIGNED) is None
    assert destination("__init__", State.ASSIGNED) is None
    assert "to_done" not in allowed(State.ASSIGNED)


def test_only_reminders_leave_what_people_signed_valid() -> None:
    light = {name for name, event in EVENTS.items() if not event.substantive}
    assert light == {"evaluate", "urge", "lapse"}


def test_every_line_says_where_its_rule_stands() -> None:
    assert all(event.source.startswith(("Art. ", "directive")) for event in EVENTS.values())


def test_every_open_state_can_still_end() -> None:
    for state in OPEN_STATES:
        assert destination("recall", state) is State.WITHDRAWN


def test_the_diagram_shows_every_move_between_states() -> None:
    text = mermaid()
    assert text.startswith("---") or "stateDiagram" in text
    for (state, event), dest in LEGAL.items():
        if dest != "=":
            line = f"{state or 'new'} --> {dest}"
            assert line in text, line
            assert event in text
