"""Forms of values that events of several kinds have."""

import base64
import re
from unicodedata import ucd_3_2_0

# Of the characters that came after Unicode 3.2 those that only steer others.
_LATER_MARKS = frozenset("\u061c\u2064\u2065\u2066\u2067\u2068\u2069")
_KEY_ID = re.compile(r"[0-9a-f]{64}")


def is_base64(value: object) -> bool:
    """Standard base64 in its one canonical form: one key has one spelling."""
    if not isinstance(value, str):
        return False
    try:
        return base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    except ValueError:
        return False


def is_key_id(value: object) -> bool:
    """The SHA-256 of a key, in lower-case hex."""
    return isinstance(value, str) and _KEY_ID.fullmatch(value) is not None


def is_printable(text: str) -> bool:
    """Whether a line shows all that it has.

    What Unicode 3.2 doesn't know counts as a letter. Each Python knows another Unicode, and what
    one of them let into the log must not be illegal for an auditor with another.
    """
    return text.isprintable() or all(map(_is_picture, text))


def _is_picture(character: str) -> bool:
    if character.isprintable():
        return True
    return ucd_3_2_0.category(character) == "Cn" and character not in _LATER_MARKS
