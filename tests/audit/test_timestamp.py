"""Time-stamps: true ones by `openssl ts`, each rule broken by itself, every byte changed."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import new as digest_of
from pathlib import Path
from typing import Annotated

import pytest
from cryptography import x509
from cryptography.hazmat.asn1 import GeneralizedTime, Implicit, Null, SetOf, sequence
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import cms
from audit.malformed import Malformed
from audit.timestamp import MAX_TOKEN_BYTES, Stamped, check_token
from audit.timestamp_request import StatusInfo, TimeStampResp, make_request, parse_response
from tests.support.authority import (
    DIGESTS,
    NOON,
    SIGNER,
    STAMPING,
    Extensions,
    Forgery,
    Holder,
    Openssl,
    Values,
    algorithm,
    authority_of,
    certify,
    key,
    name,
    openssl_accepts,
    tlv,
    tst_info,
)

DATA = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
NONCE = 2**63 + 11
POLICY = "1.3.6.1.4.1.99999.1"

ROOT = certify("Root", key("p256"), extensions=authority_of())
MIDDLE = certify("Middle", key("p256", 1), ROOT, authority_of(0))
TSA = certify("TSA", key("p256", 2), ROOT)

GOOD = Forgery(cms.write(tst_info(DATA)), TSA)
STAMP = Stamped(NOON, "CN=TSA,C=VN", 99, POLICY)

KINDS = ("rsa2048", "rsa4096", "p256", "p384")


def checked(token: bytes, root: Holder = ROOT, nonce: int | None = None) -> Stamped:
    return check_token(token, DATA, [root.certificate], nonce)


def refused(token: bytes, code: str, root: Holder = ROOT) -> Malformed:
    with pytest.raises(Malformed) as caught:
        checked(token, root)
    assert caught.value.code == code, caught.value
    return caught.value


def stamped_by(openssl: Openssl, data: bytes = DATA) -> bytes:
    return parse_response(openssl.reply(make_request(data, NONCE)))


@pytest.fixture(scope="module", name="tokens")
def _tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """By the kind of the signer's key; the signer has its certificate from `MIDDLE`."""
    found = {}
    for kind in KINDS:
        signer = certify(f"TSA {kind}", key(kind, 3), MIDDLE)
        found[kind] = stamped_by(Openssl(tmp_path_factory.mktemp(kind), signer, [MIDDLE]))
    return found


# What is good.


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_by_openssl_is_accepted_and_openssl_says_the_same(
    tokens: dict[str, bytes], kind: str, tmp_path: Path
) -> None:
    stamped = checked(tokens[kind], nonce=NONCE)
    assert abs(datetime.now(UTC) - stamped.time) < timedelta(minutes=5)
    assert (stamped.authority, stamped.policy) == (f"CN=TSA {kind},C=VN", POLICY)
    assert stamped.serial > 0
    assert openssl_accepts(tmp_path, tokens[kind], DATA, ROOT)


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("ed25519", "sha512"), ("p521", "sha512"), ("p384", "sha384"), ("rsa3072", "sha256")],
)
def test_a_token_of_each_kind_of_key_is_accepted(kind: str, digest: str) -> None:
    signer = certify("TSA", key(kind, 4), ROOT)
    assert checked(replace(GOOD, signer=signer, digest=digest).token()) == STAMP


def test_a_forgery_of_the_tests_is_good_for_openssl_before_it_is_broken(tmp_path: Path) -> None:
    assert checked(GOOD.token(), nonce=7) == STAMP
    assert openssl_accepts(tmp_path, GOOD.token(), DATA, ROOT)
    assert not openssl_accepts(tmp_path, GOOD.token(), DATA + b"\n", ROOT)


def test_an_authority_whose_root_is_ed25519_is_accepted() -> None:
    root = certify("Root", key("ed25519", 1), extensions=authority_of())
    token = replace(GOOD, signer=certify("TSA", key("p256", 2), root)).token()
    assert checked(token, root) == STAMP


def test_a_stamp_by_sha1_named_certificate_is_accepted(tmp_path: Path) -> None:
    token = stamped_by(Openssl(tmp_path, TSA, certificate_digest="sha1"))
    assert checked(token, nonce=NONCE).authority == STAMP.authority


