"""What the directory holds: agencies, people, the roles that they hold for a time, and keys."""

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.command import ASSURED_AS_SERVICE, ASSURED_BY_CERTIFICATE, ASSURED_BY_KEY
from domain.task import Secrecy

CHAIN = "directory"
CLOCK = "clock"
ADMINISTRATOR = "administrator"
LOG = "log"
CHECKPOINT = "checkpoint"
CHECKPOINT_PQ = "checkpoint_pq"
DOOR = "door"
SERVICE = (ADMINISTRATOR, CHECKPOINT, CHECKPOINT_PQ, CLOCK, DOOR, LOG)
"""Holders of the keys that the log itself has, one each. No person is called like them."""

LEFT = "left"
REASONS = ("compromised", "lost", LEFT, "superseded")
LAPSE = "lapse"


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

    @property
    def assurance(self) -> str:
        """What vouches for the holder: no certificate is entered that was not validated."""
        if self.holder in SERVICE:
            return ASSURED_AS_SERVICE
        return ASSURED_BY_KEY if self.not_after is None else ASSURED_BY_CERTIFICATE


@dataclass(frozen=True, slots=True)
class Agency:
    """``parent`` is the agency that this one belongs to; None at the top."""

    id: str
    name_vi: str
    name_en: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begins`` on, up to but not including ``ends``; None: for good. In UTC."""

    begins: datetime
    ends: datetime | None = None

    def covers(self, at: datetime) -> bool:
        return self.begins <= at and (self.ends is None or at < self.ends)

    def overlaps(self, other: "Period") -> bool:
        return (other.ends is None or self.begins < other.ends) and (
            self.ends is None or other.begins < self.ends
        )

    def is_over(self, at: datetime) -> bool:
        return self.ends is not None and self.ends <= at

    def cut(self, at: datetime) -> "Period | None":
        """What is left of it when it ends at that instant, if not earlier; None: nothing."""
        if self.is_over(at):
            return self
        return None if self.begins >= at else replace(self, ends=at)


@dataclass(frozen=True, slots=True)
class Holding:
    """A role at an agency, for a time."""

    agency: str
    role: str
    period: Period


@dataclass(frozen=True, slots=True)
class Substitution:
    """One person in the place of another, in one role, for a time that has an end."""

    absent: str
    substitute: str
    agency: str
    role: str
    period: Period

    @property
    def subject(self) -> tuple[str, str, str]:
        """Whose place it is, and which."""
        return self.absent, self.agency, self.role


@dataclass(frozen=True, slots=True)
class Person:
    """Titles are of the post, not the name of who holds it. ``clearance`` is the highest level of
    secrecy that the person may work on (Art. 5). Who ``left`` at an instant stays known for ever,
    with what they held.
    """

    id: str
    title_vi: str
    title_en: str
    clearance: Secrecy = Secrecy.NORMAL
    roles: tuple[Holding, ...] = ()
    left: datetime | None = None

    def roles_at(self, at: datetime) -> frozenset[tuple[str, str]]:
        """The (agency, role) pairs that the person holds directly at that instant."""
        return frozenset((h.agency, h.role) for h in self.roles if h.period.covers(at))

    def held(self, agency: str, role: str) -> list[Period]:
        """When the person holds, held or will hold this role."""
        return [h.period for h in self.roles if h.agency == agency and h.role == role]


def key_id(spki: str) -> str:
    """SHA-256, in hex, of a base64 SubjectPublicKeyInfo."""
    return hashlib.sha256(base64.b64decode(spki)).hexdigest()
