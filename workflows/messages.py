"""What enters and leaves the workflow of a task. One dataclass in, one out, for each handler."""

from dataclasses import dataclass, field
from typing import Any

TASK_QUEUE = "dondoc"
WORKFLOW = "Task"
FOLLOW = "follow"
SUBMIT = "submit"
SUBMIT_SIGNAL = "submit_signal"
RECORD_STEP = "record_step"
SETTLE = "settle_deadlines"
LOOK_UP = "look_up_task"


@dataclass(frozen=True)
class TaskStart:
    """``log_key`` is the key that the log signs records with, base64 SubjectPublicKeyInfo: it alone
    is believed, until the log itself names another.

    ``snapshot`` (`domain.snapshot`) saves a look into the log; without it the workflow looks.
    ``doubted``: an entry by another key came, and the log was not asked about it yet.
    """

    task: str
    log_key: str
    snapshot: dict[str, Any] | None = None
    doubted: bool = False


@dataclass(frozen=True)
class Follow:
    """Entries of the log, as text, in order: steps that were recorded already."""

    entries: list[str]


@dataclass(frozen=True)
class Submit:
    """A submission (`audit.submission`) as text: a step that somebody asks for."""

    submission: str


@dataclass(frozen=True)
class RecordStep:
    """``submission`` is None when what came in was no `Submit` at all."""

    task: str
    submission: str | None


@dataclass(frozen=True)
class Settle:
    """Record what ran out up to ``at`` (`domain.instants`)."""

    task: str
    at: str


@dataclass(frozen=True)
class Answer:
    """``entry`` is the receipt; or ``refused`` names why there is none, with the facts of the case.
    ``snapshot`` is the task as the log has it now, ``log_key`` (of a look-up alone) the key in
    force for records since, spelled as in `TaskStart`.
    """

    snapshot: dict[str, Any] | None
    entry: str | None = None
    refused: str | None = None
    facts: dict[str, str | int] = field(default_factory=dict)
    log_key: str | None = None
