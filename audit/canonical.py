r"""Canonical JSON (RFC 8785) for the values that the log holds, with the standard library alone.

The values are narrower than JSON, and that is what makes this short: no floats, integers within
±(2^53-1), ASCII object keys, text in NFC without lone surrogates or direction marks, at most 16
levels deep. For such values RFC 8785 and ``json.dumps`` with sorted keys write the same bytes:

    >>> canonical({"b": "Tết", "a": [1, None, True]})
    b'{"a":[1,null,true],"b":"T\xe1\xba\xbft"}'
    >>> parse(b'{"a":1}')
    {'a': 1}

`parse` accepts only what `canonical` writes, so one value has one encoding.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias
from unicodedata import ucd_3_2_0

from audit.malformed import Malformed

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
JsonLike: TypeAlias = "bool | int | str | Sequence[JsonLike] | Mapping[str, JsonLike] | None"

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 16
# Marks that reorder or hide what is displayed: a signed text must read the same for everyone.
_INVISIBLE = frozenset(
    "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


def canonical(value: JsonLike) -> bytes:
    """The RFC 8785 bytes of ``value``. Raises Malformed for values outside the narrow set."""
    _check(value, MAX_DEPTH)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True,
                      separators=(",", ":"))  # fmt: skip
    return text.encode()


def parse(data: bytes) -> Json:
    """The value of canonical bytes. Raises Malformed on any others, however harmless they look."""
    try:
        text = data.decode()
        found: tuple[Json, int] = _DECODER.raw_decode(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise Malformed("not_json", type(error).__name__) from error
    value, end = found
    # What `_check` looks for needs a character beyond ASCII, or this many brackets.
    if not text.isascii() or text.count("{") + text.count("[") > MAX_DEPTH:
        _check(value, MAX_DEPTH)
    if end != len(text) or _ENCODER.encode(value) != text:
        raise _reason(text, value)
    return value


def written(value: Json) -> bytes:
    """The bytes of a value that `parse` has read: what `canonical` gives, without its checks."""
    return _ENCODER.encode(value).encode()


def check_text(text: str) -> None:
    """Raise Malformed unless ``text`` may enter the log: NFC, no surrogates, no direction marks."""
    if text.isascii():
        return
    if not _is_normal(text):
        raise Malformed("text_not_nfc")
    if not _INVISIBLE.isdisjoint(text):
        raise Malformed("text_with_invisible_marks")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Malformed("text_with_surrogates")


def _is_normal(text: str) -> bool:
    """Whether it is in NFC between the characters that Unicode 3.2 does not have.

    A later Unicode may compose what was not yet assigned when a text was signed: under a later
    Python the same log would be another. Of what is assigned, the normal form is for ever.
    """
    if unicodedata.is_normalized("NFC", text):
        return True
    known = (c if ucd_3_2_0.category(c) != "Cn" else " " for c in text)
    return unicodedata.is_normalized("NFC", "".join(known))


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, Mapping):
        _check_depth(depth)
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise Malformed("key_not_ascii")
            _check(item, depth - 1)
    elif isinstance(value, list | tuple):
        _check_depth(depth)
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise Malformed("integer_too_large")
    elif value is not None:
        raise Malformed("value_not_allowed", type(value).__name__)


def _check_depth(depth: int) -> None:
    if depth == 0:
        raise Malformed("too_deep")


def _reason(text: str, value: Json) -> Malformed:
    """Why a text is not the one form of its value."""
    try:
        json.loads(text, object_pairs_hook=_without_duplicates)
        _check(value, MAX_DEPTH)
    except json.JSONDecodeError:
        return Malformed("not_json", "more than one value")
    except RecursionError:
        # What was just deep enough to be read once is too deep for a second reading from in here.
        return Malformed("too_deep")
    except Malformed as error:
        return error
    return Malformed("not_canonical")


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed("duplicate_key")
    return value


def _no_float(text: str) -> NoReturn:
    raise Malformed("float", text[:40])


def _bounded(text: str) -> int:
    if len(text) > len(str(-MAX_INTEGER)) or abs(int(text)) > MAX_INTEGER:
        raise Malformed("integer_too_large")
    return int(text)


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float, parse_int=_bounded)
_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,
    sort_keys=True,
    separators=(",", ":"),
)
