"""Words are sealed so that only the right key opens them, in their own place, unchanged."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.canonical import canonical
from audit.commitment import Opening
from audit.malformed import Malformed
from tests.support.world import Chance
from vault.keys import ReadingKey, load_reading_key, load_recipient, reading_key
from vault.sealing import Place, open_box, seal, unwrap, wrap

PLACE = Place("D1-1", "ab" * 32)
OTHERS = (Place("D1-2", "ab" * 32), Place("D1-1", "ac" * 32))
WORDS = Opening("reason", "Lý do không ai được đọc", b"s" * 32)
DATA_KEY = bytes(range(32))
KEY = reading_key(b"k" * 32)


def test_a_box_gives_back_words_and_salt() -> None:
    box = seal(WORDS, PLACE, DATA_KEY, Chance("box"))
    assert open_box(box, "reason", PLACE, DATA_KEY) == WORDS


@pytest.mark.parametrize("place", OTHERS)
def test_a_box_opens_in_its_own_place_only(place: Place) -> None:
    box = seal(WORDS, PLACE, DATA_KEY, Chance("box"))
    for field, where, key in [
        ("reason", place, DATA_KEY), ("note", PLACE, DATA_KEY), ("reason", PLACE, b"x" * 32),
    ]:  # fmt: skip
        with pytest.raises(Malformed, match="box_unopened"):
            open_box(box, field, where, key)


def test_no_byte_of_a_box_or_of_a_wrapped_key_may_be_changed_or_missing() -> None:
    box = seal(WORDS, PLACE, DATA_KEY, Chance("box"))
    wrapped = wrap(DATA_KEY, PLACE, KEY.recipient)
    for at in range(len(box)):
        for damaged in (box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :], box[:at]):
            with pytest.raises(Malformed, match="box_unopened"):
                open_box(damaged, "reason", PLACE, DATA_KEY)
    for at in range(len(wrapped)):
        for damaged in (wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :], wrapped[:at]):
            with pytest.raises(Malformed, match="box_unopened"):
                unwrap(damaged, PLACE, KEY)


def test_boxes_tell_nothing_of_how_long_the_words_are() -> None:
    sizes = {
        len(seal(Opening("reason", "x" * n, b"s" * 32), PLACE, DATA_KEY, Chance("box")))
        for n in range(1, 400)
    }
    assert len(sizes) == 1
    longer = Opening("reason", "x" * 4_000, b"s" * 32)
    assert open_box(seal(longer, PLACE, DATA_KEY, Chance("b")), "reason", PLACE, DATA_KEY) == longer


@pytest.mark.parametrize("place", OTHERS)
def test_a_data_key_opens_for_its_recipient_in_its_place_only(place: Place) -> None:
    wrapped = wrap(DATA_KEY, PLACE, KEY.recipient)
    assert unwrap(wrapped, PLACE, KEY) == DATA_KEY
    for where, key in [(place, KEY), (PLACE, reading_key(b"o" * 32))]:
        with pytest.raises(Malformed, match="box_unopened"):
            unwrap(wrapped, where, key)


def test_whoever_has_the_key_and_the_rfc_needs_no_program_of_ours() -> None:
    """RFC 9180 written down again: what is in the tables opens with that alone."""
    wrapped = wrap(DATA_KEY, PLACE, KEY.recipient)
    info = b"dondoc data key v1\x00" + canonical([PLACE.chain, PLACE.leaf, KEY.recipient.id])
    assert _hpke_open(KEY, wrapped[:32], wrapped[32:], info) == DATA_KEY


def _hpke_open(key: ReadingKey, enc: bytes, sealed: bytes, info: bytes) -> bytes:
    def extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk: bytes, suite: bytes, label: bytes, text: bytes, length: int) -> bytes:
        wanted = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + text
        return hmac.digest(prk, wanted + b"\x01", hashlib.sha256)[:length]

    raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    mine = key.private.public_key().public_bytes(*raw)
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    shared = key.private.exchange(X25519PublicKey.from_public_bytes(enc))
    secret = expand(extract(b"", kem, b"eae_prk", shared), kem, b"shared_secret", enc + mine, 32)
    context = b"\x00" + extract(b"", suite, b"psk_id_hash", b"")
    context += extract(b"", suite, b"info_hash", info)
    prk = extract(secret, suite, b"secret", b"")
    nonce = expand(prk, suite, b"base_nonce", context, 12)
    return AESGCM(expand(prk, suite, b"key", context, 32)).decrypt(nonce, sealed, b"")


def test_a_key_comes_back_from_its_file_and_from_no_other() -> None:
    pem = KEY.to_pem(b"open")
    assert load_reading_key(pem, b"open").recipient.id == KEY.recipient.id
    signing = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open"),
    )
    for data, passphrase in [(pem, b"shut"), (signing, b"open"), (b"no key", b"open")]:
        with pytest.raises(Malformed, match="vault_key_unreadable"):
            load_reading_key(data, passphrase)
    with pytest.raises(ValueError, match="1 or more bytes"):
        KEY.to_pem(b"")
    assert load_recipient(KEY.recipient.to_pem()).id == KEY.recipient.id
    assert load_recipient(KEY.recipient.spki).id == KEY.recipient.id


def test_keys_that_anybody_could_open_are_refused() -> None:
    weak = [0, 1, 2**255 - 19, 2**255 - 20]
    for point in weak:
        public = X25519PublicKey.from_public_bytes(point.to_bytes(32, "little"))
        spki = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(Malformed, match="reader_key_weak"):
            load_recipient(spki)
    signing = (
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for data in (signing, b"", b"-----BEGIN PUBLIC KEY-----"):
        with pytest.raises(Malformed, match="reader_key_unreadable"):
            load_recipient(data)


def test_nothing_of_a_key_is_shown() -> None:
    private = X25519PrivateKey.generate()
    shown = repr(ReadingKey(private)) + repr(ReadingKey(private).recipient)
    assert shown == "ReadingKey()Recipient()"
