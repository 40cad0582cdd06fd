"""Which keys sign a checkpoint: those that the directory names among the entries it covers."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from sqlalchemy import Connection

from activities.folding import follow_rows
from activities.signing import CheckpointKeys
from audit.chains import DIRECTORY
from audit.holders import Purpose
from audit.note import ED25519, MLDSA44, VerifierKey
from audit.signers import Ed25519Signer, MLDSACosigner, Signer
from domain.directory import Directory
from domain.refusal import Refused
from store import tree

_KINDS = {Purpose.CHECKPOINT: ED25519, Purpose.CHECKPOINT_PQ: MLDSA44}


@dataclass(frozen=True, slots=True)
class LogSigning:
    """The log's name, and where its private keys for checkpoints are found."""

    origin: str
    held: Callable[[Directory], CheckpointKeys]

    def keys_at(self, connection: Connection, size: int) -> list[VerifierKey]:
        """Whose signatures a checkpoint over ``size`` entries carries: Ed25519, then ML-DSA-44.

        Raises Refused for a log that names none.
        """
        return keys_at(self.origin, connection, size)

    def signers_at(self, connection: Connection, size: int) -> list[Signer]:
        """Who signs it. Raises Refused when this service has not got the keys."""
        directory = directory_at(connection, size)
        keys = self.held(directory)
        first = Ed25519Signer(self.origin, keys.ed25519)
        second = MLDSACosigner(self.origin, keys.mldsa)
        if [first.verifier, second.verifier] != verifier_keys(self.origin, directory):
            raise Refused("key_not_held", holder=Purpose.CHECKPOINT)
        return [first, second]


def keys_at(origin: str, connection: Connection, size: int) -> list[VerifierKey]:
    """Whose signatures a checkpoint over ``size`` entries must carry. Raises Refused."""
    return verifier_keys(origin, directory_at(connection, size))


def verifier_keys(origin: str, directory: Directory) -> list[VerifierKey]:
    """The directory's present keys for checkpoints, as notes know them. Raises Refused."""
    keys = []
    for holder, kind in _KINDS.items():
        key = directory.key_of(holder)
        if key is None:
            raise Refused("key_not_held", holder=holder)
        keys.append(VerifierKey(origin, kind, _raw(base64.b64decode(key.spki))))
    return keys


def directory_at(connection: Connection, size: int) -> Directory:
    """The directory as the first ``size`` entries of the log have it."""
    return follow_rows(Directory(), tree.chain_up_to(connection, DIRECTORY, size))


def _raw(spki: bytes) -> bytes:
    key = serialization.load_der_public_key(spki)
    if not isinstance(key, Ed25519PublicKey | MLDSA44PublicKey):
        raise Refused("key_type_unsupported", detail=type(key).__name__)
    return key.public_bytes_raw()
