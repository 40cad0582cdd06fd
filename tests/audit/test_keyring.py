"""The verifier's keyring: whose key counts where, judged as the directory of the rules judges."""

import base64
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import Json
from audit.directory import Revocation, enrolment_text, read_change
from audit.holders import SERVICE, Purpose
from audit.keyring import Keyring
from audit.malformed import Malformed
from audit.private_keys import PrivateKey
from domain import directory as directories
from domain.directory import ADMINISTRATOR, Directory, KeyState
from domain.instants import format_instant
from domain.refusal import Refused
from gateway.composing import prove_enrolment
from tests.support.certificates import (
    AUTHORITY,
    TRUSTED,
    certificate_of,
    certified,
    text_of,
)
from tests.support.world import FOUNDING, ORIGIN, START, key_of, person_of, pq_key_of, spki_of

NOW = format_instant(START)
FOUND = {holder: spki_of(key) for holder, key in FOUNDING.items()}


def founded() -> Keyring:
    ring = Keyring(ORIGIN)
    ring.follow(ring.check("found", FOUND, NOW))
    return ring


def done(ring: Keyring, event: str, arguments: dict[str, Any], at: str = NOW) -> None:
    ring.follow(ring.check(event, arguments, at))


def code(ring: Keyring, event: str, arguments: dict[str, Any], at: str = NOW) -> str:
    with pytest.raises(Malformed) as found:
        ring.check(event, arguments, at)
    return found.value.code


def enrolment(person: str, key: PrivateKey, **more: Any) -> dict[str, Any]:
    proof = prove_enrolment(ORIGIN, person, key)
    return {"person": person, "spki": spki_of(key), "proof": proof, **more}


def exchange(holder: str, key: PrivateKey, **more: Any) -> dict[str, Any]:
    proof = {"proof": prove_enrolment(ORIGIN, holder, key)} if holder not in SERVICE else {}
    return {"holder": holder, "spki": spki_of(key), **proof, **more}


def test_the_founding_names_one_key_for_each_purpose_of_the_log() -> None:
    ring = founded()
    assert ring.log_key == key_of("log").public
    assert ring.checkpoint_keys == (
        key_of("checkpoint").public, pq_key_of("checkpoint_pq").public,
    )  # fmt: skip
    for name in SERVICE:
        holder = ring.holder(FOUNDING[name].public.id)
        assert holder is not None
        assert (holder.name, holder.purpose) == (name, Purpose(name))
    assert not Keyring(ORIGIN).founded
    assert Keyring(ORIGIN).log_key is None
    assert Keyring(ORIGIN).checkpoint_keys is None


@pytest.mark.parametrize("name", SERVICE)
def test_a_founding_without_one_of_its_keys_is_refused(name: str) -> None:
    missing = {holder: spki for holder, spki in FOUND.items() if holder != name}
    assert code(Keyring(ORIGIN), "found", missing) == "malformed_command"


def test_a_founding_with_one_key_for_two_purposes_is_refused() -> None:
    for name in ("administrator", "checkpoint", "clock"):
        assert code(Keyring(ORIGIN), "found", {**FOUND, name: FOUND["log"]}) == "key_in_use"


def test_the_logs_own_keys_are_of_one_kind_each() -> None:
    ring = founded()
    p256 = spki_of(PrivateKey(ec.derive_private_key(3, ec.SECP256R1())))
    other_rsa = spki_of(PrivateKey(rsa.generate_private_key(65537, 2048)))
    fresh = spki_of(key_of("fresh"))
    for name in SERVICE:
        for spki in (p256, other_rsa, fresh if name == "checkpoint_pq" else FOUND["checkpoint_pq"]):
            assert code(Keyring(ORIGIN), "found", {**FOUND, name: spki}) == "key_type_unsupported"
            assert code(ring, "rotate", {"holder": name, "spki": spki}) == "key_type_unsupported"


