"""Whose key is whose, as the directory chain says, and what each key may sign.

The directory is a chain of the log like any other; what its events mean for keys is this:

    found   {"administrator": spki, "clock": spki, …}     opens the log
    enrol   {"person": id, "spki": spki, …}               gives one person one key

A key is the base64 of its SubjectPublicKeyInfo. It counts from its entry on: validity is decided
by the order of the log, never by a time that somebody wrote down. One key has one holder and one
purpose:

    log            records, and nothing else      (trusted from outside, never by an entry)
    administrator  changes of the directory
    clock          ``lapse`` commands
    person         every other command
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from audit.canonical import Json
from audit.dsse import decode_base64
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed

DIRECTORY = "directory"
LAPSE = "lapse"


class Purpose(StrEnum):
    ADMINISTRATOR = "administrator"
    CLOCK = "clock"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key. ``name`` is what the log's records call the holder."""

    name: str
    purpose: Purpose
    key: PublicKey

    def may_sign(self, chain: str, event: str) -> bool:
        """Whether a command of this event on this chain is within the key's purpose."""
        if chain == DIRECTORY:
            return self.purpose is Purpose.ADMINISTRATOR
        return self.purpose is (Purpose.CLOCK if event == LAPSE else Purpose.PERSON)


class Keyring:
    """The keys that the directory has enrolled so far."""

    def __init__(self, log_key: PublicKey) -> None:
        self._log_key = log_key
        self._holders: dict[str, Holder] = {}

    @property
    def founded(self) -> bool:
        return bool(self._holders)

    def holder(self, key: str) -> Holder | None:
        """Who holds the key of this id; None when no entry has enrolled it."""
        return self._holders.get(key)

    def check(self, holders: Sequence[Holder]) -> None:
        """Raise Malformed when a key is somebody's already: the log's, or another holder's."""
        taken = {self._log_key.id, *self._holders}
        for holder in holders:
            if holder.key.id in taken:
                raise Malformed("key_in_use", holder.name)
            taken.add(holder.key.id)

    def admit(self, holders: Sequence[Holder]) -> None:
        """From here on these keys count. Raises Malformed as `check` does."""
        self.check(holders)
        self._holders.update({holder.key.id: holder for holder in holders})


def holders_named(event: str, arguments: Mapping[str, Json]) -> tuple[Holder, ...]:
    """The holders that a directory event brings in. Raises Malformed for an unfit key."""
    match event:
        case "found":
            return (
                Holder("administrator", Purpose.ADMINISTRATOR, _key(arguments, "administrator")),
                Holder("clock", Purpose.CLOCK, _key(arguments, "clock")),
            )
        case "enrol":
            person = arguments.get("person")
            if not isinstance(person, str):
                raise Malformed("malformed_command", "person")
            return (Holder(person, Purpose.PERSON, _key(arguments, "spki")),)
        case _:
            return ()


def _key(arguments: Mapping[str, Json], field: str) -> PublicKey:
    if field not in arguments:
        raise Malformed("malformed_command", field)
    return load_public(decode_base64(arguments[field]))
