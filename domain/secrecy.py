"""The levels of secrecy, and the one that must never enter (Art. 5): *tuyệt mật*, the highest.

That level has no value in `domain.task.Secrecy`. It is known by its marking, however that is spelt,
so that a file, a command or an option that names it is turned down before anything is kept of it.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from unicodedata import combining, normalize

from domain.refusal import Refused
from domain.task import Secrecy

LONGEST = 200
"""Characters beyond which a text is no marking, and not worth folding."""

_LEVELS = (Secrecy.NORMAL, Secrecy.SECRET, Secrecy.TOP_SECRET)
_GAP = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")
_WITHOUT_ACCENT = str.maketrans({"đ": "d", "ð": "d"})
# Without spaces: the marking is known however it is spaced, stamped or spelt.
_HIGHEST = ("tuyetmat", "tuyetdoimat", "highestsecre", "absolutesecre", "absolutelysecre")
_HIGHEST_ALONE = frozenset(
    prefix + mark
    for prefix in ("", "do", "domat", "mucdomat", "ofthe", "the")
    for mark in (*_HIGHEST[:2], "highestsecrecy", "absolutesecret", "absolutesecrecy")
)
_SHORTEST, _LONGEST_ALONE = min(map(len, _HIGHEST_ALONE)), max(map(len, _HIGHEST_ALONE))


def is_protected(level: Secrecy) -> bool:
    """Whether the words of such a task rest sealed."""
    return level is not Secrecy.NORMAL


def covers(clearance: Secrecy, level: Secrecy) -> bool:
    """Whether who is cleared up to ``clearance`` may read what has ``level``."""
    return _LEVELS.index(clearance) >= _LEVELS.index(level)


def may_be_protected(event: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the words of a step of a task that nobody knows yet may be of a protected one: all
    but those of a registration that says that it is not.
    """
    return event != "register" or arguments.get("secrecy") != Secrecy.NORMAL


def fold(text: str) -> str:
    """What is compared: lower case, no accents, one space for all that is neither letter nor digit.

    >>> fold("  TUYỆT-mật ")
    'tuyet mat'
    """
    bare = "".join(mark for mark in normalize("NFKD", text) if not combining(mark))
    return _GAP.sub(" ", bare.casefold().translate(_WITHOUT_ACCENT)).strip()


def says_highest(text: str) -> bool:
    """Whether a secrecy field has the highest level anywhere in it."""
    bare = fold(text).replace(" ", "")
    return any(mark in bare for mark in _HIGHEST)


def is_highest_marking(text: str) -> bool:
    """Whether a text is that marking and nothing else, whatever field it has strayed into.

    Words about such documents are no marking: a task may be to check how they are kept.
    """
    # Every text of every command is looked at: what no spelling can be is put aside unfolded.
    if not _SHORTEST <= len(text) <= LONGEST or _DIGIT.search(text):
        return False
    letters = _GAP.sub("", text.lower())
    # Folding makes no text shorter.
    if text.isascii() or len(letters) > _LONGEST_ALONE:
        return letters in _HIGHEST_ALONE
    return fold(text).replace(" ", "") in _HIGHEST_ALONE


def refuse_highest(value: object) -> None:
    """Look through plain JSON values, names of fields too. Raises Refused("secrecy_forbidden"),
    which says nothing of what was found.
    """
    for name, text in _texts(value):
        if is_highest_marking(text) or (name == "secrecy" and says_highest(text)):
            raise Refused("secrecy_forbidden")


def refuse_highest_bytes(data: bytes) -> None:
    """The same for a submission from outside before anybody reads it: its JSON, and the JSON that
    its envelopes carry as base64. What is no JSON at all is searched as it stands.
    """
    text = data.decode(errors="replace")
    value = _read(text)
    if value is None and says_highest(text):
        raise Refused("secrecy_forbidden")
    refuse_highest(value)


def _texts(value: object) -> Iterator[tuple[str, str]]:
    """Every text of a JSON value, under the name of the field that it stands in."""
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        name, each = waiting.pop()
        if isinstance(each, str):
            yield name, each
            if name == "payload":
                waiting.append(("", _read(_decoded(each))))
        elif isinstance(each, list):
            waiting.extend((name, item) for item in each)
        elif isinstance(each, dict):
            waiting.extend((str(key), item) for key, item in each.items())
            waiting.extend(("", str(key)) for key in each)


def _decoded(payload: str) -> str:
    try:
        return base64.b64decode(payload).decode(errors="replace")
    except ValueError:
        return ""


def _read(text: str) -> object:
    """The JSON value, or None. No error that quotes the text lives on in another's context."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
