"""Entries: the example that the format's description refers to, and every other form refused."""

import base64
import hashlib
import json
from typing import Any

import pytest

from audit.canonical import JsonLike, canonical, parse
from audit.commitment import parse_opening
from audit.dsse import PAYLOAD_TYPE, format_envelope
from audit.entry import (
    MAX_ENTRY_BYTES,
    NO_PREVIOUS,
    Entry,
    Subject,
    command_digest,
    format_entry,
    header_digest,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
    peek_chain,
)
from audit.keys import load_public
from audit.malformed import Malformed
from audit.private_keys import private_key
from audit.signing import seal, sign_command, sign_record
from audit.statement import COMMAND_TYPE, RECORD_TYPE
from tests.support import example

KEY = private_key(bytes(32))
SUBJECT = Subject("task:D1-1", "0" * 64)
COMMAND: dict[str, JsonLike] = {
    "arguments": {},
    "event": "confirm",
    "id": "0" * 32,
    "issued_at": "2026-03-02T02:00:00.000000Z",
    "log": "dondoc.example/log",
    "on_behalf": {"agency": "snv", "for": None, "role": "officer"},
    "seen": {"digest": "0" * 64, "version": 1},
}
RECORD: dict[str, JsonLike] = {
    "assurance": "key",
    "calendar": "vn-1",
    "clocks": {
        "confirm": None,
        "due": {
            "due": "2026-03-02T02:00:00.000000Z",
            "rule": "due",
            "since": "2026-03-02T02:00:00.000000Z",
        },
    },
    "command": "0" * 64,
    "from": "assigned",
    "log": "dondoc.example/log",
    "person": "snv.officer",
    "prev": NO_PREVIOUS,
    "received_at": "2026-03-02T02:00:00.000000Z",
    "recorded_at": "2026-03-02T02:00:00.000000Z",
    "rules": "1",
    "seq": 1,
    "to": "confirmed",
}
ENTRY = Entry(sign_command(SUBJECT, COMMAND, KEY), sign_record(SUBJECT, RECORD, KEY))
BYTES = format_entry(ENTRY)
MAX_NAME = 125
"""Of more characters no name can be told without parsing."""


def test_the_example_is_what_the_code_writes_today() -> None:
    assert example.FILE.read_text(encoding="utf-8") == example.text()


def test_the_example_can_be_checked_with_nothing_but_itself() -> None:
    found = json.loads(example.FILE.read_text(encoding="utf-8"))
    log_key = load_public(base64.b64decode(found["log_key"]))
    people = {
        key: load_public(base64.b64decode(spki)) for key, spki in found["keys_of_people"].items()
    }
    assert [entry["command"]["predicate"]["event"] for entry in found["entries"]] == [
        "register", "transfer", "confirm",
    ]  # fmt: skip
    prev, seen = NO_PREVIOUS, None
    header = header_digest(found["entries"][0]["command"]["predicate"]["arguments"])
    for seq, spelled in enumerate(found["entries"], start=1):
        data = spelled["bytes"].encode()
        assert spelled["leaf"] == hashlib.sha256(b"\x00" + data).hexdigest()
        entry = parse_entry(data)
        command, record = open_command(entry.command), open_record(entry.record)
        assert entry.record.verify(log_key)
        assert entry.command.verify(people[command.text("key")])
        assert json.loads(entry.command.payload) == spelled["command"]
        assert json.loads(entry.record.payload) == spelled["record"]
        assert command.subject == record.subject == Subject("task:D1-1", header)
        assert command.predicate["log"] == record.predicate["log"] == found["origin"]
        assert command.predicate["seen"] == seen
        assert record.predicate["command"] == command_digest(entry.command)
        assert (record.predicate["seq"], record.predicate["prev"]) == (seq, prev)
        arguments = spelled["command"]["predicate"]["arguments"]
        for field, value in spelled["openings"].items():
            assert parse_opening(field, value).opens(arguments[field])
        prev, seen = spelled["leaf"], {"digest": spelled["leaf"], "version": seq}


