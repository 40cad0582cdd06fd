"""Authorities that the log trusts and their lists, as the verifier's keyring sees them."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ObjectIdentifier

from audit.authorities import Authorities
from audit.directory import read_change
from audit.keyring import Keyring
from audit.malformed import Malformed
from audit.private_keys import PrivateKey
from audit.revocations import MAX_LIST_BYTES, load_list
from domain.instants import format_instant
from gateway.composing import prove_enrolment
from tests.support.certificates import (
    FOREVER,
    Issuer,
    certified,
    name_of,
    pem_of,
    printable,
    text_of,
)
from tests.support.world import FOUNDING, ORIGIN, START, key_of, spki_of

NOW = format_instant(START)
FOUND = {holder: spki_of(key) for holder, key in FOUNDING.items()}
DAY, YEAR = timedelta(days=1), timedelta(days=365)
ROOT = Issuer.root("Root")
BRANCH = ROOT.authority("Branch")


def at(**delta: float) -> str:
    return format_instant(START + timedelta(**delta))


def done(ring: Keyring, event: str, arguments: dict[str, Any], when: str = NOW) -> None:
    ring.follow(ring.check(event, arguments, when))


def code(ring: Keyring, event: str, arguments: dict[str, Any], when: str = NOW) -> str:
    with pytest.raises(Malformed) as found:
        ring.check(event, arguments, when)
    return found.value.code


def trust(issuer: Issuer = ROOT, name: str = "root") -> dict[str, Any]:
    return {"authority": name, "certificate": text_of(issuer.der)}


def certificate(
    key: str, issuer: Issuer = BRANCH, name: str | x509.Name | None = None, **more: Any
) -> bytes:
    """For the key of that name, whose holder the name begins with."""
    common = key.split(maxsplit=1)[0] if name is None else name
    return issuer.person(key_of(key), START - DAY, YEAR, common, **more)


def enrolment(person: str, der: bytes, *chain: Issuer, named: str = "") -> dict[str, Any]:
    """For the key of that name, or the person's, whose certificate this is."""
    key = key_of(named or person)
    proof = prove_enrolment(ORIGIN, person, key)
    return {"person": person, "spki": spki_of(key), "proof": proof, **certified(der, *chain)}


def exchange(holder: str, key: PrivateKey, **more: Any) -> dict[str, Any]:
    proof = prove_enrolment(ORIGIN, holder, key)
    return {"holder": holder, "spki": spki_of(key), "proof": proof, **more}


def listed(crl: bytes, *keys: str, chain: tuple[Issuer, ...] = (BRANCH,)) -> dict[str, Any]:
    return {
        "authority": "root", "crl": text_of(crl), "keys": sorted(keys),
        "chain": [text_of(each.der) for each in chain],
    }  # fmt: skip


@pytest.fixture(name="ring")
def _ring() -> Keyring:
    """A log that trusts the root, and has enrolled an under its branch."""
    ring = Keyring(ORIGIN)
    done(ring, "found", FOUND)
    done(ring, "trust_authority", trust())
    done(ring, "enrol", enrolment("an", AN, BRANCH))
    return ring


AN, BINH = certificate("an"), certificate("binh")
AN_ID, BINH_ID = key_of("an").public.id, key_of("binh").public.id


def test_a_certificate_needs_an_authority_that_is_trusted_then(ring: Keyring) -> None:
    good = enrolment("binh", BINH, BRANCH)
    fresh = Keyring(ORIGIN)
    done(fresh, "found", FOUND)
    assert code(fresh, "enrol", good) == "authority_unknown"
    with pytest.raises(Malformed, match="authority_unknown"):
        read_change("enrol", good, NOW, ORIGIN)
    ring.check("enrol", good, NOW)
    done(ring, "distrust_authority", {"authority": "root"})
    assert code(ring, "enrol", good) == "authority_unknown"
    # It vouches for nobody new; whom it vouched for stays.
    assert ring.holder(AN_ID) is not None
    assert code(ring, "distrust_authority", {"authority": "root"}) == "authority_unknown"
    done(ring, "trust_authority", trust())
    ring.check("enrol", good, NOW)


