"""Signing commands and records: the statement in canonical JSON, and the envelope around it.

`audit.entry` says what their predicates hold, `audit.statement` how they are read.
"""

from collections.abc import Mapping

from audit.canonical import JsonLike, canonical
from audit.dsse import Envelope, signed_bytes
from audit.private_keys import PrivateKey
from audit.statement import COMMAND_TYPE, RECORD_TYPE, STATEMENT_TYPE, Subject


def sign_command(subject: Subject, predicate: Mapping[str, JsonLike], key: PrivateKey) -> Envelope:
    """The command as its giver signs it. ``predicate`` needs every field but ``key``."""
    return seal(_statement(subject, COMMAND_TYPE, {**predicate, "key": key.public.id}), key)


def sign_record(subject: Subject, predicate: Mapping[str, JsonLike], key: PrivateKey) -> Envelope:
    """The record as the log signs it."""
    return seal(_statement(subject, RECORD_TYPE, predicate), key)


def seal(payload: bytes, key: PrivateKey) -> Envelope:
    """The envelope of a payload of our type, signed."""
    return Envelope(payload, key.public.id, key.sign(signed_bytes(payload)))


def _statement(subject: Subject, kind: str, predicate: Mapping[str, JsonLike]) -> bytes:
    return canonical({
        "_type": STATEMENT_TYPE,
        "predicate": predicate,
        "predicateType": kind,
        "subject": [{"digest": {"sha256": subject.digest}, "name": subject.name}],
    })  # fmt: skip
