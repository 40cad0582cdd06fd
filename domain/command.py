"""What a person asks for, once the signature has been checked: plain values, no bytes.

The arguments of each event are declared in `FIELDS`; `check_arguments` holds a command against it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from domain.forms import is_printable
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.task import Priority, Role, Secrecy, parse_recurrence

ASSURED_BY_KEY = "key"
ASSURED_BY_CERTIFICATE = "certificate"
ASSURED_AS_SERVICE = "service"
"""What vouches for the holder of a key: the administrator who enrolled it; an authority's
certificate besides; or nobody, since the key is the service's own.
"""

MAX_TEXT = 4_000
"""Characters in one text field: what a form asks for."""
_MAX_ID = 120
# Also those above ASCII, which terminals obey as they do ESC [, and the direction mark that the
# form of a text lets through.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c]")
MAX_LIST = 100
"""Items of a list: also how many files one step names."""
_are_hex = re.compile("[0-9a-f]*").fullmatch


class Kind(StrEnum):
    """What a field holds. TEXT is words of a person: it enters the log as a commitment."""

    TEXT = "text"
    DATE = "date"
    INSTANT = "instant"
    ID = "id"
    IDS = "ids"
    CODE = "code"
    PERCENT = "percent"
    DIGESTS = "digests"
    RECURRENCE = "recurrence"


@dataclass(frozen=True, slots=True)
class Field:
    kind: Kind
    required: bool = True
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Actor:
    """A person as the directory knows the signing key, in the role that the command claims.

    ``behalf`` is the absent person whose place this one takes, or None. ``assurance`` tells how
    sure it is whose key signed. ``clearance`` is the highest level of secrecy that the person may
    work on (Art. 5).
    """

    person: str
    agency: str
    role: Role
    behalf: str | None = None
    clearance: Secrecy = Secrecy.NORMAL
    assurance: str = ASSURED_BY_KEY

    @property
    def hands(self) -> frozenset[str]:
        """Everybody whom this act counts for: who acts, and whose place is taken."""
        return frozenset({self.person} | ({self.behalf} if self.behalf else set()))


@dataclass(frozen=True, slots=True)
class Command:
    """``seen`` is (version, digest) of the task as its giver saw it; None before it exists.
    ``behalf`` is the absent person in whose place it is given, or None.
    """

    id: str
    task: str
    event: str
    arguments: Mapping[str, Any]
    seen: tuple[int, str] | None
    agency: str
    role: str
    key: str
    issued_at: datetime
    behalf: str | None = None


def read_command(task: str, predicate: Mapping[str, Any]) -> Command:
    """The command that a predicate spells out. Raises Refused when a field has the wrong form."""
    try:
        seen, behalf = predicate["seen"], predicate["on_behalf"]
        return Command(
            id=_hex(predicate["id"], 32),
            task=task,
            event=str(predicate["event"]),
            arguments=dict(predicate["arguments"]),
            seen=(int(seen["version"]), str(seen["digest"])) if seen else None,
            agency=str(behalf["agency"]),
            role=str(behalf["role"]),
            key=_hex(predicate["key"], 64),
            issued_at=parse_instant(predicate["issued_at"]),
            behalf=None if behalf["for"] is None else str(behalf["for"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("malformed_command", detail=str(error)[:80]) from error


def _hex(value: object, digits: int) -> str:
    if isinstance(value, str) and len(value) == digits and _are_hex(value):
        return value
    raise ValueError(f"not {digits} hex digits")


ITEMS = ("report", "extension", "withdrawal", "explanation")
RATINGS = ("met", "partly_met", "not_met")
CHANNELS = ("system", "report", "meeting", "phone", "online", "email", "fax")

_TEXT = Field(Kind.TEXT)
_NOTE = Field(Kind.TEXT, required=False)
_DAY = Field(Kind.DATE)
_MAYBE_DAY = Field(Kind.DATE, required=False)
_ID = Field(Kind.ID)
_ITEM = Field(Kind.CODE, codes=ITEMS)

FIELDS: Mapping[str, Mapping[str, Field]] = {
    "register": {
        "document": _ID,
        "number": _ID,
        "symbol": _ID,
        "issued_on": _DAY,
        "issuer": _ID,
        "signatory": _NOTE,
        "secrecy": Field(Kind.CODE, codes=tuple(Secrecy)),
        "priority": Field(Kind.CODE, codes=tuple(Priority)),
        "lead": _ID,
        "coordinators": Field(Kind.IDS),
        "monitor": _ID,
        "due_on": _MAYBE_DAY,
        "updates": Field(Kind.RECURRENCE, required=False),
        "document_title": _TEXT,
        "summary": _NOTE,
        "title": _TEXT,
        "content": _NOTE,
        "products": _NOTE,
    },
    "transfer": {},
    "confirm": {},
    "dispute": {"reason": _TEXT},
    "keep": {"reason": _TEXT},
    "correct": {"reason": _TEXT, "due_on": _MAYBE_DAY, "content": _NOTE},
    "reassign": {"reason": _TEXT, "lead": _ID},
    "start": {},
    "report": {"summary": _TEXT, "percent": Field(Kind.PERCENT, required=False)},
    "submit": {"summary": _TEXT, "evidence": Field(Kind.DIGESTS, required=False)},
    "approve": {"note": _NOTE},
    "send_back": {"reason": _TEXT},
    "endorse": {"item": _ITEM},
    "decline": {"item": _ITEM, "reason": _TEXT},
    "ask_extension": {"reason": _TEXT, "due_on": _DAY},
    "ask_withdrawal": {"reason": _TEXT, "committed_on": _DAY},
    "grant_extension": {"due_on": _MAYBE_DAY, "note": _NOTE},
    "grant_withdrawal": {"note": _NOTE},
    "refuse": {"item": Field(Kind.CODE, codes=("extension", "withdrawal")), "reason": _TEXT},
    "explain": {"reason": _TEXT, "committed_on": _MAYBE_DAY},
    "evaluate": {"rating": Field(Kind.CODE, codes=RATINGS), "note": _NOTE},
    "urge": {"channel": Field(Kind.CODE, codes=CHANNELS), "note": _NOTE},
    "recall": {"reason": _TEXT},
    "lapse": {"clock": _ID, "due": Field(Kind.INSTANT)},
}  # fmt: skip


def text_fields(event: str) -> frozenset[str]:
    """The fields of ``event`` that enter the log as commitments."""
    return frozenset(name for name, field in FIELDS[event].items() if field.kind is Kind.TEXT)


def check_text(name: str, text: str) -> None:
    """Hold the words behind a commitment against the limits. Raises Refused."""
    if len(text) > MAX_TEXT:
        raise Refused("text_too_long", field=name, length=len(text), limit=MAX_TEXT)
    if not text.strip():
        raise Refused("text_empty", field=name)
    if _CONTROL.search(text):
        raise Refused("text_with_control_characters", field=name)


def check_arguments(event: str, arguments: Mapping[str, Any]) -> None:
    """Hold the arguments against the declaration of ``event``. Raises Refused, naming the field."""
    fields = FIELDS[event]
    for name in arguments.keys() - fields.keys():
        raise Refused("unknown_argument", event=event, field=name)
    for name, field in fields.items():
        value = arguments.get(name)
        if value is None:
            if field.required:
                raise Refused("missing_argument", event=event, field=name)
        elif not _fits(field, value):
            raise Refused("bad_argument", event=event, field=name, kind=field.kind)


def _fits(field: Field, value: Any) -> bool:  # noqa: ANN401, PLR0911 - one line a kind
    match field.kind:
        case Kind.TEXT | Kind.ID:
            return _is_id(value)
        case Kind.CODE:
            return value in field.codes
        case Kind.DATE:
            return _reads(_day, value)
        case Kind.INSTANT:
            return _reads(parse_instant, value)
        case Kind.PERCENT:
            return type(value) is int and 0 <= value <= 100  # noqa: PLR2004 - a percentage
        case Kind.IDS:
            return _is_list(value) and all(map(_is_id, value))
        case Kind.DIGESTS:
            return _is_list(value) and all(map(_is_digest, value))
        case Kind.RECURRENCE:
            return _reads(parse_recurrence, value)


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError("one day has one written form")
    return day


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_LIST


def _is_digest(value: object) -> bool:
    """``sha256:`` and 64 hex digits: no words can be smuggled in as the digest of a file."""
    prefix = "sha256:"
    if not isinstance(value, str) or not value.startswith(prefix):
        return False
    return _reads(lambda digest: _hex(digest, 64), value.removeprefix(prefix))


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and is_printable(value)


def _reads(read: Callable[[Any], object], value: object) -> bool:
    try:
        read(value)
    except (TypeError, ValueError):
        return False
    return True