def test_each_reason_has_its_code(ring: Keyring) -> None:
    stranger, key = Issuer.root("Stranger"), key_of("binh")
    cases: list[tuple[bytes, tuple[Issuer, ...], str]] = [
        (BRANCH.person(key, START - YEAR, YEAR - DAY), (BRANCH,), "certificate_expired"),
        (BRANCH.person(key, START + DAY, YEAR), (BRANCH,), "certificate_not_yet_valid"),
        (BRANCH.person(key, START, YEAR, may={"key_agreement"}), (BRANCH,),
         "certificate_wrong_purpose"),
        (BINH, (), "authority_unknown"),
        (BINH, (ROOT.authority("Branch", ec.derive_private_key(4, ec.SECP256R1())),),
         "certificate_chain_broken"),
        (BINH, (BRANCH, BRANCH), "certificate_chain_broken"),
        (certificate("binh", stranger), (), "authority_unknown"),
        (BINH, (BRANCH,) * 6, "malformed_command"),
    ]  # fmt: skip
    for der, chain, expected in cases:
        assert code(ring, "enrol", enrolment("binh", der, *chain)) == expected
        arguments = exchange("an", key, **certified(der, *chain))
        assert code(ring, "rotate", arguments) == expected


def test_one_authority_is_trusted_once(ring: Keyring) -> None:
    assert code(ring, "trust_authority", trust(Issuer.root("Other"))) == "authority_exists"
    renewed = Issuer.root("Root", ROOT.key)
    assert code(ring, "trust_authority", trust(renewed, "again")) == "authority_exists"
    assert code(ring, "trust_authority", {**trust(), "authority": 7}) == "malformed_command"
    done(ring, "distrust_authority", {"authority": "root"})
    done(ring, "trust_authority", trust(renewed, "again"))
    ring.check("enrol", enrolment("binh", BINH, BRANCH), NOW)


def test_a_list_ends_the_keys_whose_certificates_it_names(ring: Keyring) -> None:
    done(ring, "enrol", enrolment("binh", BINH, BRANCH))
    done(ring, "revocation_list", listed(BRANCH.revoking([AN], START), AN_ID))
    assert ring.holder(AN_ID) is None
    assert ring.why_not(AN_ID) == "certificate_revoked"
    assert ring.holder(BINH_ID) is not None
    # A word of the administrator may still say from where on its signatures are disputed.
    again = {"key": AN_ID, "reason": "compromised", "since": None}
    assert code(ring, "revoke", again) == "already_revoked"
    done(ring, "revoke", {**again, "since": 3})
    assert ring.disputed == {AN_ID: 3}


def test_a_list_ends_all_keys_under_an_intermediate_that_it_names(ring: Keyring) -> None:
    crl = ROOT.revoking([BRANCH.der], START)
    done(ring, "revocation_list", listed(crl, AN_ID, chain=()))
    assert ring.why_not(AN_ID) == "certificate_revoked"
    assert code(ring, "enrol", enrolment("binh", BINH, BRANCH)) == "certificate_revoked"
    # Nor does it speak for others any more.
    later = listed(BRANCH.revoking([AN], START))
    assert code(ring, "revocation_list", later) == "certificate_revoked"


def test_a_certificate_does_not_stand_for_the_proof_nor_the_proof_for_it(ring: Keyring) -> None:
    good = enrolment("binh", BINH, BRANCH)
    other = prove_enrolment(ORIGIN, "an", key_of("binh"))
    assert code(ring, "enrol", {**good, "proof": other}) == "enrolment_not_proved"
    unproved = {name: value for name, value in good.items() if name != "proof"}
    assert code(ring, "enrol", unproved) == "malformed_command"
    assert code(ring, "enrol", {**good, "chain": []}) == "authority_unknown"
    ring.check("enrol", good, NOW)


def test_a_person_whose_certificate_was_revoked_gets_another_key(ring: Keyring) -> None:
    done(ring, "revocation_list", listed(BRANCH.revoking([AN], START), AN_ID))
    key = key_of("an 2")
    assert code(ring, "rotate", exchange("an", key)) == "unknown_holder"
    given = {"person": "an", **certified(certificate("an 2"), BRANCH)}
    proved = {"spki": spki_of(key), "proof": prove_enrolment(ORIGIN, "an", key)}
    done(ring, "enrol", {**given, **proved})
    assert ring.holder(key.public.id) is not None


