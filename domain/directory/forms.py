"""The fields that each change of the directory has, and what fits in them."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain import authorities
from domain.directory.values import REASONS, SERVICE, Period
from domain.forms import is_base64, is_key_id, is_printable
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.task import Role, Secrecy

ASSIGNABLE = frozenset(Role) - {Role.CLOCK}
"""Roles that a person may hold: the clock is the service's own."""

_MAX_INTEGER = 2**53 - 1
_MAX_TEXT = 400
# Ids also name files, and stand in lines of text that are signed.
_ID = re.compile(r"(?![. ])[^/\\]{1,120}(?<! )")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and is_printable(value) and _ID.fullmatch(value) is not None


def _is_text(value: object) -> bool:
    """One line that says something: a name, the title of a post."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        return False
    return is_printable(value) and bool(value.strip())


def _is_instant(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_instant(value) is not None
    except ValueError:
        return False


def _is_since(value: object) -> bool:
    # By type: True is an int, and is no index.
    return value is None or (type(value) is int and 0 <= value <= _MAX_INTEGER)


def _is_people(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_has(each, _PERSON) for each in value)


def _are_agencies(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_has(each, _AGENCY) for each in value)


def _are_roles(value: object) -> bool:
    return isinstance(value, list) and all(_has(each, _HELD) for each in value)


def _has(value: object, fields: "Fields") -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == fields.keys()
        and all(fits(value[name]) for name, (_, fits) in fields.items())
    )


def _or_none(form: "_Form") -> "_Form":
    kind, fits = form
    return kind, lambda value: value is None or fits(value)


_Form = tuple[str, Callable[[object], bool]]
Fields = Mapping[str, _Form]

_NAME: _Form = ("id", _is_id)
_TEXT: _Form = ("str", _is_text)
_KEY: _Form = ("spki", is_base64)
_INSTANT: _Form = ("instant", _is_instant)
_ROLE: _Form = ("str", _is_text)
_CLEARANCE: _Form = ("secrecy", lambda value: value in tuple(Secrecy))
_HELD: Fields = {
    "agency": _NAME,
    "role": _ROLE,
    "from": _INSTANT,
    "until": _or_none(_INSTANT),
}
_PERSON: Fields = {
    "person": _NAME,
    "title_vi": _TEXT,
    "title_en": _TEXT,
    "clearance": _CLEARANCE,
    "roles": ("roles", _are_roles),
}
_AGENCY: Fields = {
    "agency": _NAME,
    "name_vi": _TEXT,
    "name_en": _TEXT,
    "parent": _or_none(_NAME),
}
_PLACE: Fields = {"absent": _NAME, "substitute": _NAME, "agency": _NAME, "role": _ROLE}

FIELDS: Mapping[str, Fields] = {
    "found": dict.fromkeys(SERVICE, _KEY),
    "add_agency": _AGENCY,
    "add_agencies": {"agencies": ("agencies", _are_agencies)},
    "change_agency": _AGENCY,
    "add_people": {"people": ("people", _is_people)},
    "appoint": {"person": _NAME, **_HELD},
    "dismiss": {"person": _NAME, "agency": _NAME, "role": _ROLE},
    "clear": {"person": _NAME, "clearance": _CLEARANCE},
    "substitute": {**_PLACE, "from": _INSTANT, "until": _INSTANT},
    "end_substitution": _PLACE,
    "leave": {"person": _NAME},
    "enrol": {"person": _NAME, "spki": _KEY, "proof": ("proof", is_base64)},
    "rotate": {"holder": _NAME, "spki": _KEY},
    "revoke": {
        "key": ("key_id", is_key_id),
        "reason": ("reason", lambda value: value in REASONS),
        "since": ("index", _is_since),
    },
    **authorities.FIELDS,
}
"""By event. `enrol` and `rotate` of a person's key have more: see `check_form`."""

_PROVED: Fields = {"proof": ("proof", is_base64)}
_CERTIFIED: Fields = {
    "certificate": ("certificate", is_base64),
    "chain": ("certificates", authorities.is_chain),
    "not_after": _INSTANT,
}
"""Fields that `enrol` and `rotate` may have, all or none."""


def check_form(event: str, arguments: Mapping[str, Any]) -> None:
    """Hold the arguments against the declaration of ``event``. Raises Refused, naming the field."""
    fields = FIELDS.get(event)
    if fields is None:
        raise Refused("unknown_event", event=event)
    if event == "rotate" and arguments.get("holder") not in SERVICE:
        fields = {**fields, **_PROVED}
    if event in {"enrol", "rotate"} and not _CERTIFIED.keys().isdisjoint(arguments):
        fields = {**fields, **_CERTIFIED}
    for name in fields.keys() ^ arguments.keys():
        code = "unknown_argument" if name in arguments else "missing_argument"
        raise Refused(code, event=event, field=name)
    for name, (kind, fits) in fields.items():
        if not fits(arguments[name]):
            raise Refused("bad_argument", event=event, field=name, kind=kind)


def read_period(arguments: Mapping[str, Any]) -> Period:
    """The period that checked arguments name. Raises Refused for one without a moment in it."""
    until = arguments["until"]
    ends = None if until is None else parse_instant(until)
    begins: datetime = parse_instant(arguments["from"])
    if ends is not None and ends <= begins:
        raise Refused("period_empty", begins=arguments["from"], ends=until)
    return Period(begins, ends)
