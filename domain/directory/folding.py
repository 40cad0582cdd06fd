"""What a recorded change makes of the directory. It was judged before: nothing is refused here."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from domain import authorities
from domain.directory.forms import read_period
from domain.directory.state import Directory
from domain.directory.values import (
    CLOCK,
    LEFT,
    SERVICE,
    Agency,
    Holding,
    Key,
    KeyState,
    Period,
    Person,
    Substitution,
    key_id,
)
from domain.instants import parse_instant
from domain.task import Role, Secrecy

_EVER = Period(datetime.min.replace(tzinfo=UTC))


def follow(
    directory: Directory, event: str, arguments: Mapping[str, Any], head: str, at: datetime
) -> Directory:
    """The directory after one recorded change, received ``at`` that instant; ``head`` is the leaf
    hash of its entry.
    """
    after = directory.copy()
    advance(after, event, arguments, head, at)
    return after


def advance(
    directory: Directory, event: str, arguments: Mapping[str, Any], head: str, at: datetime
) -> None:
    """The same, on a directory that is the caller's own: a long chain is not copied every time."""
    directory.seq, directory.head, directory.at = directory.seq + 1, head, at
    match event:
        case "found":
            for holder in SERVICE:
                _give(directory, holder, arguments[holder], None)
            clock = Holding(CLOCK, str(Role.CLOCK), _EVER)
            directory.people[CLOCK] = Person(CLOCK, "Đồng hồ", "Clock", roles=(clock,))
        case "add_agency" | "add_agencies" | "change_agency":
            for agency in changed_agencies(event, arguments):
                directory.agencies[agency.id] = agency
        case "enrol" | "rotate":
            holder = arguments["person" if event == "enrol" else "holder"]
            _give(directory, holder, arguments["spki"], arguments.get("not_after"))
        case "revoke":
            _revoke(directory, arguments["key"], arguments["reason"], arguments["since"])
        case _ if event in authorities.EVENTS:
            authorities.follow(directory.authorities, event, arguments)
            for key in authorities.ended(event, arguments):
                _revoke(directory, key, authorities.CERTIFICATE_REVOKED, None)
        case _:
            _advance_people(directory, event, arguments, at)


def changed_agencies(event: str, arguments: Mapping[str, Any]) -> tuple[Agency, ...]:
    """The agencies that checked arguments add or change, as they are from here on."""
    match event:
        case "add_agency" | "change_agency":
            several = [arguments]
        case "add_agencies":
            several = arguments["agencies"]
        case _:
            several = []
    return tuple(
        Agency(each["agency"], each["name_vi"], each["name_en"], each["parent"]) for each in several
    )


def _advance_people(
    directory: Directory, event: str, arguments: Mapping[str, Any], at: datetime
) -> None:
    match event:
        case "add_people":
            for each in arguments["people"]:
                directory.people[each["person"]] = read_person(each)
        case "appoint":
            person = directory.people[arguments["person"]]
            roles = (*person.roles, read_holding(arguments))
            directory.people[person.id] = replace(person, roles=roles)
        case "dismiss":
            person = directory.people[arguments["person"]]
            directory.people[person.id] = _dismissed(
                person, at, (arguments["agency"], arguments["role"])
            )
        case "clear":
            person = directory.people[arguments["person"]]
            clearance = Secrecy(arguments["clearance"])
            directory.people[person.id] = replace(person, clearance=clearance)
        case "substitute":
            _stand_in(directory, read_substitution(arguments))
        case "end_substitution":
            subject = (arguments["absent"], arguments["agency"], arguments["role"])
            _end_substitutions(directory, arguments["substitute"], at, subject=subject)
        case "leave":
            _leave(directory, arguments["person"], at)
        case _:
            raise ValueError(f"no change of the directory: {event}")


def read_person(arguments: Mapping[str, Any]) -> Person:
    """The person that checked arguments describe. Raises Refused for a period without a moment."""
    return Person(
        arguments["person"],
        arguments["title_vi"],
        arguments["title_en"],
        Secrecy(arguments["clearance"]),
        tuple(map(read_holding, arguments["roles"])),
    )


def read_holding(arguments: Mapping[str, Any]) -> Holding:
    """Raises Refused, as `read_period`."""
    return Holding(arguments["agency"], arguments["role"], read_period(arguments))


def read_substitution(arguments: Mapping[str, Any]) -> Substitution:
    """Raises Refused, as `read_period`."""
    return Substitution(
        arguments["absent"],
        arguments["substitute"],
        arguments["agency"],
        arguments["role"],
        read_period(arguments),
    )


def _give(directory: Directory, holder: str, spki: str, not_after: str | None) -> None:
    """From here on this is the holder's key, and no other."""
    before = directory.key_of(holder)
    if before is not None:
        directory.keys[before.id] = replace(before, state=KeyState.ROTATED)
    ends = parse_instant(not_after) if not_after is not None else None
    key = Key(key_id(spki), spki, holder, not_after=ends)
    directory.keys[key.id] = key
    directory.present[holder] = key.id


def _revoke(directory: Directory, key_id: str, reason: str, since: int | None) -> None:
    key = directory.keys[key_id]
    widest = key.since if since is None else since
    directory.keys[key.id] = replace(key, state=KeyState.REVOKED, reason=reason, since=widest)
    if directory.present.get(key.holder) == key.id:
        del directory.present[key.holder]


def _dismissed(person: Person, at: datetime, post: tuple[str, str] | None = None) -> Person:
    """The person without a role from that instant on, or without any. A role that was to begin
    later never does; of one that has begun, the past stays.
    """
    roles = []
    for held in person.roles:
        ends = post in {None, (held.agency, held.role)}
        if period := held.period.cut(at) if ends else held.period:
            roles.append(replace(held, period=period))
    return replace(person, roles=tuple(roles))


def _stand_in(directory: Directory, substitution: Substitution) -> None:
    absent, substitute = substitution.absent, substitution.substitute
    before = directory.substitutions.get(substitute, ())
    directory.substitutions[substitute] = (*before, substitution)
    directory.covered[absent] = directory.covered.get(absent, frozenset()) | {substitute}


def _end_substitutions(
    directory: Directory,
    substitute: str,
    at: datetime,
    *,
    subject: tuple[str, str, str] | None = None,
    absent: str | None = None,
) -> None:
    """End what somebody stands in for: one place, all places of one absent person, or all."""
    kept = []
    for each in directory.substitutions.get(substitute, ()):
        ends = subject in {None, each.subject} and absent in {None, each.absent}
        if period := each.period.cut(at) if ends else each.period:
            kept.append(replace(each, period=period))
    directory.substitutions[substitute] = tuple(kept)


def _leave(directory: Directory, who: str, at: datetime) -> None:
    directory.people[who] = replace(_dismissed(directory.people[who], at), left=at)
    _end_substitutions(directory, who, at)
    for substitute in directory.covered.get(who, ()):
        _end_substitutions(directory, substitute, at, absent=who)
    key = directory.key_of(who)
    if key is not None:
        _revoke(directory, key.id, LEFT, None)
