"""What counts as a difference, on values alone."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from domain.attestation import DIFFERENCES, Attested, judge
from gateway.comparing import (
    PATIENCE,
    Difference,
    Look,
    Process,
    Reconciled,
    Waiting,
    compare_entries,
    compare_rows,
    compare_workflows,
    concerned,
    confirmed,
)

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def process(name: str, seq: int, kind: str = "Task", queue: str = "dondoc") -> Process:
    return Process(name, kind, queue, seq)


def look(
    before: Mapping[str, int], *running: Process, after: Mapping[str, int] | None = None
) -> Look:
    return Look(before, frozenset(before), running, before if after is None else after)


def compared(seen: Look, since: Mapping[str, int] | None = None) -> list[tuple[str, str]]:
    found = compare_workflows(seen, seen.before if since is None else since, "Task", "dondoc")
    return [(each.kind, each.subject) for each in found]


def test_workflows_that_know_what_the_log_has_differ_in_nothing() -> None:
    assert compared(look({"A": 3, "B": 1}, process("A", 3), process("B", 1))) == []


@pytest.mark.parametrize(
    ("running", "kind"),
    [
        ([process("A", 2)], "workflow_behind"),
        ([process("A", 0)], "workflow_behind"),
        ([process("A", 4)], "workflow_ahead"),
        ([], "workflow_missing"),
        ([process("A", 3), process("X", 1)], "workflow_foreign"),
        ([process("A", 3), process("X", 1, "Other")], "workflow_foreign"),
        ([process("A", 3), process("X", 1, "Task", "elsewhere")], "workflow_foreign"),
    ],
)
def test_each_kind_of_difference_has_its_name(running: list[Process], kind: str) -> None:
    subject = "X" if kind == "workflow_foreign" else "A"
    assert compared(look({"A": 3}, *running)) == [(kind, subject)]


def test_what_is_neither_our_type_nor_on_our_queue_is_none_of_our_business() -> None:
    assert compared(look({"A": 3}, process("A", 3), process("X", 1, "Other", "elsewhere"))) == []


def test_a_workflow_of_our_type_on_another_queue_does_not_serve_its_task() -> None:
    found = compared(look({"A": 3}, process("A", 3, "Task", "elsewhere")))
    assert found == [("workflow_foreign", "A"), ("workflow_missing", "A")]


def test_steps_while_the_server_is_asked_are_no_differences() -> None:
    # Recorded and delivered between the two questions, of a known and of a new task.
    seen = look({"A": 3}, process("A", 4), process("B", 2), after={"A": 4, "B": 2})
    assert compared(seen) == []
    # Recorded, not delivered yet: behind is only who lacks what the first look saw.
    assert compared(look({"A": 9}, process("A", 5)), since={"A": 5}) == []
    assert compared(look({"A": 9}, process("A", 5)), since={"A": 6}) == [("workflow_behind", "A")]
    assert compared(look({"A": 9}, process("A", 5)), since={}) == []


def test_only_what_two_looks_have_found_is_a_difference() -> None:
    first = [Difference("workflow_behind", "A", "2 of 3"), Difference("workflow_missing", "B")]
    second = [Difference("workflow_behind", "A", "2 of 4"), Difference("workflow_missing", "C")]
    assert confirmed(first, second) == [Difference("workflow_behind", "A", "2 of 4")]
    assert confirmed(first, []) == []


def test_rows_are_compared_field_by_field() -> None:
    expected: dict[str, dict[str, object]] = {
        "A": {"state": "done", "seq": 1},
        "B": {"seq": 2},
        "C": {"due": None},
    }
    shown: list[tuple[str, dict[str, object]]] = [
        ("A", {"state": "open", "seq": 1}),
        ("C", {}),
        ("D", {"seq": 1}),
    ]
    assert compare_rows(expected, shown) == [
        Difference("row_differs", "A", "state"),
        Difference("row_differs", "C", "due"),
        Difference("row_unexplained", "D"),
        Difference("row_missing", "B"),
    ]


def test_an_entry_may_wait_a_minute_for_its_place() -> None:
    waiting = [
        Waiting("A", 1, NOW - PATIENCE, queued=True),
        Waiting("A", 2, NOW - PATIENCE - timedelta(microseconds=1), queued=True),
        Waiting("B", 1, NOW, queued=False),
    ]
    assert compare_entries(waiting, NOW) == [
        Difference("entry_unsequenced", "A/2"),
        Difference("entry_forgotten", "B/1"),
    ]


def test_what_was_found_can_be_attested_as_it_is() -> None:
    found = tuple(Difference(kind, "A") for kind in DIFFERENCES)
    result = Reconciled(9, 1, 2, found)
    assert result.counts == dict.fromkeys(DIFFERENCES, 1)
    judge(Attested(), "reconciled", result.arguments, "clock")
    judge(Attested(), "reconciled", Reconciled(9, 1, 2, ()).arguments, "clock")
    assert concerned(found, "row_differs", "row_missing") == ["A"]
