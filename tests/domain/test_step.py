"""What recorded steps make of a task, and random lives that must always fold to the same end."""

import json
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.authority import roles_of
from domain.instants import format_instant
from domain.lifecycle import allowed
from domain.refusal import Refused
from domain.snapshot import format_clocks, format_task, parse_task
from domain.step import Step, answered_update, evolve, is_update, read_step
from domain.task import State, Task, Timeliness
from tests.support.walking import REASON, REPORT, TEXT, Walk, walk_to


def fold(steps: list[Step]) -> Task | None:
    task: Task | None = None
    for step in steps:
        task = evolve(task, step)
    return task


def missed_update(walk: Walk) -> Walk:
    """Past the first point of update, before the second."""
    return walk.forward(days=60).tick()


# Order


def test_a_step_that_does_not_follow_is_an_error() -> None:
    walk = walk_to(State.CONFIRMED)
    register, transfer, confirm = walk.steps
    for steps in ([transfer], [register, confirm], [register, register], [register, transfer] * 2):
        with pytest.raises(ValueError, match="does not follow"):
            fold(steps)


def test_a_step_is_read_from_the_predicates_of_its_entry() -> None:
    step = walk_to(State.ASSIGNED).steps[-1]
    command = {"event": step.event, "arguments": step.arguments, "id": step.command}
    command["on_behalf"] = {"agency": step.agency, "for": step.behalf, "role": step.role}
    record = {
        "person": step.person,
        "received_at": format_instant(step.received_at),
        "recorded_at": format_instant(step.recorded_at),
        "to": str(step.to),
        "clocks": format_clocks(step.clocks),
        "seq": step.seq,
    }
    assert read_step(step.task, step.header, step.leaf, command, record) == step


def test_the_version_moves_with_what_matters_and_the_seq_with_everything() -> None:
    walk = walk_to(State.ASSIGNED)
    version, seen = walk.task.version, walk.task.seen
    walk.do("urge", {"channel": "phone"}, by="monitor").forward(days=1).tick()
    assert (walk.task.version, walk.task.seen) == (version, seen)
    assert walk.task.seq == len(walk.steps)
    assert walk.task.head == walk.steps[-1].leaf
    walk.do("confirm")
    assert (walk.task.version, walk.task.seen) == (version + 1, walk.steps[-1].leaf)


# Reports and points of update


def test_only_points_of_update_are_answered_by_reports() -> None:
    assert all(map(is_update, ("update", "update_half", "update_three_quarters")))
    assert not any(map(is_update, ("final_update", "due", "updates", "evaluate:update")))


def test_an_endorsed_report_answers_the_next_point_of_update() -> None:
    walk = walk_to(State.IN_PROGRESS)
    assert answered_update(walk.task, walk.now) == "update_half"
    walk.do("report", REPORT)
    assert "update_half" in walk.task.clocks, "a report counts once it is endorsed"
    walk.do("endorse", {"item": "report"}, by="approver")
    assert "update_half" not in walk.task.clocks
    assert "update_three_quarters" in walk.task.clocks
    assert [name for name in walk.task.clocks if name.startswith("evaluate:")]


def test_a_declined_report_answers_nothing() -> None:
    walk = walk_to(State.IN_PROGRESS).do("report", REPORT)
    walk.do("decline", {"item": "report", **REASON}, by="approver")
    assert "update_half" in walk.task.clocks
    assert walk.task.pending == {}


def test_a_late_report_makes_good_what_was_missed_and_nothing_more() -> None:
    walk = missed_update(walk_to(State.IN_PROGRESS))
    assert set(walk.task.missed) == {"update_half"}
    walk.do("report", REPORT).do("endorse", {"item": "report"}, by="approver")
    assert walk.task.missed == {}
    assert "update_three_quarters" in walk.task.clocks, "one report, one period"
    walk.do("report", REPORT).do("endorse", {"item": "report"}, by="approver")
    assert "update_three_quarters" not in walk.task.clocks


def test_one_late_report_makes_good_all_that_was_missed() -> None:
    walk = walk_to(State.IN_PROGRESS).forward(days=90).tick()
    assert set(walk.task.missed) == {"update_half", "update_three_quarters"}
    walk.do("report", REPORT).do("endorse", {"item": "report"}, by="approver")
    assert walk.task.missed == {}


def test_a_report_is_replaced_by_the_next_one_until_it_is_endorsed() -> None:
    walk = walk_to(State.IN_PROGRESS).do("report", REPORT)
    first = walk.task.pending["report"]
    walk.forward(hours=1).do("report", REPORT)
    assert walk.task.pending["report"] != first


