"""`dondoc audit refusals`: what was refused, in sentences, from the log."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from activities.recorder import SumUp, Turned
from cli import refusals, status
from domain.refusal import Refused
from messages import LANGUAGES, Texts, load
from tests.cli.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
KEPT = {
    "kind": "refused", "agency": "snv", "event": "confirm", "claimed": None, "actor": "snv.officer",
    "role": "officer", "chain": "T-1",
}  # fmt: skip
"""What the log keeps of a refused command whose giver is known."""


@pytest.fixture(name="log")
def _log(shell: Shell) -> Shell:
    """Two refusals of persons on two days, and a flood that was summed."""
    world = shell.world
    first, second = (world.assigned(name, due_on=None) for name in ("T-1", "T-2"))
    world.hand_in(world.submission(first, "approve", role="approver"))
    world.forward(days=1)
    world.hand_in(world.submission(second, "confirm", role="other_officer"))
    world.recorder.record([Turned(Refused("not_json"), world.now) for _ in range(25)])
    world.forward(minutes=6)
    world.recorder.record([SumUp()])
    return shell


def test_every_refusal_is_listed_with_its_reason(log: Shell) -> None:
    found = log.json("audit", "refusals")
    assert log.status == status.DONE
    kinds = [each["kind"] for each in found["refusals"]]
    assert kinds == ["refused"] * 22 + ["refusals_summed"]
    assert found["total"] == 27
    first = found["refusals"][0]
    assert (first["code"], first["chain"], first["actor"]) == ("wrong_state", "T-1", "snv.approver")
    assert "“approve”" in first["text"]
    assert first["leaf"] == log.world.chain("attestations")[0].leaf


def test_they_are_told_in_both_languages(log: Shell) -> None:
    assert log("audit", "refusals") == 0
    assert "snv.approver (người phê duyệt, snv) · T-1 · approve · tại cửa tiếp nhận" in log.said
    assert "không rõ người ra lệnh" in log.said
    assert log("audit", "refusals", language="en") == 0
    assert "“approve” was not possible in the state that the task was in" in log.said
    assert "5 more commands were refused" in log.said
    assert "22 refused commands.\nBesides these, 5 were only counted." in log.said


def test_they_are_chosen_by_person_task_and_day(log: Shell) -> None:
    def found(*options: str) -> list[str]:
        listed = log.json("audit", "refusals", *options)["refusals"]
        return [each.get("code", each["kind"]) for each in listed]

    assert found("--person", "snv.approver") == ["wrong_state"]
    assert found("--person", "nobody") == []
    assert found("--task", "T-2") == ["other_agency"]
    tomorrow = (log.world.now - timedelta(minutes=6)).date()
    since = found("--since", tomorrow.isoformat())
    assert (since[0], since[-1], len(since)) == ("other_agency", "refusals_summed", 22)
    assert found("--since", f"{tomorrow + timedelta(days=2):%d/%m/%Y}") == []
    assert found("--person", "sxd.officer", "--task", "T-1") == []


def test_what_does_not_exist_is_said(log: Shell) -> None:
    assert log("audit", "refusals", "--task", "T-9") == status.REFUSED
    assert log("audit", "refusals", "--since", "yesterday") == status.MISUSE


def test_a_log_without_refusals_says_so(shell: Shell) -> None:
    assert shell.json("audit", "refusals") == {"refusals": [], "total": 0}
    shell("audit", "refusals", language="en")
    assert shell.said == "No command was refused.\n"


def test_verification_counts_them(log: Shell) -> None:
    verified = log.json("audit", "verify")
    assert verified["ok"]
    assert verified["refusals"] == 27
    assert log("audit", "verify", language="en") == 0
    assert "Refused commands that the log speaks of: 27." in log.said


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_sentence_of_every_reason_stands_alone(language: str) -> None:
    """What the log does not keep is left open; nothing is cut off within a quotation."""
    texts = Texts(language)
    for code in load(language):
        told = texts.template(code).partition(". ")[0]
        assert told.count("“") == told.count("”"), code
        assert told.count("`") % 2 == 0, code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_by_the_rules_has_a_sentence_that_needs_no_more_than_the_log_keeps(
    language: str,
) -> None:
    texts = Texts(language)
    rules = "".join((ROOT / "domain" / name).read_text() for name in ("decide.py", "command.py"))
    codes = set(re.findall(r'Refused\("([a-z_]+)"', rules))
    assert "nothing_pending" in codes
    for code in codes:
        told = refusals.sentence(texts, {**KEPT, "code": code})
        assert "…" not in told, code
        assert told != code