def test_a_signer_named_by_its_key_identifier_is_accepted() -> None:
    identifier = x509.SubjectKeyIdentifier(b"sixteen bytes id")
    signer = certify("TSA", key("p256", 2), ROOT, [*SIGNER, (identifier, False)])
    named = replace(GOOD, signer=signer, sid=identifier.digest)
    assert checked(named.token()) == STAMP
    refused(replace(named, version=1).token(), "timestamp_malformed")
    refused(replace(named, sid=b"another").token(), "timestamp_malformed")
    refused(replace(GOOD, sid=identifier.digest).token(), "timestamp_malformed")


def test_fractions_of_a_second_are_read() -> None:
    info = tst_info(DATA)
    info.time = GeneralizedTime(NOON + timedelta(milliseconds=125))
    assert checked(signed(info)).time == NOON + timedelta(milliseconds=125)


# The request and the response.


def test_a_request_asks_for_the_digest_with_nonce_and_certificates(tmp_path: Path) -> None:
    (tmp_path / "query").write_bytes(make_request(DATA, NONCE))
    text = subprocess.run(
        ["openssl", "ts", "-query", "-in", "query", "-text"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "Hash Algorithm: sha256" in text
    assert f"Nonce: 0x{NONCE:X}" in text
    assert "Certificate required: yes" in text


@pytest.mark.parametrize("nonce", [0, -1, 2**64])
def test_a_request_needs_a_nonce_of_64_bits(nonce: int) -> None:
    with pytest.raises(ValueError, match="nonce"):
        make_request(DATA, nonce)


def test_a_refusal_is_told_in_the_authoritys_words(tmp_path: Path) -> None:
    openssl = Openssl(tmp_path, TSA)
    with pytest.raises(Malformed, match=r"timestamp_refused: status 2 80 .+"):
        parse_response(openssl.reply(openssl.query(DATA, "md5")))


def test_a_grant_without_a_token_is_refused() -> None:
    status = StatusInfo(status=0, text=None, failure=None)
    with pytest.raises(Malformed, match="timestamp_malformed"):
        parse_response(cms.write(TimeStampResp(status=status, token=None)))


def test_each_prefix_of_a_response_is_refused_and_one_with_something_behind(tmp_path: Path) -> None:
    response = Openssl(tmp_path, TSA).reply(make_request(DATA, NONCE))
    for cut in (*(response[:end] for end in range(len(response))), response + b"\x00"):
        with pytest.raises(Malformed, match="timestamp_malformed"):
            parse_response(cut)


# What the token says.


def signed(info: cms.TSTInfo) -> bytes:
    return replace(GOOD, info=cms.write(info)).token()


def test_parameters_of_a_digest_are_null_or_none() -> None:
    info = tst_info(DATA)
    info.imprint.algorithm.parameters = Null()
    assert checked(signed(info)) == STAMP
    nothing = cms.PssParameters(digest=None, mask=None, salt=None, trailer=None)
    info.imprint.algorithm.parameters = nothing
    refused(signed(info), "timestamp_malformed")


def test_a_stamp_for_another_digest_is_refused(tokens: dict[str, bytes]) -> None:
    for token in tokens.values():
        with pytest.raises(Malformed, match="timestamp_other_digest"):
            check_token(token, DATA + b"\n", [ROOT.certificate])


def test_the_nonce_is_compared_where_it_is_known(tokens: dict[str, bytes]) -> None:
    for token in (tokens["p256"], signed(tst_info(DATA, nonce=None))):
        checked(token)
        with pytest.raises(Malformed, match="timestamp_nonce_differs"):
            checked(token, nonce=NONCE + 1)


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        ("sha1", "timestamp_algorithm_weak"),
        ("md5", "timestamp_algorithm_weak"),
        ("sha512", "timestamp_other_digest"),
    ],
)
def test_a_digest_of_the_data_other_than_sha256_is_refused(digest: str, code: str) -> None:
    refused(signed(tst_info(DATA, digest=digest)), code)


def test_a_sha1_digest_that_openssl_stamped_is_refused(tmp_path: Path) -> None:
    openssl = Openssl(tmp_path, TSA)
    token = parse_response(openssl.reply(openssl.query(DATA, "sha1")))
    assert openssl_accepts(tmp_path, token, DATA, ROOT)
    refused(token, "timestamp_algorithm_weak")


def test_the_contents_version_and_critical_extensions_are_refused() -> None:
    info = tst_info(DATA)
    info.version = 2
    refused(signed(info), "timestamp_malformed")
    for critical in (False, True):
        info = tst_info(DATA)
        oid = ObjectIdentifier("1.3.6.1.4.1.99999.2")
        info.extensions = [cms.Extension(oid=oid, critical=critical, value=b"\x05\x00")]
        if critical:
            refused(signed(info), "timestamp_malformed")
        else:
            assert checked(signed(info)) == STAMP


