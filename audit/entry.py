"""One entry of the log: a command by the person who gave it, and the log's record of it.

    entry   = JCS({"command": DSSE, "record": DSSE, "v": 1}), at most 65,535 bytes
    leaf    = SHA-256(0x00 || entry)                                          (RFC 9162, 2.1.1)

Both payloads are in-toto Statements v1 with one subject, the chain: ``task:<id>`` or ``directory``.
Its digest is that of the chain's header: SHA-256 of the JCS of the first command's arguments.

The command's predicate (``urn:dondoc:command:v1``):

    arguments   what is asked; texts enter as commitments (`audit.commitment`)
    event       name of the step
    id          32 hex digits, chosen at random by the giver; a command happens once
    issued_at   by the giver's own watch
    key         SHA-256 of the giver's SubjectPublicKeyInfo
    log         origin: the name of the log that this command is meant for
    on_behalf   {"agency", "role"}: in whose name
    seen        {"digest", "version"} of what the giver saw, or null for the first step

The record's predicate (``urn:dondoc:record:v1``):

    calendar    version of the working-time calendar
    clocks      {name: {"due", "rule", "since"} | null}: deadlines set and cleared by this step
    command     SHA-256 of the command's PAE
    from, to    states, ``from`` null for the first step
    log         origin
    person      whom the directory knows by the command's key, at this point of the log
    prev        leaf hash of the chain's entry before this one, 64 zeros for the first
    received_at when the command stood at the door: what counts against a deadline
    recorded_at when this record was signed
    rules       version of the rules
    seq         1 for the first entry of a chain, then one more each

Instants are text, UTC, ``2026-02-13T09:30:00.000000Z``. A task's chain of three entries,
complete and signed, stands in ``tests/audit/example.json``.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from audit.canonical import Json, JsonLike, canonical, parse
from audit.dsse import Envelope, format_envelope, parse_envelope, seal
from audit.keys import PrivateKey
from audit.malformed import Malformed

MAX_ENTRY_BYTES = 65_535
NO_PREVIOUS = "0" * 64
COMMAND_TYPE = "urn:dondoc:command:v1"
RECORD_TYPE = "urn:dondoc:record:v1"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


@dataclass(frozen=True, slots=True)
class Subject:
    """The chain that a statement is about."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Statement:
    """The content of an envelope: subject and predicate, each field of the form it should have."""

    subject: Subject
    predicate: dict[str, Json]

    def text(self, field: str) -> str:
        value = self.predicate[field]
        if not isinstance(value, str):
            raise Malformed("field_not_text", field)
        return value


@dataclass(frozen=True, slots=True)
class Entry:
    """A command and its record, as signed. `leaf` names the entry everywhere."""

    command: Envelope
    record: Envelope


def sign_command(subject: Subject, predicate: Mapping[str, JsonLike], key: PrivateKey) -> Envelope:
    """The command as its giver signs it. ``predicate`` needs every field but ``key``."""
    return seal(_statement(subject, COMMAND_TYPE, {**predicate, "key": key.public.id}), key)


def sign_record(subject: Subject, predicate: Mapping[str, JsonLike], key: PrivateKey) -> Envelope:
    """The record as the log signs it."""
    return seal(_statement(subject, RECORD_TYPE, predicate), key)


def open_command(envelope: Envelope) -> Statement:
    """What a command says. Check its signature first. Raises Malformed."""
    return _open(envelope, COMMAND_TYPE, _COMMAND_FORMS, "malformed_command")


def open_record(envelope: Envelope) -> Statement:
    """What a record says. Check its signature first. Raises Malformed."""
    return _open(envelope, RECORD_TYPE, _RECORD_FORMS, "malformed_record")


def command_digest(envelope: Envelope) -> str:
    """What a record names its command by: SHA-256 of the PAE, hex."""
    return hashlib.sha256(envelope.signed_bytes).hexdigest()


def format_entry(entry: Entry) -> bytes:
    """The bytes of the leaf. Raises Malformed when they are too many."""
    data = canonical(
        {"command": format_envelope(entry.command), "record": format_envelope(entry.record), "v": 1}
    )
    if len(data) > MAX_ENTRY_BYTES:
        raise Malformed("entry_too_large", f"{len(data)} bytes")
    return data


