"""Agencies, people and keys, as the log's own chain ``directory`` established them.

    found       opens the log and names its six keys: administrator, clock, door, log, checkpoints
    add_agency  adds an agency
    enrol       gives a person a key and roles, perhaps with the certificate of the key
    rotate      from here on the holder has another key
    revoke      from here on a key does not count; what it signed since an index is disputed

The directory is a fold of those entries, so that it comes back from the log alone. A key is given
as its base64 SubjectPublicKeyInfo (``spki``) and named by that structure's SHA-256. What a key is
worth, and what a certificate says, is judged where keys are opened: `audit.keyring`.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.command import ASSURED_AS_SERVICE, ASSURED_BY_KEY, Actor
from domain.instants import format_instant, parse_instant
from domain.refusal import Refused
from domain.task import Role, Secrecy

CHAIN = "directory"
CLOCK = "clock"
ADMINISTRATOR = "administrator"
LOG = "log"
CHECKPOINT = "checkpoint"
CHECKPOINT_PQ = "checkpoint_pq"
DOOR = "door"
SERVICE = (ADMINISTRATOR, CHECKPOINT, CHECKPOINT_PQ, CLOCK, DOOR, LOG)
"""Holders of the keys that the log itself has, one each. No person is called like them."""

REASONS = ("compromised", "lost", "left", "superseded")
LAPSE = "lapse"

_MAX_INTEGER = 2**53 - 1
_KEY_ID = re.compile(r"[0-9a-f]{64}")


class KeyState(StrEnum):
    IN_FORCE = "in_force"
    ROTATED = "rotated"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the directory has named, today or ever.

    ``not_after`` is the last instant of its certificate. What it signed from the log index
    ``since`` on is disputed.
    """

    id: str
    spki: str
    holder: str
    state: KeyState = KeyState.IN_FORCE
    not_after: datetime | None = None
    reason: str | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Agency:
    id: str
    name_vi: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Person:
    """``roles`` are (agency, role) pairs; titles are of the post, not the name of who holds it."""

    id: str
    roles: frozenset[tuple[str, str]]
    title_vi: str
    title_en: str


def key_id(spki: str) -> str:
    """SHA-256, in hex, of a base64 SubjectPublicKeyInfo."""
    return hashlib.sha256(base64.b64decode(spki)).hexdigest()


@dataclass(slots=True)
class Directory:
    """``keys`` has every key there ever was, by id; ``present`` leads from a holder, a person or
    one of `SERVICE`, to the id of the key in force. ``seq`` and ``head`` name the last entry
    folded.

    Others may look at it at any time, so it changes only in the hands of who made it: `advance`.
    """

    agencies: dict[str, Agency] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    present: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    head: str = ""

    def copy(self) -> "Directory":
        """The same, and the caller's own."""
        return replace(
            self,
            agencies=dict(self.agencies),
            people=dict(self.people),
            keys=dict(self.keys),
            present=dict(self.present),
        )

    def key_of(self, holder: str) -> Key | None:
        """The holder's key in force."""
        return self.keys.get(self.present.get(holder, ""))

    def key_in_force(self, key: str, at: datetime) -> Key:
        """The key of this id, if it counts for what was received ``at`` that instant.

        Raises Refused, saying why it does not.
        """
        found = self.keys.get(key)
        if found is None:
            raise Refused("unknown_key", key=key[:16])
        if found.state is KeyState.ROTATED:
            raise Refused("key_rotated", key=key[:16], holder=found.holder)
        if found.state is KeyState.REVOKED:
            raise Refused("key_revoked", key=key[:16], holder=found.holder)
        if found.not_after is not None and at > found.not_after:
            ended = format_instant(found.not_after)
            raise Refused("certificate_expired", key=key[:16], holder=found.holder, ended=ended)
        return found

    def actor(
        self, key: str, agency: str, role: str, at: datetime, behalf: str | None = None
    ) -> Actor:
        """Who acts with a command received ``at`` that instant, in the place of ``behalf`` if that
        is a person. Raises Refused when the key does not count or the person lacks the role.
        """
        holder = self.key_in_force(key, at).holder
        person = self.people.get(holder)
        if person is None:
            raise Refused("key_of_other_purpose", holder=holder)
        if (agency, role) not in person.roles:
            raise Refused("role_not_held", person=person.id, role=role, agency=agency)
        if behalf is not None:
            raise Refused("not_substitute", person=person.id, absent=behalf[:80], role=role)
        assurance = ASSURED_AS_SERVICE if holder in SERVICE else ASSURED_BY_KEY
        clearance = Secrecy.TOP_SECRET
        return Actor(person.id, agency, Role(role), clearance=clearance, assurance=assurance)


