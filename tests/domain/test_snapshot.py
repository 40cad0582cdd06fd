"""A task as JSON: every field there, and back again."""

import json
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from domain.snapshot import format_clocks, format_task, parse_clocks, parse_task
from domain.task import State, Task
from tests.support.walking import REASON, Walk, walk_to


@pytest.mark.parametrize("state", State)
def test_a_task_in_any_state_comes_back_as_it_was(state: State) -> None:
    task = walk_to(state).task
    assert parse_task(json.loads(json.dumps(format_task(task)))) == task


def test_a_task_with_everything_set_comes_back_as_it_was() -> None:
    walk = walk_to(State.IN_PROGRESS, updates={"every": "year", "before_month": 6})
    walk.do("ask_extension", {**REASON, "due_on": "2026-12-31"})
    walk.do("endorse", {"item": "extension"}, by="approver").forward(days=110).tick()
    task = replace(walk.task, rating="met", kept=True)
    assert task.overdue
    assert task.missed
    assert task.pending["extension"].endorsed
    assert parse_task(json.loads(json.dumps(format_task(task)))) == task


def test_no_field_of_a_task_is_left_out() -> None:
    written = set(format_task(Walk().task))
    named = {field.name for field in fields(Task)}
    assert written == named - {"terms"} | {"due_on", "updates"}


def test_two_tasks_that_differ_have_snapshots_that_differ() -> None:
    task = walk_to(State.IN_REVIEW).task
    clock = next(iter(task.clocks.values()))
    moved = {**task.clocks, "due": replace(clock, due=clock.due + timedelta(minutes=1))}
    changed = [
        replace(task, state=State.DONE),
        replace(task, overdue=True),
        replace(task, head="0" * 64),
        replace(task, clocks=moved),
        replace(task, clocks={}),
        replace(task, submitted_at=None),
        replace(task, coordinators=()),
        replace(task, terms=replace(task.terms, due_on=None)),
    ]
    written = [json.dumps(format_task(other), sort_keys=True) for other in (task, *changed)]
    assert len(set(written)) == len(written)


def test_a_cleared_clock_is_told_from_one_that_is_not_mentioned() -> None:
    clock = walk_to(State.ASSIGNED).task.clocks["due"]
    clocks = {"confirm": None, "due": clock}
    assert parse_clocks(format_clocks(clocks)) == clocks
    assert format_clocks(clocks)["confirm"] is None


def test_instants_are_written_in_the_one_form() -> None:
    snapshot = format_task(walk_to(State.DONE).task)
    assert snapshot["transferred_at"] == "2026-03-02T02:00:00.000000Z"