def test_a_monthly_update_that_is_answered_starts_the_next_month() -> None:
    walk = walk_to(State.IN_PROGRESS, due_on=None, updates={"every": "month", "before_day": 10})
    first = walk.task.clocks["update"]
    walk.do("report", REPORT).do("endorse", {"item": "report"}, by="approver")
    following = walk.task.clocks["update"]
    assert following.since == first.due
    assert following.due > first.due


# In time, and late


def test_a_result_in_time_is_on_time_however_late_it_is_approved() -> None:
    walk = walk_to(State.IN_REVIEW).forward(days=200).tick()
    assert "due" in walk.task.missed
    assert not walk.task.overdue
    walk.do("approve", by="approver")
    assert walk.task.timeliness is Timeliness.ON_TIME


def test_a_result_after_the_due_day_is_late() -> None:
    walk = walk_to(State.IN_PROGRESS).forward(days=110).tick()
    assert walk.task.overdue
    walk.do("submit", REPORT).do("approve", by="approver")
    assert walk.task.timeliness is Timeliness.LATE
    assert not walk.task.overdue


def test_a_result_that_stood_at_the_door_in_time_is_on_time_though_the_clock_came_first() -> None:
    walk = walk_to(State.IN_PROGRESS)
    due = walk.task.clocks["due"].due
    walk.now = due + timedelta(minutes=1)
    walk.tick().do("submit", REPORT, at=due)
    walk.do("approve", by="approver")
    assert walk.task.timeliness is Timeliness.ON_TIME


def test_one_microsecond_decides() -> None:
    walk = walk_to(State.IN_PROGRESS)
    due = walk.task.clocks["due"].due
    walk.now = due + timedelta(minutes=1)
    walk.tick().do("submit", REPORT, at=due + timedelta(microseconds=1))
    walk.do("approve", by="approver")
    assert walk.task.timeliness is Timeliness.LATE


def test_a_confirmation_in_time_is_not_missed_though_the_clock_came_first() -> None:
    walk = walk_to(State.ASSIGNED)
    due = walk.task.clocks["confirm"].due
    walk.now = due + timedelta(minutes=1)
    walk.tick()
    assert "confirm" in walk.task.missed
    in_time, late = walk_of(walk), walk_of(walk)
    assert "confirm" not in in_time.do("confirm", at=due).task.missed
    assert "confirm" in late.do("confirm").task.missed


def walk_of(walk: Walk) -> Walk:
    """A second walk from the same point."""
    other = Walk()
    other.now, other.steps, other.current = walk.now, list(walk.steps), walk.current
    return other


def test_a_decision_in_time_settles_a_dispute_though_the_clock_came_first() -> None:
    walk = walk_to(State.DISPUTED)
    due = walk.task.clocks["settle"].due
    walk.now = due + timedelta(minutes=1)
    walk.tick()
    for event, arguments in (("keep", REASON), ("correct", REASON)):
        settled = walk_of(walk).do(event, arguments, by="office", at=due)
        assert "settle" not in settled.task.missed
        assert "settle" in walk_of(walk).do(event, arguments, by="office").task.missed


def test_a_warning_owes_nothing() -> None:
    walk = walk_to(State.CONFIRMED)
    for name in ("dispute", "near_due"):
        clock = walk.task.clocks[name]
        walk.now = clock.due + timedelta(seconds=1)
        walk.tick()
        assert name not in walk.task.clocks
        assert name not in walk.task.missed


def test_a_result_sent_back_after_the_due_day_leaves_the_task_overdue() -> None:
    walk = walk_to(State.IN_REVIEW).forward(days=110).tick()
    walk.do("send_back", REASON, by="approver")
    assert walk.state is State.IN_PROGRESS
    assert walk.task.overdue
    assert walk.task.submitted_at is None
    assert "result" not in walk.task.pending


def test_a_reassignment_forgets_what_the_first_agency_missed_except_the_term() -> None:
    walk = walk_to(State.ASSIGNED)
    walk.now = walk.task.clocks["confirm"].due + timedelta(minutes=1)
    walk.do("explain", REASON).do("dispute", REASON)
    assert "confirm" in walk.task.missed
    walk.do("reassign", {**REASON, "lead": "sxd"}, by="office")
    assert walk.task.missed == {}
    assert walk.task.pending == {}


# Random lives

