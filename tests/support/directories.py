"""A directory that a test changes by hand: judged and followed like one of a log, without a log.

The rules never open a key, so any bytes stand for one here: `spki`.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from domain.directory import ADMINISTRATOR, SERVICE, Directory, advance, judge, key_id
from domain.instants import format_instant
from domain.refusal import Refused
from tests.support.world import START, person_of


def spki(name: str) -> str:
    return base64.b64encode(f"key {name}".encode()).decode()


FOUND = {holder: spki(holder) for holder in SERVICE}


def agency(name: str, parent: str | None = None) -> dict[str, Any]:
    return {"agency": name, "name_vi": "Sở", "name_en": "Department", "parent": parent}


def person(name: str, *roles: tuple[str, str], **more: Any) -> dict[str, Any]:
    return person_of(name, *roles, **{"clearance": "normal", **more})


def an_enrolment(who: str, key: str) -> dict[str, Any]:
    return {"person": who, "spki": spki(key), "proof": "AAAA"}


def rotation(holder: str, key: str) -> dict[str, Any]:
    return {"holder": holder, "spki": spki(key), "proof": "AAAA"}


def period(begins: datetime, ends: datetime | None) -> dict[str, str | None]:
    until = None if ends is None else format_instant(ends)
    return {"from": format_instant(begins), "until": until}


@dataclass
class Keeper:
    """Who keeps the directory: the administrator."""

    directory: Directory

    @property
    def administrator(self) -> str:
        """The key that signs changes."""
        return self.directory.present.get(ADMINISTRATOR, key_id(FOUND[ADMINISTRATOR]))

    def does(self, event: str, arguments: dict[str, Any], at: datetime = START) -> None:
        """Judge a change and follow it. Raises Refused."""
        judge(self.directory, event, arguments, self.administrator, at)
        advance(self.directory, event, arguments, str(self.directory.seq + 1), at)

    def refusal(
        self, event: str, arguments: dict[str, Any], at: datetime = START, key: str | None = None
    ) -> str:
        """The code with which a change is refused; nothing has changed then."""
        before = self.directory.copy()
        with pytest.raises(Refused) as found:
            judge(self.directory, event, arguments, key or self.administrator, at)
        assert self.directory == before
        return found.value.code


def founded(*agencies: str) -> Keeper:
    """A directory with its six keys and some agencies, none below another."""
    keeper = Keeper(Directory())
    advance(keeper.directory, "found", FOUND, "1", START)
    for each in agencies:
        keeper.does("add_agency", agency(each))
    return keeper
