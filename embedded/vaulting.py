"""The vault's key on disk. Its public half is what the service seals with; the private one opens.

The first start makes both, in ``keys/``. Where words are to be read elsewhere only, ``vault.pem``
is taken away from there, and DONDOC_VAULT_KEY names it where somebody reads. The same variable may
name a reader's own key: it opens what was sealed for that reader.
"""

import os
import secrets
from pathlib import Path

from activities.sealing import Vault
from audit.malformed import Malformed
from domain.refusal import Refused
from embedded.home import Home, write_private
from vault.keys import ReadingKey, load_reading_key, load_recipient, reading_key

VAULT_VARIABLE = "DONDOC_VAULT_KEY"


def make_vault(home: Home, passphrase: bytes) -> None:
    """The vault's key, unless there is a public half already: what it sealed, no other key opens.

    With DONDOC_VAULT_KEY set, that key's public half is taken. Raises Refused.
    """
    if home.vault_public.exists():
        return
    key = read_reading_key(home, passphrase)
    if key is None:
        key = reading_key(secrets.token_bytes(32))
        write_private(home.vault_key, key.to_pem(passphrase))
    write_private(home.vault_public, key.recipient.to_pem())


def read_vault(home: Home) -> Vault | None:
    """What the service seals with; None on a directory without it. Raises Refused."""
    if not home.vault_public.exists():
        return None
    try:
        return Vault(load_recipient(home.vault_public.read_bytes()))
    except Malformed as error:
        raise Refused(error.code, path=str(home.vault_public)) from error


def is_named() -> bool:
    """Whether the environment names the key that opens words."""
    return bool(os.environ.get(VAULT_VARIABLE))


def reading_key_path(home: Home) -> Path | None:
    """The file of the key at hand that opens words; None when there is none."""
    if named := os.environ.get(VAULT_VARIABLE):
        return Path(named)
    return home.vault_key if home.vault_key.exists() else None


def read_reading_key(home: Home, passphrase: bytes) -> ReadingKey | None:
    """The key at hand that opens words; None when there is none. Raises Refused for a file that is
    missing or does not open.
    """
    path = reading_key_path(home)
    if path is None:
        return None
    try:
        return load_reading_key(path.read_bytes(), passphrase)
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except Malformed as error:
        raise Refused(error.code, path=str(path)) from error