def test_a_person_has_no_key_of_the_post_quantum_kind() -> None:
    arguments = {"person": "snv.an", "spki": spki_of(pq_key_of("an")), "proof": "AAAA"}
    assert code(founded(), "enrol", arguments) == "key_type_unsupported"


def test_a_key_that_was_rotated_out_says_so_and_the_new_one_counts() -> None:
    ring = founded()
    done(ring, "rotate", {"holder": "log", "spki": spki_of(key_of("log 2"))})
    assert ring.log_key == key_of("log 2").public
    assert ring.holder(key_of("log").public.id) is None
    assert ring.why_not(key_of("log").public.id) == "key_rotated"
    assert ring.why_not("0" * 64) == "key_not_enrolled"
    assert ring.name(key_of("log").public.id) == "log"


def test_a_present_key_of_the_log_is_not_revoked_but_rotated_first() -> None:
    ring = founded()
    for name in SERVICE:
        key = FOUNDING[name].public.id
        revocation = {"key": key, "reason": "compromised", "since": 3}
        assert code(ring, "revoke", revocation) == "rotate_first"
    done(ring, "rotate", {"holder": "log", "spki": spki_of(key_of("log 2"))})
    old = key_of("log").public.id
    done(ring, "revoke", {"key": old, "reason": "compromised", "since": 3})
    assert ring.why_not(old) == "key_revoked"
    assert ring.disputed == {old: 3}


def test_a_second_revocation_may_only_widen_what_is_disputed() -> None:
    ring = founded()
    done(ring, "enrol", enrolment("snv.an", key_of("an")))
    key = key_of("an").public.id
    done(ring, "revoke", {"key": key, "reason": "left", "since": None})
    assert ring.disputed == {}
    again = {"key": key, "reason": "left", "since": None}
    assert code(ring, "revoke", again) == "already_revoked"
    done(ring, "revoke", {"key": key, "reason": "compromised", "since": 9})
    for since in (9, 10, None):
        later = {"key": key, "reason": "compromised", "since": since}
        assert code(ring, "revoke", later) == "already_revoked"
    done(ring, "revoke", {"key": key, "reason": "compromised", "since": 8})
    assert ring.disputed == {key: 8}


def test_a_key_that_ever_was_somebodys_is_nobodys_new_one() -> None:
    ring = founded()
    done(ring, "enrol", enrolment("snv.an", key_of("an")))
    done(ring, "rotate", exchange("snv.an", key_of("an 2")))
    done(ring, "revoke", {"key": key_of("an 2").public.id, "reason": "lost", "since": None})
    for key in (key_of("an"), key_of("an 2"), key_of("log"), key_of("checkpoint")):
        assert code(ring, "enrol", enrolment("snv.binh", key)) == "key_in_use"
        for holder in ("snv.an", "clock"):
            assert code(ring, "rotate", exchange(holder, key)) == "key_in_use"
    # A person whose key was revoked gets a new one by enrolment, as at first.
    assert code(ring, "rotate", exchange("snv.an", key_of("an 3"))) == "unknown_holder"
    done(ring, "enrol", enrolment("snv.an", key_of("an 3")))
    assert ring.holder(key_of("an 3").public.id) is not None


@pytest.mark.parametrize(
    "arguments",
    [
        {"key": "ab", "reason": "left", "since": None},
        {"key": "A" * 64, "reason": "left", "since": None},
        {"key": 7, "reason": "left", "since": None},
        {"key": "0" * 64, "reason": "bored", "since": None},
        {"key": "0" * 64, "reason": ["left"], "since": None},
        {"key": "0" * 64, "reason": "left", "since": -1},
        {"key": "0" * 64, "reason": "left", "since": True},
        {"key": "0" * 64, "reason": "left", "since": "3"},
        {"key": "0" * 64, "reason": "left", "since": 2**53},
    ],
)
def test_a_revocation_of_another_form_is_refused(arguments: dict[str, Any]) -> None:
    assert code(founded(), "revoke", arguments) == "malformed_command"
    directory = directories.follow(Directory(), "found", FOUND, "", START)
    with pytest.raises(Refused, match="bad_argument"):
        directories.judge(directory, "revoke", arguments, FOUNDING[ADMINISTRATOR].public.id, START)


