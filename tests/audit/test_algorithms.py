"""ECDSA, RSA and ML-DSA beside Ed25519: one form of each signature, and no weak keys."""

import base64
from math import prod

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from audit.algorithms import Kind, _primes, spki_of
from audit.dsse import format_envelope, parse_envelope
from audit.keys import load_public
from audit.malformed import Malformed
from audit.private_keys import PrivateKey, private_key
from audit.signing import seal

P256 = PrivateKey(ec.derive_private_key(0x1234567, ec.SECP256R1()))
P384 = PrivateKey(ec.derive_private_key(0x1234567, ec.SECP384R1()))
RSA = PrivateKey(rsa.generate_private_key(65537, 2048))
ML_DSA = PrivateKey(mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))))
ED25519 = private_key(bytes(range(32)))

ORDERS = {
    Kind.P256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    Kind.P384: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
}
KEYS = [
    (ED25519, Kind.ED25519, 64),
    (P256, Kind.P256, 64),
    (P384, Kind.P384, 96),
    (RSA, Kind.RSA, 256),
    (ML_DSA, Kind.ML_DSA_44, 2420),
]


@pytest.mark.parametrize(("key", "kind", "length"), KEYS)
def test_every_kind_signs_and_verifies_in_its_length(
    key: PrivateKey, kind: Kind, length: int
) -> None:
    signature = key.sign(b"message")
    assert (key.public.kind, len(signature)) == (kind, length)
    assert load_public(key.public.spki).verify(signature, b"message")
    assert not key.public.verify(signature, b"massage")
    for other in (signature[:-1], signature + b"\x00", b"\x00" + signature, b"", bytes(length)):
        assert not key.public.verify(other, b"message")


@pytest.mark.parametrize(("key", "kind", "length"), KEYS[:-1])
def test_every_kind_that_a_person_may_have_seals_commands(
    key: PrivateKey, kind: Kind, length: int
) -> None:
    envelope = parse_envelope(format_envelope(seal(b"{}", key)))
    assert envelope.verify(key.public), kind
    assert len(envelope.signature) == length


@pytest.mark.parametrize("length", [0, 63, 513, 2420])
def test_a_signature_of_no_possible_length_is_refused_before_any_key_is_asked(length: int) -> None:
    envelope = format_envelope(seal(b"{}", ED25519))
    signatures = envelope["signatures"]
    assert isinstance(signatures, list)
    assert isinstance(signatures[0], dict)
    signatures[0]["sig"] = base64.b64encode(bytes(length)).decode()
    with pytest.raises(Malformed, match="signature_length"):
        parse_envelope(envelope)


@pytest.mark.parametrize("key", [P256, P384])
@given(message=st.binary(max_size=20))
def test_the_other_half_of_an_ecdsa_signature_is_refused(key: PrivateKey, message: bytes) -> None:
    signature = key.sign(message)
    order, width = ORDERS[key.public.kind], len(signature) // 2
    s = int.from_bytes(signature[width:], "big")
    assert 0 < s <= order // 2
    high = signature[:width] + (order - s).to_bytes(width, "big")
    assert not key.public.verify(high, message)
    digest = hashes.SHA256() if key is P256 else hashes.SHA384()
    public = key.unwrapped.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    r = int.from_bytes(high[:width], "big")
    # Anybody else would take it: that is why its form is checked.
    public.verify(encode_dss_signature(r, order - s), message, ec.ECDSA(digest))


@pytest.mark.parametrize("key", [P256, P384])
def test_an_ecdsa_signature_in_der_or_out_of_range_is_refused(key: PrivateKey) -> None:
    signature = key.sign(b"message")
    order, width = ORDERS[key.public.kind], len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:width], signature[width:]))
    assert not key.public.verify(encode_dss_signature(r, s), b"message")
    for numbers in ((0, s), (r, 0), (order, s), (r, order), (0, 0)):
        other = b"".join(number.to_bytes(width, "big") for number in numbers)
        assert not key.public.verify(other, b"message")


def test_a_signature_by_openssl_is_ours_once_it_has_our_form() -> None:
    private = P256.unwrapped
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(b"message", ec.ECDSA(hashes.SHA256())))
    s = min(s, ORDERS[Kind.P256] - s)
    assert P256.public.verify(r.to_bytes(32, "big") + s.to_bytes(32, "big"), b"message")


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256K1(), ec.SECP521R1()])
def test_other_curves_are_refused(curve: ec.EllipticCurve) -> None:
    public = ec.derive_private_key(99, curve).public_key()
    with pytest.raises(Malformed, match="key_type_unsupported") as found:
        load_public(spki_of(public))
    assert found.value.detail == curve.name


