"""Keys on disk: encrypted PKCS#8 files, and the passphrase that opens them.

The passphrase comes from DONDOC_PASSPHRASE, or from the file that the first start made. With the
file beside the keys, encryption protects copies of the keys alone; an installation that means it
sets the variable and deletes the file.
"""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from activities.signing import LogKeys
from audit.keys import PrivateKey, PublicKey, load_private, load_public, private_key
from audit.malformed import Malformed
from domain.refusal import Refused
from embedded.home import Home, write_private

PASSPHRASE_VARIABLE = "DONDOC_PASSPHRASE"  # noqa: S105 - a name
LOG, CLOCK, ADMINISTRATOR = "log", "clock", "administrator"


def new_key() -> PrivateKey:
    return private_key(secrets.token_bytes(32))


def make_passphrase(home: Home) -> bytes:
    """The passphrase of the environment, or of the file, or a new one kept in the file."""
    try:
        return read_passphrase(home)
    except Refused:
        write_private(home.passphrase, secrets.token_urlsafe(32).encode())
        return read_passphrase(home)


def read_passphrase(home: Home) -> bytes:
    """Raises Refused when there is none."""
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given.encode()
    try:
        return home.passphrase.read_bytes().strip()
    except FileNotFoundError as error:
        raise Refused("passphrase_missing", variable=PASSPHRASE_VARIABLE) from error


def save_key(path: Path, key: PrivateKey, passphrase: bytes) -> None:
    write_private(path, key.to_pem(passphrase))


def read_key(path: Path, passphrase: bytes) -> PrivateKey:
    """Raises Refused when the file is missing, is no key, or the passphrase is wrong."""
    try:
        return load_private(path.read_bytes(), passphrase)
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except Malformed as error:
        raise Refused(error.code, path=str(path)) from error


def key_path(home: Home, name: str) -> Path:
    return home.keys / f"{name}.pem"


def person_path(home: Home, person: str) -> Path:
    return home.people / f"{person}.pem"


def read_log_keys(home: Home) -> LogKeys:
    """The keys that the service signs with. Raises Refused."""
    passphrase = read_passphrase(home)
    return LogKeys(
        read_origin(home),
        read_key(key_path(home, LOG), passphrase),
        read_key(key_path(home, CLOCK), passphrase),
    )


def read_origin(home: Home) -> str:
    """Raises Refused when nothing was ever started here."""
    try:
        return home.origin.read_text().strip()
    except FileNotFoundError as error:
        raise Refused("not_founded", data=str(home.path)) from error


def save_public(path: Path, key: PublicKey) -> None:
    loaded = serialization.load_der_public_key(key.spki)
    pem = loaded.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(path, pem)


def read_public(path: Path) -> PublicKey:
    """A public key in PEM. Raises Refused."""
    try:
        loaded = serialization.load_pem_public_key(path.read_bytes())
        return load_public(
            loaded.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except (ValueError, Malformed) as error:
        raise Refused("public_key_unreadable", path=str(path)) from error
