"""One value, one encoding: that of RFC 8785, and nothing else is read."""

import sys
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_DEPTH, MAX_INTEGER, Json, canonical, parse
from audit.malformed import Malformed

ASCII = st.text(st.characters(max_codepoint=127))
# NFC text without the marks that are refused; generated plain, then kept only if it is allowed.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cf", "Mn", "Mc"])).map(
    lambda text: __import__("unicodedata").normalize("NFC", text)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT | ASCII,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ASCII, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert parse(canonical(value)) == value


@given(st.binary(max_size=60))
def test_whatever_is_read_would_be_written_so(data: bytes) -> None:
    try:
        value = parse(data)
    except Malformed:
        return
    assert canonical(value) == data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"a":1} ', "not_canonical"),
        (b'{"a": 1}', "not_canonical"),
        (b'{"a":1}\n', "not_canonical"),
        (b'{"b":1,"a":2}', "not_canonical"),
        (b'"\\u0041"', "not_canonical"),
        (b'"\\/"', "not_canonical"),
        (b"-0", "not_canonical"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"a":1,"\\u0061":1}', "duplicate_key"),
        (b"1.0", "float"),
        (b"1e3", "float"),
        (b"NaN", "float"),
        (b"Infinity", "float"),
        (b"-Infinity", "float"),
        (b"9007199254740992", "integer_too_large"),
        (b"-9007199254740992", "integer_too_large"),
        (b"1" * 5000, "integer_too_large"),
        ('"e\u0302"'.encode(), "text_not_nfc"),
        ('"\u200fabc"'.encode(), "text_with_invisible_marks"),
        ('"\u202eabc"'.encode(), "text_with_invisible_marks"),
        ('"\ufeff"'.encode(), "text_with_invisible_marks"),
        (b'"\\ud800"', "text_with_surrogates"),
        ('{"ế":1}'.encode(), "key_not_ascii"),
        (b'{"\\ud800":1}', "key_not_ascii"),
        (b"[" * 17 + b"]" * 17, "too_deep"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "not_json"),
    ],
)
def test_any_other_encoding_is_refused_by_name(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse(data)
    assert refused.value.code == code


def test_sixteen_levels_are_allowed_and_seventeen_are_not() -> None:
    value: Json = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert parse(canonical(value)) == value
    with pytest.raises(Malformed, match="too_deep"):
        canonical([value])


@pytest.mark.parametrize("value", [1.0, float("nan"), b"bytes", {1: 2}, {"a": {1}}, 2**53])
def test_values_outside_the_narrow_set_are_not_written(value: Any) -> None:
    with pytest.raises(Malformed):
        canonical(value)


def test_a_truth_value_is_no_number() -> None:
    assert canonical([True, 1]) == b"[true,1]"


def test_the_largest_integers_are_kept_exactly() -> None:
    for number in (MAX_INTEGER, -MAX_INTEGER):
        assert parse(canonical(number)) == number


def test_nesting_at_the_very_edge_of_what_python_reads_is_refused_by_name() -> None:
    """Refusing it takes a second reading, from a few calls further in."""
    for depth in range(sys.getrecursionlimit() + 10):
        with pytest.raises(Malformed):
            parse(b'{"a":' + b"[" * depth + b"]" * depth + b',"a":1}')


def test_what_is_normal_does_not_hang_on_the_unicode_of_the_python_that_asks() -> None:
    """Python 3.14 composes the second pair, which 3.11 does not know; the first came after 3.2."""
    for text in ("\u1b05\u1b35", "\U000105d2\u0307"):
        assert parse(canonical([text])) == [text]
    with pytest.raises(Malformed, match="text_not_nfc"):
        canonical("Te\u0302\u0301t")
