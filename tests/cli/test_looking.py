"""Listings work while no service runs, for people and for programs."""

import json
from datetime import UTC, datetime

from sqlalchemy import text

from cli import status
from cli.main import main
from store.engine import writing
from tests.cli.shell import Make, Shell

MARCH = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def test_the_list_is_by_nearest_deadline_and_can_be_narrowed(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    shell.world.assigned("D1-1")
    shell.world.in_progress("D1-2")
    everything = shell.json("task", "list")
    assert [task["id"] for task in everything] == ["D1-1", "D1-2"]
    begun = shell.json("task", "list", "--state", "in_progress")
    assert [task["id"] for task in begun] == ["D1-2"]
    assert len(shell.json("task", "list", "--limit", "1")) == 1
    assert shell.json("task", "list", "--agency", "sxd") == []
    assert shell.json("task", "list", "--overdue") == []
    assert shell("task", "list") == 0
    assert "Sở Nội vụ" in shell.said
    assert "đang thực hiện" in shell.said
    shell("task", "list", "--overdue", language="en")
    assert shell.said == "No tasks.\n"


def test_a_task_is_shown_with_what_may_be_done_now(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    shell.world.assigned("D1-1")
    assert shell("task", "show", "D1-1") == 0
    assert "Lập phương án sử dụng trụ sở dôi dư" in shell.said
    assert "15/06/2026" in shell.said
    assert "confirm, dispute, " in shell.said
    shown = shell.json("task", "show", "D1-1")
    assert shown["state"] == "assigned"
    assert "confirm" in shown["allowed"]
    assert "lapse" not in shown["allowed"]
    assert shown["texts"]["document_title"] == "Chỉ thị về sắp xếp trụ sở"


def test_only_steps_that_have_something_to_be_about_are_offered(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    task = shell.world.in_progress("D1-1")
    about_requests = {"endorse", "decline", "grant-extension", "grant-withdrawal", "refuse"}
    offered = set(shell.json("task", "show", "D1-1")["allowed"])
    assert not offered & (about_requests | {"evaluate"})
    asked = {"reason": "Chờ ý kiến", "due_on": "2026-07-15"}
    task = shell.world.do(task, "ask_extension", asked, role="officer")
    offered = set(shell.json("task", "show", "D1-1")["allowed"])
    assert offered & about_requests == {"endorse", "decline"}
    shell.world.do(task, "endorse", {"item": "extension"}, role="approver")
    offered = set(shell.json("task", "show", "D1-1")["allowed"])
    assert offered & about_requests == {"decline", "grant-extension", "refuse"}


def test_the_list_says_how_many_there_are_and_that_more_were_left_out(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    shell.world.assigned("D1-1")
    shell.world.assigned("D1-2")
    shell("task", "list", language="en")
    assert shell.said.splitlines()[-1] == "2 tasks."
    shell("task", "list", "--limit", "1", language="en")
    assert shell.said.splitlines()[-1] == "1 task, and there are more: --limit shows them."
    assert shell("task", "list", "--agency", "nobodys", language="en") == status.REFUSED
    assert "No agency has the id “nobodys”" in shell.complained


def test_a_closed_task_offers_no_step_that_is_not_allowed(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    withdrawn = shell.world.assigned("D1-1")
    shell.world.do(withdrawn, "recall", {"reason": "Thôi"}, role="office")
    assert shell.json("task", "show", "D1-1")["allowed"] == []
    shell("task", "show", "D1-1")
    assert "Nhiệm vụ đã kết thúc" in shell.said


def test_the_history_shows_each_entry_and_says_what_was_erased(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    task = shell.world.assigned("D1-1")
    shell.world.do(task, "dispute", {"reason": "Không thuộc thẩm quyền"}, role="officer")
    assert shell("task", "history", "D1-1") == 0
    assert "Phản hồi nhiệm vụ" in shell.said
    assert "đã giao → đang phản hồi" in shell.said
    assert "lý do: Không thuộc thẩm quyền" in shell.said
    assert "02/03/2026 09:00:00" in shell.said
    assert "+ hạn giải quyết phản hồi: Thứ Ba 03/03/2026 24:00" in shell.said
    with writing(shell.world.engine) as connection:
        connection.execute(text("DELETE FROM opening WHERE field = 'reason'"))
    entries = shell.json("task", "history", "D1-1")["entries"]
    assert [entry["seq"] for entry in entries] == [1, 2, 3]
    assert entries[2]["texts"] == {"reason": None}
    assert entries[2]["leaf"] == shell.world.chain("D1-1")[2].leaf
    shell("task", "history", "D1-1")
    assert "lý do: (đã xóa)" in shell.said


def test_the_directory_says_who_holds_what(shell: Shell) -> None:
    people = {person["person"]: person for person in shell.json("people")}
    assert people["snv.both"]["roles"] == [
        {"agency": "snv", "role": "approver"},
        {"agency": "snv", "role": "officer"},
    ]
    assert people["vp.office"]["key_here"]
    assert not people["clock"]["key_here"]
    assert shell("people") == 0
    assert "cán bộ đầu mối (snv)" in shell.said


def test_the_calendar_names_sources_and_what_is_not_settled(shell: Shell) -> None:
    shown = shell.json("calendar", "check", "--year", "2026")
    assert shown["digest"] == shell.world.calendar.digest()
    assert shown["unsettled_days"] == 2
    days = {row["day"]: row for row in shown["special"]}
    assert days["2026-01-10"]["kind"] == "make_up"
    assert not days["2026-11-24"]["settled"]
    assert "VPCP" in days["2026-02-17"]["source"]
    assert shell("calendar", "check", "--year", "2026") == 0
    assert "Thứ Bảy 10/01/2026" in shell.said
    assert "chưa chốt" in shell.said


def test_days_in_the_names_of_days_are_written_as_people_write_them(shell: Shell) -> None:
    for language in ("vi", "en"):
        shell("calendar", "check", "--year", "2026", language=language)
        assert "10/01/2026" in shell.said
        assert "2026-01-10" not in shell.said


def test_the_common_options_stand_anywhere(make_shell: Make) -> None:
    shell = make_shell(MARCH)
    shell.world.assigned("D1-1")
    data = ["--data", str(shell.home.path)]
    for words in (
        ["--json", *data, "task", "list"],
        ["task", "--json", *data, "list"],
        ["task", "list", *data, "--json"],
    ):
        assert main(words) == 0
        said, _ = shell.capture.readouterr()
        assert json.loads(said)[0]["id"] == "D1-1"


def test_the_lifecycle_is_a_table_a_diagram_or_a_document(shell: Shell) -> None:
    events = {row["event"]: row for row in shell.json("lifecycle")}
    assert events["confirm"]["from"] == ["assigned"]
    assert events["report"]["to"] is None
    shell("lifecycle", "--mermaid")
    assert "assigned --> confirmed: confirm" in shell.said
    shell("lifecycle")
    assert "Tiếp nhận nhiệm vụ" in shell.said
