"""The directory as it stands after some entry, and the one question that every step asks it.

People are found by id and hold few roles each, so an answer takes the same time in a log of fifty
people and in one of fifty thousand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.authorities import CERTIFICATE_REVOKED
from domain.command import Actor
from domain.directory.values import Agency, Key, KeyState, Person, Substitution
from domain.instants import format_instant
from domain.refusal import Refused
from domain.task import Role


@dataclass(slots=True)
class Directory:
    """``keys`` has every key there ever was, by id; ``present`` leads from a holder, a person or
    one of `SERVICE`, to the id of the key in force. ``substitutions`` are kept with the person who
    stands in; ``covered`` leads from an absent person to those who ever did. ``authorities`` are
    those trusted now: by id, their certificate in base64. ``seq`` and ``head`` name the last entry
    folded.

    Others may look at it at any time, so it changes only in the hands of who made it: `advance`.
    """

    agencies: dict[str, Agency] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    present: dict[str, str] = field(default_factory=dict)
    substitutions: dict[str, tuple[Substitution, ...]] = field(default_factory=dict)
    covered: dict[str, frozenset[str]] = field(default_factory=dict)
    authorities: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    head: str = ""
    at: datetime | None = None

    def copy(self) -> "Directory":
        """The same, and the caller's own."""
        return replace(
            self,
            agencies=dict(self.agencies),
            people=dict(self.people),
            keys=dict(self.keys),
            present=dict(self.present),
            substitutions=dict(self.substitutions),
            covered=dict(self.covered),
            authorities=dict(self.authorities),
        )

    def key_of(self, holder: str) -> Key | None:
        """The holder's key in force."""
        return self.keys.get(self.present.get(holder, ""))

    def ancestors(self, agency: str) -> Iterator[Agency]:
        """The agencies above this one, the nearest first."""
        found = self.agencies.get(agency)
        while found is not None and found.parent is not None:
            found = self.agencies[found.parent]
            yield found

    def covering(self, absent: str) -> list[Substitution]:
        """Everybody who stands, stood or will stand in for a person."""
        return [
            each
            for substitute in sorted(self.covered.get(absent, ()))
            for each in self.substitutions.get(substitute, ())
            if each.absent == absent
        ]

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
            check_stays(self.people.get(found.holder))
            if found.reason == CERTIFICATE_REVOKED:
                raise Refused("certificate_revoked", key=key[:16], holder=found.holder)
            raise Refused("key_revoked", key=key[:16], holder=found.holder)
        if found.not_after is not None and at > found.not_after:
            ended = format_instant(found.not_after)
            raise Refused("certificate_expired", key=key[:16], holder=found.holder, ended=ended)
        return found

    def actor(
        self, key: str, agency: str, role: str, at: datetime, behalf: str | None = None
    ) -> Actor:
        """Who acts with a command received ``at`` that instant, in the place of ``behalf`` if that
        is a person. Raises Refused when the key does not count or the role is not theirs then.
        """
        found = self.key_in_force(key, at)
        person = self.people.get(found.holder)
        if person is None:
            raise Refused("key_of_other_purpose", holder=found.holder)
        if behalf is None:
            check_held(person, agency, role, at)
        else:
            self._check_substitute(person, behalf, agency, role, at)
        return Actor(
            person=person.id,
            agency=agency,
            role=Role(role),
            behalf=behalf,
            clearance=person.clearance,
            assurance=found.assurance,
        )

    def _check_substitute(
        self, person: Person, behalf: str, agency: str, role: str, at: datetime
    ) -> None:
        """The absent person must hold the role directly: who only stands in hands nothing on."""
        absent = self.people.get(behalf)
        check_stays(absent)
        subject = (behalf, agency, role)
        standing = self.substitutions.get(person.id, ())
        if absent is None or not any(
            each.subject == subject and each.period.covers(at) for each in standing
        ):
            facts = {"person": person.id, "absent": behalf[:80]}
            raise Refused("not_substitute", **facts, role=role[:80], agency=agency[:80])
        check_held(absent, agency, role, at)


def check_stays(person: Person | None) -> None:
    """Who left does nothing more, and nothing is done in their name. Raises Refused."""
    if person is not None and person.left is not None:
        raise Refused("person_left", person=person.id, left=format_instant(person.left))


def check_held(person: Person, agency: str, role: str, at: datetime) -> None:
    """Whether the person holds the role directly at that instant. Raises Refused."""
    if not any(period.covers(at) for period in person.held(agency, role)):
        raise not_held(person, agency, role, at)


def not_held(person: Person, agency: str, role: str, at: datetime) -> Refused:
    """Why a person who does not hold the role at that instant does not."""
    facts = {"person": person.id, "role": role[:80], "agency": agency[:80]}
    periods = person.held(agency, role)
    if coming := [period.begins for period in periods if period.begins > at]:
        return Refused("role_not_begun", **facts, begins=format_instant(min(coming)))
    if ended := [period.ends for period in periods if period.ends is not None]:
        return Refused("role_ended", **facts, ended=format_instant(max(ended)))
    return Refused("role_not_held", **facts)
