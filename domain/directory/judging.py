"""Whether a change of the directory may be made. Only the administrator makes one.

Who may act is a matter of three things, each with its own changes: the person is in the directory
(`add_people`, `leave`), holds a role for a time (`appoint`, `dismiss`, `substitute`), and has a key
(`enrol`, `rotate`, `revoke`). What certificate authorities may do is in `domain.authorities`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain import authorities
from domain.directory.folding import read_person
from domain.directory.forms import check_form
from domain.directory.posts import check_appointment, judge_service, known_person
from domain.directory.state import Directory
from domain.directory.values import (
    ADMINISTRATOR,
    CHAIN,
    CLOCK,
    LAPSE,
    SERVICE,
    Holding,
    KeyState,
    Person,
    key_id,
)
from domain.instants import format_instant, parse_instant
from domain.refusal import Refused

_SLACK = timedelta(minutes=5)
"""So far watches may differ; and several changes may be on their way at once."""


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
    check_form(event, arguments)
    if event == "found":
        if directory.seq:
            raise Refused("log_already_founded")
        _check_founding(arguments)
        return
    if directory.seq == 0:
        raise Refused("log_not_founded")
    check_purpose(directory.key_in_force(key, at).holder, CHAIN, event)
    if event in authorities.EVENTS:
        authorities.judge(directory.authorities, event, arguments, directory.present.values())
        return
    match event:
        case "add_agency" | "change_agency":
            _judge_agency(directory, event, arguments)
        case "add_agencies":
            _judge_agencies(directory, arguments)
        case "add_people":
            _judge_people(directory, arguments)
        case "enrol" | "rotate" | "revoke":
            _judge_keys(directory, event, arguments, at)
        case _:
            judge_service(directory, event, arguments, at)


def _judge_keys(
    directory: Directory, event: str, arguments: Mapping[str, Any], at: datetime
) -> None:
    match event:
        case "enrol":
            _judge_enrolment(directory, arguments, at)
        case "rotate":
            _judge_rotation(directory, arguments, at)
        case _:
            _judge_revocation(directory, arguments)


def check_fresh(directory: Directory, issued_at: datetime) -> None:
    """Whether a change was signed on the directory as it is: what was signed before the last change
    came in may have been held back, to undo it. Raises Refused.
    """
    if directory.at is not None and issued_at < directory.at - _SLACK:
        last, issued = format_instant(directory.at), format_instant(issued_at)
        raise Refused("change_stale", issued=issued, last=last)


def check_agencies(directory: Directory, arguments: Mapping[str, Any]) -> None:
    """Every agency that acts in a task must be in the directory. Raises Refused."""
    coordinators = arguments.get("coordinators", [])
    named = [arguments.get(name) for name in ("lead", "monitor")]
    for agency in [*named, *(coordinators if isinstance(coordinators, list) else [coordinators])]:
        if agency is not None and not (isinstance(agency, str) and agency in directory.agencies):
            raise Refused("unknown_agency", agency=str(agency)[:80])


def _check_founding(arguments: Mapping[str, Any]) -> None:
    taken = set[str]()
    for holder in SERVICE:
        key = key_id(arguments[holder])
        if key in taken:
            raise Refused("key_in_use", person=holder)
        taken.add(key)


def _judge_agency(directory: Directory, event: str, arguments: Mapping[str, Any]) -> None:
    agency, parent = arguments["agency"], arguments["parent"]
    if event == "add_agency" and agency in directory.agencies:
        raise Refused("agency_exists", agency=agency)
    if event == "change_agency" and agency not in directory.agencies:
        raise Refused("unknown_agency", agency=agency)
    if parent is None:
        return
    if parent not in directory.agencies:
        raise Refused("unknown_agency", agency=parent)
    if agency in {parent, *(above.id for above in directory.ancestors(parent))}:
        raise Refused("agency_circle", agency=agency, parent=parent)


def _judge_agencies(directory: Directory, arguments: Mapping[str, Any]) -> None:
    """Several new ones, each below one that is there or stands before it: so without circles."""
    added = set[str]()
    for each in arguments["agencies"]:
        agency, parent = each["agency"], each["parent"]
        if agency in added or agency in directory.agencies:
            raise Refused("agency_exists", agency=agency)
        if parent is not None and parent not in added and parent not in directory.agencies:
            raise Refused("unknown_agency", agency=parent)
        added.add(agency)


def _judge_people(directory: Directory, arguments: Mapping[str, Any]) -> None:
    added = set[str]()
    for each in arguments["people"]:
        person = each["person"]
        if person in added or person in directory.people or person in SERVICE:
            raise Refused("person_exists", person=person)
        added.add(person)
        roles: tuple[Holding, ...] = ()
        for holding in read_person(each).roles:
            check_appointment(directory, Person(person, "", "", roles=roles), holding)
            roles = (*roles, holding)


def _judge_enrolment(directory: Directory, arguments: Mapping[str, Any], at: datetime) -> None:
    """A person's first key, or the next one after a revocation: who has none in force gets one."""
    person = known_person(directory, arguments["person"])
    if directory.key_of(person.id) is not None:
        raise Refused("holder_has_key", person=person.id)
    _judge_key(directory, person.id, arguments, at)


def _judge_rotation(directory: Directory, arguments: Mapping[str, Any], at: datetime) -> None:
    holder = arguments["holder"]
    if holder not in SERVICE:
        known_person(directory, holder)
    elif "certificate" in arguments:
        # The service's keys end by an entry of the log alone.
        raise Refused("unknown_argument", event="rotate", field="certificate")
    if directory.key_of(holder) is None:
        raise Refused("enrol_first", person=holder)
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