def test_a_point_in_another_form_or_off_the_curve_is_refused() -> None:
    public = P256.unwrapped.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    raw = public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    header = P256.public.spki[: -len(raw)]
    compressed = public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    short = bytearray(header)
    short[1] -= len(raw) - len(compressed)
    short[-2] -= len(raw) - len(compressed)
    with pytest.raises(Malformed, match="public_key_not_canonical"):
        load_public(bytes(short) + compressed)
    off = raw[:-1] + bytes([raw[-1] ^ 1])
    with pytest.raises(Malformed, match="public_key_unreadable"):
        load_public(header + off)
    with pytest.raises(Malformed, match="public_key_unreadable"):
        load_public(header + bytes(len(raw)))


def rsa_spki(modulus: int, exponent: int = 65_537) -> bytes:
    public: PublicKeyTypes = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    return spki_of(public)


def test_an_rsa_key_of_1024_bits_is_refused() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    with pytest.raises(Malformed, match="rsa_key_size"):
        load_public(spki_of(small.public_key()))
    with pytest.raises(Malformed, match="rsa_key_size"):
        load_public(rsa_spki((1 << 4096) + 1))


def test_an_rsa_key_with_exponent_3_is_refused() -> None:
    odd = rsa.generate_private_key(3, 2048)
    with pytest.raises(Malformed, match="rsa_exponent"):
        load_public(spki_of(odd.public_key()))


@pytest.mark.parametrize("prime", [3, 5, 17, 251, 751])
def test_an_rsa_modulus_with_a_small_factor_is_refused(prime: int) -> None:
    modulus = (1 << 2047) + 1
    modulus += -modulus % (2 * prime) + prime
    assert modulus % prime == 0
    assert modulus % 2 == 1
    with pytest.raises(Malformed, match="rsa_modulus_weak"):
        load_public(rsa_spki(modulus))


def test_an_even_rsa_modulus_is_refused() -> None:
    with pytest.raises((Malformed, ValueError)):
        load_public(rsa_spki(1 << 2047))


def test_an_rsa_key_of_the_broken_smart_cards_is_refused() -> None:
    # CVE-2017-15361: their primes are k·M + (65537^a mod M), and so is the modulus, with another k.
    primorial = prod(_primes(168))
    modulus = pow(65_537, 987_654_321, primorial)
    modulus += primorial * ((1 << 2047) // primorial + 1)
    while any(modulus % prime == 0 for prime in _primes(752)):
        modulus += primorial
    with pytest.raises(Malformed, match="rsa_modulus_weak") as found:
        load_public(rsa_spki(modulus))
    assert found.value.detail == "CVE-2017-15361"


def test_an_rsa_signature_of_another_form_is_refused() -> None:
    private = RSA.unwrapped
    assert isinstance(private, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    assert not RSA.public.verify(private.sign(b"m", pss, hashes.SHA256()), b"m")
    sha1 = private.sign(b"m", padding.PKCS1v15(), hashes.SHA512())
    assert not RSA.public.verify(sha1, b"m")
    signature = int.from_bytes(RSA.sign(b"m"), "big") + private.public_key().public_numbers().n
    if signature.bit_length() <= 2048:
        assert not RSA.public.verify(signature.to_bytes(256, "big"), b"m")


def test_a_key_with_something_behind_it_is_refused_whatever_its_kind() -> None:
    for key, _, _ in KEYS:
        with pytest.raises(Malformed):
            load_public(key.public.spki + b"\x00")


def test_no_key_takes_the_signature_of_another() -> None:
    for key, _, _ in KEYS:
        for other, _, _ in KEYS:
            if other is not key:
                assert not key.public.verify(other.sign(b"m"), b"m")


def test_verification_asks_no_more_than_the_key_itself() -> None:
    """Reading a log is verifying: Ed25519 goes straight to the library."""
    assert ED25519.public._verify == ED25519.public._verify
    with pytest.raises(InvalidSignature):
        ED25519.public._verify(bytes(64), b"m")
    assert type(ED25519.public._verify).__name__ == "builtin_function_or_method"
