"""The keys that the service itself signs with, and the name of the log they sign for.

Which of several keys signs is not decided here but by the directory: the one it names at that point
of the log. Keys may appear while the service runs, when one is rotated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from activities.sealing import Vault
from audit.authorities import Authorities
from audit.directory import read_change
from audit.malformed import Malformed
from audit.private_keys import PrivateKey
from domain.command import Command
from domain.directory import CLOCK, DOOR, LOG, Directory
from domain.instants import format_instant
from domain.refusal import Refused


def _no_more(_key: str) -> None:
    """Where no other keys are kept."""


@dataclass(frozen=True)
class LogKeys:
    """``log`` signs records only, ``clock`` signs the clock's commands only, ``door`` stamps what
    comes in: the keys that a new log is founded with. ``find`` looks for the keys that came later,
    by key id. ``vault`` seals the words of protected tasks; without it none are taken.
    """

    origin: str
    log: PrivateKey = field(repr=False)
    clock: PrivateKey = field(repr=False)
    door: PrivateKey = field(repr=False)
    find: Callable[[str], PrivateKey | None] = field(default=_no_more, repr=False)
    vault: Vault | None = None
    _found: dict[str, PrivateKey] = field(default_factory=dict, init=False, repr=False)

    def held(self, key: str) -> PrivateKey | None:
        """The key of this id, when this service has it."""
        if key in self._found:
            return self._found[key]
        for first in (self.log, self.clock, self.door):
            if first.public.id == key:
                return first
        found = self.find(key)
        if found is None or found.public.id != key:
            return None
        self._found[key] = found
        return found

    def named(self, directory: Directory, holder: str) -> PrivateKey:
        """The key that the directory names for ``log``, ``clock`` or ``door``. Raises Refused when
        this service does not have it.
        """
        named = directory.key_of(holder)
        key = self.held(named.id) if named else None
        if key is None:
            raise Refused("key_not_held", holder=holder)
        return key


def check_keys(
    keys: LogKeys, command: Command, received_at: datetime, authorities: Authorities | None
) -> None:
    """A key that a change of the directory brings in must be sound, vouched for where a certificate
    comes with it, and one that the service shall sign with be here. Raises Refused.
    """
    event, arguments = command.event, command.arguments
    try:
        at = format_instant(received_at)
        change = read_change(event, arguments, at, keys.origin, authorities)
    except Malformed as error:
        raise Refused(error.code, detail=error.detail) from error
    if not isinstance(change, tuple):
        return
    for holder in change:
        first = {LOG: keys.log, CLOCK: keys.clock, DOOR: keys.door}.get(holder.name)
        if first is None:
            continue
        if event == "found" and holder.key != first.public:
            raise Refused("other_log", log=keys.origin)
        if keys.held(holder.key.id) is None:
            raise Refused("key_not_held", holder=holder.name)


@dataclass(frozen=True)
class CheckpointKeys:
    """The two keys that sign checkpoints, and nothing else. Their name is the log's origin."""

    origin: str
    ed25519: Ed25519PrivateKey = field(repr=False)
    mldsa: MLDSA44PrivateKey = field(repr=False)
