"""The codec alone: what it hides, what it lets through, and what it refuses."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from audit.submission import MAX_SUBMISSION_BYTES
from payloads.codec import ENCODING, ENCRYPTED, KEY_ID, EncryptingCodec
from payloads.converter import encrypting_converter
from payloads.keys import OVERHEAD_BYTES, PayloadKey, Unreadable
from payloads.ring import KeyMissing, Ring, fixed
from tests.support.clients import payload_key
from tests.support.scanning import found_in

OLD, NEW, OTHER = payload_key("old"), payload_key("new"), payload_key("other")
WORD = "Giải phóng mặt bằng"
BLOB_LIMIT = 2 * 1024 * 1024
"""What Temporal's server takes as one payload, unless told otherwise."""

PAYLOADS = st.builds(
    Payload, metadata=st.dictionaries(st.text(max_size=9), st.binary(max_size=9)), data=st.binary()
)


def counting() -> Callable[[int], bytes]:
    """Nonces that are the numbers from one on: a test sees which was used."""
    used = iter(range(1, 1_000_000))
    return lambda size: next(used).to_bytes(size, "big")


def codec(*keys: PayloadKey) -> EncryptingCodec:
    return EncryptingCodec(Ring(fixed(*keys), lambda: 0.0), counting())


def plain(text: str = WORD) -> Payload:
    return Payload(metadata={ENCODING: b"json/plain"}, data=json.dumps(text).encode())


async def sealed(key: PayloadKey = NEW, payload: Payload | None = None) -> Payload:
    return (await codec(key).encode([payload or plain()]))[0]


@given(payloads=st.lists(PAYLOADS, max_size=4))
async def test_whatever_is_encoded_decodes_to_the_same(payloads: list[Payload]) -> None:
    encoded = await codec(NEW).encode(payloads)
    assert all(each.metadata[ENCODING] == ENCRYPTED for each in encoded)
    assert await codec(NEW, OLD).decode(encoded) == payloads


async def test_what_is_encrypted_twice_is_opened_twice() -> None:
    once = await sealed()
    twice = await sealed(payload=once)
    assert await codec(NEW).decode([twice]) == [once]


async def test_an_encrypted_payload_says_its_encoding_and_its_key_and_nothing_else() -> None:
    payload = Payload(metadata={ENCODING: b"json/plain", "note": WORD.encode()}, data=b"{}")
    encoded = await sealed(payload=payload)
    assert dict(encoded.metadata) == {ENCODING: ENCRYPTED, KEY_ID: NEW.id.encode()}
    assert found_in(payload.SerializeToString(), [WORD]) == {WORD}
    assert found_in(encoded.SerializeToString(), [WORD, "json"]) == set()


async def test_no_nonce_is_used_twice() -> None:
    one = codec(NEW)
    encoded = await one.encode([plain()] * 3) + await one.encode([plain()] * 3)
    assert len({each.data[:12] for each in encoded}) == len({each.data for each in encoded}) == 6


async def test_the_newest_key_encrypts_and_older_ones_decrypt() -> None:
    encoded = await codec(NEW, OLD).encode([plain()])
    assert encoded[0].metadata[KEY_ID] == NEW.id.encode()
    assert await codec(NEW, OLD).decode([await sealed(OLD)]) == [plain()]


async def test_a_payload_that_was_never_encrypted_passes_as_it_is() -> None:
    for payload in (plain(), Payload(), Payload(metadata={ENCODING: b"binary/null"})):
        assert await codec(NEW).decode([payload]) == [payload]


async def test_a_missing_key_is_named() -> None:
    with pytest.raises(KeyMissing, match=OLD.id):
        await codec(NEW).decode([plain(), await sealed(OLD)])
    assert await codec(NEW).decode_known([plain(), await sealed(OLD), await sealed()]) == [
        plain(), await sealed(OLD), plain(),
    ]  # fmt: skip


async def test_every_altered_bit_is_noticed() -> None:
    payload = await sealed()
    converter = encrypting_converter(Ring(fixed(NEW), lambda: 0.0), counting())
    for at in range(len(payload.data)):
        data = bytearray(payload.data)
        data[at] ^= 1
        with pytest.raises(Unreadable, match=NEW.id):
            await converter.decode([Payload(metadata=payload.metadata, data=bytes(data))])


@pytest.mark.parametrize("data", [b"", b"short", b"\0" * OVERHEAD_BYTES])
async def test_what_only_looks_encrypted_passes_the_codec_and_has_no_value(data: bytes) -> None:
    for name in (NEW.id.encode(), b"", b"\xff\xfe"):
        forged = Payload(metadata={ENCODING: ENCRYPTED, KEY_ID: name}, data=data)
        if name == b"\xff\xfe":
            with pytest.raises(KeyMissing):
                await codec(NEW).decode([forged])
            continue
        assert await codec(NEW).decode([forged]) == [forged]
        converter = encrypting_converter(Ring(fixed(NEW), lambda: 0.0), counting())
        with pytest.raises(Unreadable):
            await converter.decode([forged])