def parse_entry(data: bytes) -> Entry:
    """The entry of a leaf's bytes. Raises Malformed."""
    if len(data) > MAX_ENTRY_BYTES:
        raise Malformed("entry_too_large", f"{len(data)} bytes")
    value = parse(data)
    if not isinstance(value, dict) or set(value) != {"command", "record", "v"}:
        raise Malformed("entry_fields")
    if type(value["v"]) is not int or value["v"] != 1:  # True == 1, and would be a second encoding
        raise Malformed("entry_version")
    return Entry(parse_envelope(value["command"]), parse_envelope(value["record"]))


def header_digest(arguments: Mapping[str, JsonLike]) -> str:
    """What names a chain for ever: SHA-256 of the JCS of its first command's arguments, hex."""
    return hashlib.sha256(canonical(arguments)).hexdigest()


def leaf_hash(data: bytes) -> str:
    """Hex of SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + data).hexdigest()


def _statement(subject: Subject, kind: str, predicate: Mapping[str, JsonLike]) -> bytes:
    return canonical({
        "_type": _STATEMENT_TYPE,
        "predicate": predicate,
        "predicateType": kind,
        "subject": [{"digest": {"sha256": subject.digest}, "name": subject.name}],
    })  # fmt: skip


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_state(value: Json) -> bool:
    return value is None or isinstance(value, str)


def _is_hex(digits: int) -> Callable[[Json], bool]:
    form = re.compile(f"[0-9a-f]{{{digits}}}")
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


_is_digest = _is_hex(64)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",
)


def _is_instant(value: Json) -> bool:
    if not isinstance(value, str) or _INSTANT.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_count(value: Json) -> bool:
    return type(value) is int and value >= 1


def _is_mapping(value: Json) -> bool:
    return isinstance(value, dict)


def _is_behalf(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"agency", "role"}
        and all(map(_is_text, value.values()))
    )


def _is_seen(value: Json) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"digest", "version"}
        and _is_digest(value["digest"])
        and _is_count(value["version"])
    )


def _is_clock(value: Json) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"due", "rule", "since"}
        and _is_instant(value["due"])
        and _is_text(value["rule"])
        and _is_instant(value["since"])
    )


def _are_clocks(value: Json) -> bool:
    return isinstance(value, dict) and all(map(_is_clock, value.values()))


# The door and the verifier open statements by the same forms, so what was let in also verifies.
_Forms = Mapping[str, Callable[[Json], bool]]
_COMMAND_FORMS: _Forms = {
    "arguments": _is_mapping,
    "event": _is_text,
    "id": _is_hex(32),
    "issued_at": _is_instant,
    "key": _is_digest,
    "log": _is_text,
    "on_behalf": _is_behalf,
    "seen": _is_seen,
}
_RECORD_FORMS: _Forms = {
    "calendar": _is_text,
    "clocks": _are_clocks,
    "command": _is_digest,
    "from": _is_state,
    "log": _is_text,
    "person": _is_text,
    "prev": _is_digest,
    "received_at": _is_instant,
    "recorded_at": _is_instant,
    "rules": _is_text,
    "seq": _is_count,
    "to": _is_text,
}


def _open(envelope: Envelope, kind: str, forms: _Forms, malformed: str) -> Statement:
    match parse(envelope.payload):
        case {
            "_type": "https://in-toto.io/Statement/v1",
            "predicate": dict(predicate),
            "predicateType": found,
            "subject": [{"digest": {"sha256": str(digest), **digests}, "name": str(name), **more}],
            **rest,
        } if found == kind and not (digests or more or rest) and _is_digest(digest):
            if set(predicate) != set(forms):
                raise Malformed("statement_fields", kind)
            for field, has_form in forms.items():
                if not has_form(predicate[field]):
                    raise Malformed(malformed, field)
            return Statement(Subject(name, digest), predicate)
    raise Malformed("statement_form", kind)
