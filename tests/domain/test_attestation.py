"""What may be stated about the log, by whom, and in which form."""

from typing import Any

import pytest

from domain.attestation import DIFFERENCES, FIELDS, SIGNERS, Attested, follow, judge
from domain.refusal import Refused

DIGEST = "a5" * 32
COUNTS = dict.fromkeys(DIFFERENCES, 0)
SOUND: dict[str, dict[str, Any]] = {
    "heads": {"size": 7, "chains": 3, "root": DIGEST},
    "reconciled": {"size": 7, "tasks": 2, "workflows": 2, "differences": COUNTS},
    "erase": {"leaf": DIGEST, "field": "title", "reason": "privacy"},
    "refused": {
        "at": "2026-03-02T02:00:00.000000Z",
        "code": "wrong_state",
        "chain": "T-1",
        "event": "approve",
        "actor": "snv.approver",
        "claimed": None,
        "agency": "snv",
        "role": "approver",
        "command": DIGEST,
        "door": "door",
    },
    "refusals_summed": {
        "since": "2026-03-02T02:00:00.000000Z",
        "until": "2026-03-02T03:00:00.000000Z",
        "total": 5,
        "counts": {"not_json": 3, "wrong_state": 2},
        "actors": {"snv.approver": 2},
    },
    "shred": {"task": "T-1", "through": 3, "reason": "secrecy"},
}
UNSIGNED = {**SOUND["refused"], "actor": None, "agency": None, "role": None}


def refused(event: str, arguments: dict[str, Any], holder: str, before: int = 0) -> str:
    with pytest.raises(Refused) as refusal:
        judge(Attested(size=before), event, arguments, holder)
    return refusal.value.code


@pytest.mark.parametrize("event", SOUND)
def test_who_signs_such_things_may_state_them(event: str) -> None:
    judge(Attested(), event, SOUND[event], SIGNERS[event])


def test_every_event_has_a_form_and_a_signer() -> None:
    assert set(FIELDS) == set(SIGNERS) == set(SOUND)


@pytest.mark.parametrize("event", SOUND)
@pytest.mark.parametrize("holder", ["snv.officer", "log", "checkpoint", "administrator", "clock"])
def test_nobody_else_may(event: str, holder: str) -> None:
    if holder != SIGNERS[event]:
        assert refused(event, SOUND[event], holder) == "key_of_other_purpose"


@pytest.mark.parametrize("event", ["lapse", "found", "register", ""])
def test_events_of_other_chains_have_no_place_here(event: str) -> None:
    assert refused(event, {}, "clock") == "unknown_event"


@pytest.mark.parametrize("event", SOUND)
def test_every_argument_is_needed_and_no_other_is_taken(event: str) -> None:
    sound, signer = SOUND[event], SIGNERS[event]
    for name in sound:
        without = {key: value for key, value in sound.items() if key != name}
        assert refused(event, without, signer) == "missing_argument"
    assert refused(event, {**sound, "note": "x"}, signer) == "unknown_argument"


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("heads", "size", 0),
        ("heads", "size", -1),
        ("heads", "size", True),
        ("heads", "size", "7"),
        ("heads", "size", 2**53),
        ("heads", "chains", 0),
        ("heads", "root", DIGEST.upper()),
        ("heads", "root", DIGEST[:-1]),
        ("heads", "root", DIGEST + "\n"),
        ("heads", "root", None),
        ("reconciled", "size", 0),
        ("reconciled", "tasks", -1),
        ("reconciled", "workflows", 1.0),
        ("reconciled", "differences", {}),
        ("reconciled", "differences", {**COUNTS, "row_differs": -1}),
        ("reconciled", "differences", {**COUNTS, "row_differs": False}),
        ("reconciled", "differences", {**COUNTS, "row_turned_blue": 1}),
        ("reconciled", "differences", [0]),
        ("erase", "leaf", "privacy"),
        ("erase", "field", ""),
        ("erase", "field", "a\x00b"),
        ("erase", "field", "x" * 121),
        ("erase", "field", 1),
        ("erase", "reason", "because"),
        ("erase", "reason", []),
        ("refused", "at", "2026-03-02"),
        ("refused", "at", None),
        ("refused", "code", "Wrong state"),
        ("refused", "code", None),
        ("refused", "chain", "words of somebody"),
        ("refused", "event", "made_up"),
        ("refused", "actor", "a\x00b"),
        ("refused", "claimed", DIGEST),
        ("refused", "role", "king"),
        ("refused", "command", "digest"),
        ("refused", "door", "window"),
        ("refused", "door", None),
        ("refused", "actor", None),
        ("refused", "claimed", DIGEST[:16]),
        ("refused", "code", "secrecy_forbidden"),
        ("refusals_summed", "since", "2026-03-02T03:00:00.000001Z"),
        ("refusals_summed", "total", 0),
        ("refusals_summed", "total", 4),
        ("refusals_summed", "counts", {"not_json": 0}),
        ("refusals_summed", "counts", {"not_json": True}),
        ("refusals_summed", "counts", {"Not JSON": 1}),
        ("refusals_summed", "counts", {f"code_{number}": 1 for number in range(33)}),
        ("refusals_summed", "counts", ["not_json"]),
        ("refusals_summed", "actors", {"": 1}),
        ("refusals_summed", "actors", {"snv.approver": 6}),
    ],
)
def test_every_argument_has_one_form(event: str, field: str, value: object) -> None:
    assert refused(event, {**SOUND[event], field: value}, SIGNERS[event]) == "bad_argument"


@pytest.mark.parametrize("size", [7, 6, 1])
def test_the_size_of_the_log_only_grows(size: int) -> None:
    attested = follow(Attested(), "heads", SOUND["heads"], DIGEST)
    assert attested == Attested(1, DIGEST, 7)
    assert refused("heads", {**SOUND["heads"], "size": size}, "clock", before=7) == (
        "heads_not_newer"
    )
    judge(attested, "heads", {**SOUND["heads"], "size": 8}, "clock")


def test_what_is_no_statement_of_heads_leaves_the_size_alone() -> None:
    attested = Attested(4, "00" * 32, 7)
    assert follow(attested, "erase", SOUND["erase"], DIGEST) == Attested(5, DIGEST, 7)
    # A reconciliation may have seen fewer entries than there were places in the tree.
    judge(attested, "reconciled", {**SOUND["reconciled"], "size": 3}, "clock")


def test_a_refusal_whose_giver_is_not_known_names_nobody() -> None:
    judge(Attested(), "refused", UNSIGNED, "clock")
    judge(Attested(), "refused", {**UNSIGNED, "claimed": DIGEST[:16]}, "clock")
    assert refused("refused", {**UNSIGNED, "role": "approver"}, "clock") == "bad_argument"


def test_a_refusal_of_the_highest_secrecy_has_nothing_but_its_code() -> None:
    at = SOUND["refused"]["at"]
    bare = {**dict.fromkeys(SOUND["refused"]), "at": at, "code": "secrecy_forbidden"}
    judge(Attested(), "refused", bare, "clock")
    for field in SOUND["refused"].keys() - {"at", "code"}:
        fuller = {**bare, field: SOUND["refused"][field]}
        if fuller != bare:
            assert refused("refused", fuller, "clock") == "bad_argument"
