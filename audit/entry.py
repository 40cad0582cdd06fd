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
from binascii import a2b_base64
from collections.abc import Mapping
from typing import NamedTuple

from audit.canonical import Json, JsonLike, canonical, parse, written
from audit.chains import TASK_PREFIX
from audit.dsse import PAYLOAD_TYPE, Envelope, format_envelope, parse_envelope
from audit.malformed import Malformed
from audit.statement import Statement, Subject, open_command, open_record

__all__ = [
    "MAX_ENTRY_BYTES",
    "NO_PREVIOUS",
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
    "unpack_entry",
]

MAX_ENTRY_BYTES = 65_535
NO_PREVIOUS = "0" * 64

_PAYLOAD_AT = len(b'{"command":{"payload":"')
_BEFORE_NAME = b'"name":"'  # and four characters after it
# 48 bytes are enough for most names, 144 have room for one of 120. Padding may take two of them:
# what is left is looked at, so that all entries of one chain are seen to be about the same one.
_SUBJECT_CHARACTERS = ((64, 46), (192, 142))

# The one form of an entry, but for what is in its base64: recognised in a tenth of the time that it
# takes to parse. Whatever looks different, or is no base64, is parsed, and so refused by name.
_PADDED = rb"(?:(?<=[^=])|(?<=[AEIMQUYcgkosw048]=)|(?<=[AQgw]==))"
_ENVELOPE = (
    rb'\{"payload":"%b","payloadType":"%b","signatures":\[\{"keyid":"([^"]{64})","sig":"%b"\}\]\}'
    % (rb'([^"]+)' + _PADDED, re.escape(PAYLOAD_TYPE).encode(), rb'([^"]{88,680})' + _PADDED)
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
    payload, keyid, signature, record, log_keyid, log_signature = unpack_entry(data)
    return Entry(Envelope(payload, keyid, signature), Envelope(record, log_keyid, log_signature))


def unpack_entry(data: bytes) -> tuple[bytes, str, bytes, bytes, str, bytes]:
    """`parse_entry` for who has many to read: payload, key id and signature of the command, and
    those of the record. Raises Malformed.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise Malformed("entry_too_large", f"{len(data)} bytes")
    form = _FORM.fullmatch(data)
    if form is None:
        return _unpacked(data)
    payload, keyid, signature, record, log_keyid, log_signature = form.groups()
    whole = not (len(payload) | len(signature) | len(record) | len(log_signature)) % 4
    if not whole or not (keyid + log_keyid).isalnum():
        return _unpacked(data)
    try:
        return (
            a2b_base64(payload, strict_mode=True),
            keyid.decode(),
            a2b_base64(signature, strict_mode=True),
            a2b_base64(record, strict_mode=True),
            log_keyid.decode(),
            a2b_base64(log_signature, strict_mode=True),
        )
    except binascii.Error:
        return _unpacked(data)


def _unpacked(data: bytes) -> tuple[bytes, str, bytes, bytes, str, bytes]:
    """What `unpack_entry` says of bytes that have not its form at first sight."""
    value = parse(data)
    if not isinstance(value, dict) or set(value) != {"command", "record", "v"}:
        raise Malformed("entry_fields")
    if type(value["v"]) is not int or value["v"] != 1:  # True == 1, and would be a second encoding
        raise Malformed("entry_version")
    return *parse_envelope(value["command"]), *parse_envelope(value["record"])


def peek_chain(data: bytes) -> str:
    """The chain that an entry seems to be about, without parsing it; empty when it can't be told.

    For dealing entries out: whoever takes the entry finds out what it is really about.
    """
    # The subject ends the command's payload. Base64 can be read from any fourth character on.
    end = data.find(b'"', _PAYLOAD_AT)
    try:
        for characters, octets in _SUBJECT_CHARACTERS:
            tail = a2b_base64(data[max(end - characters, _PAYLOAD_AT) : end])
            _, found, name = tail[-octets:].rpartition(_BEFORE_NAME)
            if found:
                return name[:-4].decode().removeprefix(TASK_PREFIX)
    except ValueError:  # no base64, or no text in it
        pass
    return ""


def header_digest(arguments: Mapping[str, JsonLike]) -> str:
    """What names a chain for ever: SHA-256 of the JCS of its first command's arguments, hex."""
    return hashlib.sha256(canonical(arguments)).hexdigest()


def header_of(command: Mapping[str, Json]) -> str:
    """The same of the predicate of a command that has been read."""
    return hashlib.sha256(written(command["arguments"])).hexdigest()


def leaf_hash(data: bytes) -> str:
    """Hex of SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + data).hexdigest()
