"""Authorities that the log trusts and their lists, as the verifier's keyring sees them."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ObjectIdentifier

from audit.authorities import Authorities
from audit.keyring import Keyring, read_change
from audit.keys import PrivateKey
from audit.malformed import Malformed
from audit.revocations import MAX_LIST_BYTES, load_list
from domain.instants import format_instant
from gateway.composing import prove_enrolment
from tests.support.certificates import Issuer, certified, name_of, pem_of, text_of
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


def certificate(key: PrivateKey, issuer: Issuer = BRANCH) -> bytes:
    return issuer.person(key, START - DAY, YEAR)


def enrolment(person: str, der: bytes, *chain: Issuer) -> dict[str, Any]:
    """For the key of that name, whose certificate this is."""
    key = key_of(person)
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


AN, BINH = certificate(key_of("an")), certificate(key_of("binh"))
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
        (certificate(key, stranger), (), "authority_unknown"),
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
    given = {"person": "an", **certified(certificate(key), BRANCH)}
    proved = {"spki": spki_of(key), "proof": prove_enrolment(ORIGIN, "an", key)}
    done(ring, "enrol", {**given, **proved})
    assert ring.holder(key.public.id) is not None


def test_a_listed_certificate_is_not_entered(ring: Keyring) -> None:
    done(ring, "revocation_list", listed(BRANCH.revoking([BINH], START)))
    assert code(ring, "enrol", enrolment("binh", BINH, BRANCH)) == "certificate_revoked"
    done(ring, "enrol", enrolment("chi", certificate(key_of("chi")), BRANCH))


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


def test_the_entry_names_exactly_the_keys_that_it_ends(ring: Keyring) -> None:
    done(ring, "enrol", enrolment("binh", BINH, BRANCH))
    both = BRANCH.revoking([AN, BINH], START)
    for keys in ([], [AN_ID], [AN_ID, BINH_ID, AN_ID], sorted([AN_ID, BINH_ID], reverse=True)):
        wrong = {**listed(both), "keys": keys}
        assert code(ring, "revocation_list", wrong) == "crl_keys_differ"
    done(ring, "revocation_list", listed(both, AN_ID, BINH_ID))


def test_keys_that_ended_otherwise_are_not_ended_again(ring: Keyring) -> None:
    done(ring, "enrol", enrolment("binh", BINH, BRANCH))
    done(ring, "enrol", enrolment("chi", chi := certificate(key_of("chi")), BRANCH))
    done(ring, "rotate", exchange("an", key_of("an 2")))
    done(ring, "revoke", {"key": BINH_ID, "reason": "lost", "since": None})
    done(ring, "leave", {"person": "chi"})
    done(ring, "revocation_list", listed(BRANCH.revoking([AN, BINH, chi], START)))
    ended = [ring.why_not(each) for each in (AN_ID, BINH_ID, key_of("chi").public.id)]
    assert ended == ["key_rotated", "key_revoked", "key_revoked"]
    assert ring.holder(key_of("an 2").public.id) is not None


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