def test_a_listed_certificate_is_not_entered(ring: Keyring) -> None:
    done(ring, "revocation_list", listed(BRANCH.revoking([BINH], START)))
    assert code(ring, "enrol", enrolment("binh", BINH, BRANCH)) == "certificate_revoked"
    done(ring, "enrol", enrolment("chi", certificate("chi"), BRANCH))


def test_a_stale_list_vouches_for_nobody(ring: Keyring) -> None:
    done(ring, "revocation_list", listed(BRANCH.revoking([], START, lasts=DAY)))
    good = enrolment("binh", BINH, BRANCH)
    ring.check("enrol", good, at(days=1))
    assert code(ring, "enrol", good, at(days=1, seconds=1)) == "crl_expired"
    fresh = BRANCH.revoking([], START + DAY)
    done(ring, "revocation_list", listed(fresh), at(days=2))
    ring.check("enrol", good, at(days=2))


def test_a_list_that_is_stale_when_it_comes_still_ends_keys(ring: Keyring) -> None:
    old = BRANCH.revoking([AN], START - 9 * DAY, lasts=DAY)
    done(ring, "revocation_list", listed(old, AN_ID))
    assert ring.why_not(AN_ID) == "certificate_revoked"
    assert code(ring, "enrol", enrolment("binh", BINH, BRANCH)) == "crl_expired"


def test_lists_only_get_newer(ring: Keyring) -> None:
    def entered(begins: timedelta, number: int | None) -> dict[str, Any]:
        return listed(BRANCH.revoking([], START + begins, number=number))

    done(ring, "revocation_list", entered(DAY, 5), at(days=9))
    for begins, number in ((DAY, 5), (2 * DAY, 5), (2 * DAY, 4), (0 * DAY, 6), (DAY, None)):
        assert code(ring, "revocation_list", entered(begins, number), at(days=9)) == "crl_older"
    done(ring, "revocation_list", entered(DAY, 6), at(days=9))
    done(ring, "revocation_list", entered(2 * DAY, None), at(days=9))
    assert code(ring, "revocation_list", entered(2 * DAY, 7), at(days=9)) == "crl_older"
    # Nor does it help to end the trust and begin it again.
    done(ring, "distrust_authority", {"authority": "root"})
    done(ring, "trust_authority", trust())
    assert code(ring, "revocation_list", entered(DAY, 5), at(days=9)) == "crl_older"


def test_a_list_of_the_future_is_refused(ring: Keyring) -> None:
    later = listed(BRANCH.revoking([], START + timedelta(seconds=1)))
    assert code(ring, "revocation_list", later) == "crl_from_future"
    done(ring, "revocation_list", later, at(seconds=1))


def test_a_list_must_be_signed_by_the_authority_or_one_under_it(ring: Keyring) -> None:
    silent = ROOT.authority("Branch", BRANCH.key, may={"key_cert_sign"})
    forged = Issuer("Branch", ec.derive_private_key(5, ec.SECP256R1()), b"")
    stranger = Issuer.root("Stranger")
    cases: list[tuple[dict[str, Any], str]] = [
        (listed(forged.revoking([AN], START), AN_ID), "crl_not_of_authority"),
        (listed(BRANCH.revoking([AN], START), AN_ID, chain=()), "crl_not_of_authority"),
        (listed(ROOT.revoking([AN], START), AN_ID), "crl_not_of_authority"),
        (listed(BRANCH.revoking([AN], START), AN_ID, chain=(silent,)), "crl_not_of_authority"),
        (listed(stranger.revoking([AN], START), AN_ID, chain=(stranger,)),
         "certificate_chain_broken"),
        ({**listed(BRANCH.revoking([AN], START), AN_ID), "authority": "other"},
         "authority_unknown"),
        ({**listed(BRANCH.revoking([AN], START), AN_ID), "chain": None}, "malformed_command"),
    ]  # fmt: skip
    for arguments, expected in cases:
        assert code(ring, "revocation_list", arguments) == expected
    done(ring, "revocation_list", listed(BRANCH.revoking([AN], START), AN_ID))