def test_a_content_that_is_no_tstinfo_is_refused_though_signed() -> None:
    for info in (b"", b"\x05\x00", GOOD.info + b"\x00", GOOD.info[:-1]):
        refused(replace(GOOD, info=info).token(), "timestamp_malformed")


# The signature and what it covers.


def test_a_signature_by_another_key_is_refused() -> None:
    other = Holder(key("p256", 9), TSA.certificate)
    refused(replace(GOOD, signer=other).token(), "timestamp_signature_wrong")
    other = Holder(key("rsa2048", 9), TSA.certificate)
    refused(replace(GOOD, signer=other).token(), "timestamp_signature_wrong")


def essv1(holder: Holder) -> cms.SigningCertificate:
    digest = holder.certificate.fingerprint(hashes.SHA1())  # noqa: S303 as authorities write it
    named = cms.EssCertID(digest=digest, issuer_serial=None)
    return cms.SigningCertificate(certificates=[named], policies=None)


def essv2(holder: Holder, digest: str = "sha256") -> cms.SigningCertificateV2:
    value = digest_of(digest, holder.der).digest()
    named = cms.EssCertIDv2(algorithm=algorithm(DIGESTS[digest]), digest=value, issuer_serial=None)
    return cms.SigningCertificateV2(certificates=[named], policies=None)


TWIN = certify("TSA", key("p256", 2), ROOT, serial=4712)  # the same key
EMPTY_V2 = cms.SigningCertificateV2(certificates=[], policies=None)
EMPTY_V1 = cms.SigningCertificate(certificates=[], policies=None)
V1, V2 = cms.SIGNING_CERTIFICATE, cms.SIGNING_CERTIFICATE_V2

BROKEN_ATTRIBUTES: list[tuple[Values, str]] = [
    ({cms.CONTENT_TYPE: []}, "timestamp_malformed"),
    ({cms.CONTENT_TYPE: [cms.SIGNED_DATA]}, "timestamp_malformed"),
    ({cms.CONTENT_TYPE: [cms.TST_INFO, cms.TST_INFO]}, "timestamp_malformed"),
    ({cms.CONTENT_TYPE: [b""]}, "timestamp_malformed"),
    ({cms.MESSAGE_DIGEST: []}, "timestamp_malformed"),
    ({cms.MESSAGE_DIGEST: [bytes(32)]}, "timestamp_signature_wrong"),
    ({V2: []}, "timestamp_malformed"),
    ({V2: [EMPTY_V2]}, "timestamp_malformed"),
    ({V2: [essv2(TWIN)]}, "timestamp_signature_wrong"),
    ({V2: [essv2(TSA, "sha1")]}, "timestamp_algorithm_weak"),
    ({V2: [essv2(TSA)], V1: [essv1(TWIN)]}, "timestamp_signature_wrong"),
    ({V2: [essv2(TWIN)], V1: [essv1(TSA)]}, "timestamp_signature_wrong"),
    ({V2: [], V1: [essv1(TWIN)]}, "timestamp_signature_wrong"),
    ({V2: [], V1: [EMPTY_V1]}, "timestamp_malformed"),
]


@pytest.mark.parametrize(("changed", "code"), BROKEN_ATTRIBUTES)
def test_signed_attributes_that_are_not_as_they_must_be(changed: Values, code: str) -> None:
    refused(GOOD.with_attributes(changed).token(), code)


@pytest.mark.parametrize(
    "changed",
    [
        {V2: [essv2(TSA)]},
        {V2: [essv2(TSA, "sha512")]},
        {V2: [essv2(TSA)], V1: [essv1(TSA)]},
        {V2: [], V1: [essv1(TSA)]},
        {ObjectIdentifier("1.2.3.4"): [b"anything", 5]},
    ],
)
def test_signed_attributes_that_authorities_write(changed: Values) -> None:
    assert checked(GOOD.with_attributes(changed).token()) == STAMP


def test_a_certificate_of_the_same_key_is_not_the_one_that_was_meant() -> None:
    root = certify("Root", key("ed25519", 1), extensions=authority_of())
    meant, twin = (certify("TSA", key("p256", 2), root, serial=serial) for serial in (1, 2))
    token = replace(GOOD, signer=meant).token()
    assert checked(token, root) == STAMP
    refused(token.replace(meant.der, twin.der), "timestamp_signature_wrong", root)


