"""A listing against the directory: the changes that make the directory what the listing says.

What is the same already is left out, so that a second import of a file changes nothing. A person
who is listed holds exactly the roles that are listed; who is not listed is left alone, unless told
otherwise. History is not rewritten: a period that is over is no change, and a role that is in force
on both sides is the same, whenever it began.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.instants import format_instant
from domain.task import Secrecy
from intake.people.cells import tidy
from intake.people.listing import Agency, Holding, Listing, Person

MAX_BYTES = 44_000
"""Of the agencies or people of an entry: as base64, signed and recorded it has to fit 65,535."""

FROM_NOW = ""
"""Stands for the instant at which the change is signed."""

_INSTANT_BYTES = 27


@dataclass(frozen=True, slots=True)
class Change:
    """One entry to be: its event, and how many agencies or people it is about. `resolved` gives
    the arguments.
    """

    event: str
    fields: Mapping[str, Any]
    count: int = 1

    def resolved(self, at: datetime) -> dict[str, Any]:
        """The arguments, with what begins now beginning ``at`` that instant (UTC)."""
        resolved: dict[str, Any] = _resolved(self.fields, format_instant(at))
        return resolved


Unit = tuple[Change, ...]
"""Changes that are made one after the other."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``phases``: the units of one need those of the phases before, and not each other.
    ``alone``: people of the directory whom the listing doesn't have, and who stay as they are.
    """

    phases: tuple[tuple[Unit, ...], ...]
    alone: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them, in an order in which they can be made."""
        return tuple(change for phase in self.phases for unit in phase for change in unit)

    def count(self, *events: str) -> int:
        """How many agencies or people such events are about."""
        return sum(change.count for change in self.changes if change.event in events)


def compare(
    listing: Listing, directory: Listing, at: datetime, *, leave_missing: bool = False
) -> Difference:
    """The changes, as of the instant ``at`` (UTC). With ``leave_missing`` people who are not listed
    leave.
    """
    missing = tuple(sorted(directory.people.keys() - listing.people.keys()))
    leaving = missing if leave_missing else ()
    changed = (
        tuple(_Posts(person.id, at).changes(person, directory.people[person.id]))
        for person in listing.people.values()
        if person.id in directory.people
    )
    phases = [
        *(((change,),) for change in _agencies(listing.agencies, directory.agencies)),
        tuple((change,) for change in _added(listing.people, directory.people, at)),
        tuple(filter(None, changed)),
        tuple((Change("leave", {"person": person}),) for person in leaving),
    ]
    return Difference(tuple(filter(None, phases)), () if leave_missing else missing)


def _agencies(listed: Mapping[str, Agency], known: Mapping[str, Agency]) -> Iterator[Change]:
    """Parents before children. An agency is hung under one that is where it belongs already, and
    so are all above that: no circle is made on the way, however the tree is turned.
    """
    order = _downward(listed)
    added = [_agency(each) for each in order if each.id not in known]
    for several in _batches(added):
        yield Change("add_agencies", {"agencies": several}, len(several))
    for each in order:
        before = known.get(each.id)
        if before is None:
            continue
        name_vi, name_en = each.name_vi or before.name_vi, each.name_en or before.name_en
        after = Agency(each.id, name_vi, name_en, each.parent)
        if _form(after) != _form(before):
            yield Change("change_agency", _agency(after))


def _downward(listed: Mapping[str, Agency]) -> list[Agency]:
    order: dict[str, Agency] = {}
    for agency in listed.values():
        way: list[Agency] = []
        here: Agency | None = agency
        while here is not None and here.id not in order:
            way.append(here)
            here = listed.get(here.parent) if here.parent is not None else None
        order.update((each.id, each) for each in reversed(way))
    return list(order.values())


def _form(agency: Agency) -> tuple[str, str, str | None]:
    return tidy(agency.name_vi), tidy(agency.name_en), agency.parent


def _agency(agency: Agency) -> dict[str, Any]:
    return {
        "agency": agency.id,
        "name_vi": agency.name_vi,
        "name_en": agency.name_en,
        "parent": agency.parent,
    }


def _added(
    listed: Mapping[str, Person], known: Mapping[str, Person], at: datetime
) -> Iterator[Change]:
    people = [_person(each, at) for each in listed.values() if each.id not in known]
    for several in _batches(people):
        yield Change("add_people", {"people": several}, len(several))