def test_an_entry_is_read_as_it_was_written() -> None:
    assert parse_entry(BYTES) == ENTRY
    assert open_command(ENTRY.command).predicate == {**COMMAND, "key": KEY.public.id}
    assert open_record(ENTRY.record).predicate == RECORD
    assert leaf_hash(BYTES) == hashlib.sha256(b"\x00" + BYTES).hexdigest()


def test_every_prefix_is_refused() -> None:
    for size in range(len(BYTES)):
        with pytest.raises(Malformed):
            parse_entry(BYTES[:size])


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"v": True}, {"v": None}, {"v": "1"}, {"more": 1}, {"command": None},
     {"record": []}, {"record": format_envelope(ENTRY.record) | {"payloadType": "text/plain"}}],
)  # fmt: skip
def test_an_entry_of_another_form_is_refused(change: dict[str, Any]) -> None:
    value = parse(BYTES)
    assert isinstance(value, dict)
    with pytest.raises(Malformed):
        parse_entry(canonical({**value, **change}))


def test_an_entry_without_a_version_is_refused() -> None:
    value = parse(BYTES)
    assert isinstance(value, dict)
    del value["v"]
    with pytest.raises(Malformed, match="entry_fields"):
        parse_entry(canonical(value))


def test_an_entry_that_is_too_large_is_neither_written_nor_read() -> None:
    arguments = {"note": "x" * MAX_ENTRY_BYTES}
    large = sign_command(SUBJECT, {**COMMAND, "arguments": arguments}, KEY)
    with pytest.raises(Malformed, match="entry_too_large"):
        format_entry(Entry(large, ENTRY.record))
    with pytest.raises(Malformed, match="entry_too_large"):
        parse_entry(b"x" * (MAX_ENTRY_BYTES + 1))


BAD_INSTANTS = (
    None, 1, "", "2026-03-02", "2026-03-02T02:00:00Z", "2026-03-02T02:00:00.000Z",
    "2026-03-02T02:00:00.000000+00:00", "2026-03-02 02:00:00.000000Z",
    "2026-02-30T02:00:00.000000Z", "2026-03-02T24:00:00.000000Z", "2026-03-02T02:00:00.000000Z\n",
    "２026-03-02T02:00:00.000000Z", "0000-01-01T00:00:00.000000Z",
)  # fmt: skip
BAD_HEX = (None, 0, "", "0", "G" * 64, "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", "٠" * 64)
BAD_COUNTS = (None, 0, -1, True, "1", [1])
BAD_TEXTS: tuple[Any, ...] = (None, 1, True, [], {})
CLOCK = {"due": COMMAND["issued_at"], "rule": "due", "since": COMMAND["issued_at"]}
BAD_CLOCKS: tuple[Any, ...] = (
    None, [], "x", {"due": 1}, {"due": {}}, {"due": {**CLOCK, "more": 1}}, {"due": False},
    {"due": {**CLOCK, "due": "tomorrow"}}, {"due": {**CLOCK, "since": None}},
    {"due": {**CLOCK, "rule": 1}},
)  # fmt: skip
BAD_BEHALVES: tuple[Any, ...] = (
    None, [], {}, {"agency": "snv"}, {"agency": "snv", "role": "officer"},
    {"agency": "snv", "for": None, "role": 1}, {"agency": "snv", "for": 1, "role": "officer"},
    {"agency": None, "for": None, "role": "officer"},
    {"agency": "snv", "for": None, "role": "officer", "more": "x"},
)  # fmt: skip
SEEN = {"digest": "0" * 64, "version": 1}
BAD_SEEN: tuple[Any, ...] = (
    [], {}, 0, "", False, {"digest": "0" * 64}, {**SEEN, "version": 0}, {**SEEN, "version": True},
    {**SEEN, "version": "1"}, {**SEEN, "digest": "0"}, {**SEEN, "more": 1},
)  # fmt: skip