def test_a_signer_named_otherwise_is_refused() -> None:
    serial = TSA.certificate.serial_number
    for issuer, number in ((name("Rooted"), serial), (name("Root"), serial + 1)):
        sid = cms.IssuerAndSerialNumber(issuer=issuer, serial=number)
        refused(replace(GOOD, sid=sid).token(), "timestamp_malformed")
    refused(replace(GOOD, version=3).token(), "timestamp_malformed")


class Twofold(Forgery):
    """Each signed attribute twice, the second time with another value."""

    def _attributes(self) -> list[cms.Attribute]:
        first = super()._attributes()
        other = SetOf([tlv(b"other")])
        return [*first, *(cms.Attribute(type=one.type, values=other) for one in first)]


def test_a_signed_attribute_stands_once() -> None:
    assert "twice" in refused(Twofold(GOOD.info, TSA).token(), "timestamp_malformed").detail


def outer_type(token: cms.ContentInfo) -> None:
    token.type = cms.TST_INFO


def inner_type(token: cms.ContentInfo) -> None:
    token.content.encapsulated.type = cms.SIGNED_DATA


def older(token: cms.ContentInfo) -> None:
    token.content.version = 1


def no_digest(token: cms.ContentInfo) -> None:
    token.content.digest_algorithms = SetOf([])


def other_digest(token: cms.ContentInfo) -> None:
    token.content.digest_algorithms = SetOf([algorithm(DIGESTS["sha512"])])


def more_digests(token: cms.ContentInfo) -> None:
    both = [algorithm(DIGESTS["sha256"]), algorithm(DIGESTS["sha512"])]
    token.content.digest_algorithms = SetOf(both)


def no_certificates(token: cms.ContentInfo) -> None:
    token.content.certificates = []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (outer_type, "timestamp_malformed"),
        (inner_type, "timestamp_malformed"),
        (older, "timestamp_malformed"),
        (no_digest, "timestamp_malformed"),
        (other_digest, "timestamp_malformed"),
        (more_digests, "timestamp_malformed"),
        (no_certificates, "timestamp_signature_wrong"),
    ],
)
def test_what_no_signature_covers_is_as_it_must_be(
    change: Callable[[cms.ContentInfo], None], code: str
) -> None:
    token = cms.read(cms.ContentInfo, GOOD.token())
    assert checked(cms.write(token)) == STAMP
    change(token)
    refused(cms.write(token), code)


@pytest.mark.parametrize("signers", [0, 2])
def test_there_is_exactly_one_signer(signers: int) -> None:
    refused(replace(GOOD, signers=signers).token(), "timestamp_malformed")


def test_sha1_under_the_signature_is_refused(tmp_path: Path) -> None:
    token = stamped_by(Openssl(tmp_path, TSA, signer_digest="sha1"))
    refused(token, "timestamp_algorithm_weak")


@pytest.mark.parametrize(
    ("dotted", "code"),
    [
        ("1.2.840.113549.1.1.5", "timestamp_algorithm_weak"),
        ("1.2.840.113549.1.1.4", "timestamp_algorithm_weak"),
        ("1.2.840.10045.4.1", "timestamp_algorithm_weak"),
        ("1.2.840.113549.1.1.11", "timestamp_signature_wrong"),  # RSA, of an elliptic key
        ("1.3.101.112", "timestamp_signature_wrong"),
        ("1.2.840.10045.4.3.3", "timestamp_signature_wrong"),  # SHA-384
        ("1.3.101.113", "timestamp_algorithm_unsupported"),  # Ed448
    ],
)
def test_another_algorithm_than_the_one_that_signed_is_refused(dotted: str, code: str) -> None:
    claimed = algorithm(ObjectIdentifier(dotted))
    refused(replace(GOOD, signature_algorithm=claimed).token(), code)


def test_rsassa_pss_is_named_and_not_called_damage() -> None:
    parameters = cms.PssParameters(
        digest=[tlv(algorithm(DIGESTS["sha256"]))], mask=None, salt=[tlv(32)], trailer=None
    )
    oid = ObjectIdentifier("1.2.840.113549.1.1.10")
    pss = cms.Algorithm(oid=oid, parameters=parameters)
    token = replace(GOOD, signature_algorithm=pss).token()
    assert "1.1.10" in refused(token, "timestamp_algorithm_unsupported").detail


