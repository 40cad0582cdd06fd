"""Each deadline explained, held against what a person works out with a calendar on the wall."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cli.deadlines import all_deadlines, checked
from tests.cli.shell import Make, Shell

BEFORE_TET = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
"""16:30 on the Friday before Tết: one hour of work is left in the old year."""


def assigned_before_tet(make_shell: Make) -> Shell:
    shell = make_shell(BEFORE_TET)
    shell.world.assigned("D1-1", issued_on="2026-02-10", due_on="2026-02-27")
    return shell


def test_why_shows_the_hours_around_tet(make_shell: Make) -> None:
    shell = assigned_before_tet(make_shell)
    assert shell("task", "why", "D1-1", "--clock", "confirm") == 0
    lines = [line.strip() for line in shell.said.splitlines()]
    # By hand: 16:30 to 17:30 is one hour of four; Tết rests from 16 to 20 February, a weekend on
    # either side; three more hours from 07:30 on Monday the 23rd end at 10:30.
    assert lines[0].startswith("hạn tiếp nhận: Thứ Hai 23/02/2026 10:30 – ")
    assert lines[1] == "4 giờ làm việc kể từ khi chuyển giao (Điều 6.2a)"
    assert "Thứ Sáu 13/02/2026 16:30–17:30  +1 giờ" in lines
    assert "Thứ Bảy 14/02/2026 – Chủ nhật 15/02/2026  nghỉ cuối tuần" in lines
    assert any(
        line.startswith("Thứ Hai 16/02/2026 – Thứ Sáu 20/02/2026  ngày nghỉ: Tết Nguyên đán [")
        for line in lines
    )
    assert "Thứ Hai 23/02/2026 07:30–10:30  +3 giờ" in lines
    assert any("trùng với thời hạn đã ghi" in line for line in lines)


def test_why_shows_it_in_english_and_a_due_day_ends_at_24_00(make_shell: Make) -> None:
    shell = assigned_before_tet(make_shell)
    assert shell("task", "why", "D1", "--clock", "due", language="en") == 0
    assert shell.said.startswith("due: Friday 27/02/2026 24:00 – ")
    assert "Friday 27/02/2026  last day of the term" in shell.said


def test_the_pieces_have_no_gaps_and_add_up(make_shell: Make) -> None:
    shell = assigned_before_tet(make_shell)
    for deadline in shell.json("task", "why", "D1-1")["deadlines"]:
        pieces = deadline["segments"]
        assert deadline["check"] == "same"
        assert deadline["recomputed"] == deadline["due"]
        assert all(one["end"] == next_["start"] for one, next_ in pairwise(pieces))
    confirm = next(
        d for d in shell.json("task", "why", "D1-1")["deadlines"] if d["clock"] == "confirm"
    )
    assert sum(piece["counted_seconds"] for piece in confirm["segments"]) == 4 * 3600
    assert confirm["due"] == "2026-02-23T03:30:00.000000Z"


def test_every_kind_of_end_is_told_apart(make_shell: Make) -> None:
    shell = assigned_before_tet(make_shell)
    world = shell.world
    world.forward(minutes=30)
    world.do(world.recorder.task("D1-1") or "", "confirm", role="officer")
    world.forward(days=16)
    world.tick("D1-1")
    found = {
        (d["clock"], d["set_by"]): d["outcome"]
        for d in shell.json("task", "why", "D1-1")["deadlines"]
    }
    assert found[("confirm", 2)] == "met"
    assert found[("dispute", 2)] == "renewed"
    assert found[("dispute", 3)] == "passed"
    assert found[("near_due", 2)] == "passed"
    assert found[("due", 2)] == "missed"
    assert found[("final_update", 2)] == "running"
    assert shell("task", "why", "D1-1") == 0
    assert "đã quá hạn (mục " in shell.said


def test_an_answer_after_the_deadline_makes_it_good(make_shell: Make) -> None:
    shell = make_shell(BEFORE_TET)
    world = shell.world
    begun = world.in_progress("D1-1", issued_on="2026-02-10", due_on="2026-12-31")
    world.forward(days=20)
    late = world.tick(begun)
    assert list(late.missed) == ["update"]
    reported = world.do(late, "report", {"summary": "Nửa việc"}, role="officer")
    world.do(reported, "endorse", {"item": "report"}, role="approver")
    outcomes = {(d["clock"], d["outcome"]) for d in shell.json("task", "why", "D1-1")["deadlines"]}
    assert ("update", "made_good") in outcomes


def test_days_that_are_not_settled_are_marked(make_shell: Make) -> None:
    shell = make_shell(datetime(2027, 2, 3, 2, 0, tzinfo=UTC))
    shell.world.assigned("D1-1", issued_on="2027-02-01", due_on="2027-03-01")
    assert shell("task", "why", "D1-1", "--clock", "confirm") == 0
    assert "(lịch chưa chốt)" in shell.said
    assert "thời hạn có thể thay đổi" in shell.said


def test_a_deadline_that_the_rules_do_not_give_is_seen(make_shell: Make) -> None:
    shell = assigned_before_tet(make_shell)
    deadline = all_deadlines(shell.world.chain("D1-1"))[0]
    assert checked(deadline)[1] == "same"
    moved = replace(deadline.clock, due=deadline.clock.due + timedelta(minutes=1))
    assert checked(replace(deadline, clock=moved))[1] == "differs"
    assert checked(replace(deadline, calendar="vn-0000")) == (None, "unknown_calendar")


def test_a_clock_that_the_task_has_not_is_refused(make_shell: Make) -> None:
    shell = assigned_before_tet(make_shell)
    assert shell("task", "why", "D1-1", "--clock", "settle") == 1
    assert "settle" in shell.complained or "giải quyết" in shell.complained
