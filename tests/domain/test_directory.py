"""The directory as the rules see it: who may change it, agencies, and which key counts when."""

from datetime import timedelta
from typing import Any

import pytest

from domain.directory import (
    ADMINISTRATOR,
    SERVICE,
    Directory,
    KeyState,
    check_purpose,
    follow,
    judge,
    key_id,
)
from domain.instants import format_instant
from domain.refusal import Refused
from tests.support.directories import (
    FOUND,
    Keeper,
    agency,
    an_enrolment,
    founded,
    person,
    rotation,
    spki,
)
from tests.support.world import START

ENDS = START + timedelta(days=1)
CERTIFIED = {"certificate": "AAAA", "chain": [], "not_after": format_instant(ENDS)}


@pytest.fixture(name="keeper")
def _keeper() -> Keeper:
    """An agency, one officer who has a key, and an authority."""
    keeper = founded("snv")
    keeper.does("add_people", {"people": [person("snv.an", ("snv", "officer"))]})
    keeper.does("enrol", an_enrolment("snv.an", "an"))
    keeper.does("trust_authority", {"authority": "root", "certificate": "AAAA"})
    return keeper


def revocations(**more: Any) -> dict[str, Any]:
    return {"authority": "root", "chain": [], "crl": "AAAA", "keys": [], **more}


def why(keeper: Keeper, key: str, at: Any = START) -> str:
    with pytest.raises(Refused) as found:
        keeper.directory.actor(key_id(spki(key)), "snv", "officer", at)
    return found.value.code


def test_the_founding_gives_the_log_its_six_keys(keeper: Keeper) -> None:
    for holder in SERVICE:
        key = keeper.directory.key_of(holder)
        assert key is not None
        assert (key.spki, key.state) == (FOUND[holder], KeyState.IN_FORCE)
    assert (keeper.directory.seq, keeper.directory.head) == (5, "5")


def test_to_follow_leaves_the_directory_before_as_it_was(keeper: Keeper) -> None:
    directory = keeper.directory
    before = directory.copy()
    changes: list[tuple[str, dict[str, Any]]] = [
        ("rotate", rotation("snv.an", "2")),
        ("revoke", {"key": key_id(spki("2")), "reason": "lost", "since": 1}),
        ("add_agency", agency("x", "snv")),
        ("add_people", {"people": [person("snv.binh", ("snv", "approver"))]}),
        ("substitute", {
            "absent": "snv.binh", "substitute": "snv.an", "agency": "snv", "role": "approver",
            "from": format_instant(START), "until": format_instant(ENDS),
        }),
        ("leave", {"person": "snv.binh"}),
        ("distrust_authority", {"authority": "root"}),
    ]  # fmt: skip
    after = directory
    for event, arguments in changes:
        after = follow(after, event, arguments, "", START)
    assert after.seq == directory.seq + len(changes)
    assert directory == before
    assert directory.key_of("snv.an") != after.key_of("snv.an")


def test_an_actor_is_who_holds_the_key_now(keeper: Keeper) -> None:
    actor = keeper.directory.actor(key_id(spki("an")), "snv", "officer", START)
    assert (actor.person, actor.agency, actor.role) == ("snv.an", "snv", "officer")
    assert (actor.behalf, actor.clearance, actor.assurance) == (None, "normal", "key")
    assert why(keeper, "stranger") == "unknown_key"
    assert why(keeper, "log") == "key_of_other_purpose"
    with pytest.raises(Refused, match="role_not_held"):
        keeper.directory.actor(key_id(spki("an")), "snv", "approver", START)


def test_the_service_s_clock_acts_at_any_time() -> None:
    directory = founded("snv").directory
    for at in (START - timedelta(days=3_000), START + timedelta(days=90_000)):
        actor = directory.actor(key_id(FOUND["clock"]), "clock", "clock", at)
        assert (actor.person, actor.assurance) == ("clock", "service")


def test_a_rotated_and_a_revoked_key_have_no_actor(keeper: Keeper) -> None:
    keeper.does("rotate", rotation("snv.an", "2"))
    assert why(keeper, "an") == "key_rotated"
    keeper.does("revoke", {"key": key_id(spki("2")), "reason": "lost", "since": 7})
    assert why(keeper, "2") == "key_revoked"
    assert keeper.directory.key_of("snv.an") is None
    key = keeper.directory.keys[key_id(spki("2"))]
    assert (key.reason, key.since) == ("lost", 7)
    # That a key which was rotated out is compromised may be learned afterwards.
    keeper.does("revoke", {"key": key_id(spki("an")), "reason": "lost", "since": None})
    assert why(keeper, "an") == "key_revoked"


def test_a_key_comes_after_a_revocation_by_enrolment_and_else_by_exchange(keeper: Keeper) -> None:
    assert keeper.refusal("enrol", an_enrolment("snv.an", "2")) == "holder_has_key"
    keeper.does("revoke", {"key": key_id(spki("an")), "reason": "lost", "since": None})
    assert keeper.refusal("rotate", rotation("snv.an", "2")) == "enrol_first"
    keeper.does("enrol", an_enrolment("snv.an", "2"))
    assert keeper.directory.actor(key_id(spki("2")), "snv", "officer", START).person == "snv.an"


