"""`dondoc authority` and certificates of `dondoc key`, as a person types them, on a real door."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs12,
)

from audit.paths import load
from audit.private_keys import PrivateKey
from cli.certifying import ordered
from embedded.keyring import PASSPHRASE_VARIABLE
from gateway.composing import prove_enrolment
from messages import LANGUAGES
from tests.cli.shell import PASSPHRASE, Shell
from tests.support.certificates import Issuer, pem_of
from tests.support.publishing import published

POST = ("--role", "snv:officer", "--title-vi", "Cán bộ", "--title-en", "Officer")
DAY = timedelta(days=1)
SECRET = ec.derive_private_key(4321, ec.SECP256R1())
KEY = PrivateKey(SECRET)
ROOT = Issuer.root("Root CA")
UPPER = ROOT.authority("Upper CA")
LOWER = UPPER.authority("Lower CA")


@pytest.fixture(name="files")
def _files(served: Shell, tmp_path: Path) -> Path:
    """The authorities' certificates and a person's, with its key in a PKCS#12 file and its proof;
    the root is trusted, and the person in the directory.
    """
    der = LOWER.person(KEY, served.world.now - DAY, 30 * DAY)
    (tmp_path / "an.cer").write_bytes(der)
    (tmp_path / "an.pem").write_bytes(b"".join(map(pem_of, (der, UPPER.der, ROOT.der, LOWER.der))))
    (tmp_path / "between.pem").write_bytes(pem_of(UPPER.der) + pem_of(LOWER.der))
    (tmp_path / "root.cer").write_bytes(ROOT.der)
    others = [x509.load_der_x509_certificate(each.der) for each in (ROOT, UPPER, LOWER)]
    (tmp_path / "an.p12").write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"an", SECRET, x509.load_der_x509_certificate(der), others,
            BestAvailableEncryption(PASSPHRASE),
        )
    )  # fmt: skip
    (tmp_path / "an.proof").write_text(prove_enrolment(served.world.origin, "snv.an", KEY))
    assert served("directory", "add-person", "snv.an", *POST) == 0, served.complained
    served("authority", "trust", "root", str(tmp_path / "root.cer"))
    assert served.status == 0, served.complained
    return tmp_path


def revoked(files: Path, shell: Shell, issuer: Issuer, *certificates: bytes) -> str:
    crl = issuer.revoking(certificates, shell.world.now, number=7)
    pem = x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
    (files / "list.pem").write_bytes(pem)
    return str(files / "list.pem")


def keys(shell: Shell) -> dict[str, Any]:
    return {key["key"]: key for key in shell.json("key", "list", "--all")["keys"]}


@pytest.mark.parametrize(
    "given",
    [("--key", "an.p12"), ("--key", "an.p12", "--proof", "an.proof"),
     ("--certificate", "an.pem", "--proof", "an.proof"),
     ("--certificate", "an.cer", "--chain", "between.pem", "--proof", "an.proof")],
    ids=["pkcs12", "pkcs12 and proof", "one pem", "two files"],
)  # fmt: skip
def test_a_person_is_enrolled_with_the_intermediates_that_came_along(
    served: Shell, files: Path, given: tuple[str, ...]
) -> None:
    words = [str(files / word) if "." in word else word for word in given]
    assert served("key", "enrol", "snv.an", *words) == 0, served.complained
    assert keys(served)[KEY.public.id]["valid_until"] is not None
    assert served("audit", "verify") == 0, served.said


def test_what_lies_beyond_a_trusted_intermediate_is_left_out(served: Shell, files: Path) -> None:
    (files / "lower.pem").write_bytes(pem_of(LOWER.der))
    assert served("authority", "trust", "lower", str(files / "lower.pem")) == 0, served.complained
    assert served("authority", "distrust", "root") == 0
    served("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    assert served.status == 0, served.complained


def test_a_missing_intermediate_is_told(served: Shell, files: Path) -> None:
    given = ("--certificate", str(files / "an.cer"), "--proof", str(files / "an.proof"))
    words = ("key", "enrol", "snv.an", *given)
    assert served.json(*words)["refused"] == "authority_unknown"


def test_a_proof_that_was_brought_along_counts_before_one_that_could_be_made(
    served: Shell, files: Path
) -> None:
    (files / "an.proof").write_text(prove_enrolment(served.world.origin, "snv.officer", KEY))
    words = ("--key", str(files / "an.p12"), "--proof", str(files / "an.proof"))
    assert served.json("key", "enrol", "snv.an", *words)["refused"] == "enrolment_not_proved"


def test_a_person_exchanges_their_key_for_that_of_a_p12_file(served: Shell, files: Path) -> None:
    served("key", "rotate", "snv.officer", "--key", str(files / "an.p12"))
    assert served.status == 0, served.complained
    assert keys(served)[KEY.public.id]["holder"] == "snv.officer"
    assert served("audit", "verify") == 0, served.said


def test_the_passphrase_opens_the_key_file(
    served: Shell, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    words = ("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    assert served.json(*words)["refused"] == "private_key_unreadable"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_ends_keys_and_says_whose(served: Shell, files: Path, language: str) -> None:
    served("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    listed = served.json("authority", "list")["authorities"]
    assert [(each["authority"], each["keys"]) for each in listed] == [("root", [KEY.public.id])]
    path = revoked(files, served, LOWER, (files / "an.cer").read_bytes())
    assert served("authority", "revocations", path, language=language) == 0, served.complained
    assert "snv.an" in served.said
    assert keys(served)[KEY.public.id]["reason"] == "certificate_revoked"
    *_, last = served.json("directory", "history", "snv.an")["entries"]
    assert last["event"] == "revocation_list"
    assert last["arguments"] == {"authority": "root", "keys": [KEY.public.id]}
    assert served("directory", "history", "snv.an", language=language) == 0
    assert "root" in served.said
    assert served("key", "list", "--all", language=language) == 0
    (entered,) = served.json("authority", "list")["authorities"]
    assert (entered["keys"], entered["lists"][0]["number"]) == ([], 7)
    assert served("authority", "list", language=language) == 0
    assert "Root CA" in served.said
    assert served.json("authority", "revocations", path)["refused"] == "crl_older"
    assert served("audit", "verify") == 0, served.said


def test_a_list_by_an_intermediate_of_nobody_needs_the_certificates_between(
    served: Shell, files: Path
) -> None:
    path = revoked(files, served, LOWER, (files / "an.cer").read_bytes())
    assert served.json("authority", "revocations", path)["refused"] == "crl_not_of_authority"
    chain = files / "chain.pem"
    chain.write_bytes(pem_of(LOWER.der) + pem_of(UPPER.der))
    served("authority", "revocations", path, "--chain", str(chain))
    assert served.status == 0, served.complained
    words = ("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    assert served.json(*words)["refused"] == "certificate_revoked"


def test_a_list_by_the_authority_itself_needs_nothing(served: Shell, files: Path) -> None:
    served("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    path = revoked(files, served, ROOT, UPPER.der)
    found = served.json("authority", "revocations", path)
    assert [each["holder"] for each in found["ended"]] == ["snv.an"]


def test_of_two_authorities_by_one_name_the_list_is_that_of_the_key_that_signed_it(
    served: Shell, files: Path
) -> None:
    renewed = UPPER.authority("Lower CA", ec.derive_private_key(77, ec.SECP256R1()))
    key, now = PrivateKey(ec.derive_private_key(4322, ec.SECP256R1())), served.world.now
    der = renewed.person(key, now - DAY, 30 * DAY, "Bình")
    (files / "binh.pem").write_bytes(b"".join(map(pem_of, (der, renewed.der, UPPER.der))))
    (files / "binh.proof").write_text(prove_enrolment(served.world.origin, "snv.binh", key))
    served("directory", "add-person", "snv.binh", *POST)
    served("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    words = ("--certificate", str(files / "binh.pem"), "--proof", str(files / "binh.proof"))
    assert served("key", "enrol", "snv.binh", *words) == 0, served.complained
    for issuer, whose, mine in (
        (renewed, "snv.binh", der), (LOWER, "snv.an", (files / "an.cer").read_bytes()),
    ):  # fmt: skip
        found = served.json("authority", "revocations", revoked(files, served, issuer, mine))
        assert [each["holder"] for each in found["ended"]] == [whose]
    assert served("audit", "verify") == 0, served.said


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_name_in_a_certificate_is_shown_and_is_nobody_elses(
    served: Shell, files: Path, language: str
) -> None:
    show = ("directory", "show", "--person", "snv.an")
    assert served.json(*show)["subject"] is None
    served("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    assert served.json(*show)["subject"] == "CN=Cán bộ"
    size = len(served.world.rows())
    published(served.world, files / "log").publish()
    assert served.json(*show, "--at", str(size))["subject"] == "CN=Cán bộ"
    assert served.json(*show, "--at", str(size - 1))["subject"] is None
    assert served(*show, language=language) == 0
    assert "CN=Cán bộ" in served.said
    other = PrivateKey(ec.derive_private_key(4323, ec.SECP256R1()))
    der = LOWER.person(other, served.world.now - DAY, 30 * DAY)
    (files / "other.pem").write_bytes(pem_of(der) + pem_of(LOWER.der) + pem_of(UPPER.der))
    (files / "other.proof").write_text(prove_enrolment(served.world.origin, "snv.officer", other))
    words = ("--certificate", str(files / "other.pem"), "--proof", str(files / "other.proof"))
    assert served("key", "rotate", "snv.officer", *words, language=language) == 1
    assert "snv.an" in served.complained


def test_the_end_of_trust_tells_how_many_keys_stay(served: Shell, files: Path) -> None:
    served("key", "enrol", "snv.an", "--key", str(files / "an.p12"))
    assert served.json("authority", "distrust", "root")["keys"] == [KEY.public.id]
    assert keys(served)[KEY.public.id]["state"] == "in_force"
    assert served.json("authority", "distrust", "root")["refused"] == "authority_unknown"
    assert served.json("authority", "list")["authorities"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("trust", "root", "root.cer"), "authority_exists"),
        (("trust", "x y", "other.cer"), "bad_argument"),
        (("trust", "an", "an.cer"), "authority_unfit"),
        (("trust", "an", "nothing"), "certificate_unreadable"),
        (("trust", "an", "missing"), "key_file_missing"),
        (("distrust", "nobody"), "authority_unknown"),
        (("revocations", "nothing"), "crl_unreadable"),
        (("revocations", "missing"), "key_file_missing"),
        (("revocations", "long"), "crl_too_long"),
        (("revocations", "strange"), "crl_not_of_authority"),
    ],
)
def test_what_is_not_possible_says_why(
    served: Shell, files: Path, words: tuple[str, ...], code: str
) -> None:
    stranger, now = Issuer.root("Stranger"), served.world.now
    (files / "nothing").write_text("hello")
    (files / "other.cer").write_bytes(Issuer.root("Other CA").der)
    (files / "strange").write_bytes(stranger.revoking([], now))
    (files / "long").write_bytes(ROOT.revoking([], now, serials=range(1, 2_000)))
    paths = {"root.cer", "other.cer", "an.cer", "nothing", "missing", "long", "strange"}
    given = [str(files / word) if word in paths else word for word in words]
    assert served.json("authority", *given)["refused"] == code


def test_intermediates_are_put_in_order_and_strangers_left_out() -> None:
    stranger = ROOT.authority("Stranger CA")
    mine = load(LOWER.person(KEY, datetime(2026, 1, 1, tzinfo=UTC), DAY))
    bag = [load(each.der) for each in (ROOT, stranger, UPPER, LOWER)]
    assert ordered(mine, bag) == [load(LOWER.der), load(UPPER.der)]
    assert ordered(mine, []) == []
