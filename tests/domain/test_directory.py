"""The directory as the rules see it: who may change it, and which key counts when."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from domain.directory import (
    ADMINISTRATOR,
    SERVICE,
    Directory,
    KeyState,
    advance,
    check_purpose,
    follow,
    judge,
    key_id,
)
from domain.instants import format_instant
from domain.refusal import Refused
from tests.support.world import START


def spki(name: str) -> str:
    """The rules never open a key: any bytes will do."""
    return base64.b64encode(f"key {name}".encode()).decode()


FOUND = {holder: spki(holder) for holder in SERVICE}
OFFICER = {"agency": "snv", "role": "officer"}
ENDS = START + timedelta(days=1)
CERTIFIED = {"certificate": "AAAA", "not_after": format_instant(ENDS)}


def enrolment(person: str = "snv.an", key: str = "an", **more: Any) -> dict[str, Any]:
    return {"person": person, "spki": spki(key), "roles": [OFFICER],
            "title_vi": "x", "title_en": "x", **more}  # fmt: skip


@pytest.fixture(name="directory")
def _directory() -> Directory:
    directory = Directory()
    advance(directory, "found", FOUND, "1")
    agency = {"agency": "snv", "name_vi": "Sở Nội vụ", "name_en": "Home Affairs"}
    advance(directory, "add_agency", agency, "2")
    advance(directory, "enrol", enrolment(), "3")
    return directory


def code(directory: Directory, event: str, arguments: dict[str, Any], **more: Any) -> str:
    key = more.get("key", key_id(FOUND[ADMINISTRATOR]))
    with pytest.raises(Refused) as found:
        judge(directory, event, arguments, key, more.get("at", START))
    return found.value.code


def why(directory: Directory, key: str, at: Any = START) -> str:
    with pytest.raises(Refused) as found:
        directory.actor(key_id(spki(key)), "snv", "officer", at)
    return found.value.code


def test_the_founding_gives_the_log_its_five_keys(directory: Directory) -> None:
    for holder in SERVICE:
        key = directory.key_of(holder)
        assert key is not None
        assert (key.spki, key.state) == (FOUND[holder], KeyState.IN_FORCE)
    assert (directory.seq, directory.head) == (3, "3")


def test_to_follow_leaves_the_directory_before_as_it_was(directory: Directory) -> None:
    before = directory.copy()
    after = follow(directory, "rotate", {"holder": "snv.an", "spki": spki("2")}, "4")
    after = follow(after, "revoke", {"key": key_id(spki("2")), "reason": "left", "since": 1}, "5")
    after = follow(after, "enrol", enrolment("snv.binh", "binh"), "6")
    agency = {"agency": "x", "name_vi": "x", "name_en": "x"}
    assert follow(after, "add_agency", agency, "7").seq == 7
    assert directory == before
    assert directory.key_of("snv.an") != after.key_of("snv.an")


def test_an_actor_is_who_holds_the_key_now(directory: Directory) -> None:
    actor = directory.actor(key_id(spki("an")), "snv", "officer", START)
    assert (actor.person, actor.agency, actor.role) == ("snv.an", "snv", "officer")
    assert why(directory, "stranger") == "unknown_key"
    assert why(directory, "log") == "key_of_other_purpose"
    with pytest.raises(Refused, match="role_not_held"):
        directory.actor(key_id(spki("an")), "snv", "approver", START)


def test_a_rotated_and_a_revoked_key_have_no_actor(directory: Directory) -> None:
    advance(directory, "rotate", {"holder": "snv.an", "spki": spki("2")}, "4")
    assert why(directory, "an") == "key_rotated"
    advance(directory, "revoke", {"key": key_id(spki("2")), "reason": "lost", "since": 7}, "5")
    assert why(directory, "2") == "key_revoked"
    assert directory.key_of("snv.an") is None
    key = directory.keys[key_id(spki("2"))]
    assert (key.reason, key.since) == ("lost", 7)
    # That a key which was rotated out is compromised may be learned afterwards.
    advance(directory, "revoke", {"key": key_id(spki("an")), "reason": "lost", "since": None}, "6")
    assert why(directory, "an") == "key_revoked"
    advance(directory, "rotate", {"holder": "snv.an", "spki": spki("3")}, "7")
    assert directory.actor(key_id(spki("3")), "snv", "officer", START).person == "snv.an"


def test_a_key_ends_with_its_certificate(directory: Directory) -> None:
    advance(directory, "rotate", {"holder": "snv.an", "spki": spki("2"), **CERTIFIED}, "4")
    assert directory.actor(key_id(spki("2")), "snv", "officer", ENDS).person == "snv.an"
    assert why(directory, "2", ENDS + timedelta(microseconds=1)) == "certificate_expired"


def test_a_second_revocation_widens_what_is_disputed(directory: Directory) -> None:
    revocation = {"key": key_id(spki("an")), "reason": "lost", "since": 7}
    advance(directory, "revoke", revocation, "4")
    for since in (7, 8, None):
        assert code(directory, "revoke", {**revocation, "since": since}) == "already_revoked"
    earlier = {**revocation, "since": 6}
    judge(directory, "revoke", earlier, key_id(FOUND[ADMINISTRATOR]), START)
    advance(directory, "revoke", earlier, "5")
    assert directory.keys[key_id(spki("an"))].since == 6


@pytest.mark.parametrize("holder", SERVICE)
def test_the_present_keys_of_the_log_are_rotated_before_they_are_revoked(
    directory: Directory, holder: str
) -> None:
    revocation = {"key": key_id(FOUND[holder]), "reason": "lost", "since": None}
    assert code(directory, "revoke", revocation) == "rotate_first"
    advance(directory, "rotate", {"holder": holder, "spki": spki("new")}, "4")
    administrator = directory.present[ADMINISTRATOR]
    judge(directory, "revoke", revocation, administrator, START)


def test_only_the_administrator_changes_the_directory(directory: Directory) -> None:
    agency = {"agency": "x", "name_vi": "x", "name_en": "x"}
    for holder in ("log", "clock", "checkpoint", "an"):
        key = key_id(spki(holder))
        assert code(directory, "add_agency", agency, key=key) == "only_administrator"
    assert code(directory, "add_agency", agency, key="0" * 64) == "unknown_key"
    assert code(Directory(), "add_agency", agency) == "log_not_founded"
    assert code(directory, "found", FOUND) == "log_already_founded"


def test_each_key_has_its_purpose() -> None:
    allowed = {
        ("administrator", "directory", "enrol"),
        ("clock", "D1-1", "lapse"),
        ("snv.an", "D1-1", "confirm"),
    }
    for holder in (*SERVICE, "snv.an"):
        for chain, event in (("directory", "enrol"), ("D1-1", "lapse"), ("D1-1", "confirm")):
            if (holder, chain, event) in allowed:
                check_purpose(holder, chain, event)
            else:
                with pytest.raises(Refused):
                    check_purpose(holder, chain, event)


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("enrol", enrolment("snv.binh"), "key_in_use"),
        ("enrol", enrolment("snv.binh", "log"), "key_in_use"),
        ("enrol", enrolment(key="2"), "person_exists"),
        ("enrol", enrolment("checkpoint_pq", "2"), "person_exists"),
        ("enrol", enrolment("snv.binh", "2", certificate="AAAA"), "missing_argument"),
        ("enrol", enrolment("snv.binh", "2", **{**CERTIFIED, "not_after": "soon"}),
         "bad_argument"),
        ("enrol", enrolment("snv.binh", "2", **{**CERTIFIED, "certificate": None}),
         "bad_argument"),
        ("enrol", enrolment("snv.binh", "2", spki="a b"), "bad_argument"),
        ("enrol", enrolment("snv.binh", "2", **{**CERTIFIED, "not_after": format_instant(
            START - timedelta(microseconds=1))}), "certificate_expired"),
        ("rotate", {"holder": "snv.nobody", "spki": spki("2")}, "unknown_person"),
        ("rotate", {"holder": "snv.an", "spki": spki("an")}, "key_in_use"),
        ("rotate", {"holder": "snv.an"}, "missing_argument"),
        ("rotate", {"holder": "log", "spki": spki("2"), **CERTIFIED}, "unknown_argument"),
        ("revoke", {"key": "0" * 64, "reason": "lost", "since": None}, "unknown_key"),
        ("revoke", {"key": "0" * 64, "reason": "lost"}, "missing_argument"),
        ("abolish", {}, "unknown_event"),
    ],
)  # fmt: skip
def test_a_change_against_the_rules_is_refused(
    directory: Directory, event: str, arguments: dict[str, Any], expected: str
) -> None:
    assert code(directory, event, arguments) == expected


def test_a_founding_with_one_key_for_two_purposes_is_refused() -> None:
    for holder in SERVICE[1:]:
        founding = {**FOUND, holder: FOUND[ADMINISTRATOR]}
        assert code(Directory(), "found", founding) == "key_in_use"