def test_a_certificate_must_be_the_keys_own_and_valid_and_end_when_it_is_said_to() -> None:
    ring, key = founded(), key_of("an")
    done(ring, "trust_authority", TRUSTED)
    given = certified(certificate_of(key, START, timedelta(days=30)))
    ends = given["not_after"]
    good = enrolment("snv.an", key, **given)
    change = ring.check("enrol", good, NOW)
    assert isinstance(change, tuple)
    assert change[0].not_after == ends
    assert not change[0].has_expired(ends)
    assert change[0].has_expired(ends.replace("00.000000Z", "00.000001Z"))
    cases: list[tuple[dict[str, Any], str, str]] = [
        (enrolment("snv.an", key_of("binh")), NOW, "certificate_of_other_key"),
        (enrolment("snv.binh", key) | {"person": "snv.an"}, NOW, "enrolment_not_proved"),
        ({"not_after": "2030-01-01T00:00:00.000000Z"}, NOW, "certificate_ends_otherwise"),
        ({"not_after": None}, NOW, "malformed_command"),
        ({"certificate": None}, NOW, "malformed_command"),
        ({"certificate": "AAAA"}, NOW, "certificate_unreadable"),
        ({"certificate": "A"}, NOW, "base64"),
        ({"chain": None}, NOW, "malformed_command"),
        ({"chain": ["AAAA"]}, NOW, "certificate_unreadable"),
        ({}, format_instant(START - timedelta(seconds=1)), "certificate_not_yet_valid"),
        ({}, format_instant(START + timedelta(days=31)), "certificate_expired"),
    ]
    for changes, at, expected in cases:
        assert code(ring, "enrol", {**good, **changes}, at) == expected, changes
    for missing in ("certificate", "chain", "not_after"):
        partly = {name: value for name, value in good.items() if name != missing}
        assert code(ring, "enrol", partly) == "malformed_command"
    own = {"holder": "clock", "spki": good["spki"], **given}
    assert code(ring, "rotate", own) == "malformed_command"


def test_a_key_comes_in_with_its_owner_s_own_signature_for_this_log_and_this_name() -> None:
    ring, key = founded(), key_of("an")
    good = enrolment("snv.an", key)
    for proof in (
        prove_enrolment("another.example/log", "snv.an", key),
        prove_enrolment(ORIGIN, "snv.binh", key),
        prove_enrolment(ORIGIN, "snv.an", key_of("binh")),
        base64.b64encode(key.sign(b"snv.an")).decode(),
        base64.b64encode(key_of("administrator").sign(
            enrolment_text(ORIGIN, "snv.an", key.public.id))).decode(),
        "",
    ):  # fmt: skip
        assert code(ring, "enrol", {**good, "proof": proof}) == "enrolment_not_proved"
    assert code(ring, "enrol", {**good, "proof": "a b"}) == "base64"
    assert code(ring, "enrol", {"person": "snv.an", "spki": spki_of(key)}) == "malformed_command"
    done(ring, "enrol", good)
    other = exchange("snv.an", key_of("an 2"))
    assert code(ring, "rotate", {**other, "proof": good["proof"]}) == "enrolment_not_proved"
    done(ring, "rotate", other)
    own = exchange("clock", key_of("clock 2"))
    assert code(ring, "rotate", {**own, "proof": good["proof"]}) == "malformed_command"


def test_the_text_that_a_new_key_signs_is_that_of_the_specification() -> None:
    expected = b"dondoc enrolment v1\nlog.example/a\nsnv.an\n" + b"0" * 64 + b"\n"
    assert enrolment_text("log.example/a", "snv.an", "0" * 64) == expected