_DAYS = st.dates(date(2026, 3, 1), date(2027, 6, 30)).map(date.isoformat)
_ITEMS = st.sampled_from(["report", "extension", "withdrawal", "explanation"])
_ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "dispute": st.just(REASON),
    "keep": st.just(REASON),
    "correct": st.just(REASON) | _DAYS.map(lambda day: {**REASON, "due_on": day}),
    "reassign": st.sampled_from(["snv", "sxd"]).map(lambda lead: {**REASON, "lead": lead}),
    "report": st.just(REPORT) | st.integers(0, 100).map(lambda n: {**REPORT, "percent": n}),
    "submit": st.just(REPORT),
    "send_back": st.just(REASON),
    "endorse": _ITEMS.map(lambda item: {"item": item}),
    "decline": _ITEMS.map(lambda item: {"item": item, **REASON}),
    "ask_extension": _DAYS.map(lambda day: {**REASON, "due_on": day}),
    "ask_withdrawal": st.just({**REASON, "committed_on": "2026-12-31"}),
    "grant_extension": st.just({}) | _DAYS.map(lambda day: {"due_on": day}),
    "refuse": st.sampled_from(["extension", "withdrawal"]).map(
        lambda item: {"item": item, **REASON}
    ),
    "explain": st.just(REASON),
    "evaluate": st.sampled_from(["met", "partly_met", "not_met"]).map(lambda r: {"rating": r}),
    "urge": st.just({"channel": "phone"}),
    "recall": st.just(REASON),
}
_HEADERS = st.fixed_dictionaries(
    {
        "due_on": st.none() | st.sampled_from(["2026-03-20", "2026-06-15", "2027-02-28"]),
        "priority": st.sampled_from(["key", "regular", "urgent"]),
        "updates": st.none() | st.just({"every": "quarter"}),
    }
)
_SIGNERS = {
    "office": ["office"],
    "officer": ["officer", "both_officer", "other_officer"],
    "approver": ["approver", "both_approver", "other_approver"],
    "monitor": ["monitor"],
}


_ANYBODY = [name for several in _SIGNERS.values() for name in several]


class RandomLife(RuleBasedStateMachine):
    """Anybody tries anything that the state allows; what is refused must have changed nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.walk: Walk | None = None

    @rule(data=st.data())
    def somebody_acts(self, data: st.DataObject) -> None:
        if self.walk is None:
            self.walk = Walk(**data.draw(_HEADERS))
        # Recall ends a life: as likely as any other event it would end most of them early.
        events = [name for name in allowed(self.walk.state) if name not in {"lapse", "recall"}]
        if not events:
            return
        event = data.draw(st.sampled_from(events))
        # Mostly somebody who may, so that lives get far; sometimes anybody.
        may = [name for role in sorted(roles_of(event)) for name in _SIGNERS[role]]
        who = data.draw(st.sampled_from([*may * 3, *may[:1] * 6, *_ANYBODY]))
        arguments = data.draw(_ARGUMENTS.get(event, st.just({})))
        before = len(self.walk.steps)
        try:
            self.walk.do(event, arguments, by=who)
        except Refused:
            # Lapses that were due may have come before; the step itself has not happened.
            assert all(step.event == "lapse" for step in self.walk.steps[before:])

    @rule(hours=st.integers(1, 24 * 40))
    def time_passes(self, hours: int) -> None:
        if self.walk is not None:
            self.walk.forward(hours=hours).tick()

    @rule()
    def the_office_recalls_it(self) -> None:
        if self.walk is not None and len(self.walk.steps) > 20:
            with suppress(Refused):
                self.walk.do("recall", REASON, by="office")

    @invariant()
    def the_steps_fold_to_the_task(self) -> None:
        if self.walk is not None:
            assert fold(self.walk.steps) == self.walk.task

    @invariant()
    def a_snapshot_comes_back_as_it_was(self) -> None:
        if self.walk is not None:
            snapshot = format_task(self.walk.task)
            assert parse_task(json.loads(json.dumps(snapshot))) == self.walk.task
            assert TEXT not in json.dumps(snapshot), "a task holds no words, not even digests"

    @invariant()
    def what_is_running_has_not_run_out(self) -> None:
        if self.walk is not None and self.walk.task.clocks:
            assert self.walk.state is not State.WITHDRAWN
            self.walk.tick()
            assert min(clock.due for clock in self.walk.task.clocks.values()) >= self.walk.now

    @invariant()
    def a_task_at_its_end_waits_for_evaluation_at_most(self) -> None:
        if self.walk is not None and self.walk.state is State.DONE:
            assert all(name.startswith("evaluate:") for name in self.walk.task.clocks)
            assert self.walk.task.timeliness is not None
            assert not self.walk.task.overdue


TestRandomLife = RandomLife.TestCase
TestRandomLife.settings = settings(max_examples=60, stateful_step_count=40)
