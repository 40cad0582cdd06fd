"""Those who sign checkpoints: the log as types 0x01 and 0x06, witnesses as 0x04 and 0x06.

What each type signs, and how it is checked, is in `audit.cosignature`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.checkpoint import Checkpoint, format_checkpoint
from audit.cosignature import MAX_TIME, message_ed25519, message_mldsa, signed_tree
from audit.note import COSIGNATURE, ED25519, MLDSA44, Line, Note, VerifierKey


class Signer(Protocol):
    """Whoever can sign a note."""

    def sign(self, text: str, timestamp: int) -> Line: ...


def sign_checkpoint(checkpoint: Checkpoint, signers: Iterable[Signer], timestamp: int) -> Note:
    """The note with a line by each signer, in this order."""
    text = format_checkpoint(checkpoint)
    return Note(text, tuple(signer.sign(text, timestamp) for signer in signers))


@dataclass(frozen=True)
class Ed25519Signer:
    """Signs any text, as type 0x01."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    @cached_property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, ED25519, self.key.public_key().public_bytes_raw())

    def sign(self, text: str, timestamp: int) -> Line:  # noqa: ARG002 as the other signers
        """``timestamp`` has no place in this type."""
        return Line(self.name, self.verifier.id, self.key.sign(text.encode()))


@dataclass(frozen=True)
class Ed25519Cosigner:
    """Signs checkpoints with their time, as type 0x04."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    @cached_property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, COSIGNATURE, self.key.public_key().public_bytes_raw())

    def sign(self, text: str, timestamp: int) -> Line:
        signed_tree(text)
        time = _time(timestamp)
        return Line(
            self.name, self.verifier.id, time + self.key.sign(message_ed25519(timestamp, text))
        )


@dataclass(frozen=True)
class MLDSACosigner:
    """Signs checkpoints with their time, as type 0x06."""

    name: str
    key: MLDSA44PrivateKey = field(repr=False)

    @cached_property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, MLDSA44, self.key.public_key().public_bytes_raw())

    def sign(self, text: str, timestamp: int) -> Line:
        time = _time(timestamp)
        message = message_mldsa(self.name, timestamp, *signed_tree(text))
        return Line(self.name, self.verifier.id, time + self.key.sign(message))


def _time(timestamp: int) -> bytes:
    if not 0 <= timestamp <= MAX_TIME:
        raise ValueError(f"no time: {timestamp}")
    return timestamp.to_bytes(8, "big")
