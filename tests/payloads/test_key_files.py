"""The payload keys on disk: made, rotated, read again, and refused."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from domain.refusal import Refused
from embedded import founding, keyring, payload_keys
from embedded.home import Home
from embedded.payload_keys import KeyFiles
from payloads.keys import PayloadKey
from payloads.ring import KeyMissing


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv(keyring.PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.delenv(payload_keys.DIRECTORY_VARIABLE, raising=False)
    home = Home(tmp_path / "data")
    founding.make_keys(home)
    return home


def files(home: Home) -> list[Path]:
    return sorted(home.keys.glob("payload-*"))


def test_the_first_start_makes_one_and_keeps_it_like_the_other_keys(home: Home) -> None:
    (file,) = files(home)
    key = payload_keys.ring(home).newest()
    assert file.name == f"payload-0001-{key.id}.pem"
    assert file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    founding.make_keys(home)
    assert [each.read_bytes() for each in files(home)] == [before]


def test_a_log_whose_payload_keys_are_gone_does_not_start_with_another_one(home: Home) -> None:
    files(home)[0].unlink()
    with pytest.raises(Refused, match="payload_keys_missing"):
        founding.make_keys(home)
    with pytest.raises(Refused, match="payload_keys_missing"):
        payload_keys.ring(home)
    made = payload_keys.make_next(home)
    founding.make_keys(home)
    assert payload_keys.ring(home).newest() == made


def test_a_new_key_is_taken_up_by_a_ring_in_use_and_the_old_one_stays(home: Home) -> None:
    ring = payload_keys.ring(home)
    first = ring.newest()
    second = payload_keys.make_next(home)
    assert ring.find(second.id) == second
    assert ring.newest() == second
    assert ring.find(first.id) == first
    assert [each.name[:12] for each in files(home)] == ["payload-0001", "payload-0002"]
    # After nine thousand come ten thousand: numbers count, not names.
    files(home)[1].rename(home.keys / f"payload-10000-{second.id}.pem")
    third = payload_keys.make_next(home)
    assert payload_keys.ring(home).newest() == third
    assert (home.keys / f"payload-10001-{third.id}.pem").exists()


def test_a_file_is_opened_once_and_again_when_it_has_changed(home: Home) -> None:
    source = KeyFiles(home.keys, keyring.read_passphrase(home))
    (key,) = source.read_all()
    path = files(home)[0]
    content = path.read_bytes()
    assert source()[0] is key
    path.write_bytes(content[:-9])
    assert source() == []
    path.write_bytes(content)
    assert source() == [key]
    os.utime(path, (1, 1))
    assert source()[0] is not key


def test_a_directory_that_is_gone_for_a_while_takes_no_key_away(home: Home) -> None:
    ring = payload_keys.ring(home)
    key = ring.newest()
    home.keys.rename(home.path / "away")
    with pytest.raises(KeyMissing):
        ring.find("0" * 16)
    assert ring.find(key.id) == key


def test_another_passphrase_opens_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keyring.PASSPHRASE_VARIABLE, "another")
    with pytest.raises(Refused, match="private_key_unreadable"):
        payload_keys.ring(home)


def test_a_file_of_another_key_or_of_another_kind_is_not_taken(home: Home) -> None:
    passphrase = keyring.read_passphrase(home)
    key = payload_keys.ring(home).newest()
    other = X25519PrivateKey.from_private_bytes(b"o" * 32).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
    )
    for content in (other, keyring.new_key().to_pem(passphrase), b"hello", b""):
        path = home.keys / f"payload-0002-{PayloadKey(b'p' * 32).id}.pem"
        path.write_bytes(content)
        with pytest.raises(Refused, match="private_key_unreadable"):
            payload_keys.ring(home)
        # A service that runs goes on with what it has.
        assert KeyFiles(home.keys, passphrase)() == [key]


def test_several_workers_share_a_directory_by_name(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv(payload_keys.DIRECTORY_VARIABLE, str(shared))
    with pytest.raises(Refused, match="payload_keys_missing"):
        payload_keys.ring(home)
    made = payload_keys.make_next(home)
    other = Home(tmp_path / "other")
    other.prepare()
    other.passphrase.write_bytes(home.passphrase.read_bytes())
    assert payload_keys.ring(home).newest() == payload_keys.ring(other).newest() == made
    assert len(files(home)) == 1


def test_a_directory_that_takes_no_file_is_named(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(payload_keys.DIRECTORY_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(Refused, match="payload_key_not_written"):
        payload_keys.make_next(home)