@pytest.mark.parametrize(
    ("kind", "code"),
    [("rsa1024", "timestamp_algorithm_weak"), ("p224", "timestamp_algorithm_unsupported")],
)
def test_a_weak_or_unusual_key_is_refused(kind: str, code: str) -> None:
    refused(replace(GOOD, signer=certify("TSA", key(kind), ROOT)).token(), code)
    root = certify("Root", key(kind), extensions=authority_of())
    refused(replace(GOOD, signer=certify("TSA", key("p256", 2), root)).token(), code, root)


# The signer's certificate.

ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
ALSO_MAIL = x509.ExtendedKeyUsage([*STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION])


def key_usage(*, signs: bool = False, certifies: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=not signs and not certifies,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        [(STAMPING, False)],
        [(ANY, True)],
        [(ALSO_MAIL, True)],
        [(STAMPING, True), (key_usage(), True)],
        [(STAMPING, True), (x509.InhibitAnyPolicy(0), True)],
        [
            (STAMPING, True),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),
        ],
    ],
)
def test_a_certificate_that_is_not_for_stamping_only_is_unfit(extensions: Extensions) -> None:
    signer = certify("TSA", key("p256", 2), ROOT, extensions)
    refused(replace(GOOD, signer=signer).token(), "timestamp_certificate_unfit")


def test_a_certificate_that_cryptography_stumbles_over_is_malformed() -> None:
    """It raises a KeyError for a TLS feature that it does not know, when extensions are read."""
    feature = x509.UnrecognizedExtension(x509.TLSFeature.oid, bytes.fromhex("3003020163"))
    signer = certify("TSA", key("p256", 2), ROOT, [*SIGNER, (feature, False)])
    refused(replace(GOOD, signer=signer).token(), "timestamp_malformed")


def test_a_certificate_that_may_sign_is_fit() -> None:
    usage = key_usage(signs=True)
    signer = certify("TSA", key("p256", 2), ROOT, [*SIGNER, (usage, True)])
    assert checked(replace(GOOD, signer=signer).token()) == STAMP


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("since", "until", "fit"),
    [
        (NOON, NOON, True),
        (NOON - SECOND, NOON - SECOND, False),
        (NOON + SECOND, NOON + SECOND, False),
    ],
)
def test_certificates_must_be_valid_at_the_time_of_the_stamp(
    since: datetime, until: datetime, *, fit: bool
) -> None:
    signer = certify("TSA", key("p256", 2), ROOT, since=since, until=until)
    root = certify("Root", key("p256"), extensions=authority_of(), since=since, until=until)
    for token, above in ((replace(GOOD, signer=signer).token(), ROOT), (GOOD.token(), root)):
        if fit:
            assert checked(token, above) == STAMP
        else:
            refused(token, "timestamp_certificate_unfit", above)


# The way to a root.


def through(middle: Holder, *more: Holder) -> bytes:
    signer = certify("TSA", key("p256", 2), middle)
    return replace(GOOD, signer=signer, others=[middle, *more]).token()


def test_a_way_through_another_authority_and_back_to_the_root_is_accepted() -> None:
    assert checked(through(MIDDLE)) == STAMP
    assert checked(through(MIDDLE, ROOT)) == STAMP
    assert checked(through(MIDDLE), MIDDLE) == STAMP


def test_a_root_may_be_the_signers_own_certificate() -> None:
    assert checked(GOOD.token(), TSA) == STAMP
    alone = certify("TSA", key("p256", 2))
    assert checked(replace(GOOD, signer=alone).token(), alone) == STAMP


def test_a_way_that_leads_elsewhere_is_refused() -> None:
    same_name = certify("Root", key("p256", 8), extensions=authority_of())
    other_name = certify("Other", key("p256", 8), extensions=authority_of())
    for root in (same_name, other_name, TWIN):
        refused(GOOD.token(), "timestamp_authority_unknown", root)
    signer = certify("TSA", key("p256", 2), MIDDLE)
    refused(replace(GOOD, signer=signer).token(), "timestamp_authority_unknown")
    with pytest.raises(Malformed, match="timestamp_authority_unknown"):
        check_token(GOOD.token(), DATA, [])


def test_a_root_in_the_token_is_no_root_of_ours() -> None:
    fake = certify("Fake", key("p256", 8), extensions=authority_of())
    refused(through(fake), "timestamp_authority_unknown")


SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
LIMITED = x509.NameConstraints([x509.DirectoryName(name("Other"))], None)


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        SIGNER,
        [*authority_of(), (key_usage(signs=True), True)],
        [*authority_of(), (SERVERS, False)],
        [*authority_of(), (LIMITED, True)],
    ],
)
def test_an_authority_that_may_not_certify_stamps_is_unfit(extensions: Extensions) -> None:
    middle = certify("Middle", key("p256", 1), ROOT, extensions)
    refused(through(middle), "timestamp_certificate_unfit")