def check_purpose(holder: str, chain: str, event: str) -> None:
    """Whether the holder's key may sign such a command at all. Raises Refused."""
    if chain == CHAIN:
        if holder != ADMINISTRATOR:
            raise Refused("only_administrator", event=event)
    elif (holder == CLOCK) != (event == LAPSE) or (holder in SERVICE and holder != CLOCK):
        raise Refused("key_of_other_purpose", holder=holder)


def judge(
    directory: Directory, event: str, arguments: Mapping[str, Any], key: str, at: datetime
) -> None:
    """Whether the holder of ``key`` may make this change, received ``at`` that instant. Raises
    Refused.
    """
    _check_form(event, arguments)
    if event == "found":
        if directory.seq:
            raise Refused("log_already_founded")
        _check_founding(arguments)
        return
    if directory.seq == 0:
        raise Refused("log_not_founded")
    check_purpose(directory.key_in_force(key, at).holder, CHAIN, event)
    match event:
        case "add_agency":
            if arguments["agency"] in directory.agencies:
                raise Refused("agency_exists", agency=arguments["agency"])
        case "enrol":
            _judge_enrolment(directory, arguments, at)
        case "rotate":
            _judge_rotation(directory, arguments, at)
        case _:
            _judge_revocation(directory, arguments)


def follow(directory: Directory, event: str, arguments: Mapping[str, Any], head: str) -> Directory:
    """The directory after one recorded change; ``head`` is the leaf hash of its entry."""
    after = directory.copy()
    advance(after, event, arguments, head)
    return after


def advance(directory: Directory, event: str, arguments: Mapping[str, Any], head: str) -> None:
    """The same, on a directory that is the caller's own: a long chain is not copied every time."""
    directory.seq, directory.head = directory.seq + 1, head
    match event:
        case "found":
            for holder in SERVICE:
                _give(directory, holder, arguments[holder], None)
            roles = frozenset({(CLOCK, str(Role.CLOCK))})
            directory.people[CLOCK] = Person(CLOCK, roles, "Đồng hồ", "Clock")
        case "add_agency":
            agency = Agency(arguments["agency"], arguments["name_vi"], arguments["name_en"])
            directory.agencies[agency.id] = agency
        case "enrol":
            person = Person(
                arguments["person"],
                frozenset((held["agency"], held["role"]) for held in arguments["roles"]),
                arguments["title_vi"],
                arguments["title_en"],
            )
            directory.people[person.id] = person
            _give(directory, person.id, arguments["spki"], arguments.get("not_after"))
        case "rotate":
            holder = arguments["holder"]
            _give(directory, holder, arguments["spki"], arguments.get("not_after"))
        case _:
            _revoke(directory, arguments)


def check_agencies(directory: Directory, arguments: Mapping[str, Any]) -> None:
    """Every agency that acts in a task must be in the directory. Raises Refused."""
    coordinators = arguments.get("coordinators", [])
    named = [arguments.get(name) for name in ("lead", "monitor")]
    for agency in [*named, *(coordinators if isinstance(coordinators, list) else [coordinators])]:
        if agency is not None and not (isinstance(agency, str) and agency in directory.agencies):
            raise Refused("unknown_agency", agency=str(agency)[:80])


def _give(directory: Directory, holder: str, spki: str, not_after: str | None) -> None:
    """From here on this is the holder's key, and no other."""
    before = directory.key_of(holder)
    if before is not None:
        directory.keys[before.id] = replace(before, state=KeyState.ROTATED)
    ends = parse_instant(not_after) if not_after is not None else None
    key = Key(key_id(spki), spki, holder, not_after=ends)
    directory.keys[key.id] = key
    directory.present[holder] = key.id


def _revoke(directory: Directory, arguments: Mapping[str, Any]) -> None:
    key = directory.keys[arguments["key"]]
    since = key.since if arguments["since"] is None else arguments["since"]
    directory.keys[key.id] = replace(
        key, state=KeyState.REVOKED, reason=arguments["reason"], since=since
    )
    if directory.present.get(key.holder) == key.id:
        del directory.present[key.holder]


def _check_founding(arguments: Mapping[str, Any]) -> None:
    taken = set[str]()
    for holder in SERVICE:
        key = key_id(arguments[holder])
        if key in taken:
            raise Refused("key_in_use", person=holder)
        taken.add(key)


