"""The door's stamp: when a command stood there, signed by the door's key.

    "dondoc door v1" LF origin LF SHA-256 of the command's envelope LF received_at LF    Ed25519

What counts is when a command was received, not when it was processed. A stamp keeps that instant
for a command that could not be recorded at once: handed in again, or sent straight to a workflow,
it is judged by the time on its stamp. It says nothing about who gave the command.
"""

import hashlib
from dataclasses import dataclass

from audit.canonical import Json, canonical
from audit.dsse import Envelope, decode_signature, format_envelope
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.private_keys import PrivateKey
from audit.statement import is_instant


@dataclass(frozen=True, slots=True)
class Stamp:
    """``received_at`` is an instant as the log writes it (UTC, microseconds)."""

    received_at: str
    signature: bytes


def sign_stamp(origin: str, command: Envelope, received_at: str, key: PrivateKey) -> Stamp:
    return Stamp(received_at, key.sign(_signed(origin, command, received_at)))


def check_stamp(stamp: Stamp, origin: str, command: Envelope, key: PublicKey) -> None:
    """Raise Malformed unless ``key`` stamped this very command for this log."""
    if not key.verify(stamp.signature, _signed(origin, command, stamp.received_at)):
        raise Malformed("stamp_wrong")


def parse_stamp(received_at: Json, signature: Json) -> Stamp:
    """The stamp of two JSON values. Raises Malformed; says nothing about the signature."""
    if not isinstance(received_at, str) or not is_instant(received_at):
        raise Malformed("stamp_form")
    return Stamp(received_at, decode_signature(signature))


def _signed(origin: str, command: Envelope, received_at: str) -> bytes:
    # Of the whole envelope: what stood at the door was signed already.
    digest = hashlib.sha256(canonical(format_envelope(command))).hexdigest()
    return f"dondoc door v1\n{origin}\n{digest}\n{received_at}\n".encode()
