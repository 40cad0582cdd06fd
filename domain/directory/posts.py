"""Whether somebody may get, lose or hand over a role, or leave.

A system operator runs the service and may act as nobody else (Art. 2, 6): who is one at a moment
holds no other role then, and stands in for none.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from domain.directory.folding import read_holding, read_substitution
from domain.directory.forms import ASSIGNABLE
from domain.directory.state import Directory, check_stays, not_held
from domain.directory.values import SERVICE, Holding, Period, Person, Substitution
from domain.refusal import Refused
from domain.task import Role


def judge_service(
    directory: Directory, event: str, arguments: Mapping[str, Any], at: datetime
) -> None:
    """A change about people who are in the directory. Raises Refused."""
    match event:
        case "appoint":
            person = known_person(directory, arguments["person"])
            check_appointment(directory, person, read_holding(arguments))
        case "dismiss":
            _judge_dismissal(directory, arguments, at)
        case "substitute":
            _judge_substitution(directory, read_substitution(arguments))
        case "end_substitution":
            _judge_end(directory, arguments, at)
        case "clear" | "leave":
            known_person(directory, arguments["person"])
        case _:
            raise ValueError(f"no change about people: {event}")


def known_person(directory: Directory, who: str) -> Person:
    """The person of this id, who has not left. Raises Refused."""
    person = None if who in SERVICE else directory.people.get(who)
    if person is None:
        raise Refused("unknown_person", person=who[:80])
    check_stays(person)
    return person


def check_appointment(directory: Directory, person: Person, holding: Holding) -> None:
    """Whether the person may hold this role besides those that they have. Raises Refused."""
    _check_post(directory, holding.agency, holding.role)
    facts = {"person": person.id, "role": holding.role, "agency": holding.agency}
    if any(period.overlaps(holding.period) for period in person.held(holding.agency, holding.role)):
        raise Refused("role_overlaps", **facts)
    _check_operator(directory, person, holding.role, holding.period)


def _judge_dismissal(directory: Directory, arguments: Mapping[str, Any], at: datetime) -> None:
    person = known_person(directory, arguments["person"])
    agency, role = arguments["agency"], arguments["role"]
    if all(period.is_over(at) for period in person.held(agency, role)):
        raise not_held(person, agency, role, at)


def _judge_substitution(directory: Directory, substitution: Substitution) -> None:
    absent = known_person(directory, substitution.absent)
    substitute = known_person(directory, substitution.substitute)
    if absent == substitute:
        raise Refused("substitute_self", person=absent.id)
    agency, role, period = substitution.agency, substitution.role, substitution.period
    _check_post(directory, agency, role)
    if not any(held.overlaps(period) for held in absent.held(agency, role)):
        raise not_held(absent, agency, role, period.begins)
    if any(
        each.subject == substitution.subject and each.period.overlaps(period)
        for each in directory.substitutions.get(substitute.id, ())
    ):
        raise Refused("substitution_overlaps", person=substitute.id, absent=absent.id)
    _check_operator(directory, substitute, role, period)


def _judge_end(directory: Directory, arguments: Mapping[str, Any], at: datetime) -> None:
    subject = (arguments["absent"], arguments["agency"], arguments["role"])
    standing = directory.substitutions.get(arguments["substitute"], ())
    if all(each.period.is_over(at) for each in standing if each.subject == subject):
        raise Refused("no_substitution", person=arguments["substitute"], absent=arguments["absent"])


def _check_post(directory: Directory, agency: str, role: str) -> None:
    if agency not in directory.agencies:
        raise Refused("unknown_agency", agency=agency)
    if role not in ASSIGNABLE:
        raise Refused("unknown_role", role=role[:80])


def _check_operator(directory: Directory, person: Person, role: str, period: Period) -> None:
    for other, when in _acting(directory, person):
        if Role.OPERATOR in {role, other} and role != other and when.overlaps(period):
            raise Refused("operator_alone", person=person.id, role=other)


def _acting(directory: Directory, person: Person) -> Iterator[tuple[str, Period]]:
    """All that a person may act as, directly or in somebody's place, and when."""
    yield from ((held.role, held.period) for held in person.roles)
    standing = directory.substitutions.get(person.id, ())
    yield from ((each.role, each.period) for each in standing)
