"""Certificates at the recorder, and what the verifier finds when they are entered anyway."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from activities.recorder import Handed, Recorded
from audit.entry import open_record, parse_entry
from audit.private_keys import PrivateKey, private_key
from audit.report import Check
from domain.directory import KeyState
from domain.refusal import Refused
from gateway.composing import Signer, compose, compose_change, prove_enrolment
from tests.support.attacking import Operator, changed_by_operator, first
from tests.support.certificates import Issuer, certified, text_of
from tests.support.forging import audit, audit_with_read_model, forged
from tests.support.world import ORIGIN, START, World, key_of, person_of, spki_of

TASK = "D1-1"
DAY, YEAR = timedelta(days=1), timedelta(days=365)
ROOT = Issuer.root("Root")
BRANCH = ROOT.authority("Branch")
KEY = key_of("an")
KEYS = {
    "rsa": PrivateKey(rsa.generate_private_key(65537, 2048)),
    "p256": PrivateKey(ec.derive_private_key(12, ec.SECP256R1())),
    "ed25519": private_key(bytes(32)),
}
UNKNOWN_FEATURE = x509.UnrecognizedExtension(x509.TLSFeature.oid, bytes.fromhex("3003020163"))
FOREIGN = ec.derive_private_key(6, ec.SECP256R1())
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point


def trusting(url: str) -> World:
    """A log that trusts the root, with two people who have no key yet."""
    world = World(url)
    world.change("trust_authority", {"authority": "root", "certificate": text_of(ROOT.der)})
    world.add_people(*(person_of(name, ("snv", "officer")) for name in ("snv.an", "snv.binh")))
    return world


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    world = trusting(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield world
    world.close()


def enrolment(
    der: bytes, *chain: Issuer, key: PrivateKey = KEY, person: str = "snv.an"
) -> dict[str, Any]:
    return {
        "person": person, "spki": spki_of(key), "proof": prove_enrolment(ORIGIN, person, key),
        **certified(der, *chain),
    }  # fmt: skip


def listed(crl: bytes, *keys: PrivateKey, chain: tuple[Issuer, ...] = (BRANCH,)) -> dict[str, Any]:
    return {
        "authority": "root", "crl": text_of(crl), "chain": [text_of(each.der) for each in chain],
        "keys": sorted(key.public.id for key in keys),
    }  # fmt: skip


def refused(world: World, event: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(Refused) as found:
        world.change(event, arguments)
    return found.value.code


def officer(key: PrivateKey = KEY) -> Signer:
    return Signer(key, "snv", "officer")


def good(key: PrivateKey = KEY, person: str = "snv.an", issuer: Issuer = BRANCH) -> bytes:
    return issuer.person(key, START - DAY, YEAR, person)


@pytest.mark.parametrize("name", KEYS)
def test_steps_by_a_certified_key_say_so(world: World, name: str) -> None:
    key = KEYS[name]
    world.change("enrol", enrolment(good(key), BRANCH, key=key))
    task = world.assigned(TASK)
    step = compose(world.origin, task, "confirm", {}, officer(key), world.now, world.random)
    assert isinstance(world.hand_in(step), Recorded)
    said = [open_record(parse_entry(row.data).record).predicate["assurance"]
            for row in world.chain(TASK)]  # fmt: skip
    assert said == ["key", "key", "certificate"]
    assert audit_with_read_model(world).ok
    keys = world.recorder.directory().keys
    assert keys[key.public.id].assurance == "certificate"
    assert keys[key_of("snv.officer").public.id].assurance == "key"


REASONS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "expired": (
        "certificate_expired",
        lambda: enrolment(BRANCH.person(KEY, START - YEAR, YEAR - DAY), BRANCH),
    ),
    "not yet valid": (
        "certificate_not_yet_valid",
        lambda: enrolment(BRANCH.person(KEY, START + DAY, YEAR), BRANCH),
    ),
    "wrong purpose": (
        "certificate_wrong_purpose",
        lambda: enrolment(BRANCH.person(KEY, START, YEAR, may={"key_agreement"}), BRANCH),
    ),
    "unknown authority": (
        "authority_unknown",
        lambda: enrolment(Issuer.root("Stranger").person(KEY, START, YEAR)),
    ),
    "wrong chain": (
        "certificate_chain_broken",
        lambda: enrolment(good(), ROOT.authority("Branch", FOREIGN)),
    ),
    "weak key above": (
        "certificate_key_weak",
        lambda: enrolment(
            (branch := ROOT.authority("Weak", WEAK)).person(KEY, START, YEAR), branch),
    ),
    "weak key of the person": (
        "rsa_key_size",
        lambda: enrolment(good(), BRANCH) | {"spki": text_of(_spki_of_weak())},
    ),
}  # fmt: skip


def _spki_of_weak() -> bytes:
    from audit.algorithms import spki_of as der_of_key  # noqa: PLC0415 - beside world's own

    return der_of_key(WEAK.public_key())


@pytest.mark.parametrize("name", REASONS)
def test_a_certificate_that_does_not_hold_is_refused_and_found_if_entered_anyway(
    world: World, tmp_path: Path, name: str
) -> None:
    code, make = REASONS[name]
    arguments = make()
    assert refused(world, "enrol", arguments) == code
    operator, rows = Operator(world, tmp_path), world.rows()
    row = changed_by_operator(operator, rows, "enrol", arguments)
    assert first(operator.verdict([*rows, row])) == (
        Check.COMMAND_SIGNATURE, code, "directory", row.seq, len(rows),
    )  # fmt: skip


def test_a_revoked_certificate_is_not_entered_and_found_if_it_was(
    world: World, tmp_path: Path
) -> None:
    world.change("revocation_list", listed(BRANCH.revoking([good_der := good()], START)))
    arguments = enrolment(good_der, BRANCH)
    assert refused(world, "enrol", arguments) == "certificate_revoked"
    operator, rows = Operator(world, tmp_path), world.rows()
    row = changed_by_operator(operator, rows, "enrol", arguments)
    assert first(operator.verdict([*rows, row]))[1] == "certificate_revoked"


P256 = KEYS["p256"]
OF_OTHER = "certificate_of_other_person"


def found_if_entered(world: World, place: Path, event: str, arguments: dict[str, Any]) -> str:
    """The code that the verifier has when administrator and log enter the change past the
    recorder, at the very entry.
    """
    operator, rows = Operator(world, place), world.rows()
    row = changed_by_operator(operator, rows, event, arguments)
    check, code, chain, seq, index = first(operator.verdict([*rows, row]))
    assert (check, chain) == (Check.COMMAND_SIGNATURE, "directory")
    assert (seq, index) == (row.seq, len(rows))
    return code


def _stays(world: World) -> None:
    """The person has the key in force."""


def _left(world: World) -> None:
    world.change("leave", {"person": "snv.an"})


def _revoked(world: World) -> None:
    world.revoke(KEY)


@pytest.mark.parametrize("then", [_stays, _left, _revoked])
@pytest.mark.parametrize("event", ["enrol", "rotate"])
def test_one_human_being_is_not_entered_as_two_people_and_found_if_entered_anyway(
    world: World, tmp_path: Path, event: str, then: Callable[[World], None]
) -> None:
    world.change("enrol", enrolment(good(), BRANCH))
    then(world)
    if event == "rotate":
        world.enrol("snv.binh", key_of("binh"))
    arguments = enrolment(good(P256, "SNV.An"), BRANCH, key=P256, person="snv.binh")
    if event == "rotate":
        arguments["holder"] = arguments.pop("person")
    for recorder in (world.recorder, world.another_recorder()):
        world.recorder = recorder
        with pytest.raises(Refused) as said:
            world.change(event, arguments)
        assert (said.value.code, said.value.facts["detail"]) == (OF_OTHER, "snv.an")
    assert audit(world).ok
    assert found_if_entered(world, tmp_path, event, arguments) == OF_OTHER


def test_of_two_people_with_one_name_in_one_transaction_the_first_is_entered(world: World) -> None:
    changes = [
        enrolment(good(), BRANCH),
        enrolment(good(P256), BRANCH, key=P256, person="snv.binh"),
    ]
    first_one, second = world.recorder.record([
        Handed(
            compose_change(world.origin, world.founding, "enrol", arguments, world.administrator,
                           world.now, world.random),
            world.now,
        )
        for arguments in changes
    ])  # fmt: skip
    assert isinstance(first_one, Recorded)
    assert isinstance(second, Refused)
    assert second.code == OF_OTHER
    assert audit(world).ok


def test_an_authority_named_like_its_root_cannot_unsay_what_the_root_revoked(
    world: World, tmp_path: Path
) -> None:
    """It lies under the root, which gave it the name, and signs lists that are newer."""
    lost, namesake = ROOT.authority("Lost"), ROOT.authority("Root", FOREIGN)
    world.change("revocation_list", listed(ROOT.revoking([lost.der], START - DAY), chain=()))
    unsaid = namesake.revoking([], START, number=900)
    world.change("revocation_list", listed(unsaid, chain=(namesake,)))
    arguments = enrolment(good(issuer=lost), lost)
    assert refused(world, "enrol", arguments) == "certificate_revoked"
    assert audit(world).ok
    assert found_if_entered(world, tmp_path, "enrol", arguments) == "certificate_revoked"


@pytest.mark.parametrize("name", ["Root", "Branch"])
def test_an_authority_ends_no_key_in_the_name_of_another(
    world: World, tmp_path: Path, name: str
) -> None:
    world.change("enrol", enrolment(der := good(), BRANCH))
    namesake = ROOT.authority(name, FOREIGN)
    crl, later = (namesake.revoking([der, BRANCH.der], START, number=each) for each in (1, 2))
    world.change("revocation_list", listed(crl, chain=(namesake,)))
    wrong = listed(later, KEY, chain=(namesake,))
    assert refused(world, "revocation_list", wrong) == "crl_keys_differ"
    assert world.recorder.directory().keys[KEY.public.id].state is KeyState.IN_FORCE
    assert audit(world).ok
    assert found_if_entered(world, tmp_path, "revocation_list", wrong) == "crl_keys_differ"


def test_a_key_counts_no_more_from_the_list_on_that_names_its_certificate(
    world: World, tmp_path: Path
) -> None:
    der = good()
    world.change("enrol", enrolment(der, BRANCH))
    task, other = world.assigned(TASK), world.assigned("D1-2")
    before = compose(world.origin, task, "confirm", {}, officer(), world.now, world.random)
    assert isinstance(world.hand_in(before), Recorded)
    world.change("revocation_list", listed(BRANCH.revoking([der], START), KEY))
    late = compose(world.origin, other, "confirm", {}, officer(), world.now, world.random)
    answer = world.hand_in(late)
    assert isinstance(answer, Refused)
    assert answer.code == "certificate_revoked"
    key = world.recorder.directory().keys[KEY.public.id]
    assert (key.state, key.reason, key.since) == (KeyState.REVOKED, "certificate_revoked", None)
    # What it signed before stands.
    assert audit(world).ok
    operator, rows = Operator(world, tmp_path), world.rows()
    row = forged(world, rows, late.command, world.keys.log, person="snv.an", to="confirmed",
                 assurance="certificate")  # fmt: skip
    assert first(operator.verdict([*rows, row])) == (
        Check.COMMAND_SIGNATURE, "certificate_revoked", "D1-2", row.seq, len(rows),
    )  # fmt: skip
    # The person goes on with another key, with a certificate or without.
    world.enrol("snv.an", key_of("an 2"))
    fresh = compose(world.origin, other, "confirm", {}, officer(key_of("an 2")), world.now)
    assert isinstance(world.hand_in(fresh), Recorded)
    assert audit(world).ok


def test_of_who_left_or_got_another_key_a_list_ends_nothing(database_url: str) -> None:
    world, mine, theirs = trusting(database_url), good(), good(KEYS["p256"], "snv.binh")
    world.change("enrol", enrolment(mine, BRANCH))
    world.change("enrol", enrolment(theirs, BRANCH, key=KEYS["p256"], person="snv.binh"))
    world.change("leave", {"person": "snv.an"})
    world.rotate("snv.binh", key_of("binh 2"))
    crl = BRANCH.revoking([mine, theirs], START)
    assert refused(world, "revocation_list", listed(crl, KEY)) == "crl_keys_differ"
    world.change("revocation_list", listed(crl))
    for recorder in (world.recorder, world.another_recorder()):
        with pytest.raises(Refused, match="person_left"):
            recorder.directory().key_in_force(KEY.public.id, START)
    assert audit(world).ok
    world.close()


@pytest.mark.parametrize(
    ("crl", "keys", "code"),
    [
        (lambda: BRANCH.revoking([], START + DAY), (), "crl_from_future"),
        (lambda: Issuer.root("Branch", FOREIGN).revoking([], START), (), "crl_not_of_authority"),
        (lambda: BRANCH.revoking([], START - 2 * DAY), (), "crl_older"),
        (lambda: BRANCH.revoking([], START), (key_of("snv.officer"),), "crl_keys_differ"),
        (lambda: BRANCH.revoking([], START, serials=range(1, 1_500)), (), "crl_too_long"),
    ],
)
def test_a_list_that_does_not_hold_is_refused_and_found_if_entered_anyway(
    world: World, tmp_path: Path, crl: Callable[[], bytes], keys: tuple[PrivateKey, ...], code: str
) -> None:
    world.change("revocation_list", listed(BRANCH.revoking([], START - DAY)))
    arguments = listed(crl(), *keys)
    assert refused(world, "revocation_list", arguments) == code
    if code == "crl_too_long":  # nor is there an entry that could hold it
        return
    operator, rows = Operator(world, tmp_path), world.rows()
    row = changed_by_operator(operator, rows, "revocation_list", arguments)
    assert first(operator.verdict([*rows, row]))[1] == code


def test_a_stale_list_holds_up_enrolment_until_the_next(world: World, tmp_path: Path) -> None:
    world.change("revocation_list", listed(BRANCH.revoking([], START - DAY, lasts=DAY)))
    world.forward(seconds=1)
    arguments = enrolment(good(), BRANCH)
    assert refused(world, "enrol", arguments) == "crl_expired"
    operator, rows = Operator(world, tmp_path), world.rows()
    row = changed_by_operator(operator, rows, "enrol", arguments)
    assert first(operator.verdict([*rows, row]))[1] == "crl_expired"
    world.change("revocation_list", listed(BRANCH.revoking([], START)))
    world.change("enrol", arguments)
    assert audit(world).ok


def test_a_list_that_fills_an_entry_is_recorded(world: World) -> None:
    crl = BRANCH.revoking([], START, serials=range(2**60, 2**60 + 1_095))
    assert 28_000 < len(crl) <= 30_000
    world.change("revocation_list", listed(crl))
    assert audit(world).ok


def test_only_the_administrator_says_whom_the_log_trusts(world: World) -> None:
    world.administrator = Signer(key_of("snv.officer"), "snv", "officer")
    other = text_of(Issuer.root("Other").der)
    for event, arguments in (
        ("trust_authority", {"authority": "other", "certificate": other}),
        ("distrust_authority", {"authority": "root"}),
        ("revocation_list", listed(BRANCH.revoking([], START))),
    ):
        assert refused(world, event, arguments) == "only_administrator"


def test_what_comes_in_one_transaction_is_judged_in_its_order(world: World) -> None:
    theirs = good(KEYS["p256"], "snv.binh")
    second = enrolment(theirs, BRANCH, key=KEYS["p256"], person="snv.binh")
    der = good()
    changes: list[tuple[str, dict[str, Any]]] = [
        ("enrol", enrolment(der, BRANCH)),
        ("revocation_list", listed(BRANCH.revoking([der], START), KEY)),
        ("distrust_authority", {"authority": "root"}),
        ("enrol", second),
    ]
    jobs = [
        Handed(
            compose_change(world.origin, world.founding, event, arguments, world.administrator,
                           world.now, world.random),
            world.now,
        )
        for event, arguments in changes
    ]  # fmt: skip
    *recorded, last = world.recorder.record(jobs)
    assert all(isinstance(answer, Recorded) for answer in recorded)
    assert isinstance(last, Refused)
    assert last.code == "authority_unknown"
    assert audit(world).ok


def test_after_a_restart_the_same_authorities_are_known(database_url: str) -> None:
    world, der = trusting(database_url), good()
    world.recorder = world.another_recorder()
    world.change("enrol", enrolment(der, BRANCH))
    world.recorder = world.another_recorder()
    world.change("revocation_list", listed(BRANCH.revoking([der], START), KEY))
    world.change("distrust_authority", {"authority": "root"})
    theirs = good(KEYS["p256"], "snv.binh")
    again = enrolment(theirs, BRANCH, key=KEYS["p256"], person="snv.binh")
    for recorder in (world.recorder, world.another_recorder()):
        world.recorder = recorder
        assert refused(world, "enrol", again) == "authority_unknown"
    assert world.recorder.directory().authorities == {}
    assert audit(world).ok
    world.close()


@pytest.mark.parametrize(
    ("event", "arguments", "code"),
    [
        ("trust_authority", {"authority": "an", "certificate": "AAAA"}, "certificate_unreadable"),
        ("trust_authority", {"authority": "R oot", "certificate": text_of(ROOT.der)},
         "authority_exists"),
        ("trust_authority", {"authority": "R oot",
                             "certificate": text_of(Issuer.root("Other").der)}, "bad_argument"),
        ("trust_authority", {"authority": "other"}, "base64"),
        ("distrust_authority", {"authority": "nobody"}, "authority_unknown"),
        ("distrust_authority", {"authority": "root", "more": 1}, "unknown_argument"),
        ("revocation_list", {"authority": "nobody"}, "authority_unknown"),
    ],
)  # fmt: skip
def test_an_entry_of_another_form_is_refused(
    world: World, event: str, arguments: dict[str, Any], code: str
) -> None:
    assert refused(world, event, arguments) == code


def test_a_certificate_that_cryptography_stumbles_over_stops_nobody(
    world: World, tmp_path: Path
) -> None:
    """It raises a KeyError for a TLS feature that it does not know, when extensions are read."""
    odd = Issuer.root("Odd", extra=[(UNKNOWN_FEATURE, False)])
    trusted = {"authority": "odd", "certificate": text_of(odd.der)}
    assert refused(world, "trust_authority", trusted) == "certificate_unreadable"
    operator, rows = Operator(world, tmp_path), world.rows()
    found = operator.verdict(
        [*rows, changed_by_operator(operator, rows, "trust_authority", trusted)]
    )
    assert first(found)[:3] == (Check.COMMAND_SIGNATURE, "certificate_unreadable", "directory")
