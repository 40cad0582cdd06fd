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
    on_behalf   {"agency", "for", "role"}: in whose name; "for" is the absent person, or null
    seen        {"digest", "version"} of what the giver saw, or null for the first step

The record's predicate (``urn:dondoc:record:v1``):

    assurance   how sure it is whose key signed: "key", "certificate", or "service" for our own
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

import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from audit.canonical import JsonLike, canonical, parse, written
from audit.dsse import (
    PAYLOAD_TYPE,
    Envelope,
    decode_written,
    format_envelope,
    parse_envelope,
    sized_signature,
)
from audit.malformed import Malformed
from audit.statement import (
    COMMAND_TYPE,
    RECORD_TYPE,
    Statement,
    Subject,
    open_command,
    open_record,
    sign_command,
    sign_record,
)

__all__ = [
    "COMMAND_TYPE",
    "MAX_ENTRY_BYTES",
    "NO_PREVIOUS",
    "RECORD_TYPE",
    "Entry",
    "Statement",
    "Subject",
    "command_digest",
    "format_entry",
    "header_digest",
    "header_of",
    "leaf_hash",
    "open_command",
    "open_record",
    "parse_entry",
    "peek_chain",
    "sign_command",
    "sign_record",
]

MAX_ENTRY_BYTES = 65_535
NO_PREVIOUS = "0" * 64

_BEFORE_PAYLOAD = b'{"command":{"payload":"'
_AFTER_PAYLOAD = b'","payloadType"'
_BEFORE_NAME, _AFTER_NAME = b'"name":"', b'"}]}'
_SUBJECT_CHARACTERS = 192  # 144 bytes: room for a name of 120

# The one form of an entry, but for what is in its base64: recognised in a tenth of the time that it
# takes to parse. Whatever looks different, or is no base64, is parsed, and so refused by name.
_ENVELOPE = (
    rb'\{"payload":"([^"]+)","payloadType":"' + re.escape(PAYLOAD_TYPE).encode() + rb'",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([^"]+)"\}\]\}'
)
_FORM = re.compile(rb'\{"command":%b,"record":%b,"v":1\}' % (_ENVELOPE, _ENVELOPE))


class Entry(NamedTuple):
    """A command and its record, as signed. `leaf` names the entry everywhere."""

    command: Envelope
    record: Envelope


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
    form = _FORM.fullmatch(data)
    if form is None:
        return _parsed(data)
    try:
        return Entry(_envelope(*form.group(1, 2, 3)), _envelope(*form.group(4, 5, 6)))
    except Malformed:
        return _parsed(data)


def _parsed(data: bytes) -> Entry:
    """What `parse_entry` says of bytes that have not its form at first sight."""
    value = parse(data)
    if not isinstance(value, dict) or set(value) != {"command", "record", "v"}:
        raise Malformed("entry_fields")
    if type(value["v"]) is not int or value["v"] != 1:  # True == 1, and would be a second encoding
        raise Malformed("entry_version")
    return Entry(parse_envelope(value["command"]), parse_envelope(value["record"]))


def peek_chain(data: bytes) -> str:
    """The chain that an entry seems to be about, without parsing it; empty when it can't be told.

    For dealing entries out: whoever takes the entry finds out what it is really about.
    """
    # The subject ends the command's payload. Base64 can be read from any fourth character on.
    end = data.find(_AFTER_PAYLOAD, len(_BEFORE_PAYLOAD))
    start = max(end - _SUBJECT_CHARACTERS, len(_BEFORE_PAYLOAD))
    start += (len(_BEFORE_PAYLOAD) - start) % 4
    try:
        tail = binascii.a2b_base64(data[start:end])
        name = tail[tail.rindex(_BEFORE_NAME) + len(_BEFORE_NAME) : -len(_AFTER_NAME)]
        return name.decode().removeprefix("task:")
    except (binascii.Error, ValueError):
        return ""


def header_digest(arguments: Mapping[str, JsonLike]) -> str:
    """What names a chain for ever: SHA-256 of the JCS of its first command's arguments, hex."""
    return hashlib.sha256(canonical(arguments)).hexdigest()


def header_of(command: Statement) -> str:
    """The same of a command that has been read."""
    return hashlib.sha256(written(command.predicate["arguments"])).hexdigest()


def leaf_hash(data: bytes) -> str:
    """Hex of SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + data).hexdigest()


def _envelope(payload: bytes, keyid: bytes, signature: bytes) -> Envelope:
    raw = sized_signature(decode_written(signature))
    return Envelope(decode_written(payload), keyid.decode(), raw)