def test_a_key_ends_with_its_certificate(keeper: Keeper) -> None:
    keeper.does("rotate", {**rotation("snv.an", "2"), **CERTIFIED})
    assert keeper.directory.actor(key_id(spki("2")), "snv", "officer", ENDS).person == "snv.an"
    assert why(keeper, "2", ENDS + timedelta(microseconds=1)) == "certificate_expired"


def test_a_key_with_a_certificate_says_so(keeper: Keeper) -> None:
    keeper.does("rotate", {**rotation("snv.an", "2"), **CERTIFIED})
    keys = keeper.directory.keys
    found = [keys[key_id(each)].assurance for each in (spki("an"), spki("2"), FOUND["log"])]
    assert found == ["key", "certificate", "service"]
    actor = keeper.directory.actor(key_id(spki("2")), "snv", "officer", START)
    assert actor.assurance == "certificate"


def test_a_list_of_its_authority_ends_a_key(keeper: Keeper) -> None:
    keeper.does("rotate", {**rotation("snv.an", "2"), **CERTIFIED})
    key = key_id(spki("2"))
    keeper.does("revocation_list", revocations(keys=[key]))
    assert why(keeper, "2") == "certificate_revoked"
    assert keeper.directory.key_of("snv.an") is None
    assert keeper.refusal("revocation_list", revocations(keys=[key])) == "crl_keys_differ"
    # The administrator may say more about it afterwards.
    keeper.does("revoke", {"key": key, "reason": "compromised", "since": 3})
    assert why(keeper, "2") == "key_revoked"
    assert keeper.refusal("rotate", rotation("snv.an", "3")) == "enrol_first"
    keeper.does("enrol", an_enrolment("snv.an", "3"))
    assert keeper.directory.actor(key_id(spki("3")), "snv", "officer", START).person == "snv.an"


def test_of_who_has_left_a_list_ends_nothing(keeper: Keeper) -> None:
    key = key_id(spki("an"))
    keeper.does("leave", {"person": "snv.an"})
    assert keeper.refusal("revocation_list", revocations(keys=[key])) == "crl_keys_differ"
    keeper.does("revocation_list", revocations())
    assert why(keeper, "an") == "person_left"


def test_who_left_after_a_revocation_of_the_certificate_has_left(keeper: Keeper) -> None:
    keeper.does("revocation_list", revocations(keys=[key_id(spki("an"))]))
    keeper.does("leave", {"person": "snv.an"})
    assert why(keeper, "an") == "person_left"


def test_an_authority_is_trusted_until_it_is_not(keeper: Keeper) -> None:
    assert keeper.directory.authorities == {"root": "AAAA"}
    keeper.does("distrust_authority", {"authority": "root"})
    assert keeper.directory.authorities == {}
    keeper.does("trust_authority", {"authority": "root", "certificate": "BBBB"})


def test_a_second_revocation_widens_what_is_disputed(keeper: Keeper) -> None:
    revocation = {"key": key_id(spki("an")), "reason": "lost", "since": 7}
    keeper.does("revoke", revocation)
    for since in (7, 8, None):
        assert keeper.refusal("revoke", {**revocation, "since": since}) == "already_revoked"
    keeper.does("revoke", {**revocation, "since": 6})
    assert keeper.directory.keys[key_id(spki("an"))].since == 6


@pytest.mark.parametrize("holder", SERVICE)
def test_the_present_keys_of_the_log_are_rotated_before_they_are_revoked(
    keeper: Keeper, holder: str
) -> None:
    revocation = {"key": key_id(FOUND[holder]), "reason": "lost", "since": None}
    assert keeper.refusal("revoke", revocation) == "rotate_first"
    keeper.does("rotate", {"holder": holder, "spki": spki("new")})
    keeper.does("revoke", revocation)


def test_only_the_administrator_changes_the_directory(keeper: Keeper) -> None:
    for holder in ("log", "clock", "checkpoint", "an"):
        key = key_id(spki(holder))
        assert keeper.refusal("add_agency", agency("x"), key=key) == "only_administrator"
    assert keeper.refusal("add_agency", agency("x"), key="0" * 64) == "unknown_key"
    assert Keeper(Directory()).refusal("add_agency", agency("x")) == "log_not_founded"
    assert keeper.refusal("found", FOUND) == "log_already_founded"


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