BAD_COMMANDS: list[tuple[str, Any]] = [
    *[("arguments", value) for value in (None, [], [["a", 1]], "x", 1)],
    *[("event", value) for value in BAD_TEXTS],
    *[("id", value) for value in (*BAD_HEX, "0" * 64)],
    *[("issued_at", value) for value in BAD_INSTANTS],
    *[("log", value) for value in BAD_TEXTS],
    *[("on_behalf", value) for value in BAD_BEHALVES],
    *[("seen", value) for value in BAD_SEEN],
]
BAD_RECORDS: list[tuple[str, Any]] = [
    *[(field, value) for field in ("assurance", "calendar", "log", "person", "rules", "to")
      for value in BAD_TEXTS],
    *[("clocks", value) for value in BAD_CLOCKS],
    *[(field, value) for field in ("command", "prev") for value in BAD_HEX],
    *[("from", value) for value in BAD_TEXTS if value is not None],
    *[(field, value) for field in ("received_at", "recorded_at") for value in BAD_INSTANTS],
    *[("seq", value) for value in BAD_COUNTS],
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD_COMMANDS)
def test_a_command_with_a_field_of_another_form_is_refused(field: str, value: Any) -> None:
    with pytest.raises(Malformed, match=f"malformed_command: {field}"):
        open_command(sign_command(SUBJECT, {**COMMAND, field: value}, KEY))


@pytest.mark.parametrize(("field", "value"), BAD_RECORDS)
def test_a_record_with_a_field_of_another_form_is_refused(field: str, value: Any) -> None:
    with pytest.raises(Malformed, match=f"malformed_record: {field}"):
        open_record(sign_record(SUBJECT, {**RECORD, field: value}, KEY))


@pytest.mark.parametrize("field", sorted(COMMAND))
def test_a_command_that_lacks_a_field_is_refused(field: str) -> None:
    rest = {name: value for name, value in COMMAND.items() if name != field}
    with pytest.raises(Malformed, match="statement_fields"):
        open_command(sign_command(SUBJECT, rest, KEY))


@pytest.mark.parametrize("field", sorted(RECORD))
def test_a_record_that_lacks_a_field_is_refused(field: str) -> None:
    rest = {name: value for name, value in RECORD.items() if name != field}
    with pytest.raises(Malformed, match="statement_fields"):
        open_record(sign_record(SUBJECT, rest, KEY))


def test_a_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Malformed, match="statement_fields"):
        open_command(sign_command(SUBJECT, {**COMMAND, "more": 1}, KEY))


def test_a_record_is_no_command_and_a_command_no_record() -> None:
    with pytest.raises(Malformed, match=COMMAND_TYPE):
        open_command(ENTRY.record)
    with pytest.raises(Malformed, match=RECORD_TYPE):
        open_record(ENTRY.command)


STATEMENT = json.loads(ENTRY.command.payload)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"more": 1},
        {"predicate": []},
        {"predicateType": None},
        {"subject": []},
        {"subject": STATEMENT["subject"] * 2},
        {"subject": [{**STATEMENT["subject"][0], "uri": "x"}]},
        {"subject": [{"digest": {"sha256": "0" * 63}, "name": "task:D1-1"}]},
        {"subject": [{"digest": {"sha256": "0" * 64, "sha1": "0"}, "name": "task:D1-1"}]},
        {"subject": [{"digest": {"sha256": "0" * 64}, "name": None}]},
        {"subject": None},
    ],
)
def test_a_statement_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="statement_form"):
        open_command(seal(canonical({**STATEMENT, **change}), KEY))


def test_a_payload_that_is_not_canonical_is_refused() -> None:
    loose = json.dumps(STATEMENT).encode()
    with pytest.raises(Malformed, match="not_canonical"):
        open_command(seal(loose, KEY))


def test_the_digest_of_a_command_binds_its_type() -> None:
    payload = ENTRY.command.payload
    expected = b"DSSEv1 %d %b %d %b" % (
        len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload,
    )  # fmt: skip
    assert command_digest(ENTRY.command) == hashlib.sha256(expected).hexdigest()


def test_all_entries_of_a_chain_are_seen_to_be_about_the_same_one() -> None:
    """Else it would be dealt out to two processes, each of which would miss half of it."""
    for length in range(1, 200):
        subject = Subject(f"task:{'x' * length}", "0" * 64)
        found = {
            peek_chain(format_entry(Entry(sign_command(subject, command, KEY), ENTRY.record)))
            for command in ({**COMMAND, "event": "confirm" + "s" * more} for more in range(3))
        }
        assert found == {"x" * length if length <= MAX_NAME else ""}, length
