"""Envelopes: what is signed, and the many forms that are not ours."""

import base64
from itertools import product
from typing import Any

import pytest

from audit.canonical import Json
from audit.dsse import PAYLOAD_TYPE, Envelope, decode_base64, format_envelope, pae, parse_envelope
from audit.malformed import Malformed
from audit.private_keys import private_key
from audit.signing import seal

KEY = private_key(bytes(range(32)))
ENVELOPE = seal(b'{"a":1}', KEY)


def test_the_encoding_is_that_of_the_dsse_specification() -> None:
    # The example of the protocol's own text.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_counted_in_bytes() -> None:
    assert pae("t/é", "Tết".encode()) == "DSSEv1 4 t/é 5 Tết".encode()


def test_an_envelope_is_read_as_it_was_written() -> None:
    assert parse_envelope(format_envelope(ENVELOPE)) == ENVELOPE
    assert ENVELOPE.verify(KEY.public)


def test_the_signature_covers_the_payload_type() -> None:
    other = KEY.sign(pae("text/plain", ENVELOPE.payload))
    assert not Envelope(ENVELOPE.payload, KEY.public.id, other).verify(KEY.public)
    bare = KEY.sign(ENVELOPE.payload)
    assert not Envelope(ENVELOPE.payload, KEY.public.id, bare).verify(KEY.public)


def test_a_keyid_that_names_another_key_does_not_verify() -> None:
    assert not Envelope(ENVELOPE.payload, "0" * 64, ENVELOPE.signature).verify(KEY.public)


def changed(**fields: Any) -> Json:
    return {**format_envelope(ENVELOPE), **fields}


SIGNATURE = base64.b64encode(ENVELOPE.signature).decode()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "envelope_fields"),
        ([], "envelope_fields"),
        ({}, "envelope_fields"),
        (changed(extra=1), "envelope_fields"),
        (changed(payloadType="application/json"), "envelope_payload_type"),
        (changed(payloadType=PAYLOAD_TYPE.upper()), "envelope_payload_type"),
        (changed(payloadType=None), "envelope_payload_type"),
        (changed(signatures=[]), "envelope_signature_count"),
        (changed(signatures=None), "envelope_signature_count"),
        (changed(signatures=[{"keyid": "a", "sig": SIGNATURE}] * 2), "envelope_signature_count"),
        (changed(signatures=[{"keyid": "a", "sig": SIGNATURE}] * 100), "envelope_signature_count"),
        (changed(signatures=["x"]), "envelope_fields"),
        (changed(signatures=[{"sig": SIGNATURE}]), "envelope_fields"),
        (changed(signatures=[{"keyid": 1, "sig": SIGNATURE}]), "envelope_fields"),
        (changed(signatures=[{"keyid": "a", "sig": SIGNATURE, "x": 1}]), "envelope_fields"),
        (changed(signatures=[{"keyid": "a", "sig": 1}]), "base64"),
        (changed(signatures=[{"keyid": "a", "sig": "AA=="}]), "signature_length"),
        (changed(signatures=[{"keyid": "a", "sig": SIGNATURE + "AAAA"}]), "base64"),
        (changed(payload=1), "base64"),
        (changed(payload="*"), "base64"),
    ],
)
def test_any_other_form_is_refused_by_name(value: Any, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_envelope(value)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text",
    ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "QQ===", "Q_==", "QQ==QQ==", "QUI", "QUJ=", "É"],
)
def test_base64_has_one_form_for_each_value(text: str) -> None:
    with pytest.raises(Malformed, match="base64"):
        decode_base64(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("QUI=", None), ("QQ==", None), ("QUIB", None), ("", None),
        ("QUJ=", "base64_not_canonical"), ("QR==", "base64_not_canonical"),
        ("QUIB=", "base64_not_canonical"), ("QUIB====", "base64_not_canonical"),
        ("=", "base64"), ("QUI", "base64"), ("QU=I", "base64"), ("QUI=QUI=", "base64"),
        ("QQ=", "base64"), ("Q===", "base64"), ("QU I", "base64"), ("QUI=\n", "base64"),
    ],
)  # fmt: skip
def test_every_python_has_the_same_name_for_what_is_wrong(text: str, code: str | None) -> None:
    """The decoders of some take what others refuse."""
    try:
        decode_base64(text)
    except Malformed as error:
        assert error.code == code  # noqa: PT017 - not all of them raise
    else:
        assert code is None


def test_base64_in_its_one_form_is_read() -> None:
    for data in (b"", b"A", b"AB", b"ABC"):
        assert decode_base64(base64.b64encode(data).decode()) == data


def test_every_short_text_is_decoded_just_when_encoding_gives_it_back() -> None:
    # A, Q and x end in 0, 4 and 1 superfluous bits; "=" stands everywhere it can.
    for length in range(9):
        for characters in product("AQx=", repeat=length):
            text = "".join(characters)
            try:
                data = base64.b64decode(text, validate=True)
            except ValueError:
                data = None
            canonical = data is not None and base64.b64encode(data).decode() == text
            try:
                decoded = decode_base64(text)
            except Malformed:
                assert not canonical, text
            else:
                assert canonical, text
                assert decoded == data