BINH = an_enrolment("snv.binh", "2")
AN = an_enrolment("snv.an", "2")


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("enrol", BINH, "unknown_person"),
        ("enrol", an_enrolment("checkpoint_pq", "2"), "unknown_person"),
        ("enrol", AN, "holder_has_key"),
        ("enrol", {**AN, "certificate": "AAAA"}, "missing_argument"),
        ("enrol", {**AN, **CERTIFIED, "not_after": "soon"}, "bad_argument"),
        ("enrol", {**AN, **CERTIFIED, "certificate": None}, "bad_argument"),
        ("enrol", {**AN, "spki": "a b"}, "bad_argument"),
        ("enrol", {**AN, "proof": "a b"}, "bad_argument"),
        ("enrol", {"person": "snv.an", "spki": spki("2")}, "missing_argument"),
        ("enrol", {**AN, "roles": []}, "unknown_argument"),
        ("rotate", {**rotation("snv.an", "2"), **CERTIFIED, "not_after": format_instant(
            START - timedelta(microseconds=1))}, "certificate_expired"),
        ("rotate", rotation("snv.nobody", "2"), "unknown_person"),
        ("rotate", rotation("snv.an", "an"), "key_in_use"),
        ("rotate", rotation("snv.an", "log"), "key_in_use"),
        ("rotate", {"holder": "snv.an", "proof": "AAAA"}, "missing_argument"),
        ("rotate", {"holder": "snv.an", "spki": spki("2")}, "missing_argument"),
        ("rotate", rotation("log", "2"), "unknown_argument"),
        ("rotate", {"holder": "log", "spki": spki("2"), **CERTIFIED}, "unknown_argument"),
        ("revoke", {"key": "0" * 64, "reason": "lost", "since": None}, "unknown_key"),
        ("revoke", {"key": "0" * 64, "reason": "lost"}, "missing_argument"),
        ("enrol", {**AN, **CERTIFIED, "chain": ["AAAA"] * 6},
         "bad_argument"),
        ("enrol", {**AN, **CERTIFIED, "chain": [7]}, "bad_argument"),
        ("trust_authority", {"authority": "a", "certificate": "A"}, "bad_argument"),
        ("trust_authority", {"authority": "A", "certificate": "AAAA"}, "bad_argument"),
        ("trust_authority", {"authority": "root", "certificate": "BBBB"}, "authority_exists"),
        ("trust_authority", {"authority": "again", "certificate": "AAAA"}, "authority_exists"),
        ("distrust_authority", {"authority": "other"}, "authority_unknown"),
        ("revocation_list", revocations(authority="other"), "authority_unknown"),
        ("revocation_list", revocations(keys=["0"]), "bad_argument"),
        ("revocation_list", revocations(keys="0"), "bad_argument"),
        ("revocation_list", revocations(keys=["0" * 64]), "crl_keys_differ"),
        ("revocation_list", revocations(keys=[key_id(spki("an"))] * 2), "crl_keys_differ"),
        ("revocation_list", revocations(crl="AAAA" * 11_001), "crl_too_long"),
        ("abolish", {}, "unknown_event"),
        ("add_agency", agency("snv"), "agency_exists"),
        ("add_agency", agency("x", "nowhere"), "unknown_agency"),
        ("add_agency", agency("x", "x"), "unknown_agency"),
        ("add_agency", agency("../x"), "bad_argument"),
        ("add_agency", agency(""), "bad_argument"),
        ("add_agency", agency("x\n"), "bad_argument"),
        ("add_agency", agency("x" * 121), "bad_argument"),
        ("add_agency", {**agency("x"), "name_vi": 7}, "bad_argument"),
        ("add_agency", {**agency("x"), "name_vi": " "}, "bad_argument"),
        ("add_agency", {**agency("x"), "name_en": "two\nlines"}, "bad_argument"),
        ("add_agency", {**agency("x"), "name_en": "x" * 401}, "bad_argument"),
        ("change_agency", agency("x"), "unknown_agency"),
        ("change_agency", agency("snv", "nowhere"), "unknown_agency"),
        ("change_agency", agency("snv", "snv"), "agency_circle"),
    ],
)  # fmt: skip
def test_a_change_against_the_rules_is_refused(
    keeper: Keeper, event: str, arguments: dict[str, Any], expected: str
) -> None:
    assert keeper.refusal(event, arguments) == expected


def test_agencies_are_a_tree_of_several_levels() -> None:
    keeper = founded("ubnd")
    for below, above in (("snv", "ubnd"), ("phong", "snv"), ("to", "phong")):
        keeper.does("add_agency", agency(below, above))
    directory = keeper.directory
    assert [each.id for each in directory.ancestors("to")] == ["phong", "snv", "ubnd"]
    assert list(directory.ancestors("ubnd")) == []
    assert list(directory.ancestors("nowhere")) == []
    for below in ("snv", "phong", "to"):
        assert keeper.refusal("change_agency", agency("snv", below)) == "agency_circle"
    keeper.does("change_agency", {**agency("phong", "ubnd"), "name_en": "Renamed"})
    assert [each.id for each in directory.ancestors("to")] == ["phong", "ubnd"]
    assert directory.agencies["phong"].name_en == "Renamed"
    keeper.does("change_agency", agency("snv", "to"))


def test_a_founding_with_one_key_for_two_purposes_is_refused() -> None:
    for holder in SERVICE[1:]:
        founding = {**FOUND, holder: FOUND[ADMINISTRATOR]}
        assert Keeper(Directory()).refusal("found", founding) == "key_in_use"


def test_a_change_that_was_not_judged_does_not_pass_in_silence(keeper: Keeper) -> None:
    with pytest.raises(ValueError, match="abolish"):
        follow(keeper.directory, "abolish", {}, "", START)
    with pytest.raises(Refused):
        judge(keeper.directory, "abolish", {}, keeper.administrator, START)
