"""Forms of values that events of several kinds have."""

import base64
import re

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
