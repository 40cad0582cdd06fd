"""The fast grammars recognise nothing that parsing would refuse, and read it the same way."""

import random
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from audit import entry as entries
from audit import statement as statements
from audit.canonical import MAX_DEPTH, MAX_INTEGER, canonical, parse
from audit.dsse import Envelope, parse_envelope
from audit.entry import Entry, parse_entry
from audit.malformed import Malformed
from audit.signing import sign_command, sign_record
from audit.statement import COMMAND_TYPE, RECORD_TYPE, Statement, Subject, open_command, open_record
from tests.support.attacking import small_log
from tests.support.world import key_of

KEY = key_of("an")
AT = "2026-03-02T02:00:00.000000Z"
SUBJECT = Subject("task:D1-1", "0" * 64)
COMMAND: dict[str, Any] = {
    "arguments": {"a": [1, {"b": None}], "t": 'x},"'.replace('"', "")},
    "event": "confirm",
    "id": "0" * 32,
    "issued_at": AT,
    "log": "dondoc.example/log",
    "on_behalf": {"agency": "snv", "for": None, "role": "officer"},
    "seen": {"digest": "0" * 64, "version": 1},
}
RECORD: dict[str, Any] = {
    "assurance": "key",
    "calendar": "1",
    "clocks": {"due": {"due": AT, "rule": "due", "since": AT}, "none": None},
    "command": "0" * 64,
    "from": "assigned",
    "log": "dondoc.example/log",
    "person": "snv.officer",
    "prev": "0" * 64,
    "received_at": AT,
    "recorded_at": AT,
    "rules": "1",
    "seq": 1,
    "to": "confirmed",
}
PAYLOADS = {
    COMMAND_TYPE: sign_command(SUBJECT, COMMAND, KEY).payload,
    RECORD_TYPE: sign_record(SUBJECT, RECORD, KEY).payload,
}
TOKENS = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"false", b"1", b"0", b"-1", b"1.0",
    b"9007199254740991", b"9007199254740992", b"NaN", b"\\", b'\\"', b"\\u0041", b"\\ud800", b"\\n",
    b"\x00", b"\x7f", b"\xff", "ế".encode(), "e\u0302".encode(), "\u202e".encode(), b" ", b"\n",
    b'"a":1,', b'"arguments":{},', b',"event":"x"', b"{}", b'{"a":{}}', b"[]", b"2026-02-30", b"60",
    b'"}],"', b"task:", b'"name":"', b'"}]}', b"[" * 12 + b"]" * 12, b"[" * 14 + b"]" * 14,
]  # fmt: skip


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Malformed:
        return None


def slow(kind: str, payload: bytes) -> Statement | None:
    if kind == COMMAND_TYPE:
        forms, code = statements._COMMAND_FORMS, "malformed_command"
    else:
        forms, code = statements._RECORD_FORMS, "malformed_record"
    found = outcome(lambda: statements._opened(payload, kind, forms, code))
    return None if found is None else Statement(Subject(*found[:2]), found[2])


def fast(kind: str, payload: bytes) -> Statement | None:
    envelope = Envelope(payload, "", b"")
    read = open_command if kind == COMMAND_TYPE else open_record
    found = outcome(lambda: read(envelope))
    assert found is None or isinstance(found, Statement)
    return found


def same(kind: str, payload: bytes) -> Statement | None:
    quick, thorough = fast(kind, payload), slow(kind, payload)
    assert quick == thorough
    # Equality alone would take True for 1.
    assert repr(quick) == repr(thorough) or (
        quick is not None and thorough is not None
        and canonical(quick.predicate) == canonical(thorough.predicate)
    )  # fmt: skip
    return quick


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    data = whole
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 0, 1, 2, 5, 30])))
        token = draw(st.sampled_from([b"", *TOKENS]) | st.binary(max_size=3))
        data = data[:at] + token + data[end:]
    return data


