"""The vault's key in a data directory: made once, never in clear, and free to lie elsewhere."""

import stat
from pathlib import Path

import pytest

from domain.refusal import Refused
from embedded.home import Home
from embedded.vaulting import make_vault, read_reading_key, read_vault
from vault.keys import load_reading_key, reading_key

PASSPHRASE = b"open"


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("DONDOC_VAULT_KEY", raising=False)
    home = Home(tmp_path / "data")
    home.prepare()
    return home


def sealed_for(home: Home) -> str:
    vault = read_vault(home)
    assert vault is not None
    return vault.recipient.id


def test_the_first_start_makes_it_and_the_next_keeps_it(home: Home) -> None:
    assert read_vault(home) is None
    make_vault(home, PASSPHRASE)
    key = load_reading_key(home.vault_key.read_bytes(), PASSPHRASE)
    assert sealed_for(home) == key.recipient.id
    assert stat.S_IMODE(home.vault_key.stat().st_mode) == 0o600
    make_vault(home, PASSPHRASE)
    assert sealed_for(home) == key.recipient.id


def test_a_service_without_the_private_half_makes_no_other(home: Home, tmp_path: Path) -> None:
    make_vault(home, PASSPHRASE)
    before = sealed_for(home)
    home.vault_key.rename(tmp_path / "apart.pem")
    make_vault(home, PASSPHRASE)
    assert (sealed_for(home), home.vault_key.exists()) == (before, False)
    assert read_reading_key(home, PASSPHRASE) is None


def test_a_lost_public_half_is_made_again_from_the_private_one(home: Home) -> None:
    make_vault(home, PASSPHRASE)
    before = sealed_for(home)
    home.vault_public.unlink()
    make_vault(home, PASSPHRASE)
    assert sealed_for(home) == before


def test_a_key_that_lies_elsewhere_is_taken_from_the_beginning(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart, key = tmp_path / "apart.pem", reading_key(b"k" * 32)
    apart.write_bytes(key.to_pem(PASSPHRASE))
    monkeypatch.setenv("DONDOC_VAULT_KEY", str(apart))
    make_vault(home, PASSPHRASE)
    assert (sealed_for(home), home.vault_key.exists()) == (key.recipient.id, False)


def test_files_that_are_no_such_keys_are_named(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.vault_public.write_text("no key")
    with pytest.raises(Refused, match="reader_key_unreadable"):
        read_vault(home)
    home.vault_public.unlink()
    monkeypatch.setenv("DONDOC_VAULT_KEY", str(tmp_path / "none.pem"))
    with pytest.raises(Refused, match="key_file_missing"):
        make_vault(home, PASSPHRASE)
    (tmp_path / "none.pem").write_text("no key")
    with pytest.raises(Refused, match="vault_key_unreadable"):
        make_vault(home, PASSPHRASE)
    assert read_vault(home) is None