def test_another_authority_of_the_same_name_revokes_nothing(ring: Keyring) -> None:
    other = Issuer.root("Rival")
    namesake = other.authority("Branch", ec.derive_private_key(6, ec.SECP256R1()))
    done(ring, "trust_authority", trust(other, "rival"))
    theirs = listed(namesake.revoking([AN, BINH], START, number=900), chain=(namesake,))
    done(ring, "revocation_list", {**theirs, "authority": "rival"})
    assert ring.holder(AN_ID) is not None
    done(ring, "enrol", enrolment("binh", BINH, BRANCH))
    # And its great number keeps no list of ours out.
    ours = BRANCH.revoking([AN], START, number=1)
    done(ring, "revocation_list", listed(ours, AN_ID))


def test_a_branch_speaks_for_its_key_under_whatever_authority(ring: Keyring) -> None:
    """One intermediate may be certified by two roots; it revokes under both."""
    other = Issuer.root("Rival")
    crossed = other.authority("Branch", BRANCH.key)
    done(ring, "trust_authority", trust(other, "rival"))
    done(ring, "enrol", enrolment("binh", BINH, crossed))
    done(ring, "revocation_list", listed(BRANCH.revoking([BINH], START), BINH_ID))
    assert ring.why_not(BINH_ID) == "certificate_revoked"


@pytest.mark.parametrize("first", ["root", "rival"])
def test_of_the_lists_of_one_branch_under_two_authorities_the_newest_counts(
    ring: Keyring, first: str
) -> None:
    """The older one has become stale; it holds nobody up."""
    other = Issuer.root("Rival")
    crossed = other.authority("Branch", BRANCH.key)
    done(ring, "trust_authority", trust(other, "rival"))
    ways = {"root": BRANCH, "rival": crossed}
    second = {"root": "rival", "rival": "root"}[first]
    old, new = BRANCH.revoking([], START, lasts=DAY), BRANCH.revoking([], START + 2 * DAY)
    for name, crl in ((first, old), (second, new)):
        arguments = {**listed(crl, chain=(ways[name],)), "authority": name}
        done(ring, "revocation_list", arguments, at(days=3))
    ring.check("enrol", enrolment("binh", BINH, BRANCH), at(days=3))


def test_an_authority_named_like_its_root_takes_the_place_of_none_of_the_roots_lists(
    ring: Keyring,
) -> None:
    """Nor does a person whose certificate is named so, though nothing in it forbids lists."""
    lost = ROOT.authority("Lost")
    done(ring, "revocation_list", listed(ROOT.revoking([lost.der], START, number=1), chain=()))
    under_lost = enrolment("chi", certificate("chi", lost), lost)
    namesake = ROOT.authority("Root", ec.derive_private_key(8, ec.SECP256R1()))
    secret = key_of("dung").unwrapped
    assert isinstance(secret, ed25519.Ed25519PrivateKey)
    person = Issuer(
        "Root", secret, ROOT.person(key_of("dung"), START - DAY, YEAR, "Root", may=None)
    )
    for forger in (namesake, person):
        assert code(ring, "enrol", under_lost) == "certificate_revoked"
        # It revokes nothing of the root's, and takes nothing back.
        theirs = forger.revoking([BRANCH.der], START, number=900)
        wrong = listed(theirs, AN_ID, chain=(forger,))
        assert code(ring, "revocation_list", wrong) == "crl_keys_differ"
        done(ring, "revocation_list", listed(theirs, chain=(forger,)))
        assert ring.holder(AN_ID) is not None
        ring.check("enrol", enrolment("binh", BINH, BRANCH), NOW)
        assert code(ring, "enrol", under_lost) == "certificate_revoked"
    # And its great number keeps no list of the root's out.
    ours = ROOT.revoking([lost.der, BRANCH.der], START + DAY, number=2)
    done(ring, "revocation_list", listed(ours, AN_ID, chain=()), at(days=1))


RENEWED = ROOT.authority("Branch", ec.derive_private_key(9, ec.SECP256R1()))
"""The branch after a change of its key. Its serial numbers begin anew."""


