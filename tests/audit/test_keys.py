"""Keys from outside: what is refused, and what rests encrypted."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from audit.keys import load_public
from audit.malformed import Malformed
from audit.private_keys import load_private, private_key

KEY = private_key(bytes(range(32)))
HEADER = KEY.public.spki[:-32]

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    """The sum of two points of edwards25519 (RFC 8032, 5.1)."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def times(number: int, point: Point) -> Point:
    total = (0, 1)
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def point_at(y: int) -> Point | None:
    """A point with this y, when the curve has one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == square else None


def encoded(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def small_order_points() -> set[Point]:
    """All eight: multiples of a point of order 8, found by removing the large prime order."""
    order = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 100):
        point = point_at(y)
        if point is None:
            continue
        torsion = times(order, point)
        if times(4, torsion) != (0, 1):
            return {times(number, torsion) for number in range(8)}
    raise AssertionError("the curve has points of order 8")


def test_there_are_eight_points_of_small_order_and_each_is_refused() -> None:
    points = small_order_points()
    assert len(points) == 8
    for point in points:
        with pytest.raises(Malformed, match="public_key_of_small_order"):
            load_public(HEADER + encoded(point))


def test_the_same_points_with_the_other_sign_bit_are_refused_too() -> None:
    for x, y in small_order_points():
        with pytest.raises(Malformed):
            load_public(HEADER + encoded((x + 1, y)))


@pytest.mark.parametrize("y", range(P, 2**255))
def test_each_of_the_19_ys_that_are_not_reduced_is_refused(y: int) -> None:
    for sign in (0, 1 << 255):
        with pytest.raises(Malformed, match=r"not_canonical|unreadable"):
            load_public(HEADER + (y | sign).to_bytes(32, "little"))


def test_an_honest_key_is_read_and_named_by_its_digest() -> None:
    again = load_public(KEY.public.spki)
    assert again == KEY.public
    assert again.id == KEY.public.id
    assert len(again.id) == 64


def test_the_public_point_is_that_of_rfc_8032() -> None:
    # RFC 8032, 7.1, TEST 1.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    key = private_key(seed)
    assert key.public.spki[-32:].hex() == public
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")


@pytest.mark.parametrize("cut", [0, 1, 12, 31, 43])
def test_a_truncated_key_is_refused(cut: int) -> None:
    with pytest.raises(Malformed):
        load_public(KEY.public.spki[:cut])


def test_a_key_with_something_behind_it_is_refused() -> None:
    with pytest.raises(Malformed):
        load_public(KEY.public.spki + b"\x00")


def test_keys_of_other_kinds_are_refused() -> None:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for other in (ed448.Ed448PrivateKey.generate(), X25519PrivateKey.generate()):
        with pytest.raises(Malformed, match="key_type_unsupported"):
            load_public(other.public_key().public_bytes(*form))


def test_a_signature_binds_message_and_key() -> None:
    signature = KEY.sign(b"message")
    assert KEY.public.verify(signature, b"message")
    assert not KEY.public.verify(signature, b"massage")
    assert not private_key(bytes(32)).public.verify(signature, b"message")
    assert not KEY.public.verify(signature[:-1], b"message")
    assert not KEY.public.verify(signature + b"\x00", b"message")


def test_a_signature_with_s_plus_the_group_order_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = KEY.sign(b"message")
    s = int.from_bytes(signature[32:], "little") + order
    assert not KEY.public.verify(signature[:32] + s.to_bytes(32, "little"), b"message")


def test_a_private_key_rests_encrypted_and_opens_with_its_passphrase_only() -> None:
    pem = KEY.to_pem(b"passphrase")
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert load_private(pem, b"passphrase").public == KEY.public
    for wrong in (b"", b"other"):
        with pytest.raises(Malformed, match="private_key_unreadable"):
            load_private(pem, wrong)
    with pytest.raises(ValueError, match=r"(?i)password"):
        KEY.to_pem(b"")


def test_a_private_key_in_clear_is_not_read() -> None:
    clear = KEY._key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(Malformed, match="private_key_unreadable"):
        load_private(clear, b"passphrase")


def test_a_file_that_is_no_key_is_refused() -> None:
    with pytest.raises(Malformed, match="private_key_unreadable"):
        load_private(b"hello", b"passphrase")


def test_a_private_key_shows_nothing_of_itself() -> None:
    assert repr(KEY) == "PrivateKey()"
