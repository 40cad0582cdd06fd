"""Keys on disk: which file is found for the key that the directory names."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    pkcs12,
)

from audit.algorithms import Kind
from audit.private_keys import PrivateKey
from domain.directory import SERVICE
from domain.refusal import Refused
from embedded import founding, keyring
from embedded.home import Home
from tests.support.certificates import certificate_of
from tests.support.world import FOUNDING, World, key_of, pq_key_of

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
P256 = PrivateKey(ec.derive_private_key(77, ec.SECP256R1()))


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv(keyring.PASSPHRASE_VARIABLE, raising=False)
    return Home(tmp_path / "data")


@pytest.fixture(name="world")
def _world(home: Home) -> Iterator[World]:
    """A founded log whose own keys lie in the home."""
    home.prepare()
    home.passphrase.write_bytes(b"passphrase")
    world = World(f"sqlite:///{home.path / 'log.sqlite'}")
    home.origin.write_text(world.origin)
    for holder, key in FOUNDING.items():
        keyring.save_key(keyring.key_path(home, holder), key, b"passphrase")
    yield world
    world.close()


def test_the_first_start_makes_a_key_for_each_purpose(home: Home) -> None:
    founding.make_keys(home)
    passphrase = keyring.read_passphrase(home)
    keys = [keyring.read_key(keyring.key_path(home, holder), passphrase) for holder in SERVICE]
    assert len({key.public.id for key in keys}) == len(SERVICE)
    kinds = {holder: key.public.kind for holder, key in zip(SERVICE, keys, strict=True)}
    assert kinds == {
        **dict.fromkeys(SERVICE, Kind.ED25519), "checkpoint_pq": Kind.ML_DSA_44,
    }  # fmt: skip
    for holder in SERVICE:
        path = keyring.key_path(home, holder)
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_start_makes_no_other_keys_and_misses_what_is_gone(home: Home) -> None:
    founding.make_keys(home)
    before = {path.name: path.read_bytes() for path in home.keys.iterdir()}
    founding.make_keys(home)
    assert {path.name: path.read_bytes() for path in home.keys.iterdir()} == before
    keyring.key_path(home, "checkpoint").unlink()
    with pytest.raises(Refused, match="key_file_missing"):
        founding.make_keys(home)


def test_the_checkpoint_keys_are_those_that_the_directory_names(home: Home, world: World) -> None:
    first = keyring.read_checkpoint_keys(home)
    assert first.ed25519.private_bytes_raw() == world.checkpoint_keys.ed25519.private_bytes_raw()
    named = keyring.checkpoint_keys_named(home, world.recorder.directory())
    assert named.mldsa.private_bytes_raw() == world.checkpoint_keys.mldsa.private_bytes_raw()
    later = {"checkpoint": key_of("checkpoint 2"), "checkpoint_pq": pq_key_of("checkpoint 2")}
    for holder, key in later.items():
        world.rotate(holder, key)
        with pytest.raises(Refused, match="key_not_held"):
            keyring.checkpoint_keys_named(home, world.recorder.directory())
        path = keyring.key_path(home, holder, key.public.id)
        keyring.save_key(path, key, b"passphrase")
    named = keyring.checkpoint_keys_named(home, world.recorder.directory())
    assert named.ed25519 is not first.ed25519
    assert PrivateKey(named.ed25519).public == later["checkpoint"].public
    assert PrivateKey(named.mldsa).public == later["checkpoint_pq"].public
    assert repr(named) == f"CheckpointKeys(origin='{world.origin}')"


def test_a_key_that_appears_while_the_service_runs_is_found(home: Home, world: World) -> None:
    keys = keyring.read_log_keys(home)
    key = key_of("log 2")
    assert keys.held(key.public.id) is None
    keyring.save_key(keyring.key_path(home, "log", key.public.id), key, b"passphrase")
    found = keys.held(key.public.id)
    assert found is not None
    assert found.public == key.public
    world.keys = keys
    world.recorder = world.another_recorder()
    world.rotate("log", key)
    assert keys.named(world.recorder.directory(), "log").public == key.public


def test_a_file_under_the_name_of_another_key_is_not_taken_for_it(home: Home, world: World) -> None:
    wanted, other = key_of("log 2").public.id, key_of("log 3")
    keyring.save_key(keyring.key_path(home, "log", wanted), other, b"passphrase")
    assert keyring.read_log_keys(home).held(wanted) is None
    assert keyring.find_key(home, "log", wanted, b"passphrase") is None
    assert world.keys.held(wanted) is None


def test_the_administrators_key_is_the_one_that_the_directory_names(
    home: Home, world: World
) -> None:
    key = key_of("administrator 2")
    keyring.save_key(keyring.key_path(home, "administrator", key.public.id), key, b"passphrase")
    directory = world.recorder.directory()
    assert keyring.key_named(home, directory, "administrator").public == (
        key_of("administrator").public
    )
    world.rotate("administrator", key)
    directory = world.recorder.directory()
    assert keyring.key_named(home, directory, "administrator").public == key.public


def test_a_key_file_may_be_pem_or_pkcs12(tmp_path: Path) -> None:
    certificate = certificate_of(P256, BEGINS, timedelta(days=9))
    private = P256.unwrapped
    assert not isinstance(private, MLDSA44PrivateKey)
    data = pkcs12.serialize_key_and_certificates(
        b"person", private, x509.load_der_x509_certificate(certificate), None,
        BestAvailableEncryption(b"passphrase"),
    )  # fmt: skip
    (tmp_path / "key.pfx").write_bytes(data)
    (tmp_path / "key.pem").write_bytes(P256.to_pem(b"passphrase"))
    for name in ("key.pfx", "key.pem"):
        assert keyring.read_key(tmp_path / name, b"passphrase").public == P256.public
        with pytest.raises(Refused, match="private_key_unreadable"):
            keyring.read_key(tmp_path / name, b"wrong")