def test_the_lists_of_an_authority_are_about_what_the_same_key_issued(ring: Keyring) -> None:
    theirs = certificate("binh", RENEWED)
    done(ring, "enrol", enrolment("binh", theirs, RENEWED))
    serials = {x509.load_der_x509_certificate(each).serial_number for each in (AN, theirs)}
    new, old = RENEWED.revoking([], START, number=9, serials=serials), BRANCH.revoking([], START)
    done(ring, "revocation_list", listed(new, BINH_ID, chain=(RENEWED,)))
    assert ring.holder(AN_ID) is not None
    # Neither is newer or older than the other: each follows on those by its own key.
    done(ring, "revocation_list", listed(old))
    assert code(ring, "revocation_list", listed(old)) == "crl_older"


@pytest.mark.parametrize("stale", ["old", "new"])
def test_a_list_by_one_key_is_not_made_fresh_by_a_list_of_another(
    ring: Keyring, stale: str
) -> None:
    issuers = {"old": BRANCH, "new": RENEWED}
    for name, issuer in issuers.items():
        crl = issuer.revoking([], START, lasts=DAY if name == stale else 9 * DAY)
        done(ring, "revocation_list", listed(crl, chain=(issuer,)))
    for name, issuer in issuers.items():
        arguments = enrolment("binh", certificate("binh", issuer), issuer)
        if name == stale:
            assert code(ring, "enrol", arguments, at(days=2)) == "crl_expired"
        else:
            ring.check("enrol", arguments, at(days=2))


def test_an_authority_of_two_names_has_lists_under_each(ring: Keyring) -> None:
    """A serial number means something under one name only (RFC 5280, 4.1.2.2)."""
    renamed = ROOT.authority("Branch of another name", BRANCH.key)
    crl = renamed.revoking([AN], START, number=9)
    done(ring, "revocation_list", listed(crl, chain=(renamed,)))
    assert ring.holder(AN_ID) is not None
    done(ring, "revocation_list", listed(BRANCH.revoking([AN], START, number=1), AN_ID))


def test_a_name_by_another_kind_of_string_keeps_no_list_away(ring: Keyring) -> None:
    spelled = Issuer(
        "Branch",
        BRANCH.key,
        ROOT.certificate(
            printable("Branch"), BRANCH.key, FOREVER, may={"key_cert_sign", "crl_sign"}, ca=True
        ),
    )
    done(ring, "revocation_list", listed(BRANCH.revoking([AN], START), AN_ID, chain=(spelled,)))
    assert code(ring, "revocation_list", listed(BRANCH.revoking([AN], START))) == "crl_older"


def test_the_entry_names_exactly_the_keys_that_it_ends(ring: Keyring) -> None:
    done(ring, "enrol", enrolment("binh", BINH, BRANCH))
    both = BRANCH.revoking([AN, BINH], START)
    for keys in ([], [AN_ID], [AN_ID, BINH_ID, AN_ID], sorted([AN_ID, BINH_ID], reverse=True)):
        wrong = {**listed(both), "keys": keys}
        assert code(ring, "revocation_list", wrong) == "crl_keys_differ"
    done(ring, "revocation_list", listed(both, AN_ID, BINH_ID))


def test_keys_that_ended_otherwise_are_not_ended_again(ring: Keyring) -> None:
    done(ring, "enrol", enrolment("binh", BINH, BRANCH))
    done(ring, "enrol", enrolment("chi", chi := certificate("chi"), BRANCH))
    done(ring, "rotate", exchange("an", key_of("an 2")))
    done(ring, "revoke", {"key": BINH_ID, "reason": "lost", "since": None})
    done(ring, "leave", {"person": "chi"})
    done(ring, "revocation_list", listed(BRANCH.revoking([AN, BINH, chi], START)))
    ended = [ring.why_not(each) for each in (AN_ID, BINH_ID, key_of("chi").public.id)]
    assert ended == ["key_rotated", "key_revoked", "key_revoked"]
    assert ring.holder(key_of("an 2").public.id) is not None


OF_AN = "certificate_of_other_person"


def test_a_name_in_a_certificate_belongs_to_the_first_person_who_came_with_it(
    ring: Keyring,
) -> None:
    theirs = certificate("binh", name="an")
    assert code(ring, "enrol", enrolment("binh", theirs, BRANCH)) == OF_AN
    alone = prove_enrolment(ORIGIN, "binh", key_of("binh 2"))
    done(ring, "enrol", {"person": "binh", "spki": spki_of(key_of("binh 2")), "proof": alone})
    arguments = exchange("binh", key_of("binh"), **certified(theirs, BRANCH))
    assert code(ring, "rotate", arguments) == OF_AN
    # What was refused took nothing: this name is still nobody's.
    done(ring, "rotate", exchange("binh", key_of("binh"), **certified(BINH, BRANCH)))


