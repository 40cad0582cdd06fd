"""Key files and certificates: PKCS#8, PKCS#12 by openssl and by the library, X.509."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs12,
)

from audit.certificates import load_certificate
from audit.malformed import Malformed
from audit.private_keys import PrivateKey, load_pkcs12, load_private, private_key
from tests.support.certificates import certificate_of, clear_pem

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
PASSPHRASE = b"mat khau"
KEYS = {
    "ed25519": private_key(bytes(range(32))),
    "p256": PrivateKey(ec.derive_private_key(1234, ec.SECP256R1())),
    "p384": PrivateKey(ec.derive_private_key(1234, ec.SECP384R1())),
    "rsa": PrivateKey(rsa.generate_private_key(65537, 2048)),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_comes_back_from_an_encrypted_file(name: str) -> None:
    key = KEYS[name]
    again = load_private(key.to_pem(PASSPHRASE), PASSPHRASE)
    assert again.public == key.public
    assert key.public.verify(again.sign(b"m"), b"m")
    assert repr(again) == "PrivateKey()"


@pytest.mark.parametrize("name", KEYS)
def test_a_key_and_its_certificate_come_from_a_pkcs12_file_by_openssl(
    name: str, tmp_path: Path
) -> None:
    key, der = KEYS[name], certificate_of(KEYS[name], BEGINS, YEAR)
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    (tmp_path / "cert.pem").write_bytes(pem)
    (tmp_path / "key.pem").write_bytes(clear_pem(key.unwrapped))
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem",
         "-out", "person.p12", "-passout", f"pass:{PASSPHRASE.decode()}"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    data = (tmp_path / "person.p12").read_bytes()
    found, certificate = load_pkcs12(data, PASSPHRASE)
    assert (found.public, certificate) == (key.public, der)
    with pytest.raises(Malformed, match="private_key_unreadable"):
        load_pkcs12(data, b"wrong")


@pytest.mark.parametrize("name", KEYS)
def test_a_key_and_its_certificate_come_from_a_pkcs12_file_by_the_library(name: str) -> None:
    key, der = KEYS[name], certificate_of(KEYS[name], BEGINS, YEAR)
    private = key.unwrapped
    assert not isinstance(private, MLDSA44PrivateKey)
    data = pkcs12.serialize_key_and_certificates(
        b"person", private, x509.load_der_x509_certificate(der), None,
        BestAvailableEncryption(PASSPHRASE),
    )  # fmt: skip
    assert load_pkcs12(data, PASSPHRASE)[0].public == key.public
    assert load_pkcs12(data, PASSPHRASE)[1] == der


def test_a_pkcs12_file_without_a_key_is_refused() -> None:
    certificate = x509.load_der_x509_certificate(certificate_of(KEYS["p256"], BEGINS, YEAR))
    data = pkcs12.serialize_key_and_certificates(
        None, None, certificate, None, BestAvailableEncryption(PASSPHRASE)
    )
    with pytest.raises(Malformed, match="no private key"):
        load_pkcs12(data, PASSPHRASE)


def test_a_weak_private_key_does_not_open_either() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    with pytest.raises(Malformed, match="rsa_key_size"):
        load_private(PrivateKey(weak).to_pem(PASSPHRASE), PASSPHRASE)
    curve = ec.derive_private_key(5, ec.SECP256K1())
    with pytest.raises(Malformed, match="key_type_unsupported"):
        load_private(PrivateKey(curve).to_pem(PASSPHRASE), PASSPHRASE)


@pytest.mark.parametrize("name", KEYS)
def test_a_certificate_tells_its_key_and_when_it_ends(name: str) -> None:
    found = load_certificate(certificate_of(KEYS[name], BEGINS, YEAR))
    assert found.key == KEYS[name].public
    assert found.not_before == "2026-01-01T00:00:00.000000Z"
    assert found.not_after == "2027-01-01T00:00:00.000000Z"
    found.check_valid(found.not_before)
    found.check_valid(found.not_after)
    with pytest.raises(Malformed, match="certificate_expired"):
        found.check_valid("2027-01-01T00:00:00.000001Z")
    with pytest.raises(Malformed, match="certificate_not_yet_valid"):
        found.check_valid("2025-12-31T23:59:59.999999Z")


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_a_truncated_certificate_is_refused(cut: int) -> None:
    with pytest.raises(Malformed, match="certificate_unreadable"):
        load_certificate(certificate_of(KEYS["p256"], BEGINS, YEAR)[:cut])


def test_a_certificate_with_something_behind_it_is_refused() -> None:
    with pytest.raises(Malformed, match="certificate_unreadable"):
        load_certificate(certificate_of(KEYS["p256"], BEGINS, YEAR) + b"\x00")


def test_the_certificate_of_a_weak_key_is_refused() -> None:
    weak = PrivateKey(rsa.generate_private_key(65537, 1024))  # noqa: S505 - likewise
    with pytest.raises(Malformed, match="rsa_key_size"):
        load_certificate(certificate_of(weak, BEGINS, YEAR))
