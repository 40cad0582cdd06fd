"""Certificates, lists and PKCS#12 files on disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs12,
)

from audit.private_keys import PrivateKey
from domain.refusal import Refused
from embedded.certificates import read_bag, read_certificates, read_revocations
from tests.support.certificates import Issuer, certificate_of, pem_of

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
SECRET = ec.derive_private_key(777, ec.SECP256R1())
KEY = PrivateKey(SECRET)
ROOT = Issuer.root("Root")
BRANCH = ROOT.authority("Branch")


def bag(certificate: bytes | None, *others: bytes) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"person", SECRET,
        x509.load_der_x509_certificate(certificate) if certificate else None,
        [x509.load_der_x509_certificate(each) for each in others],
        BestAvailableEncryption(b"passphrase"),
    )  # fmt: skip


def test_a_certificate_may_be_pem_or_der_and_pem_may_hold_several(tmp_path: Path) -> None:
    der = certificate_of(KEY, BEGINS, WEEK)
    (tmp_path / "c.der").write_bytes(der)
    (tmp_path / "c.pem").write_bytes(pem_of(der))
    (tmp_path / "two.pem").write_bytes(pem_of(der) + pem_of(ROOT.der))
    assert read_certificates(tmp_path / "c.der") == [der]
    assert read_certificates(tmp_path / "c.pem") == [der]
    assert read_certificates(tmp_path / "two.pem") == [der, ROOT.der]
    (tmp_path / "c.bad").write_text("-----BEGIN CERTIFICATE-----\nhello")
    with pytest.raises(Refused, match="certificate_unreadable"):
        read_certificates(tmp_path / "c.bad")
    with pytest.raises(Refused, match="key_file_missing"):
        read_certificates(tmp_path / "none")


def test_a_list_may_be_pem_or_der(tmp_path: Path) -> None:
    der = ROOT.revoking([BRANCH.der], BEGINS)
    (tmp_path / "l.der").write_bytes(der)
    (tmp_path / "l.pem").write_bytes(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM))
    assert read_revocations(tmp_path / "l.der") == read_revocations(tmp_path / "l.pem") == der
    (tmp_path / "l.bad").write_bytes(pem_of(ROOT.der))
    with pytest.raises(Refused, match="crl_unreadable"):
        read_revocations(tmp_path / "l.bad")
    with pytest.raises(Refused, match="key_file_missing"):
        read_revocations(tmp_path / "none")


def test_a_pkcs12_file_tells_its_key_and_its_certificates(tmp_path: Path) -> None:
    der = BRANCH.person(KEY, BEGINS, WEEK)
    (tmp_path / "a.p12").write_bytes(bag(der, ROOT.der, BRANCH.der))
    found = read_bag(tmp_path / "a.p12", b"passphrase")
    assert (found.key.public, found.certificate) == (KEY.public, der)
    assert set(found.others) == {ROOT.der, BRANCH.der}
    with pytest.raises(Refused, match="private_key_unreadable"):
        read_bag(tmp_path / "a.p12", b"wrong")
    with pytest.raises(Refused, match="key_file_missing"):
        read_bag(tmp_path / "none", b"passphrase")


def test_a_key_file_without_a_certificate_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.p12").write_bytes(bag(None))
    (tmp_path / "a.pem").write_bytes(KEY.to_pem(b"passphrase"))
    for name in ("a.p12", "a.pem"):
        with pytest.raises(Refused, match="key_file_without_certificate"):
            read_bag(tmp_path / name, b"passphrase")