async def test_bytes_that_are_no_payload_do_not_open_though_the_key_made_them() -> None:
    data = NEW.seal(b"\xff no protobuf", b"\0" * 12)
    payload = Payload(metadata={ENCODING: ENCRYPTED, KEY_ID: NEW.id.encode()}, data=data)
    assert await codec(NEW).decode([payload]) == [payload]


async def test_a_payload_under_another_keys_name_does_not_open() -> None:
    payload = await sealed(OLD)
    payload.metadata[KEY_ID] = NEW.id.encode()
    assert await codec(NEW, OLD).decode([payload]) == [payload]


def test_the_keys_id_is_bound_even_to_the_same_secret() -> None:
    renamed = PayloadKey(NEW.secret)
    object.__setattr__(renamed, "id", OLD.id)
    with pytest.raises(Unreadable):
        renamed.open(NEW.seal(b"x", b"\0" * 12))


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(NEW) == "PayloadKey()"
    assert NEW.secret.hex()[:16] != NEW.id
    assert len({NEW.id, OLD.id, OTHER.id}) == 3
    for length in (0, 16, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            PayloadKey(b"x" * length)


async def test_encryption_adds_the_same_few_bytes_to_every_size() -> None:
    for size in (0, 1, 1_000, MAX_SUBMISSION_BYTES, BLOB_LIMIT - 1_000):
        payload = Payload(metadata={ENCODING: b"json/plain"}, data=b"x" * size)
        encoded = await sealed(payload=payload)
        assert len(encoded.data) == payload.ByteSize() + OVERHEAD_BYTES
        # What the metadata says, and protobuf's own lengths and tags.
        assert encoded.ByteSize() - payload.ByteSize() <= 120
        assert await codec(NEW).decode([encoded]) == [payload]


async def test_the_largest_submission_stays_far_below_what_the_server_takes() -> None:
    escaped = "\\" * MAX_SUBMISSION_BYTES
    payload = Payload(metadata={ENCODING: b"json/plain"}, data=json.dumps(escaped).encode())
    assert (await sealed(payload=payload)).ByteSize() < BLOB_LIMIT / 2


async def failure_of(error: Exception) -> Failure:
    converter = encrypting_converter(Ring(fixed(NEW), lambda: 0.0), counting())
    failure = Failure()
    await converter.encode_failure(error, failure)
    return failure


async def test_a_failure_keeps_its_message_its_trace_its_details_and_its_cause_to_itself() -> None:
    def fail() -> None:
        note = f"{WORD} trong mã"
        raise ValueError(note)

    error = ApplicationError(WORD, {"fact": WORD}, type="refused")
    try:
        fail()
    except ValueError as cause:
        error.__cause__ = cause
    failure = await failure_of(error)
    assert found_in(failure.SerializeToString(), [WORD, "test_codec.py"]) == set()
    assert failure.application_failure_info.type == "refused"
    again = await encrypting_converter(Ring(fixed(NEW), lambda: 0.0), counting()).decode_failure(
        failure
    )
    assert isinstance(again, ApplicationError)
    assert (again.message, list(again.details)) == (WORD, [{"fact": WORD}])
    assert WORD in str(again.cause)


async def test_only_which_key_is_missing_is_told_in_clear() -> None:
    assert OLD.id in (await failure_of(KeyMissing(OLD.id))).message
    assert (await failure_of(LookupError(OLD.id))).message == "Encoded failure"


class Keys:
    """A source of keys that changes, and counts how often it is asked."""

    def __init__(self, *keys: PayloadKey) -> None:
        self.keys = list(keys)
        self.now = 0.0
        self.asked = 0

    def __call__(self) -> list[PayloadKey]:
        self.asked += 1
        return self.keys

    def ring(self) -> Ring:
        return Ring(self, lambda: self.now)


def test_a_ring_takes_up_a_new_key_within_a_second() -> None:
    keys = Keys(OLD)
    ring = keys.ring()
    keys.keys = [NEW, OLD]
    assert ring.newest() is OLD
    assert keys.asked == 1
    keys.now = 1.0
    assert ring.newest() is NEW
    assert ring.newest() is NEW
    assert keys.asked == 2


def test_a_ring_looks_again_at_once_for_a_key_that_it_does_not_know() -> None:
    keys = Keys(OLD)
    ring = keys.ring()
    with pytest.raises(KeyMissing, match=NEW.id):
        ring.find(NEW.id)
    keys.keys = [NEW, OLD]
    assert ring.find(NEW.id) is NEW
    assert ring.find(OLD.id) is OLD


def test_a_key_that_is_taken_away_is_gone_but_never_the_last_one() -> None:
    keys = Keys(NEW, OLD)
    ring = keys.ring()
    keys.keys, keys.now = [NEW], 1.0
    assert ring.newest() is NEW
    with pytest.raises(KeyMissing):
        ring.find(OLD.id)
    keys.keys, keys.now = [], 2.0
    assert ring.newest() is NEW


def test_a_ring_without_keys_is_none() -> None:
    with pytest.raises(ValueError, match="no payload key"):
        Keys().ring()
