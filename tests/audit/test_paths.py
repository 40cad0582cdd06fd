"""Paths from a person's certificate to an authority: which hold, and why others do not.

Every path of `GOOD` and `BAD` is put before `openssl verify` as well, so that what holds here is
what another implementation of RFC 5280 holds. `STRICTER` has those that only we refuse.
"""

import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path as File

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from audit import paths
from audit.malformed import Malformed
from audit.private_keys import PrivateKey, private_key
from tests.support.certificates import CLIENT, Issuer, clear_pem, pem_of

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
YEAR, DAY = timedelta(days=365), timedelta(days=1)
MAIL, SERVER = ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.SERVER_AUTH
DOCUMENTS = ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
P256 = PrivateKey(ec.derive_private_key(77, ec.SECP256R1()))
PEOPLE = {
    "p256": P256,
    "p384": PrivateKey(ec.derive_private_key(77, ec.SECP384R1())),
    "rsa": PrivateKey(rsa.generate_private_key(65537, 2048)),
    "ed25519": private_key(bytes(32)),
}

ROOT = Issuer.root("Root")
BRANCH = ROOT.authority("Branch")
Chain = Sequence[bytes]
"""DER: the person's certificate first, the authority's last."""


def person(issuer: Issuer = BRANCH, key: PrivateKey = P256, **more: object) -> bytes:
    return issuer.person(key, NOW - DAY, YEAR, **more)  # type: ignore[arg-type]


def under(issuer: Issuer, *above: Issuer, **more: object) -> Chain:
    return [person(issuer, **more), issuer.der, *(each.der for each in above)]  # type: ignore[arg-type]


def past(at: datetime = NOW) -> tuple[datetime, timedelta]:
    return at - YEAR, YEAR - DAY


def deep(levels: int) -> Chain:
    """So many authorities under the root, each issued by the one before."""
    line = [ROOT]
    for level in range(levels):
        line.append(line[-1].authority(f"Level {level}"))
    return under(*reversed(line))


def of_keys(key: str, root: Issuer) -> Chain:
    return under(root.authority("Under"), root, key=PEOPLE[key])