def _judge_enrolment(directory: Directory, arguments: Mapping[str, Any], at: datetime) -> None:
    _judge_key(directory, arguments["person"], arguments, at)
    if arguments["person"] in directory.people or arguments["person"] in SERVICE:
        raise Refused("person_exists", person=arguments["person"])
    for held in arguments["roles"]:
        match held:
            case {"agency": str(agency), "role": str(role), **rest} if not rest:
                if agency not in directory.agencies:
                    raise Refused("unknown_agency", agency=agency)
                if role not in set(Role) - {Role.CLOCK}:
                    raise Refused("unknown_role", role=role)
            case _:
                raise Refused("bad_argument", event="enrol", field="roles", kind="roles")


def _judge_rotation(directory: Directory, arguments: Mapping[str, Any], at: datetime) -> None:
    holder = arguments["holder"]
    if holder not in SERVICE and holder not in directory.people:
        raise Refused("unknown_person", person=holder[:80])
    if holder in SERVICE and "certificate" in arguments:
        # The service's keys end by an entry of the log alone.
        raise Refused("unknown_argument", event="rotate", field="certificate")
    _judge_key(directory, holder, arguments, at)


def _judge_key(
    directory: Directory, holder: str, arguments: Mapping[str, Any], at: datetime
) -> None:
    """A key that ever was somebody's, whoever that was, is nobody's new one."""
    key = key_id(arguments["spki"])
    if key in directory.keys:
        raise Refused("key_in_use", person=holder)
    not_after = arguments.get("not_after")
    if not_after is not None and at > parse_instant(not_after):
        raise Refused("certificate_expired", key=key[:16], holder=holder, ended=not_after)


def _judge_revocation(directory: Directory, arguments: Mapping[str, Any]) -> None:
    key = directory.keys.get(arguments["key"])
    if key is None:
        raise Refused("unknown_key", key=arguments["key"][:16])
    if key.holder in SERVICE and key.state is KeyState.IN_FORCE:
        # Without it the log could not go on.
        raise Refused("rotate_first", holder=key.holder)
    if key.state is KeyState.REVOKED:
        # A second word may only widen what is disputed.
        since = arguments["since"]
        if since is None or (key.since is not None and since >= key.since):
            raise Refused("already_revoked", key=key.id[:16])


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_base64(value: object) -> bool:
    """Standard base64 in its one canonical form: one key has one spelling."""
    if not isinstance(value, str):
        return False
    try:
        return base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    except ValueError:
        return False


def _is_instant(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_instant(value) is not None
    except ValueError:
        return False


def _is_since(value: object) -> bool:
    # By type: True is an int, and is no index.
    return value is None or (type(value) is int and 0 <= value <= _MAX_INTEGER)


def _is_key_id(value: object) -> bool:
    return isinstance(value, str) and _KEY_ID.fullmatch(value) is not None


_Form = tuple[str, Callable[[object], bool]]
_TEXT: _Form = ("str", _is_text)
_KEY: _Form = ("spki", _is_base64)

_FIELDS: Mapping[str, Mapping[str, _Form]] = {
    "found": dict.fromkeys(SERVICE, _KEY),
    "add_agency": {"agency": _TEXT, "name_vi": _TEXT, "name_en": _TEXT},
    "enrol": {
        "person": _TEXT,
        "spki": _KEY,
        "roles": ("list", lambda value: isinstance(value, list)),
        "title_vi": _TEXT,
        "title_en": _TEXT,
    },
    "rotate": {"holder": _TEXT, "spki": _KEY},
    "revoke": {
        "key": ("key_id", _is_key_id),
        "reason": ("reason", lambda value: value in REASONS),
        "since": ("index", _is_since),
    },
}
_CERTIFIED: Mapping[str, _Form] = {
    "certificate": ("certificate", _is_base64),
    "not_after": ("instant", _is_instant),
}
"""Fields that `enrol` and `rotate` may have, both or none."""


def _check_form(event: str, arguments: Mapping[str, Any]) -> None:
    fields = _FIELDS.get(event)
    if fields is None:
        raise Refused("unknown_event", event=event)
    if event in {"enrol", "rotate"} and not _CERTIFIED.keys().isdisjoint(arguments):
        fields = {**fields, **_CERTIFIED}
    for name in fields.keys() ^ arguments.keys():
        code = "unknown_argument" if name in arguments else "missing_argument"
        raise Refused(code, event=event, field=name)
    for name, (kind, fits) in fields.items():
        if not fits(arguments[name]):
            raise Refused("bad_argument", event=event, field=name, kind=kind)