@pytest.mark.parametrize("purpose", [STAMPING, ANY])
def test_an_authority_over_stamps_is_fit(purpose: x509.ExtendedKeyUsage) -> None:
    extensions = [*authority_of(), (purpose, False), (key_usage(certifies=True), True)]
    assert checked(through(certify("Middle", key("p256", 1), ROOT, extensions))) == STAMP


def test_a_path_longer_than_an_authority_allows_is_unfit() -> None:
    lower = certify("Lower", key("p256", 5), MIDDLE, authority_of())
    refused(through(lower, MIDDLE), "timestamp_certificate_unfit")
    middle = certify("Middle", key("p256", 1), ROOT, authority_of(1))
    lower = certify("Lower", key("p256", 5), middle, authority_of())
    assert checked(through(lower, middle)) == STAMP


def test_authorities_that_issue_each_other_lead_nowhere() -> None:
    one = certify("One", key("p256", 5), renamed("Two", key_number=6), authority_of())
    two = certify("Two", key("p256", 6), one, authority_of())
    refused(through(one, two), "timestamp_authority_unknown")


def renamed(common: str, key_number: int) -> Holder:
    return certify(common, key("p256", key_number), extensions=authority_of())


def test_a_second_way_is_found_when_the_first_is_a_bad_one() -> None:
    old = certify("Root", key("p256", 7), extensions=authority_of(), until=NOON - SECOND)
    stale = certify("Middle", key("p256", 1), old, authority_of())
    signer = certify("TSA", key("p256", 2), MIDDLE)
    roots = [old.certificate, ROOT.certificate]
    for others in ([stale, MIDDLE], [MIDDLE, stale]):
        token = replace(GOOD, signer=signer, others=others).token()
        assert check_token(token, DATA, roots) == STAMP


def test_a_certificate_that_rides_along_is_refused() -> None:
    for extra in (MIDDLE, TWIN):
        token = replace(GOOD, others=[extra]).token()
        refused(token, "timestamp_malformed")
    refused(replace(GOOD, others=[TSA]).token(), "timestamp_malformed")


def test_a_cross_certificate_by_an_unknown_authority_is_let_be() -> None:
    elsewhere = certify("Elsewhere", key("p256", 8), extensions=authority_of())
    cross = certify("Root", key("p256"), elsewhere, authority_of())
    assert checked(replace(GOOD, others=[cross]).token()) == STAMP


def test_sha1_under_a_certificate_is_refused(tmp_path: Path) -> None:
    signer = by_openssl(tmp_path, "sha1", "5")
    info = tst_info(DATA)
    info.time = GeneralizedTime(signer.certificate.not_valid_before_utc)
    refused(replace(GOOD, info=cms.write(info), signer=signer).token(), "timestamp_algorithm_weak")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("serial", ["0", "-5"])
def test_a_serial_number_that_is_not_positive_is_unfit(tmp_path: Path, serial: str) -> None:
    signer = by_openssl(tmp_path, "sha256", serial)
    info = tst_info(DATA)
    info.time = GeneralizedTime(signer.certificate.not_valid_before_utc)
    token = replace(GOOD, info=cms.write(info), signer=signer).token()
    refused(token, "timestamp_certificate_unfit")


def test_an_old_root_that_signed_itself_with_sha1_may_come_along(tmp_path: Path) -> None:
    old = self_signed_with_sha1(tmp_path)
    signer = certify("TSA", key("p256", 2), old)
    at = tst_info(DATA)
    at.time = GeneralizedTime(old.certificate.not_valid_before_utc)
    token = replace(GOOD, info=cms.write(at), signer=signer, others=[old]).token()
    assert checked(token, old).authority == STAMP.authority
    cross = certify("Old", old.key, ROOT, authority_of())
    both = replace(GOOD, info=cms.write(at), signer=signer, others=[old, cross])
    assert checked(both.token()).authority == STAMP.authority
    refused(token, "timestamp_algorithm_weak")


def self_signed_with_sha1(directory: Path) -> Holder:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -sha1 -subj /C=VN/CN=Old -keyout k -out c"
    subprocess.run(command.split(), cwd=directory, check=True, capture_output=True)
    own = load_pem_private_key((directory / "k").read_bytes(), None)
    assert isinstance(own, RSAPrivateKey)
    return Holder(own, x509.load_pem_x509_certificate((directory / "c").read_bytes()))