END: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "revoked": [("revoke", {"key": AN_ID, "reason": "lost", "since": None})],
    "left": [("leave", {"person": "an"})],
    "rotated": [("rotate", exchange("an", key_of("an 2")))],
    "renamed": [("rotate", exchange(
        "an", key_of("an 2"), **certified(certificate("an 2", name="An II"), BRANCH)))],
    "listed": [("revocation_list", listed(BRANCH.revoking([AN], START), AN_ID))],
    "distrusted": [("distrust_authority", {"authority": "root"}),
                   ("trust_authority", trust(Issuer.root("Root", ROOT.key), "again"))],
}  # fmt: skip


@pytest.mark.parametrize("end", END)
def test_the_name_stays_theirs_whatever_becomes_of_them_and_their_key(
    ring: Keyring, end: str
) -> None:
    for event, arguments in END[end]:
        done(ring, event, arguments)
    theirs = certificate("binh", name="an")
    assert code(ring, "enrol", enrolment("binh", theirs, BRANCH)) == OF_AN
    done(ring, "enrol", enrolment("binh", certificate("binh 2"), BRANCH, named="binh 2"))


def test_a_person_has_many_names_and_each_is_theirs(ring: Keyring) -> None:
    for key, name in (("an 2", "an"), ("an 3", "An II"), ("an 4", "an")):
        mine = certified(certificate(key, name=name), BRANCH)
        done(ring, "rotate", exchange("an", key_of(key), **mine))
    for name in ("an", "An II"):
        theirs = certificate("binh", name=name)
        assert code(ring, "enrol", enrolment("binh", theirs, BRANCH)) == OF_AN


@pytest.mark.parametrize("name", ["AN", " an", printable("an")], ids=["case", "space", "kind"])
def test_a_name_that_is_spelled_otherwise_is_the_same(ring: Keyring, name: str | x509.Name) -> None:
    theirs = certificate("binh", name=name)
    assert code(ring, "enrol", enrolment("binh", theirs, BRANCH)) == OF_AN


def test_two_authorities_under_one_root_name_one_person_by_one_name(ring: Keyring) -> None:
    for issuer, chain in ((ROOT, ()), (other := ROOT.authority("Other"), (other,))):
        theirs = certificate("binh", issuer, "an")
        assert code(ring, "enrol", enrolment("binh", theirs, *chain)) == OF_AN


def test_what_two_roots_call_by_one_name_may_be_two_people(ring: Keyring) -> None:
    rival = Issuer.root("Rival")
    done(ring, "trust_authority", trust(rival, "rival"))
    done(ring, "enrol", enrolment("binh", certificate("binh", rival, "an")))
    chi = enrolment("chi", certificate("chi", rival, "an"))
    assert code(ring, "enrol", chi) == OF_AN


def test_what_one_authority_names_under_two_roots_is_one_person(ring: Keyring) -> None:
    """Otherwise a way round by another root would make one human being two people."""
    rival = Issuer.root("Rival")
    crossed = rival.authority("Branch", BRANCH.key)
    done(ring, "trust_authority", trust(rival, "rival"))
    theirs = certificate("binh", crossed, "an")
    assert code(ring, "enrol", enrolment("binh", theirs, crossed)) == OF_AN


def test_a_certificate_that_names_nobody_names_one_person(ring: Keyring) -> None:
    done(ring, "enrol", enrolment("binh", certificate("binh", name=x509.Name([])), BRANCH))
    chi = enrolment("chi", certificate("chi", name=x509.Name([])), BRANCH)
    assert code(ring, "enrol", chi) == OF_AN


