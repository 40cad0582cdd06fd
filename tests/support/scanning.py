"""Looking for words in bytes, in every dress that they may wear there."""

import base64
from collections.abc import Iterable, Iterator


def found_in(data: bytes, words: Iterable[str]) -> set[str]:
    """The words that stand in ``data``: as UTF-8, UTF-16, in JSON's escapes, in hex or in base64,
    whatever stands before them.
    """
    return {word for word in words if any(form in data for form in _forms(word))}


def _forms(word: str) -> Iterator[bytes]:
    utf8 = word.encode()
    for form in (utf8, word.encode("utf-16-le"), word.encode("utf-16-be")):
        yield form
        yield form.hex().encode()
        yield from _in_base64(form)
    escaped = word.encode("ascii", "backslashreplace").decode().replace("\\x", "\\u00")
    yield escaped.encode()
    yield from _in_base64(escaped.encode())


def _in_base64(form: bytes) -> Iterator[bytes]:
    """The digits that hold nothing but the word, for its three places within a group of three."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + form)
        whole = digits[-(-before * 8 // 6) : (before + len(form)) * 8 // 6]
        yield whole
        yield whole.replace(b"+", b"-").replace(b"/", b"_")