def by_openssl(directory: Path, digest: str, serial: str) -> Holder:
    """`cryptography` makes no such certificate. This one is valid from now on."""
    openssl = Openssl(directory, ROOT)
    request = x509.CertificateSigningRequestBuilder(name("TSA")).sign(TSA.key, hashes.SHA256())
    (directory / "request.pem").write_bytes(request.public_bytes(Encoding.PEM))
    (directory / "extensions").write_text("extendedKeyUsage=critical,timeStamping\n")
    subprocess.run(
        [
            *("openssl", "x509", "-req", "-in", "request.pem", f"-{digest}", "-CA", "signer.pem"),
            *(
                "-CAkey",
                "key.pem",
                "-set_serial",
                serial,
                "-extfile",
                "extensions",
                "-out",
                "new.pem",
            ),
        ],
        cwd=openssl.directory,
        check=True,
        capture_output=True,
    )
    found = x509.load_pem_x509_certificate((directory / "new.pem").read_bytes())
    return Holder(TSA.key, found)


# Bytes that came to harm.


@sequence
class SignerWithMore:
    version: int
    sid: cms.IssuerAndSerialNumber
    digest_algorithm: cms.Algorithm
    signed: Annotated[SetOf[cms.Attribute], Implicit(0)]
    signature_algorithm: cms.Algorithm
    signature: bytes
    unsigned: Annotated[SetOf[cms.Attribute], Implicit(1)]


def test_unsigned_attributes_are_refused() -> None:
    token = GOOD.token()
    (signer,) = cms.read(cms.ContentInfo, token).content.signers.as_list()
    more = cms.Attribute(type=ObjectIdentifier("1.2.3"), values=SetOf([tlv(Null())]))
    assert isinstance(signer.sid, cms.IssuerAndSerialNumber)
    longer = SignerWithMore(
        version=signer.version,
        sid=signer.sid,
        digest_algorithm=signer.digest_algorithm,
        signed=signer.signed,
        signature_algorithm=signer.signature_algorithm,
        signature=signer.signature,
        unsigned=SetOf([more]),
    )
    refused(spliced(token, cms.write(signer), cms.write(longer)), "timestamp_malformed")


def test_revocation_lists_are_refused() -> None:
    """They would stand between the certificates and the signers."""
    token = GOOD.token()
    signers = cms.write(cms.read(cms.ContentInfo, token).content.signers)
    for lists in (b"\xa1\x00", b"\xa1\x02\x30\x00"):
        refused(spliced(token, signers, lists + signers), "timestamp_malformed")
    assert checked(spliced(token, signers, signers)) == STAMP


def spliced(der: bytes, old: bytes, new: bytes) -> bytes:
    """``der`` with ``old`` replaced where it ends it, the lengths around it put right."""
    if der == old:
        return new
    assert der.endswith(old)
    head = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    inner, before = der[head:], b""
    while inner != old and not (inner[:1] in b"\x30\x31\xa0" and reaches_end(inner)):
        step = length_of(inner)
        before, inner = before + inner[:step], inner[step:]
    body = before + spliced(inner, old, new)
    return der[:1] + encoded_length(len(body)) + body


def length_of(der: bytes) -> int:
    if der[1] < 0x80:
        return 2 + der[1]
    count = der[1] & 0x7F
    return 2 + count + int.from_bytes(der[2 : 2 + count], "big")


def reaches_end(der: bytes) -> bool:
    return length_of(der) == len(der)


def encoded_length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    size = (length.bit_length() + 7) // 8
    return bytes([0x80 | size]) + length.to_bytes(size, "big")


def test_each_bit_of_a_token_is_bound(tokens: dict[str, bytes]) -> None:
    """The chain is in the token and nothing else is: no byte of it can be another one."""
    for kind in ("rsa2048", "p256"):
        token = tokens[kind]
        for at in range(len(token)):
            for bit in range(8):
                changed = bytearray(token)
                changed[at] ^= 1 << bit
                with pytest.raises(Malformed, match="timestamp_"):
                    checked(bytes(changed), nonce=NONCE)


