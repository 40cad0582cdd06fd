"""Every cell of the lifecycle walked, and what each step may and does."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import timetable
from domain.authority import roles_of
from domain.command import Actor
from domain.decide import MAX_AHEAD, MAX_BEHIND, decide, due_clocks
from domain.lifecycle import EVENTS, allowed, destination
from domain.possible import possible
from domain.refusal import Refused
from domain.task import Role, State, Timeliness
from tests.support.walking import CLOCK, REASON, REPORT, TEXT, Walk, actor, walk_to

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "dispute": REASON,
    "keep": REASON,
    "correct": REASON,
    "reassign": {**REASON, "lead": "sxd"},
    "report": REPORT,
    "submit": REPORT,
    "send_back": REASON,
    "endorse": {"item": "explanation"},
    "decline": {"item": "explanation", **REASON},
    "ask_extension": {**REASON, "due_on": "2026-08-31"},
    "ask_withdrawal": {**REASON, "committed_on": "2026-08-31"},
    "refuse": {"item": "extension", **REASON},
    "explain": REASON,
    "evaluate": {"rating": "met"},
    "urge": {"channel": "phone"},
    "recall": REASON,
    "lapse": {"clock": "due", "due": "2026-06-15T17:00:00.000000Z"},
}
BY = {
    "register": "office", "transfer": "office", "keep": "office", "correct": "office",
    "reassign": "office", "grant_extension": "office", "grant_withdrawal": "office",
    "refuse": "office", "recall": "office", "urge": "monitor", "evaluate": "monitor",
    "approve": "approver", "send_back": "approver", "endorse": "approver", "decline": "approver",
}  # fmt: skip


def explained(walk: Walk) -> Walk:
    return walk.do("explain", REASON)


def asked(item: str) -> Callable[[Walk], Walk]:
    def prepare(walk: Walk) -> Walk:
        walk.do(f"ask_{item}", ARGUMENTS[f"ask_{item}"])
        return walk.do("endorse", {"item": item}, by="approver")

    return prepare


def reported(walk: Walk) -> Walk:
    """A report on the way, endorsed, so that there is something to evaluate."""
    if walk.state is not State.IN_PROGRESS:
        return walk
    return walk.do("report", REPORT).do("endorse", {"item": "report"}, by="approver")


PREPARE: Mapping[str, Callable[[Walk], Walk]] = {
    "endorse": explained,
    "decline": explained,
    "grant_extension": asked("extension"),
    "grant_withdrawal": asked("withdrawal"),
    "refuse": asked("extension"),
    "evaluate": reported,
}


# What is asked for while the work goes on may be decided while its result is in review.
ASKED_BEFORE = {"grant_extension", "grant_withdrawal", "refuse"}


def ready(event: str, state: State) -> Walk:
    """A task in ``state`` on which all that ``event`` needs has been done."""
    if event == "evaluate" and state is State.IN_REVIEW:
        return reported(walk_to(State.IN_PROGRESS)).do("submit", REPORT)
    prepare = PREPARE.get(event)
    if event in ASKED_BEFORE and state is State.IN_REVIEW and prepare:
        return prepare(walk_to(State.IN_PROGRESS)).do("submit", REPORT)
    walk = walk_to(state)
    return prepare(walk) if prepare else walk


CELLS = [(event, state) for event in EVENTS for state in State]


@pytest.mark.parametrize(
    ("event", "state"),
    [cell for cell in CELLS if destination(*cell) is not None],
)
def test_a_legal_step_succeeds_and_leads_where_the_table_says(event: str, state: State) -> None:
    walk = ready(event, state)
    assert (event in possible(walk.task)) == (event != "lapse")
    if event == "lapse":
        name, clock = walk.task.next_clock or pytest.fail("nothing is running")
        walk.now = clock.due + timedelta(seconds=1)
        walk.lapse(name)
    else:
        walk.do(event, ARGUMENTS.get(event), by=BY.get(event, "officer"))
    assert walk.steps[-1].event == event
    assert walk.state is destination(event, state)


@pytest.mark.parametrize("state", [s for s in State if {"endorse", "decline"} <= {*allowed(s)}])
def test_what_is_not_offered_would_be_refused_for_want_of_an_object(state: State) -> None:
    walk = walk_to(state)
    left_out = set(allowed(state)) - {*possible(walk.task), "lapse"}
    assert left_out
    for event in left_out:
        code = walk.refused(event, ARGUMENTS.get(event), by=BY.get(event, "officer"))
        assert code in {"nothing_pending", "nothing_to_evaluate"}, event


def test_a_settled_dispute_and_a_task_without_a_term_are_not_offered_what_they_lack() -> None:
    kept = walk_to(State.DISPUTED).do("keep", REASON, by="office")
    assert "dispute" not in possible(kept.task)
    assert kept.refused("dispute", REASON) == "dispute_settled"
    endless = walk_to(State.IN_PROGRESS, due_on=None)
    assert "ask_extension" not in possible(endless.task)
    asking = endless.refused("ask_extension", ARGUMENTS["ask_extension"])
    assert asking == "no_term_to_extend"


def test_what_was_endorsed_can_be_declined_and_refused_but_not_endorsed_again() -> None:
    walk = ready("grant_extension", State.IN_PROGRESS)
    assert {"decline", "refuse", "grant_extension"} <= set(possible(walk.task))
    assert not {"endorse", "grant_withdrawal"} & set(possible(walk.task))
    again = walk.refused("endorse", {"item": "extension"}, by="approver")
    assert again == "already_endorsed"
    declining = {"item": "extension", **REASON}
    assert walk.refused("decline", declining, by="approver") is None


@pytest.mark.parametrize(
    ("event", "state"),
    [cell for cell in CELLS if destination(*cell) is None and cell[0] != "register"],
)
def test_an_illegal_step_is_refused_whoever_asks(event: str, state: State) -> None:
    walk = walk_to(state)
    for by in ("office", "officer", "approver", "monitor"):
        assert walk.refused(event, ARGUMENTS.get(event), by=by) == "wrong_state"


@pytest.mark.parametrize("state", State)
def test_a_task_is_registered_once(state: State) -> None:
    walk = walk_to(state)
    assert walk.refused("register", walk.header, by="office") == "task_exists"


@pytest.mark.parametrize("event", sorted(EVENTS.keys() - {"register"}))
def test_nothing_can_be_done_on_a_task_that_does_not_exist(event: str) -> None:
    walk = Walk()
    walk.current = None
    assert walk.refused(event, ARGUMENTS.get(event)) == "unknown_task"


def test_an_event_that_does_not_exist_is_refused() -> None:
    assert Walk().refused("to_done", by="office") == "unknown_event"


@pytest.mark.parametrize("event", sorted(EVENTS.keys() - {"register", "lapse"}))
def test_a_step_by_another_role_is_refused(event: str) -> None:
    state = next(state for state in State if destination(event, state) is not None)
    if event in {"endorse", "decline"}:
        state = State.ASSIGNED
    walk = ready(event, state)
    roles = roles_of(event)
    for by in ("office", "officer", "approver", "monitor"):
        if by not in roles:
            assert walk.refused(event, ARGUMENTS.get(event), by=by) == "role_may_not"


def test_a_person_cannot_do_what_is_the_clocks() -> None:
    walk = walk_to(State.ASSIGNED)
    assert walk.refused("lapse", ARGUMENTS["lapse"]) == "role_may_not"


def test_another_agency_cannot_act_for_the_one_in_charge() -> None:
    walk = walk_to(State.ASSIGNED)
    assert walk.refused("confirm", by="other_officer") == "other_agency"
    walk = walk_to(State.IN_REVIEW)
    assert walk.refused("approve", by="other_approver") == "other_agency"


# Maker and checker


def test_who_submitted_cannot_approve_or_send_back() -> None:
    walk = walk_to(State.IN_PROGRESS).do("submit", REPORT, by="both_officer")
    assert walk.refused("approve", by="both_approver") == "maker_is_checker"
    assert walk.refused("send_back", REASON, by="both_approver") == "maker_is_checker"
    assert walk.refused("approve", by="approver") is None


@pytest.mark.parametrize("item", ["report", "extension", "withdrawal", "explanation"])
def test_who_entered_an_item_cannot_endorse_or_decline_it(item: str) -> None:
    event = {"report": "report", "explanation": "explain"}.get(item, f"ask_{item}")
    walk = walk_to(State.IN_PROGRESS).do(event, ARGUMENTS[event], by="both_officer")
    endorse, decline = {"item": item}, {"item": item, **REASON}
    assert walk.refused("endorse", endorse, by="both_approver") == "maker_is_checker"
    assert walk.refused("decline", decline, by="both_approver") == "maker_is_checker"
    assert walk.refused("endorse", endorse, by="approver") is None


def test_who_holds_both_roles_may_approve_what_another_entered() -> None:
    walk = walk_to(State.IN_PROGRESS).do("submit", REPORT, by="officer")
    assert walk.refused("approve", by="both_approver") is None


# What was seen


def test_a_command_on_what_has_changed_since_is_out_of_date() -> None:
    walk = walk_to(State.IN_PROGRESS)
    seen = walk.task
    walk.do("report", REPORT)
    assert walk.refused("submit", REPORT, seen=seen) == "out_of_date"
    assert walk.refused("urge", {"channel": "phone"}, by="monitor", seen=seen) == "out_of_date"
    assert walk.refused("submit", REPORT) is None


def test_a_reminder_or_a_deadline_does_not_void_a_signature_in_the_making() -> None:
    walk = walk_to(State.ASSIGNED)
    seen = walk.task
    walk.do("urge", {"channel": "phone"}, by="monitor").forward(days=1).tick()
    assert {"confirm", "dispute"} & {step.arguments.get("clock") for step in walk.steps}
    walk.do("confirm", seen=seen)
    assert walk.state is State.CONFIRMED


def test_a_command_signed_long_ago_or_in_the_future_is_refused() -> None:
    walk = walk_to(State.ASSIGNED)
    received = walk.now
    for shift, code in (
        (MAX_AHEAD, None),
        (MAX_AHEAD + timedelta(seconds=1), "issued_in_future"),
        (-MAX_BEHIND, None),
        (-MAX_BEHIND - timedelta(seconds=1), "issued_too_long_ago"),
    ):
        command = walk.command("confirm", {}, actor("officer"), received + shift)
        found = None
        try:
            decide(walk.task, command, actor("officer"), received, walk.calendar)
        except Refused as refusal:
            found = refusal.code
        assert found == code


# Registration


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"issued_on": "2026-03-03"}, "document_from_future"),
        ({"due_on": "2026-03-01"}, "due_before_assignment"),
        ({"due_on": "2026-03-02"}, None),
        ({"secrecy": "secret", "content": TEXT}, "protected_content"),
        ({"secrecy": "top_secret", "summary": TEXT}, "protected_content"),
        ({"secrecy": "secret"}, None),
        ({"secrecy": "absolutely_secret"}, "bad_argument"),
        ({"priority": "whenever"}, "bad_argument"),
        ({"due_on": "30/02/2026"}, "bad_argument"),
        ({"due_on": "2026-02-30"}, "bad_argument"),
        ({"coordinators": "sxd"}, "bad_argument"),
        ({"updates": {"every": "day"}}, "bad_argument"),
        ({"updates": {"every": "quarter", "before_day": 10}}, None),
        ({"title": ""}, "bad_argument"),
        ({"title": None}, "missing_argument"),
        ({"more": "x"}, "unknown_argument"),
    ],
)
def test_a_header_is_held_against_the_rules(header: dict[str, Any], code: str | None) -> None:
    walk = Walk()
    walk.current, walk.steps = None, []
    given = {name: value for name, value in {**walk.header, **header}.items() if value is not None}
    assert walk.refused("register", given, by="office") == code


@pytest.mark.parametrize("event", sorted(ARGUMENTS))
def test_a_missing_or_unknown_argument_is_named(event: str) -> None:
    state = next(state for state in State if destination(event, state) is not None)
    walk = walk_to(state)
    given = dict(ARGUMENTS[event])
    by = BY.get(event, "officer")
    assert walk.refused(event, {**given, "more": "x"}, by=by) == "unknown_argument"
    given.popitem()
    assert walk.refused(event, given, by=by) == "missing_argument"


# Confirming and disputing


def test_a_transfer_starts_the_clocks_of_the_term() -> None:
    walk = walk_to(State.ASSIGNED)
    assert set(walk.task.clocks) == {
        "confirm", "dispute", "near_due", "update_half", "update_three_quarters", "due",
        "final_update",
    }  # fmt: skip


def test_the_window_for_a_dispute_opens_anew_with_the_confirmation_and_closes_with_the_start() -> (
    None
):
    walk = walk_to(State.ASSIGNED)
    first = walk.task.clocks["dispute"].due
    walk.forward(hours=1).do("confirm")
    assert walk.task.clocks["dispute"].due > first
    assert "confirm" not in walk.task.clocks
    walk.do("start")
    assert "dispute" not in walk.task.clocks


def test_a_dispute_after_the_window_is_refused() -> None:
    walk = walk_to(State.ASSIGNED).forward(days=2)
    assert walk.refused("dispute", REASON) == "dispute_window_closed"
    assert walk.refused("confirm") is None


def test_what_the_office_has_kept_cannot_be_disputed_again() -> None:
    walk = walk_to(State.DISPUTED)
    assert "settle" in walk.task.clocks
    assert not {"confirm", "dispute"} & set(walk.task.clocks)
    walk.do("keep", REASON, by="office")
    assert walk.task.kept
    assert "settle" not in walk.task.clocks
    assert walk.refused("dispute", REASON) == "dispute_settled"
    walk.do("confirm")
    assert "dispute" not in walk.task.clocks
    assert walk.refused("dispute", REASON) == "dispute_settled"


def test_a_correction_moves_the_due_day_and_may_be_disputed() -> None:
    walk = walk_to(State.DISPUTED)
    before = walk.task.clocks["due"].due
    walk.do("correct", {**REASON, "due_on": "2026-09-30"}, by="office")
    assert walk.task.clocks["due"].due > before
    assert walk.task.terms.due_on is not None
    assert walk.task.terms.due_on.isoformat() == "2026-09-30"
    assert {"confirm", "dispute"} <= set(walk.task.clocks)
    assert walk.refused("dispute", REASON) is None


def test_a_correction_of_words_leaves_the_term() -> None:
    walk = walk_to(State.DISPUTED)
    before = walk.task.clocks["due"]
    walk.do("correct", {**REASON, "content": TEXT}, by="office")
    assert walk.task.clocks["due"] == before


def test_a_correction_to_a_past_day_is_refused() -> None:
    past = {**REASON, "due_on": "2026-03-01"}
    assert walk_to(State.DISPUTED).refused("correct", past, by="office") == "due_before_assignment"


def test_a_reassigned_task_starts_afresh_with_the_other_agency() -> None:
    walk = walk_to(State.DISPUTED).forward(hours=2)
    walk.do("reassign", {**REASON, "lead": "sxd"}, by="office")
    task = walk.task
    assert (task.state, task.lead, task.kept) == (State.ASSIGNED, "sxd", False)
    assert task.transferred_at == walk.now
    assert all(clock.since == walk.now for clock in task.clocks.values())
    assert {"confirm", "dispute", "due"} <= set(task.clocks)
    assert "settle" not in task.clocks
    assert walk.refused("confirm", by="officer") == "other_agency"
    walk.do("confirm", by="other_officer").do("start", by="other_officer")
    walk.do("submit", REPORT, by="other_officer").do("approve", by="other_approver")
    assert walk.task.timeliness is Timeliness.ON_TIME


def test_a_task_is_not_reassigned_to_the_agency_that_has_it() -> None:
    same = {**REASON, "lead": "snv"}
    assert walk_to(State.DISPUTED).refused("reassign", same, by="office") == "same_agency"


# Extension and withdrawal


def test_an_extension_counts_once_it_is_endorsed_and_granted_and_replans_every_clock() -> None:
    walk = walk_to(State.IN_PROGRESS)
    before = dict(walk.task.clocks)
    walk.do("ask_extension", ARGUMENTS["ask_extension"])
    assert walk.task.clocks == before
    assert walk.refused("grant_extension", by="office") == "not_endorsed"
    walk.do("endorse", {"item": "extension"}, by="approver")
    assert walk.refused("endorse", {"item": "extension"}, by="approver") == "already_endorsed"
    walk.do("grant_extension", by="office")
    task = walk.task
    assert task.pending == {}
    assert str(task.terms.due_on) == "2026-08-31"
    assert task.transferred_at is not None
    planned = timetable.terms_clocks(
        task.terms, task.priority, task.transferred_at, walk.now, walk.calendar
    )
    assert planned == task.clocks
    assert task.clocks["due"].due > before["due"].due


def test_the_office_may_grant_less_than_was_asked_but_never_an_earlier_day() -> None:
    walk = asked("extension")(walk_to(State.IN_PROGRESS))
    earlier = {"due_on": "2026-06-15"}
    assert walk.refused("grant_extension", earlier, by="office") == "extension_not_later"
    walk.do("grant_extension", {"due_on": "2026-07-15"}, by="office")
    assert str(walk.task.terms.due_on) == "2026-07-15"


def test_an_extension_to_an_earlier_day_is_not_even_asked() -> None:
    walk = walk_to(State.IN_PROGRESS)
    assert walk.refused("ask_extension", {**REASON, "due_on": "2026-06-15"}) == (
        "extension_not_later"
    )


def test_a_standing_task_has_no_term_to_extend() -> None:
    walk = walk_to(State.IN_PROGRESS, due_on=None)
    asking = ARGUMENTS["ask_extension"]
    assert walk.refused("ask_extension", asking) == "no_term_to_extend"


def test_an_extension_of_an_overdue_task_lifts_the_overdue() -> None:
    late = walk_to(State.IN_PROGRESS).forward(days=110).tick()
    assert late.task.overdue
    assert "due" in late.task.missed
    walk = asked("extension")(late).do("grant_extension", by="office")
    assert not walk.task.overdue
    assert not {"due", "final_update"} & set(walk.task.missed)
    assert walk.task.clocks["due"].due > walk.now


def test_a_granted_withdrawal_ends_the_task_and_stops_every_clock() -> None:
    walk = asked("withdrawal")(walk_to(State.IN_PROGRESS))
    walk.do("grant_withdrawal", by="office")
    assert (walk.state, walk.task.clocks, walk.task.pending) == (State.WITHDRAWN, {}, {})
    assert allowed(walk.state) == ()


def test_a_withdrawal_that_the_approver_has_not_endorsed_is_not_granted() -> None:
    walk = walk_to(State.CONFIRMED).do("ask_withdrawal", ARGUMENTS["ask_withdrawal"])
    assert walk.refused("grant_withdrawal", by="office") == "not_endorsed"
    assert walk.refused("refuse", {"item": "withdrawal", **REASON}, by="office") == "not_endorsed"
    walk.do("endorse", {"item": "withdrawal"}, by="approver")
    walk.do("refuse", {"item": "withdrawal", **REASON}, by="office")
    assert walk.refused("grant_withdrawal", by="office") == "nothing_pending"


def test_a_recall_stops_every_clock() -> None:
    walk = walk_to(State.IN_REVIEW).do("recall", REASON, by="office")
    assert (walk.state, walk.task.clocks, walk.task.pending) == (State.WITHDRAWN, {}, {})


# Evaluation


def test_the_earliest_waiting_update_is_evaluated_first() -> None:
    walk = reported(walk_to(State.IN_PROGRESS))
    walk.forward(hours=1)
    reported(walk)
    waiting = sorted(name for name in walk.task.clocks if name.startswith("evaluate"))
    assert len(waiting) == 2
    walk.do("evaluate", {"rating": "met"}, by="monitor")
    walk.do("evaluate", {"rating": "not_met"}, by="monitor")
    assert walk.task.rating == "not_met"
    assert not [name for name in walk.task.clocks if name.startswith("evaluate")]
    assert walk.refused("evaluate", {"rating": "met"}, by="monitor") == "nothing_to_evaluate"


def test_a_missed_evaluation_can_still_be_given() -> None:
    walk = reported(walk_to(State.IN_PROGRESS)).forward(days=7).tick()
    assert [name for name in walk.task.missed if name.startswith("evaluate")]
    walk.do("evaluate", {"rating": "partly_met"}, by="monitor")
    assert not walk.task.missed


# The clock


@pytest.mark.parametrize("name", ["due", "nothing"])
def test_a_clock_that_has_not_run_out_or_does_not_run_cannot_lapse(name: str) -> None:
    walk = walk_to(State.ASSIGNED)
    arguments = {**ARGUMENTS["lapse"], "clock": name}
    early = walk.command("lapse", arguments, CLOCK, walk.now)
    with pytest.raises(Refused, match="not_due"):
        decide(walk.task, early, CLOCK, walk.now, walk.calendar)


def test_what_stands_exactly_on_its_deadline_is_in_time() -> None:
    walk = walk_to(State.ASSIGNED)
    due = walk.task.clocks["confirm"].due
    assert due_clocks(walk.task, due) == ()
    assert due_clocks(walk.task, due + timedelta(microseconds=1)) == ("confirm",)


def test_clocks_lapse_in_the_order_of_their_deadlines() -> None:
    walk = walk_to(State.ASSIGNED)
    names = due_clocks(walk.task, walk.now + timedelta(days=400))
    assert list(names) == sorted(names, key=lambda name: walk.task.clocks[name].due)
    assert set(names) == set(walk.task.clocks)


def test_a_standing_task_gets_its_next_update_when_one_is_missed() -> None:
    walk = walk_to(State.IN_PROGRESS, due_on=None, updates={"every": "month", "before_day": 10})
    first = walk.task.clocks["update"]
    walk.forward(days=400).tick()
    lapses = [step for step in walk.steps if step.event == "lapse"]
    assert len(lapses) in {13, 14}
    assert walk.task.clocks["update"].due > walk.now
    assert walk.task.clocks["update"].due > first.due
    assert not walk.task.overdue


def test_a_term_over_a_weekend_goes_on_with_the_agency_that_takes_over() -> None:
    """Due Saturday 6 June 2026, so until Monday 8 June 24:00; reassigned that Monday morning."""
    walk = Walk(due_on="2026-06-06")
    walk.now = datetime(2026, 6, 5, 1, 0, tzinfo=UTC)
    walk.do("transfer", by="office")
    walk.do("dispute", REASON)
    walk.now = datetime(2026, 6, 8, 3, 0, tzinfo=UTC)
    walk.do("reassign", {**REASON, "lead": "sxd"}, by="office")
    assert walk.task.clocks["due"].due == datetime(2026, 6, 8, 17, 0, tzinfo=UTC)
    assert "final_update" in walk.task.clocks


def test_a_report_does_not_count_for_a_period_that_has_not_begun() -> None:
    walk = Walk(due_on=None, updates={"every": "month"}).do("transfer", by="office")
    walk.do("confirm").do("start")
    first = walk.task.clocks["update"].due
    for _ in range(3):
        walk.do("report", REPORT).do("endorse", {"item": "report"}, by="approver")
    assert walk.task.clocks["update"].since == first


@pytest.mark.parametrize("who", ["snv.officer", "snv.approver"])
def test_nobody_decides_as_office_on_what_they_asked_for_or_endorsed(who: str) -> None:
    walk = walk_to(State.CONFIRMED).do("ask_extension", ARGUMENTS["ask_extension"])
    walk.do("endorse", {"item": "extension"}, by="approver")
    task = walk.task
    asker = Actor(who, "vp", Role.OFFICE)
    command = walk.command("grant_extension", {}, asker, walk.now)
    with pytest.raises(Refused, match="acted_for_assignee"):
        decide(task, command, asker, walk.now, walk.calendar)


def test_a_late_confirmation_does_not_open_the_dispute_window_anew() -> None:
    walk = walk_to(State.ASSIGNED)
    in_time = walk.task.clocks["dispute"]
    walk.forward(days=9).do("confirm")
    assert "dispute" not in walk.task.clocks
    assert walk.task.dispute_closed == in_time
    assert walk.refused("dispute", REASON) == "dispute_window_closed"