def _extension(critical: bool = True) -> tuple[x509.ExtensionType, bool]:  # noqa: FBT001, FBT002
    return x509.UnrecognizedExtension(ObjectIdentifier("1.2.3"), b"\x05\x00"), critical


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: b"no list", "crl_unreadable"),
        (lambda: BRANCH.revoking([], START)[:-3], "crl_unreadable"),
        (lambda: BRANCH.revoking([], START, extra=[_extension()]), "crl_partial"),
        (lambda: BRANCH.revoking([], START, extra=[(x509.DeltaCRLIndicator(1), True)]),
         "crl_partial"),
        (lambda: BRANCH.revoking([], START, extra=[(x509.IssuingDistributionPoint(
            None, None, True, False, None, False, False), False)]), "crl_partial"),
        (lambda: BRANCH.revoking([AN], START, of_entries=[(x509.CertificateIssuer(
            [x509.DirectoryName(name_of("Root"))]), True)]), "crl_partial"),
        (lambda: BRANCH.revoking([], START, serials=range(10**9, 10**9 + 1_500)), "crl_too_long"),
    ],
)  # fmt: skip
def test_a_list_that_can_not_be_used_is_refused(
    ring: Keyring, make: Callable[[], bytes], expected: str
) -> None:
    assert code(ring, "revocation_list", listed(make())) == expected


@pytest.mark.parametrize("mask", [0x01, 0x41, 0xFF])
def test_a_list_with_a_signed_byte_changed_is_refused_and_nothing_worse(
    ring: Keyring, mask: int
) -> None:
    crl = BRANCH.revoking([AN], START, number=3)
    signed = x509.load_der_x509_crl(crl).tbs_certlist_bytes
    begins = crl.index(signed)
    for place in range(begins, begins + len(signed)):
        changed = crl[:place] + bytes([crl[place] ^ mask]) + crl[place + 1 :]
        assert code(ring, "revocation_list", listed(changed, AN_ID)), place


def test_a_certificate_on_hold_counts_as_revoked() -> None:
    hold = [(x509.CRLReason(x509.ReasonFlags.certificate_hold), False)]
    assert load_list(BRANCH.revoking([AN], START, of_entries=hold)).serials


def test_an_unknown_extension_that_is_not_critical_does_no_harm() -> None:
    assert load_list(BRANCH.revoking([AN], START, extra=[_extension(critical=False)])).serials


def test_a_list_of_a_thousand_certificates_still_fits() -> None:
    crl = BRANCH.revoking([], START, serials=range(1, 1_001))
    assert len(crl) < MAX_LIST_BYTES
    assert len(load_list(crl).serials) == 1_000


def test_a_copy_is_the_callers_own() -> None:
    before = Authorities()
    after = before.copy()
    after.follow(after.check("trust_authority", trust(), NOW))
    assert (list(before.trusted), list(after.trusted)) == ([], ["root"])
    path = tuple(x509.load_der_x509_certificate(each) for each in (AN, BRANCH.der, ROOT.der))
    after.certify("an", AN_ID, path)
    before.check_subject("binh", path)
    with pytest.raises(Malformed, match=OF_AN):
        after.check_subject("binh", path)


@pytest.mark.parametrize(
    ("named", "begins", "days", "good"),
    [
        (False, timedelta(), 0, True),
        (True, timedelta(), 0, False),
        (False, timedelta(), 8, False),
        (False, DAY, 0, False),
    ],
    ids=["not named", "named", "stale", "of the future"],
)
def test_openssl_says_the_same_of_a_list(
    tmp_path: Path, ring: Keyring, *, named: bool, begins: timedelta, days: int, good: bool
) -> None:
    crl = BRANCH.revoking([BINH] if named else [], START + begins)
    pem = x509.load_der_x509_crl(crl).public_bytes(serialization.Encoding.PEM)
    (tmp_path / "list").write_bytes(pem)
    for name, der in (("leaf", BINH), ("between", BRANCH.der), ("root", ROOT.der)):
        (tmp_path / name).write_bytes(pem_of(der))
    when = START + days * DAY
    said = subprocess.run(
        ["openssl", "verify", "-crl_check", "-CRLfile", "list", "-CAfile", "root", "-untrusted",
         "between", "-attime", str(int(when.timestamp())), "leaf"],
        cwd=tmp_path, check=False, capture_output=True,
    )  # fmt: skip
    assert (said.returncode == 0) == good
    try:
        # It may come in late: then the enrolment after it is what is refused.
        done(ring, "revocation_list", listed(crl), NOW)
        ring.check("enrol", enrolment("binh", BINH, BRANCH), format_instant(when))
    except Malformed:
        assert not good
    else:
        assert good