@given(st.sampled_from(sorted(PAYLOADS)).flatmap(
    lambda kind: st.tuples(st.just(kind), mutated(PAYLOADS[kind]))
))  # fmt: skip
def test_mutated_statements_are_read_the_same_both_ways(case: tuple[str, bytes]) -> None:
    same(*case)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4)
    | st.sampled_from(["}", "{", ',"event":"x"', "],", "\\", "ế", "\u200f", AT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab{}:,", max_size=3),
                                                                inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(sorted({*COMMAND} - {"key"})), VALUES)
@example("seen", {"digest": "0" * 64, "version": True})
@example("seen", {"digest": "0" * 64, "version": 2**53 - 1})
@example("arguments", {"a": '},"event":"x"'})
@example("event", "\u202econfirm")
def test_commands_with_any_value_in_a_field_are_read_the_same(field: str, value: Any) -> None:
    payload = outcome(lambda: sign_command(SUBJECT, {**COMMAND, field: value}, KEY).payload)
    if payload is not None:
        same(COMMAND_TYPE, payload)


@given(st.sampled_from(sorted(RECORD)), VALUES)
@example("seq", True)
@example("seq", 2**53 - 1)
@example("clocks", {"a": {"due": AT, "rule": "\u1ebf", "since": AT}})
def test_records_with_any_value_in_a_field_are_read_the_same(field: str, value: Any) -> None:
    payload = outcome(lambda: sign_record(SUBJECT, {**RECORD, field: value}, KEY).payload)
    if payload is not None:
        same(RECORD_TYPE, payload)


@pytest.mark.parametrize("depth", range(8, 18))
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_is_read_to_the_same_depth(depth: int, brackets: str) -> None:
    plain = PAYLOADS[COMMAND_TYPE]
    opening, closing = ('{"a":', "}") if brackets == "{}" else ("[", "]")
    deep = (opening * depth + "1" + closing * depth).encode()
    payload = plain.replace(b'{"a":[1,{"b":null}]', b'{"a":' + deep, 1)
    assert payload != plain
    found = same(COMMAND_TYPE, payload)
    assert (found is not None) == (depth <= MAX_DEPTH - 3)


@pytest.mark.parametrize(
    "change",
    [
        (b'"a":[1', b'"a":[1,1'), (b'"seen":{', b'"seen":{"a":1,'), (b'"event"', b'"Event"'),
        (b'"version":1', b'"version":01'), (b'"version":1', b'"version":9007199254740992'),
        (b'"version":1', b'"version":true'), (b'"version":1', b'"version":1.0'),
        (b"02:00:00", b"24:00:00"), (b"02:00:00", b"02:60:00"), (b"02:00:00", b"02:00:60"),
        (b"03-02T", b"02-30T"), (b"2026-", b"0000-"), (b"task:D1-1", b"task:\\u0044"),
        (b"task:D1-1", "task:ế".encode()), (b"task:D1-1", "task:e\u0302".encode()),
        (b"0" * 64, b"A" * 64), (b"0" * 64, b" " + b"0" * 63), (b"0" * 64, b" 0" * 32),
        (b"0" * 64, b"g" * 64), (b"0" * 64, b"0" * 63), (b'"id":"00', b'"id":" 0'),
        (b'"digest":"00', b'"digest":"0 '), (b'"version":1}', b'"version":1,"x":"\xe1\xba\xbf"}'),
        (b'"t":"', b'"t":"\xe1\xba\xbf'), (b'"t":"', b'"t":"e\xcc\x82'), (b'"t":"', b'"t":"\xff'),
        (b'"t":"', b'"t":"\n'), (b'"t":"', b'"t":"\\n'), (b'"t":"', b'"t":"\x7f'),
        (b"confirm", b"con\x7ffirm"), (b"confirm", b"con\xfffirm"), (b"confirm", b""),
    ],
)  # fmt: skip
def test_what_tricks_a_grammar_is_read_the_same(change: tuple[bytes, bytes]) -> None:
    payload = PAYLOADS[COMMAND_TYPE].replace(*change, 1)
    assert payload != PAYLOADS[COMMAND_TYPE]
    same(COMMAND_TYPE, payload)


ENTRY = small_log().entries[4]


def slow_entry(data: bytes) -> Entry | None:
    """As `parse_entry` reads whatever its form does not recognise."""
    recognised = entries._FORM
    entries._FORM = re.compile(b"(?!)")
    try:
        found = outcome(lambda: parse_entry(data))
    finally:
        entries._FORM = recognised
    assert found is None or isinstance(found, Entry)
    return found


@given(mutated(ENTRY))
@example(ENTRY)
@example(ENTRY.replace(b'"v":1', b'"v":true'))
@example(ENTRY.replace(b'{"command":', b'{"command":1,"command":'))
def test_mutated_entries_are_read_the_same_both_ways(data: bytes) -> None:
    assert outcome(lambda: parse_entry(data)) == slow_entry(data)


def test_entries_with_one_character_changed_are_read_the_same_both_ways() -> None:
    chance = random.Random(7)  # noqa: S311 - a test's own
    for at in range(len(ENTRY)):
        data = ENTRY[:at] + bytes([chance.choice(b'A=+/"{}0a\\\xc3')]) + ENTRY[at + 1 :]
        assert outcome(lambda data=data: parse_entry(data)) == slow_entry(data)  # type: ignore[misc]


@given(st.binary(max_size=300) | mutated(PAYLOADS[COMMAND_TYPE]) | mutated(b'{"a":[1,"\xc3\xaa"]}'))
def test_what_parses_is_what_an_oracle_writes(data: bytes) -> None:
    try:
        value = parse(data)
    except Malformed:
        return
    assert rfc8785.dumps(value) == data
    assert unicodedata.is_normalized("NFC", data.decode())
    assert largest(value) <= MAX_INTEGER


def largest(value: Any) -> int:
    if isinstance(value, dict):
        return max(map(largest, value.values()), default=0)
    if isinstance(value, list):
        return max(map(largest, value), default=0)
    return abs(value) if isinstance(value, int) else 0


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_malformed(data: bytes) -> None:
    outcome(lambda: parse_entry(data))
    outcome(lambda: parse_envelope(parse(data)))


TEXTS = sign_command(SUBJECT, {**COMMAND, "arguments": {"a": "x", "b": "y"}}, KEY).payload


@pytest.mark.parametrize(
    "given",
    [
        b'{"b":"y","a":"x"}', b'{"a":"x","a":"y"}', b'{"a":"x","a":"x"}', b'{"a":"x","b":"y",}',
        b'{"a":"x" ,"b":"y"}', b'{"a":"x","b":"y\\u0041"}', b'{"a":"x","b":"y\x01"}',
        b'{"a":"x","b":"}"}', b'{"a":"x"}', b'{"":""}', b'{"aa":"x","a":"y"}',
        b'{"a":"x","aa":"y"}',
    ],
)  # fmt: skip
def test_a_few_texts_are_read_the_same_both_ways(given: bytes) -> None:
    payload = TEXTS.replace(b'{"a":"x","b":"y"}', given)
    assert payload != TEXTS
    same(COMMAND_TYPE, payload)
