"""`dondoc directory`: what the administrator does, and what everybody can look up."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from domain.instants import format_instant, parse_instant
from messages import LANGUAGES
from tests.cli.shell import Shell, utc_now
from tests.support.publishing import published

ENDS = (utc_now() + timedelta(days=30)).date()
UNTIL = ("--until", f"{ENDS:%d/%m/%Y}")


def ok(shell: Shell, *words: str) -> None:
    assert shell("directory", *words) == 0, shell.complained


def the(shell: Shell, who: str) -> Any:
    return shell.json("directory", "show", "--person", who)


def refused(shell: Shell, *words: str) -> str:
    return str(shell.json("directory", *words)["refused"])


def test_the_administrator_keeps_the_directory(served: Shell) -> None:
    ok(served, "add-agency", "ubnd", "--name-vi", "Ủy ban", "--name-en", "Committee")
    ok(served, "add-agency", "phong", "--name-vi", "Phòng", "--name-en", "Office",
       "--parent", "snv")  # fmt: skip
    ok(served, "change-agency", "snv", "--parent", "ubnd", "--name-en", "Home Affairs")
    shown = served.json("directory", "show", "--agency", "snv")
    assert (shown["name_en"], shown["name_vi"]) == ("Home Affairs", "Sở Nội vụ")
    assert (shown["above"], shown["below"]) == (["ubnd"], ["phong"])
    ok(served, "add-person", "phong.an", "--title-vi", "Cán bộ", "--title-en", "Officer",
       "--clearance", "secret", "--role", "phong:officer")  # fmt: skip
    ok(served, "appoint", "phong.an", "snv:officer", "--from", "2026-03-01", *UNTIL)
    ok(served, "clear", "phong.an", "top_secret")
    found = the(served, "phong.an")
    assert (found["clearance"], found["key"], found["left"]) == ("top_secret", None, None)
    assert [(each["agency"], each["in_force"]) for each in found["roles"]] == [
        ("phong", True), ("snv", True),
    ]  # fmt: skip
    # A day begins at its first moment in Việt Nam, and ends with its last.
    assert found["roles"][1]["from"] == "2026-02-28T17:00:00.000000Z"
    assert parse_instant(found["roles"][1]["until"]).date() == ENDS
    assert found["roles"][1]["until"].endswith("T17:00:00.000000Z")
    ok(served, "dismiss", "phong.an", "snv:officer")
    assert not the(served, "phong.an")["roles"][1]["in_force"]
    ok(served, "change-agency", "snv", "--top")
    assert served.json("directory", "show", "--agency", "snv")["above"] == []
    assert served("audit", "verify") == 0, served.said


def test_a_name_typed_in_parts_is_kept_in_the_one_form_of_the_log(served: Shell) -> None:
    typed = normalize("NFD", "Sở Nội vụ")
    ok(served, "add-agency", "moi", "--name-vi", typed, "--name-en", "New")
    kept = served.json("directory", "show", "--agency", "moi")["name_vi"]
    assert kept == normalize("NFC", typed) != typed


def test_a_substitute_is_named_and_relieved(served: Shell) -> None:
    place = ("snv.officer", "snv.approver", "snv:officer")
    ok(served, "substitute", *place, *UNTIL)
    (standing,) = the(served, "snv.approver")["stands_in"]
    assert (standing["absent"], standing["in_force"]) == ("snv.officer", True)
    assert the(served, "snv.officer")["covered"] == [standing]
    for language in LANGUAGES:
        assert served("directory", "show", "--person", "snv.officer", language=language) == 0
        assert "snv.approver" in served.said
    ok(served, "end-substitution", *place)
    assert not the(served, "snv.approver")["stands_in"][0]["in_force"]
    assert refused(served, "end-substitution", *place) == "no_substitution"


def test_who_leaves_is_shown_with_what_they_held(served: Shell) -> None:
    ok(served, "leave", "snv.officer")
    found = the(served, "snv.officer")
    assert found["left"] is not None
    assert found["key"] is None
    assert [each["in_force"] for each in found["roles"]] == [False]
    assert refused(served, "leave", "snv.officer") == "person_left"
    assert served("people") == 0
    assert "snv.officer" not in served.said
    for language in LANGUAGES:
        assert served("directory", "show", "--person", "snv.officer", language=language) == 0
    assert served("audit", "verify") == 0, served.said


def test_the_directory_is_shown_as_it_was_at_an_index(served: Shell, tmp_path: Path) -> None:
    before = len(served.world.rows())
    ok(served, "dismiss", "snv.officer", "snv:officer")
    ok(served, "add-agency", "moi", "--name-vi", "Mới", "--name-en", "New")
    published(served.world, tmp_path / "log").publish()

    def roles(*more: str) -> list[bool]:
        found = served.json("directory", "show", "--person", "snv.officer", *more)
        return [each["in_force"] for each in found["roles"]]

    assert roles() == [False]
    assert roles("--at", str(before)) == [True]
    assert roles("--at", str(before + 1)) == [False]
    agencies = served.json("directory", "show", "--at", str(before + 1))["agencies"]
    assert [each["id"] for each in agencies] == ["vp", "snv", "sxd", "ttt"]
    assert refused(served, "show", "--at", "1", "--person", "snv.officer") == "unknown_person"
    assert refused(served, "show", "--at", str(before + 3)) == "log_shorter"
    assert served("directory", "show", "--at", "0") == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_agencies_are_shown_below_their_parents(shell: Shell, language: str) -> None:
    shell.world.change("add_agency", {
        "agency": "phong", "name_vi": "Phòng A", "name_en": "Division A", "parent": "snv",
    })  # fmt: skip
    assert shell("directory", "show", language=language) == 0
    lines = shell.said.splitlines()
    (row,) = (number for number, line in enumerate(lines) if "phong" in line)
    assert lines[row].startswith("  phong")
    assert lines[row - 1].startswith("snv")
    whole = shell.json("directory", "show")
    assert "clock" not in {each["person"] for each in whole["people"]}
    assert shell("directory", "show", "--agency", "snv", language=language) == 0
    assert "snv.both" in shell.said


def test_the_history_of_a_person_has_every_entry_about_them(served: Shell, tmp_path: Path) -> None:
    ok(served, "substitute", "snv.officer", "snv.approver", "snv:officer", *UNTIL)
    published(served.world, tmp_path / "log").publish()
    assert served("key", "revoke", "snv.officer", "--reason", "lost") == 0, served.complained
    ok(served, "leave", "snv.officer")
    told = served.json("directory", "history", "snv.officer")["entries"]
    assert [each["event"] for each in told] == [
        "add_people", "enrol", "substitute", "revoke", "leave",
    ]  # fmt: skip
    assert [each["index"] is None for each in told] == [False] * 3 + [True] * 2
    other = served.json("directory", "history", "snv.approver")["entries"]
    assert [each["event"] for each in other] == ["add_people", "enrol", "substitute"]
    for language in LANGUAGES:
        assert served("directory", "history", "snv.officer", language=language) == 0
        assert "snv.approver" in served.said
    assert refused(served, "history", "nobody") == "unknown_person"


def test_what_leavers_and_vacancies_leave_behind_is_listed(served: Shell) -> None:
    issued = (served.world.now - timedelta(days=1)).date().isoformat()
    due = (served.world.now + timedelta(days=60)).date().isoformat()
    task = served.world.in_progress("D1-1", issued_on=issued, due_on=due)
    served.world.do(task, "ask_extension", {
        "reason": "x", "due_on": (ENDS + timedelta(days=90)).isoformat(),
    }, role="officer")  # fmt: skip
    served.world.registered("D1-2", lead="sxd", issued_on=issued, due_on=due)
    assert served.json("directory", "open-items") == []
    assert served("directory", "open-items") == 0
    ok(served, "leave", "snv.officer")
    ok(served, "dismiss", "sxd.approver", "sxd:approver")
    found = [
        (each["task"], each["what"], each["role"], each["item"], each["person"])
        for each in served.json("directory", "open-items")
    ]
    # snv.both is an officer too, so snv has one.
    assert found == [
        ("D1-1", "entered_by_leaver", None, "extension", "snv.officer"),
        ("D1-2", "vacant", "approver", None, None),
    ]
    for language in LANGUAGES:
        assert served("directory", "open-items", language=language) == 0
        assert "snv.officer" in served.said


def test_a_time_may_be_given_to_the_minute(served: Shell) -> None:
    ok(served, "appoint", "vp.office", "sxd:leader", "--from", "2026-03-01T13:30",
       "--until", "2026-03-02T00:00+00:00")  # fmt: skip
    held = the(served, "vp.office")["roles"][-1]
    assert held["from"] == "2026-03-01T06:30:00.000000Z"
    assert held["until"] == "2026-03-02T00:00:00.000000Z"
    ok(served, "appoint", "vp.office", "ttt:leader")
    assert the(served, "vp.office")["roles"][-1]["from"] <= format_instant(utc_now())


@pytest.mark.parametrize(
    "words",
    [
        ("appoint", "vp.office", "leader"),
        ("appoint", "vp.office", "sxd:leader", "--from", "soon"),
        ("appoint", "vp.office", "sxd:leader", "--until", "2026-13-01T10:00"),
        ("clear", "vp.office", "highest"),
        ("add-person", "x", "--title-vi", "x", "--title-en", "x", "--clearance", "highest"),
        ("substitute", "snv.officer", "snv.approver", "snv:officer"),
        ("add-agency", "x"),
    ],
)
def test_what_makes_no_sense_is_misuse(served: Shell, words: tuple[str, ...]) -> None:
    assert served("directory", *words) == 2, served.complained


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("appoint", "vp.office", "sxd:king"), "unknown_role"),
        (("appoint", "vp.office", "vp:operator"), "operator_alone"),
        (("change-agency", "nowhere", "--name-en", "x"), "unknown_agency"),
        (("change-agency", "snv", "--parent", "snv"), "agency_circle"),
        (("show", "--agency", "nowhere"), "unknown_agency"),
        (("show", "--person", "nobody"), "unknown_person"),
        (("show", "--person", "clock"), "unknown_person"),
    ],
)
def test_what_is_not_possible_says_why(served: Shell, words: tuple[str, ...], code: str) -> None:
    assert refused(served, *words) == code
    for language in LANGUAGES:
        assert served("directory", *words, language=language) == 1
        assert code not in served.complained


def test_a_substitute_takes_a_step_in_the_place_of_the_absent_person(served: Shell) -> None:
    issued = (served.world.now - timedelta(days=1)).date().isoformat()
    due = (served.world.now + timedelta(days=60)).date().isoformat()
    served.world.assigned("D1-1", issued_on=issued, due_on=due)
    step = ("task", "confirm", "D1-1", "--as", "snv.approver", "--for", "snv.officer")
    assert served.json(*step)["refused"] == "stands_in_for_nobody"
    ok(served, "substitute", "snv.officer", "snv.approver", "snv:officer", *UNTIL)
    assert served(*step) == 0, served.complained
    told = served.json("task", "history", "D1-1")["entries"][-1]
    assert told["person"] == "snv.approver"
    assert told["on_behalf"] == {"agency": "snv", "for": "snv.officer", "role": "officer"}
    for language in LANGUAGES:
        assert served("task", "history", "D1-1", language=language) == 0
        assert "snv.officer)" in served.said
    # In their own name they are still no officer.
    assert served.json("task", "start", "D1-1", "--as", "snv.approver")["refused"] == (
        "no_fitting_role"
    )