@pytest.mark.parametrize(
    "key",
    [PrivateKey(ec.derive_private_key(5, ec.SECP384R1())),
     PrivateKey(rsa.generate_private_key(65537, 2048))],
    ids=["p384", "rsa"],
)  # fmt: skip
def test_any_key_that_a_person_may_have_can_be_proved(key: PrivateKey) -> None:
    done(founded(), "enrol", enrolment("snv.an", key))


def test_the_key_of_who_leaves_counts_no_more_and_no_other_comes() -> None:
    ring = founded()
    done(ring, "enrol", enrolment("snv.an", key_of("an")))
    done(ring, "leave", {"person": "snv.an"})
    assert ring.holder(key_of("an").public.id) is None
    assert ring.why_not(key_of("an").public.id) == "key_revoked"
    assert code(ring, "enrol", enrolment("snv.an", key_of("an 2"))) == "holder_left"
    assert code(ring, "rotate", exchange("snv.an", key_of("an 2"))) == "holder_left"
    assert code(ring, "leave", {"person": "snv.an"}) == "holder_left"
    # Nor for who never had one.
    done(ring, "leave", {"person": "snv.binh"})
    assert code(ring, "enrol", enrolment("snv.binh", key_of("binh"))) == "holder_left"
    for form in ({"person": "log"}, {"person": 7}, {}):
        assert code(ring, "leave", form) == "malformed_command"
    # What it signed in wrong hands may still be disputed.
    done(ring, "revoke", {"key": key_of("an").public.id, "reason": "compromised", "since": 3})
    assert ring.disputed == {key_of("an").public.id: 3}


def test_other_events_are_not_about_keys() -> None:
    assert read_change("add_agency", {"agency": "x"}, NOW, ORIGIN) == ()
    assert read_change("appoint", {"person": "snv.an"}, NOW, ORIGIN) == ()
    revocation: dict[str, Json] = {"key": "0" * 64, "reason": "left", "since": 5}
    assert read_change("revoke", revocation, NOW, ORIGIN) == Revocation("0" * 64, 5)


NAMES = [f"key {number}" for number in range(8)]
HOLDERS = ["snv.an", "snv.binh", "log", "clock", "checkpoint", "checkpoint_pq", "administrator"]


def _key(name: str, holder: str) -> PrivateKey:
    if holder == "checkpoint_pq":
        return pq_key_of(name)
    return FOUNDING.get(name) or key_of(name)


_KEY_IDS = [key_of(name).public.id for name in [*NAMES, "log", "clock", "stranger"]]
_ENROL = st.builds(
    lambda person, name: ("enrol", enrolment(person, _key(name, person))),
    st.sampled_from(HOLDERS),
    st.sampled_from([*NAMES, "log"]),
)
_ROTATE = st.builds(
    lambda holder, name: ("rotate", exchange(holder, _key(name, holder))),
    st.sampled_from(HOLDERS),
    st.sampled_from([*NAMES, "clock"]),
)
_REVOKE = st.builds(
    lambda key, since: ("revoke", {"key": key, "reason": "lost", "since": since}),
    st.sampled_from(_KEY_IDS),
    st.none() | st.integers(0, 5),
)
_LEAVE = st.builds(
    lambda person: ("leave", {"person": person}),
    st.sampled_from([*HOLDERS[:2], "clock"]),
)
_CERTIFICATES = {
    name: certified(certificate_of(key_of(name), START - timedelta(days=1), timedelta(days=30),
                                   name=f"Cán bộ {number % 3}"))
    for number, name in enumerate(NAMES)
}  # fmt: skip
_BY_EVENT: dict[str, Callable[..., dict[str, Any]]] = {"enrol": enrolment, "rotate": exchange}
_CERTIFY = st.builds(
    lambda event, person, name: (
        event, _BY_EVENT[event](person, key_of(name), **_CERTIFICATES[name])),
    st.sampled_from(["enrol", "rotate"]),
    st.sampled_from(HOLDERS[:2]),
    st.sampled_from(NAMES),
)  # fmt: skip
_AUTHORITY = st.sampled_from(
    [("trust_authority", TRUSTED), ("distrust_authority", {"authority": "test"})]
)
_LIST = st.builds(
    lambda names, number, keys: ("revocation_list", {
        "authority": "test", "chain": [], "keys": keys, "names": names,
        "crl": text_of(AUTHORITY.revoking(
            [base64.b64decode(_CERTIFICATES[name]["certificate"]) for name in names],
            START, number=number))}),
    st.sets(st.sampled_from(NAMES), max_size=5),
    st.integers(1, 5),
    st.sampled_from([None, None, None, [], [key_of(NAMES[0]).public.id]]),
)  # fmt: skip
"""``keys`` None stands for those that the list ends, found by what the rules know."""
_CHANGES = st.lists(
    _ENROL | _ROTATE | _REVOKE | _LEAVE | _CERTIFY | _AUTHORITY | _LIST, max_size=25
)  # fmt: skip
_ONLY_THE_KEYRING = {
    "key_type_unsupported", "authority_unknown", "certificate_revoked", "crl_older",
    "crl_keys_differ", "certificate_of_other_person",
}  # fmt: skip
"""What the rules can't tell, since they open neither keys nor certificates."""