def test_the_count_of_unused_bits_behind_a_signature_is_bound() -> None:
    """Where a signature ends in zero bits, DER would allow them to be left out."""
    signer = next(
        found
        for serial in range(1, 1000)
        if not (found := certify("TSA", key("p256", 2), ROOT, serial=serial)).der[-1] & 1
    )
    signature = b"\x00" + signer.certificate.signature
    changed = signer.der.removesuffix(signature) + b"\x01" + signature[1:]
    assert x509.load_der_x509_certificate(changed).signature == signer.certificate.signature
    forged = Holder(signer.key, x509.load_der_x509_certificate(changed))
    assert forged.der == changed
    assert checked(replace(GOOD, signer=signer).token()) == STAMP
    refused(replace(GOOD, signer=forged).token(), "timestamp_malformed")


def test_of_a_root_that_came_along_only_what_says_who_signed_it_is_free() -> None:
    """Then it is a cross-certificate by somebody whom nobody here knows, or by an old algorithm."""
    token = through(MIDDLE, ROOT)
    start = token.index(ROOT.der)
    issuer = name("Root").public_bytes()
    first = start + ROOT.der.index(issuer)
    oid = cms.write(ROOT.certificate.signature_algorithm_oid)
    second = start + ROOT.der.rindex(oid)
    for at in range(start, start + len(ROOT.der)):
        for bit in range(8):
            changed = bytearray(token)
            changed[at] ^= 1 << bit
            try:
                assert checked(bytes(changed)) == STAMP
            except Malformed:
                continue
            assert at - first in range(len(issuer)) or at - second in range(len(oid))


def test_each_prefix_is_refused_and_a_token_with_something_behind(tokens: dict[str, bytes]) -> None:
    for token in tokens.values():
        for cut in (*(token[:end] for end in range(len(token))), token + b"\x00", token + token):
            refused(cut, "timestamp_malformed")


def test_a_length_in_its_long_form_is_refused() -> None:
    token = GOOD.token()
    assert token[1] == 0x82
    refused(token[:1] + b"\x83\x00" + token[2:], "timestamp_malformed")
    refused(token[:1] + b"\x80" + token[4:] + b"\x00\x00", "timestamp_malformed")


def mutations() -> Iterator[Callable[[bytes, int, bytes], bytes]]:
    yield lambda token, at, part: token[:at] + part + token[at:]
    yield lambda token, at, part: token[:at] + part + token[at + len(part) :]
    yield lambda token, at, part: token[:at] + token[at + len(part) :]


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(GOOD.token())),
    part=st.binary(min_size=1, max_size=12),
    change=st.sampled_from(list(mutations())),
)
def test_whatever_is_changed_the_token_is_the_same_or_refused(
    at: int, part: bytes, change: Callable[[bytes, int, bytes], bytes]
) -> None:
    with suppress(Malformed):
        assert checked(change(GOOD.token(), at, part)) == STAMP


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_as_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="timestamp_malformed"):
        checked(data)
    with pytest.raises(Malformed, match=r"timestamp_(malformed|refused)"):
        parse_response(data)
    # As a content that the authority itself signed, too.
    refused(replace(GOOD, info=data).token(), "timestamp_malformed")


def nested(tag: bytes) -> bytes:
    found = b""
    while len(found) < MAX_TOKEN_BYTES - 5:
        found = tag + encoded_length(len(found)) + found
    return found


@pytest.mark.parametrize("tag", [b"\x30", b"\x31", b"\xa0"])
def test_what_is_nested_deeply_is_refused(tag: bytes) -> None:
    refused(nested(tag), "timestamp_malformed")
    refused((tag + b"\x80") * (MAX_TOKEN_BYTES // 2), "timestamp_malformed")
    refused(replace(GOOD, info=nested(tag)[-30_000:]).token(), "timestamp_malformed")


def test_what_is_too_long_is_refused() -> None:
    assert refused(bytes(MAX_TOKEN_BYTES + 1), "timestamp_malformed").detail == "65536 bytes"
    with pytest.raises(Malformed, match="timestamp_malformed: 65536 bytes"):
        parse_response(bytes(MAX_TOKEN_BYTES + 1))


def test_a_tangle_of_certificates_is_done_with_in_time() -> None:
    """As many as there may be, each issued by every other one."""
    knot = [renamed_again(serial) for serial in range(1, 16)]
    signer = certify("TSA", key("rsa4096", 1), knot[0])
    token = replace(GOOD, signer=signer, others=knot).token()
    start = time.process_time()
    refused(token, "timestamp_authority_unknown")
    assert time.process_time() - start < 1
    more = replace(GOOD, signer=signer, others=[*knot, renamed_again(16)])
    refused(more.token(), "timestamp_malformed")


def renamed_again(serial: int) -> Holder:
    return certify("Knot", key("rsa4096", 1), extensions=authority_of(), serial=serial)
