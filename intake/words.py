"""The closed lists of words in a file, and the one marking that may not be in it."""

import re
from collections.abc import Mapping
from unicodedata import combining, normalize

from domain.task import Priority, Secrecy

_GAP = re.compile(r"[\W_]+")
_WITHOUT_ACCENT = str.maketrans({"đ": "d", "ð": "d"})


def fold(text: str) -> str:
    """What is compared: lower case, no accents, one space for all that is neither letter nor digit.

    >>> fold("  TUYỆT-mật ")
    'tuyet mat'
    """
    bare = "".join(mark for mark in normalize("NFKD", text) if not combining(mark))
    return _GAP.sub(" ", bare.casefold().translate(_WITHOUT_ACCENT)).strip()


def same(text: str) -> str:
    """What makes two names the same for a reader: case and spacing don't count, accents do."""
    return " ".join(normalize("NFC", text).casefold().split())


_SECRECY: Mapping[str, Secrecy] = {
    "thuong": Secrecy.NORMAL,
    "binh thuong": Secrecy.NORMAL,
    "normal": Secrecy.NORMAL,
    "mat": Secrecy.SECRET,
    "secret": Secrecy.SECRET,
    "toi mat": Secrecy.TOP_SECRET,
    "top secret": Secrecy.TOP_SECRET,
}
_PRIORITY: Mapping[str, Priority] = {
    "trong tam": Priority.KEY,
    "key": Priority.KEY,
    "thuong xuyen": Priority.REGULAR,
    "regular": Priority.REGULAR,
    "khan": Priority.URGENT,
    "khan cap": Priority.URGENT,
    "cap bach": Priority.URGENT,
    "urgent": Priority.URGENT,
}
# Without spaces: the marking is known however it is spaced, stamped or spelt.
_HIGHEST = ("tuyetmat", "tuyetdoimat", "highestsecre", "absolutesecre", "absolutelysecre")
_HIGHEST_ALONE = frozenset(
    prefix + mark
    for prefix in ("", "do", "domat", "mucdomat", "ofthe", "the")
    for mark in (*_HIGHEST[:2], "highestsecrecy", "absolutesecret", "absolutesecrecy")
)
LONGEST = 200
"""Characters beyond which a cell is none of our words, and not worth folding."""


def secrecy(text: str) -> Secrecy | None:
    return _SECRECY.get(fold(text[:LONGEST]))


def priority(text: str) -> Priority | None:
    return _PRIORITY.get(fold(text[:LONGEST]))


def says_highest(text: str) -> bool:
    """Whether a secrecy field has the highest level (tuyệt mật) anywhere in it."""
    bare = fold(text).replace(" ", "")
    return any(mark in bare for mark in _HIGHEST)


def is_highest_marking(text: str) -> bool:
    """Whether a cell is that marking and nothing else, whatever column it has strayed into.

    Words about such documents are no marking: a task may be to check how they are kept.
    """
    return len(text) <= LONGEST and fold(text).replace(" ", "") in _HIGHEST_ALONE