@given(_CHANGES)
@settings(max_examples=300, deadline=None)
def test_rules_and_verifier_judge_every_change_of_keys_alike(
    changes: list[tuple[str, dict[str, Any]]],
) -> None:
    ring = founded()
    directory = directories.follow(Directory(), "found", FOUND, "", START)
    known = {"people": [person_of(person) for person in HOLDERS[:2]]}
    directories.advance(directory, "add_people", known, "", START)
    begun = [("trust_authority", TRUSTED), ("enrol", enrolment("snv.an", key_of("an")))]
    named: dict[str, str] = {}
    for event, asked in [*begun, *changes]:
        arguments = _completed(event, asked, directory)
        administrator = directory.key_of(ADMINISTRATOR)
        assert administrator is not None
        fit = legal = False
        with suppress(Malformed):
            change = ring.check(event, arguments, NOW)
            fit = True
        with suppress(Refused):
            directories.judge(directory, event, arguments, administrator.id, START)
            legal = True
        assert fit == legal or (legal and code(ring, event, arguments) in _ONLY_THE_KEYRING)
        if fit and legal:
            ring.follow(change)
            directories.advance(directory, event, arguments, "", START)
            if "spki" in arguments and "certificate" in arguments:
                der = base64.b64decode(arguments["certificate"])
                subject = x509.load_der_x509_certificate(der).subject.rfc4514_string()
                who = arguments.get("person") or arguments["holder"]
                assert named.setdefault(subject, who) == who
        _agree(ring, directory)


def _completed(event: str, asked: dict[str, Any], directory: Directory) -> dict[str, Any]:
    if event != "revocation_list":
        return asked
    named = {key_of(name).public.id for name in asked["names"]}
    ended = [key for key in named & directory.keys.keys()
             if directory.keys[key].state is KeyState.IN_FORCE
             and directory.keys[key].assurance == "certificate"]  # fmt: skip
    keys = sorted(ended) if asked["keys"] is None else asked["keys"]
    return {**{name: value for name, value in asked.items() if name != "names"}, "keys": keys}


def _agree(ring: Keyring, directory: Directory) -> None:
    """Both know the same keys, with the same holders, in force or ended alike."""
    for key in directory.keys.values():
        holder = ring.holder(key.id)
        assert (holder is not None) == (key.state is KeyState.IN_FORCE)
        assert ring.name(key.id) == key.holder
        if holder is None:
            listed = key.reason == "certificate_revoked"
            assert ring.why_not(key.id) == (key.reason if listed else f"key_{key.state}")
        assert ring.disputed.get(key.id) == key.since
    log = directory.key_of("log")
    assert log is not None
    assert ring.log_key is not None
    assert ring.log_key.id == log.id