SHORT = Issuer.root("Short", path_length=0)
RSA_ROOT = Issuer.root("RSA root", RSA)
ED_ROOT = Issuer.root("Ed root", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
MAIL_BRANCH = ROOT.authority("Mail", purposes=(MAIL,))
# Its name is its issuer's, so that it does not count against path lengths (RFC 5280, 6.1.4 (l)).
RENEWED = SHORT.authority("Short", ec.derive_private_key(99, ec.SECP256R1()))

GOOD: dict[str, Chain] = {
    "through an intermediate": under(BRANCH, ROOT),
    "by the root itself": under(ROOT),
    "client authentication": under(BRANCH, ROOT, purposes=CLIENT),
    "mail": under(BRANCH, ROOT, purposes=(SERVER, MAIL)),
    "any purpose beside": under(BRANCH, ROOT, purposes=(ANY, MAIL)),
    "no key usage": under(BRANCH, ROOT, may=None),
    "no basic constraints": under(BRANCH, ROOT, ca=None),
    "an authority over mail": under(MAIL_BRANCH, ROOT, purposes=(MAIL,)),
    "as deep as may be": deep(paths.MAX_INTERMEDIATES),
    "a path length that is kept": under(SHORT),
    "a self-issued authority does not count": under(RENEWED, SHORT),
    **{
        f"{key} under {root.common}": of_keys(key, root)
        for key in PEOPLE
        for root in (ROOT, RSA_ROOT, ED_ROOT)
    },
}  # fmt: skip


def forged() -> bytes:
    """A certificate that names the branch as its issuer, by somebody else's key."""
    return person(Issuer("Branch", ec.derive_private_key(5, ec.SECP256R1()), b""))


def damaged(der: bytes) -> bytes:
    """The same with its last byte, of the signature, another."""
    return der[:-1] + bytes([der[-1] ^ 1])


BAD: dict[str, tuple[str, Callable[[], Chain]]] = {
    "expired": (
        "certificate_expired",
        lambda: [BRANCH.person(P256, *past()), BRANCH.der, ROOT.der],
    ),
    "an expired authority": (
        "certificate_expired",
        lambda: under(ROOT.authority("Old", valid=past()), ROOT),
    ),
    "an expired root": ("certificate_expired", lambda: under(Issuer.root("Gone", valid=past()))),
    "not yet valid": (
        "certificate_not_yet_valid",
        lambda: [BRANCH.person(P256, NOW + DAY, YEAR), BRANCH.der, ROOT.der],
    ),
    "an authority not yet valid": (
        "certificate_not_yet_valid",
        lambda: under(ROOT.authority("Soon", valid=(NOW + DAY, YEAR)), ROOT),
    ),
    "for encryption only": (
        "certificate_wrong_purpose",
        lambda: under(BRANCH, ROOT, may={"key_encipherment"}, purposes=CLIENT),
    ),
    "for servers": ("certificate_wrong_purpose", lambda: under(BRANCH, ROOT, purposes=(SERVER,))),
    # 4.2.1.12 leaves it to the application whether any is enough; it is not, as for openssl.
    "for any purpose alone": (
        "certificate_wrong_purpose",
        lambda: under(BRANCH, ROOT, purposes=(ANY,)),
    ),
    "for clients under an authority over mail": (
        "certificate_wrong_purpose",
        lambda: under(MAIL_BRANCH, ROOT, purposes=CLIENT),
    ),
    "by no authority": (
        "certificate_chain_broken",
        lambda: under(ROOT.authority("Nobody", may=None, ca=False), ROOT),
    ),
    "by one without basic constraints": (
        "certificate_chain_broken",
        lambda: under(ROOT.authority("Plain", may={"digital_signature"}, ca=None), ROOT),
    ),
    "by one that may only sign lists": (
        "certificate_chain_broken",
        lambda: under(ROOT.authority("Lists", may={"crl_sign"}), ROOT),
    ),
    "longer than allowed": (
        "certificate_chain_broken",
        lambda: under(SHORT.authority("Below"), SHORT),
    ),
    "a signature by somebody else": (
        "certificate_chain_broken",
        lambda: [forged(), BRANCH.der, ROOT.der],
    ),
    "a damaged signature": (
        "certificate_chain_broken",
        lambda: [damaged(person()), BRANCH.der, ROOT.der],
    ),
    "an intermediate missing": ("certificate_chain_broken", lambda: [person(), ROOT.der]),
    "another authority of that name": (
        "certificate_chain_broken",
        lambda: under(BRANCH, Issuer.root("Root", ec.derive_private_key(6, ec.SECP256R1()))),
    ),
    "a weak key": ("certificate_key_weak", lambda: under(BRANCH, ROOT, key=PrivateKey(WEAK_RSA))),
    "an authority with a weak key": (
        "certificate_key_weak",
        lambda: under(ROOT.authority("Weak", WEAK_RSA), ROOT),
    ),
    "an unknown critical extension": (
        "certificate_extension_unknown",
        lambda: under(BRANCH, ROOT, extra=[(
            x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]),
    ),
}  # fmt: skip


def checked(chain: Chain, at: datetime = NOW) -> str:
    """The code of what is wrong; empty when it holds."""
    try:
        paths.check_person(tuple(map(paths.load, chain)), at)
    except Malformed as error:
        return error.code
    return ""


def openssl_takes(chain: Chain, folder: File, at: datetime = NOW) -> bool:
    """What `openssl verify` says, with the last certificate trusted, for a purpose of its own."""
    for name, part in (("leaf", chain[:1]), ("between", chain[1:-1]), ("root", chain[-1:])):
        (folder / name).write_bytes(b"".join(map(pem_of, part)))
    words = ["openssl", "verify", "-x509_strict", "-auth_level", "2", "-CAfile", "root"]
    words += ["-attime", str(int(at.timestamp()))]
    if len(chain) > 2:
        words += ["-untrusted", "between"]
    answers = []
    for purpose in ("sslclient", "smimesign"):
        done = subprocess.run([*words, "-purpose", purpose, "leaf"], cwd=folder, check=False,
                              capture_output=True)  # fmt: skip
        answers.append(done.returncode == 0)
    return any(answers)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_path_holds_here_and_for_openssl(name: str, tmp_path: File) -> None:
    assert checked(GOOD[name]) == ""
    assert openssl_takes(GOOD[name], tmp_path)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_path_is_refused_with_its_reason_and_openssl_takes_it_neither(
    name: str, tmp_path: File
) -> None:
    code, make = BAD[name]
    chain = make()
    assert checked(chain) == code
    assert not openssl_takes(chain, tmp_path)


def bounded(*, critical: bool) -> Chain:
    bounds = x509.NameConstraints([x509.DNSName("example.org")], None)
    return under(ROOT.authority("Bounded", extra=[(bounds, critical)]), ROOT)


STRICTER: dict[str, tuple[str, Callable[[], Chain]]] = {
    # A person signs steps, an authority certificates: one key for both is a mistake.
    "an authority as a person": (
        "certificate_wrong_purpose",
        lambda: under(BRANCH, ROOT, ca=True, may={"digital_signature", "key_cert_sign"}),
    ),
    # openssl holds names against them; here they are not understood.
    "name constraints": ("certificate_extension_unknown", lambda: bounded(critical=True)),
    "name constraints that are not critical": (
        "certificate_extension_unknown",
        lambda: bounded(critical=False),
    ),
    "deeper than may be": (
        "certificate_chain_broken",
        lambda: deep(paths.MAX_INTERMEDIATES + 1),
    ),
}


@pytest.mark.parametrize("name", STRICTER)
def test_some_paths_are_refused_here_alone(name: str) -> None:
    code, make = STRICTER[name]
    assert checked(make()) == code


@pytest.mark.parametrize("place", ["leaf", "between"])
def test_a_signature_by_sha_1_is_weak_here_and_for_openssl(tmp_path: File, place: str) -> None:
    # `cryptography` makes no such signatures any more; `openssl` still does, as of the present.
    # An hour on: what begins in this second or the next one counts by then.
    now = datetime.now(UTC) + timedelta(hours=1)
    key = ec.derive_private_key(8, ec.SECP256R1())
    branch = ROOT.authority("Old branch", key)
    wanted = person(branch) if place == "leaf" else branch.der
    signer = branch if place == "leaf" else ROOT
    again = signed_by_sha1(wanted, signer, tmp_path, ca=place == "between")
    if place == "leaf":
        chain = [again, branch.der, ROOT.der]
    else:
        chain = [branch.person(P256, now - DAY, YEAR), again, ROOT.der]
    assert checked(chain, now) == "certificate_key_weak"
    assert not openssl_takes(chain, tmp_path, now)


def signed_by_sha1(der: bytes, signer: Issuer, folder: File, *, ca: bool) -> bytes:
    """The certificate signed anew, with its subject and key, beginning now."""
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    (folder / "old.pem").write_bytes(pem_of(der))
    (folder / "ca.pem").write_bytes(pem_of(signer.der))
    (folder / "ca.key").write_bytes(clear_pem(signer.key))
    words = "critical,CA:TRUE" if ca else "CA:FALSE"
    usage = "critical,keyCertSign" if ca else "digitalSignature"
    (folder / "ext").write_text(f"basicConstraints={words}\nkeyUsage={usage}\n")
    loaded = x509.load_der_x509_certificate(der)
    public = loaded.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
    common = loaded.subject.rdns[0].rfc4514_string().removeprefix("CN=")
    subprocess.run(
        ["openssl", "req", "-new", "-key", "ca.key", "-subj", f"/CN={common}", "-out", "asked",
         "-utf8"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "x509", "-req", "-in", "asked", "-force_pubkey", "public.pem", "-CA", "ca.pem",
         "-CAkey", "ca.key", "-sha1", "-days", "30", "-set_serial", "5", "-extfile", "ext",
         "-outform", "DER", "-out", "again.der"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "again.der").read_bytes()


def test_an_authority_is_trusted_only_with_a_certificate_that_may_issue_others() -> None:
    paths.check_authority(paths.load(ROOT.der), NOW)
    paths.check_authority(paths.load(BRANCH.der), NOW)  # a root is not asked for
    for der, code in (
        (person(), "authority_unfit"),
        (Issuer.root("Plain", ca=None).der, "authority_unfit"),
        (Issuer.root("Lists", may={"crl_sign"}).der, "authority_unfit"),
        (Issuer.root("Gone", valid=past()).der, "certificate_expired"),
        (Issuer.root("Weak", WEAK_RSA).der, "certificate_key_weak"),
    ):
        with pytest.raises(Malformed) as found:
            paths.check_authority(paths.load(der), NOW)
        assert found.value.code == code


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("mask", [0x01, 0x41, 0x80, 0xFF])
def test_a_certificate_with_a_signed_byte_changed_never_holds(mask: int) -> None:
    der = person(purposes=CLIENT)
    signed = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    begins = der.index(signed)
    for at in range(begins, begins + len(signed)):
        changed = der[:at] + bytes([der[at] ^ mask]) + der[at + 1 :]
        assert checked([changed, BRANCH.der, ROOT.der]) != "", at


@pytest.mark.parametrize("purpose", [DOCUMENTS, ObjectIdentifier("1.3.6.1.4.1.311.10.3.12")])
def test_a_certificate_for_documents_is_fit(purpose: ObjectIdentifier) -> None:
    """No purpose that `openssl` 3.0 could be asked for."""
    assert checked(under(BRANCH, ROOT, purposes=(purpose,))) == ""