def _person(person: Person, at: datetime) -> dict[str, Any]:
    return {
        "person": person.id,
        "title_vi": person.title_vi,
        "title_en": person.title_en,
        "clearance": person.clearance or str(Secrecy.NORMAL),
        "roles": [
            _held(each, begins=each.begins) for each in person.holdings if not each.is_over(at)
        ],
    }


def _held(holding: Holding, begins: datetime | None) -> dict[str, Any]:
    return {
        "agency": holding.agency,
        "role": holding.role,
        "from": FROM_NOW if begins is None else format_instant(begins),
        "until": None if holding.until is None else format_instant(holding.until),
    }


class _Posts:
    """What changes for one person who is in the directory, as of the instant ``at``."""

    def __init__(self, person: str, at: datetime) -> None:
        self._person = person
        self._at = at

    def changes(self, listed: Person, known: Person) -> Iterator[Change]:
        if listed.clearance and listed.clearance != known.clearance:
            yield Change("clear", {"person": self._person, "clearance": listed.clearance})
        wanted, present = self._by_post(listed), self._by_post(known)
        found = [
            self._of_post(post, wanted.get(post, []), present.get(post, []))
            for post in dict.fromkeys((*present, *wanted))
        ]
        # An operator may become something else: first all ends, then all beginnings.
        yield from (change for ends, _ in found for change in ends)
        yield from (change for _, begins in found for change in begins)

    def _by_post(self, person: Person) -> dict[tuple[str, str], list[Holding]]:
        """What is not over, with periods that follow on each other as one."""
        posts: dict[tuple[str, str], list[Holding]] = {}
        for holding in sorted(person.holdings, key=_beginning):
            if holding.is_over(self._at):
                continue
            post = posts.setdefault((holding.agency, holding.role), [])
            if post and post[-1].until is not None and post[-1].until == holding.begins:
                post[-1] = replace(post[-1], until=holding.until)
            else:
                post.append(holding)
        return posts

    def _of_post(
        self, post: tuple[str, str], wanted: Sequence[Holding], present: Sequence[Holding]
    ) -> tuple[list[Change], list[Change]]:
        """The ends and the beginnings. A dismissal ends all that is held or to come of a role, so
        what stays is given anew at once; a role that only lasts longer is not ended for that.
        """
        left, new = list(present), []
        for holding in wanted:
            same = next((each for each in left if self._is_same(holding, each)), None)
            if same is None:
                new.append(holding)
            else:
                left.remove(same)
        if not left:
            return [], [self._appointment(each, each.begins) for each in new]
        if len(left) == len(new) == 1 and self._lasts_longer(new[0], left[0]):
            return [], [self._appointment(new[0], left[0].until)]
        agency, role = post
        dismissal = Change("dismiss", {"person": self._person, "agency": agency, "role": role})
        return [dismissal], [self._appointment(each, each.begins) for each in wanted]

    def _appointment(self, holding: Holding, begins: datetime | None) -> Change:
        """From that instant on, but never from one that has passed."""
        begun = begins is None or begins <= self._at
        return Change(
            "appoint", {"person": self._person, **_held(holding, None if begun else begins)}
        )

    def _is_same(self, listed: Holding, known: Holding) -> bool:
        return listed.until == known.until and self._begin_alike(listed, known)

    def _lasts_longer(self, listed: Holding, known: Holding) -> bool:
        if known.until is None or not self._begin_alike(listed, known):
            return False
        return listed.until is None or listed.until > known.until

    def _begin_alike(self, listed: Holding, known: Holding) -> bool:
        return listed.begins == known.begins or (self._has_begun(listed) and self._has_begun(known))

    def _has_begun(self, holding: Holding) -> bool:
        return holding.begins is None or holding.begins <= self._at


def _beginning(holding: Holding) -> tuple[bool, str]:
    return holding.begins is not None, format_instant(holding.begins) if holding.begins else ""


def _batches(items: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many at a time as an entry holds."""
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        length = _length(item)
        if batch and size + length > MAX_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch


def _length(item: dict[str, Any]) -> int:
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) + 1 + _INSTANT_BYTES * len(item.get("roles", ()))


def _resolved(value: Any, now: str) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case dict():
            return {
                name: now if name == "from" and each == FROM_NOW else _resolved(each, now)
                for name, each in value.items()
            }
        case list():
            return [_resolved(each, now) for each in value]
    return value
