"""What the log says about commands that were refused, in its chain ``attestations``.

    refused           one command was refused: when, why, where it was handed in, and by whom as far
                      as a signature proves it
    refusals_summed   so many more were refused than may have an entry each (`domain.refusals`)

Only what is known to be harmless is stated: codes, ids that the log knows already, digests. Never
words, never arguments, and no name that somebody made up for the occasion.

``actor`` is the holder of the key in force that signed a command which was meant for here. Whatever
is less sure accuses nobody: ``claimed`` is then the beginning of the id of the key that the command
named, if the directory knows that key at all.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from domain.directory import ADMINISTRATOR, SERVICE, Directory
from domain.forms import is_printable
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.task import Role

REFUSED = "refused"
SUMMED = "refusals_summed"

DOOR = "door"
WORKFLOW = "workflow"
DOORS = (DOOR, WORKFLOW)
"""Where a command was handed in: at our own door, or straight at a task's workflow in Temporal."""

CODE_ALONE = frozenset({"secrecy_forbidden", "highest_secrecy"})
"""Refusals of the highest level of secrecy (Art. 5): nothing but the code is kept of them."""

MAX_CODES = 32
MAX_ACTORS = 50
"""So many codes and actors are told apart in one sum; the total counts all."""

CLAIMED_DIGITS = 16
ROLES = frozenset({*map(str, Role), ADMINISTRATOR})

_MAX_ID = 120
_MAX_INTEGER = 2**53 - 1
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CHAIN = re.compile(r"[0-9A-Za-z-]{1,120}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CLAIMED = re.compile(rf"[0-9a-f]{{{CLAIMED_DIGITS}}}")

Form = tuple[str, Callable[[object], bool]]


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _or_none(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


def _is_instant(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_instant(value) is not None
    except ValueError:
        return False


def is_id(value: object) -> bool:
    """Whether it may stand for a person or an agency. The directory itself takes longer ones."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and is_printable(value)


def _is_number(value: object) -> bool:
    # By type: True is an int, and counts nothing.
    return type(value) is int and 0 < value <= _MAX_INTEGER


def _are_counts(limit: int, names: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Mapping)
        and len(value) <= limit
        and all(map(names, value))
        and all(map(_is_number, value.values()))
    )


_is_code = _matches(_CODE)

REFUSED_FORM: Mapping[str, Form] = {
    "at": ("instant", _is_instant),
    "code": ("code", _is_code),
    "chain": ("id", _or_none(_matches(_CHAIN))),
    "event": ("code", _or_none(_is_code)),
    "actor": ("id", _or_none(is_id)),
    "claimed": ("key_id", _or_none(_matches(_CLAIMED))),
    "agency": ("id", _or_none(is_id)),
    "role": ("code", _or_none(lambda value: value in ROLES)),
    "command": ("digest", _or_none(_matches(_DIGEST))),
    "door": ("code", _or_none(lambda value: value in DOORS)),
}
SUMMED_FORM: Mapping[str, Form] = {
    "since": ("instant", _is_instant),
    "until": ("instant", _is_instant),
    "total": ("count", _is_number),
    "counts": ("counts", _are_counts(MAX_CODES, _is_code)),
    "actors": ("counts", _are_counts(MAX_ACTORS, is_id)),
}
"""The arguments of both events, all of them required."""


def check_sense(event: str, arguments: Mapping[str, Any]) -> None:
    """Whether arguments of a sound form fit each other. Raises Refused."""
    if event == REFUSED:
        _check_one(arguments)
    elif event == SUMMED:
        _check_sum(arguments)


def check_names(directory: Directory, arguments: Mapping[str, Any]) -> None:
    """Nobody is named here whom the directory does not know. Raises Refused."""
    for person in {arguments.get("actor"), *arguments.get("actors", {})} - {None}:
        if person not in directory.people and person not in SERVICE:
            raise Refused("unknown_person", person=str(person)[:80])
    agency = arguments.get("agency")
    if agency is not None and agency not in directory.agencies:
        raise Refused("unknown_agency", agency=str(agency)[:80])


def number(event: str, arguments: Mapping[str, Any]) -> int:
    """How many refused commands an attestation speaks of."""
    return {REFUSED: 1, SUMMED: int(arguments.get("total", 0))}.get(event, 0)


def alone(code: str, at: str) -> dict[str, Any]:
    """The arguments of a refusal of which nothing but the code is known, or may be kept."""
    return {**dict.fromkeys(REFUSED_FORM), "at": at, "code": code}


def _check_one(arguments: Mapping[str, Any]) -> None:
    code = arguments["code"]
    if code in CODE_ALONE:
        for name, value in alone(code, arguments["at"]).items():
            if arguments[name] != value:
                raise _misfit(REFUSED, name)
    elif arguments["door"] is None:
        raise _misfit(REFUSED, "door")
    if arguments["actor"] is not None and arguments["claimed"] is not None:
        raise _misfit(REFUSED, "claimed")
    for name in ("agency", "role"):
        # In whose name it was given is known only of a command whose giver is known.
        if arguments[name] is not None and arguments["actor"] is None:
            raise _misfit(REFUSED, name)


def _check_sum(arguments: Mapping[str, Any]) -> None:
    if arguments["until"] < arguments["since"]:
        raise _misfit(SUMMED, "until")
    for name in ("counts", "actors"):
        if sum(arguments[name].values()) > arguments["total"]:
            raise _misfit(SUMMED, name)


def _misfit(event: str, field: str) -> Refused:
    kind = {**REFUSED_FORM, **SUMMED_FORM}[field][0]
    return Refused("bad_argument", event=event, field=field, kind=kind)
