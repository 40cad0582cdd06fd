"""What the recorder is asked to do, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.dsse import Envelope
from audit.submission import Submission
from domain.refusal import Refused
from domain.refused import DOOR
from domain.task import Task


@dataclass(frozen=True, slots=True)
class Timeout:
    """A request to record what ran out on a task up to ``at`` (UTC)."""

    task: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Handed:
    """A submission, when it stood at the door (UTC), and at which of `domain.refused.DOORS`."""

    submission: Submission
    received_at: datetime
    door: str = DOOR


@dataclass(frozen=True, slots=True)
class Turned:
    """What was turned away before the recorder could judge it: it has only the refusal to record,
    and answers with it.

    ``task`` is the one whose workflow it was given to, ``envelope`` the command, where it could be
    read. A command that was meant for elsewhere is ``astray``: whoever signed it need not be the
    one who brought it here.
    """

    refusal: Refused
    received_at: datetime
    door: str = DOOR
    task: str | None = None
    envelope: Envelope | None = None
    astray: bool = False


@dataclass(frozen=True, slots=True)
class Attest:
    """A request that the service itself state something about the log (`domain.attestation`), as
    it was ``at`` that instant (UTC).

    What has an ``occasion`` of its own is stated once, however often it is asked for.
    """

    event: str
    arguments: Mapping[str, Any]
    at: datetime
    occasion: str | None = None


@dataclass(frozen=True, slots=True)
class SumUp:
    """A request to state how many refusals had no entry of their own, when it is time for that;
    ``at_once`` before the service ends.
    """

    at_once: bool = False


Job = Handed | Turned | Timeout | Attest | SumUp


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to one job, after the commit.

    ``entry`` is the receipt of a submission (None for a timeout); ``entries`` are all those that
    the job appended, the clock's own before it. ``task`` is None for a chain about the log.
    """

    chain: str
    entry: bytes | None
    entries: tuple[bytes, ...]
    task: Task | None
