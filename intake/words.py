"""The closed lists of words in a file, and the one marking that may not be in it."""

from collections.abc import Mapping
from unicodedata import normalize

from domain.secrecy import LONGEST, fold, is_highest_marking, says_highest
from domain.task import Priority, Secrecy

__all__ = ["LONGEST", "fold", "is_highest_marking", "priority", "same", "says_highest", "secrecy"]


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


def secrecy(text: str) -> Secrecy | None:
    return _SECRECY.get(fold(text[:LONGEST]))


def priority(text: str) -> Priority | None:
    return _PRIORITY.get(fold(text[:LONGEST]))
