"""The directory of a witness: what lies where. Only its owner may read it.

name              what the witness is called in its signatures
keys/             two private keys, encrypted (PKCS#8): ed25519.pem and ml-dsa-44.pem
passphrase        opens them, unless DONDOC_PASSPHRASE does; with that set, delete the file
logs              the keys of the logs that it watches, a vkey on each line; # begins a comment
witness.sqlite    what it has cosigned: `witness.store`
forks/            a report for each pair of heads that contradict each other

A store that is restored from a backup, or lost, makes a witness forget what it has signed. There is
no way to start such a witness again: make a new one, with a new name and new keys.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.malformed import Malformed
from audit.note import ED25519, MLDSA44, TYPE_NAMES, VerifierKey, check_name, parse_vkey
from audit.private_keys import PrivateKey, load_private
from audit.signers import Ed25519Cosigner, MLDSACosigner
from witness import store
from witness.refused import Refused

PASSPHRASE_VARIABLE = "DONDOC_PASSPHRASE"  # noqa: S105 - a name
_PRIVATE = 0o700
_LOG_TYPES = {ED25519, MLDSA44}


@dataclass(frozen=True)
class Signers:
    """The two keys of a witness, under its name."""

    ed25519: Ed25519Cosigner
    mldsa: MLDSACosigner

    @property
    def name(self) -> str:
        return self.ed25519.name

    @property
    def verifiers(self) -> tuple[VerifierKey, VerifierKey]:
        return self.ed25519.verifier, self.mldsa.verifier


@dataclass(frozen=True, slots=True)
class Home:
    """Nothing is created before `found`."""

    path: Path

    @property
    def name(self) -> Path:
        return self.path / "name"

    @property
    def passphrase(self) -> Path:
        return self.path / "passphrase"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def store(self) -> Path:
        return self.path / "witness.sqlite"

    @property
    def forks(self) -> Path:
        return self.path / "forks"

    @property
    def ed25519(self) -> Path:
        return self.path / "keys" / "ed25519.pem"

    @property
    def mldsa(self) -> Path:
        return self.path / "keys" / "ml-dsa-44.pem"


def found(home: Home, name: str) -> Signers:
    """Make a witness with new keys. Raises Refused where one is already, Malformed for the name."""
    check_name(name)
    if home.name.exists():
        raise Refused("witness_exists", path=str(home.path))
    for directory in (home.path, home.ed25519.parent, home.forks):
        directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        directory.chmod(_PRIVATE)
    passphrase = _make_passphrase(home)
    write_private(home.ed25519, PrivateKey(Ed25519PrivateKey.generate()).to_pem(passphrase))
    write_private(home.mldsa, PrivateKey(MLDSA44PrivateKey.generate()).to_pem(passphrase))
    store.create(home.store)
    home.store.chmod(0o600)
    # The name last: with it the directory is a witness.
    write_private(home.name, f"{name}\n".encode())
    return read_signers(home)


def read_name(home: Home) -> str:
    """Raises Refused when there is no witness."""
    try:
        return home.name.read_text(encoding="utf-8").removesuffix("\n")
    except FileNotFoundError as error:
        raise Refused("witness_missing", path=str(home.path)) from error


def read_signers(home: Home) -> Signers:
    """Raises Refused and Malformed."""
    name, passphrase = read_name(home), _read_passphrase(home)
    first = _read_key(home.ed25519, passphrase).unwrapped
    second = _read_key(home.mldsa, passphrase).unwrapped
    if not isinstance(first, Ed25519PrivateKey) or not isinstance(second, MLDSA44PrivateKey):
        raise Refused("witness_keys_swapped", path=str(home.ed25519.parent))
    return Signers(Ed25519Cosigner(name, first), MLDSACosigner(name, second))


def read_logs(home: Home) -> dict[str, tuple[VerifierKey, ...]]:
    """The keys of each log, by its origin. Raises Malformed."""
    try:
        lines = home.logs.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        lines = []
    except UnicodeDecodeError as error:
        raise Malformed("witness_logs_encoding", str(home.logs)) from error
    found: dict[str, tuple[VerifierKey, ...]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            _add(found, line)
    return found


def trust(home: Home, vkeys: list[str]) -> dict[str, tuple[VerifierKey, ...]]:
    """Watch the logs of these keys too; all or none. Raises Refused and Malformed."""
    read_name(home)
    known = read_logs(home)
    before = {key for keys in known.values() for key in keys}
    new = [key.vkey for key in (_add(known, vkey) for vkey in vkeys) if key not in before]
    if new:
        text = home.logs.read_text(encoding="utf-8") if home.logs.exists() else ""
        joined = text if text.endswith("\n") or not text else text + "\n"
        write_private(home.logs, (joined + "".join(f"{vkey}\n" for vkey in new)).encode())
    return known


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _add(logs: dict[str, tuple[VerifierKey, ...]], vkey: str) -> VerifierKey:
    key = parse_vkey(vkey)
    if key.type not in _LOG_TYPES:
        raise Malformed("witness_log_key_type", TYPE_NAMES[key.type])
    others = logs.get(key.name, ())
    if key not in others:
        if any(other.id == key.id for other in others):
            raise Malformed("vkey_ambiguous", f"{key.name}+{key.id.hex()}")
        logs[key.name] = (*others, key)
    return key


def _make_passphrase(home: Home) -> bytes:
    try:
        return _read_passphrase(home)
    except Refused:
        write_private(home.passphrase, secrets.token_urlsafe(32).encode())
        return _read_passphrase(home)


def _read_passphrase(home: Home) -> bytes:
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given.encode()
    try:
        return home.passphrase.read_bytes().strip()
    except FileNotFoundError as error:
        raise Refused("passphrase_missing", variable=PASSPHRASE_VARIABLE) from error


def _read_key(path: Path, passphrase: bytes) -> PrivateKey:
    try:
        return load_private(path.read_bytes(), passphrase)
    except FileNotFoundError as error:
        raise Refused("witness_key_missing", path=str(path)) from error
    except Malformed as error:
        raise Refused("private_key_unreadable", path=str(path)) from error
