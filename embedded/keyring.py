"""Keys on disk: encrypted PKCS#8 or PKCS#12 files, and the passphrase that opens them.

The passphrase comes from DONDOC_PASSPHRASE, or from the file that the first start made. With the
file beside the keys, encryption protects copies of the keys alone; an installation that means it
sets the variable and deletes the file.
"""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from activities.signing import CheckpointKeys, LogKeys
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed
from audit.private_keys import PrivateKey, load_pkcs12, load_private, private_key
from domain.directory import CHECKPOINT, CHECKPOINT_PQ, CLOCK, DOOR, LOG, Directory
from domain.refusal import Refused
from embedded.home import Home, write_private
from embedded.vaulting import read_vault

PASSPHRASE_VARIABLE = "DONDOC_PASSPHRASE"  # noqa: S105 - a name
_PEM = b"-----BEGIN "
_ID_DIGITS = 16


def new_key(holder: str = "") -> PrivateKey:
    """A key of the kind that ``holder`` signs with: one of the log's own, or a person."""
    if holder == CHECKPOINT_PQ:
        return PrivateKey(MLDSA44PrivateKey.generate())
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
    """A private key in PEM or PKCS#12, told apart by its bytes.

    Raises Refused when the file is missing, is no key, or the passphrase is wrong.
    """
    try:
        data = path.read_bytes()
        if data.lstrip().startswith(_PEM):
            return load_private(data, passphrase)
        return load_pkcs12(data, passphrase)[0]
    except FileNotFoundError as error:
        raise Refused("key_file_missing", path=str(path)) from error
    except Malformed as error:
        raise Refused(error.code, path=str(path)) from error


def key_path(home: Home, holder: str, key: str = "") -> Path:
    """Where the log's own key of a holder lies: the one it was founded with, or the one of the id
    ``key`` that came later.
    """
    return home.keys / (f"{holder}-{key[:_ID_DIGITS]}.pem" if key else f"{holder}.pem")


def person_path(home: Home, person: str) -> Path:
    return home.people / f"{person}.pem"


def find_key(home: Home, holder: str, key: str, passphrase: bytes) -> PrivateKey | None:
    """The log's own key of this id, when it lies in the data directory. Raises Refused for a file
    that does not open.
    """
    for path in (key_path(home, holder, key), key_path(home, holder)):
        if path.exists():
            found = read_key(path, passphrase)
            if found.public.id == key:
                return found
    return None


def key_named(home: Home, directory: Directory, holder: str) -> PrivateKey:
    """The log's own key that the directory names for the holder. Raises Refused when it is not
    here.
    """
    named = directory.key_of(holder)
    found = find_key(home, holder, named.id, read_passphrase(home)) if named else None
    if found is None:
        raise Refused("key_not_held", holder=holder)
    return found


def read_log_keys(home: Home) -> LogKeys:
    """The keys that the service signs with; later ones are looked for when the directory names
    them. Raises Refused.
    """
    passphrase = read_passphrase(home)

    def find(key: str) -> PrivateKey | None:
        for holder in (LOG, CLOCK, DOOR):
            if (path := key_path(home, holder, key)).exists():
                return read_key(path, passphrase)
        return None

    return LogKeys(
        read_origin(home),
        read_key(key_path(home, LOG), passphrase),
        read_key(key_path(home, CLOCK), passphrase),
        read_key(key_path(home, DOOR), passphrase),
        find,
        read_vault(home),
    )


def read_checkpoint_keys(home: Home) -> CheckpointKeys:
    """The keys that the log's first checkpoints are signed with. Raises Refused."""
    passphrase = read_passphrase(home)
    return _checkpoint_keys(
        home,
        read_key(key_path(home, CHECKPOINT), passphrase),
        read_key(key_path(home, CHECKPOINT_PQ), passphrase),
    )


def checkpoint_keys_named(home: Home, directory: Directory) -> CheckpointKeys:
    """The keys that checkpoints are signed with now, as the directory says. Raises Refused."""
    return _checkpoint_keys(
        home,
        key_named(home, directory, CHECKPOINT),
        key_named(home, directory, CHECKPOINT_PQ),
    )


def _checkpoint_keys(home: Home, key: PrivateKey, key_pq: PrivateKey) -> CheckpointKeys:
    ed25519, mldsa = key.unwrapped, key_pq.unwrapped
    if not (isinstance(ed25519, Ed25519PrivateKey) and isinstance(mldsa, MLDSA44PrivateKey)):
        raise Refused("key_type_unsupported", detail=f"{key.public.kind}, {key_pq.public.kind}")
    return CheckpointKeys(read_origin(home), ed25519, mldsa)


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
    except ValueError as error:
        raise Refused("public_key_unreadable", path=str(path)) from error
    except Malformed as error:
        raise Refused(error.code, path=str(path)) from error
