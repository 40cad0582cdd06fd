"""Agencies, people and their keys, as the log's own chain ``directory`` established them.

Three events: ``found`` opens the log and names the administrator's and the clock's keys;
``add_agency`` adds an agency; ``enrol`` gives a person a key and roles. The directory is a fold of
those entries, so that it comes back from the log alone. A key is given as its base64
SubjectPublicKeyInfo (``spki``) and named by that structure's SHA-256.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from domain.command import Actor
from domain.refusal import Refused
from domain.task import Role

CHAIN = "directory"
CLOCK = "clock"
ADMINISTRATOR = "administrator"

_FIELDS: Mapping[str, Mapping[str, type]] = {
    "found": {"administrator": str, "clock": str},
    "add_agency": {"agency": str, "name_vi": str, "name_en": str},
    "enrol": {"person": str, "spki": str, "roles": list, "title_vi": str, "title_en": str},
}


@dataclass(frozen=True, slots=True)
class Agency:
    id: str
    name_vi: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Person:
    """``roles`` are (agency, role) pairs; titles are of the post, not the name of who holds it."""

    id: str
    spki: str
    roles: frozenset[tuple[str, str]]
    title_vi: str
    title_en: str

    @property
    def key(self) -> str:
        return key_id(self.spki)


def key_id(spki: str) -> str:
    """SHA-256, in hex, of a base64 SubjectPublicKeyInfo."""
    return hashlib.sha256(base64.b64decode(spki)).hexdigest()


@dataclass(frozen=True, slots=True)
class Directory:
    """``administrator`` is the SubjectPublicKeyInfo of who may change it; ``keys`` leads from key
    id to person id. ``seq`` and ``head`` name the last entry folded.
    """

    administrator: str = ""
    agencies: Mapping[str, Agency] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    seq: int = 0
    head: str = ""

    @property
    def administrator_key(self) -> str:
        return key_id(self.administrator)

    def actor(self, key: str, agency: str, role: str) -> Actor:
        """Who acts. Raises Refused when the key is unknown or the person lacks the role."""
        person = self.people.get(self.keys.get(key, ""))
        if person is None:
            raise Refused("unknown_key", key=key[:16])
        if (agency, role) not in person.roles:
            raise Refused("role_not_held", person=person.id, role=role, agency=agency)
        return Actor(person.id, agency, Role(role))


def judge(directory: Directory, event: str, arguments: Mapping[str, Any], key: str) -> None:
    """Whether the holder of ``key`` may make this change. Raises Refused."""
    _check_form(event, arguments)
    if event == "found":
        if directory.seq:
            raise Refused("log_already_founded")
        return
    if key != directory.administrator_key:
        raise Refused("only_administrator", event=event)
    if event == "add_agency":
        if arguments["agency"] in directory.agencies:
            raise Refused("agency_exists", agency=arguments["agency"])
        return
    _judge_enrolment(directory, arguments)


def follow(directory: Directory, event: str, arguments: Mapping[str, Any], head: str) -> Directory:
    """The directory after one recorded change; ``head`` is the leaf hash of its entry."""
    after = replace(directory, seq=directory.seq + 1, head=head)
    match event:
        case "found":
            clock = Person(
                CLOCK, arguments["clock"], frozenset({(CLOCK, str(Role.CLOCK))}), "Đồng hồ", "Clock"
            )
            after = replace(after, administrator=arguments["administrator"])
            return _with_person(after, clock)
        case "add_agency":
            agency = Agency(arguments["agency"], arguments["name_vi"], arguments["name_en"])
            return replace(after, agencies={**after.agencies, agency.id: agency})
        case _:
            roles = frozenset((held["agency"], held["role"]) for held in arguments["roles"])
            person = Person(
                arguments["person"],
                arguments["spki"],
                roles,
                arguments["title_vi"],
                arguments["title_en"],
            )
            return _with_person(after, person)


def check_agencies(directory: Directory, arguments: Mapping[str, Any]) -> None:
    """Every agency that acts in a task must be in the directory. Raises Refused."""
    coordinators = arguments.get("coordinators", [])
    named = [arguments.get(name) for name in ("lead", "monitor")]
    for agency in [*named, *(coordinators if isinstance(coordinators, list) else [coordinators])]:
        if agency is not None and not (isinstance(agency, str) and agency in directory.agencies):
            raise Refused("unknown_agency", agency=str(agency)[:80])


def _with_person(directory: Directory, person: Person) -> Directory:
    return replace(
        directory,
        people={**directory.people, person.id: person},
        keys={**directory.keys, person.key: person.id},
    )


def _judge_enrolment(directory: Directory, arguments: Mapping[str, Any]) -> None:
    key = key_id(arguments["spki"])
    if key in directory.keys or key == directory.administrator_key:
        raise Refused("key_in_use", person=arguments["person"])
    if arguments["person"] in {*directory.people, ADMINISTRATOR}:
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


def _check_form(event: str, arguments: Mapping[str, Any]) -> None:
    fields = _FIELDS.get(event)
    if fields is None:
        raise Refused("unknown_event", event=event)
    for name in fields.keys() ^ arguments.keys():
        code = "unknown_argument" if name in arguments else "missing_argument"
        raise Refused(code, event=event, field=name)
    for name, kind in fields.items():
        if not isinstance(arguments[name], kind):
            raise Refused("bad_argument", event=event, field=name, kind=kind.__name__)
