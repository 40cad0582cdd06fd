"""What differs between the log, the tables that screens show, and the running workflows.

The log decides; what says something else is a difference of one of these kinds:

    row_differs            a row of the read model says something else than the log
    row_missing            the log has a task or an agency that has no row
    row_unexplained        a row that nothing in the log explains
    workflow_missing       a task needs a workflow, and none runs, nor was one ended by force
    workflow_terminated    the same, and its last run was terminated, cancelled, failed or timed out
    workflow_behind        a workflow knows fewer entries than the log has
    workflow_reset         the same, and somebody reset it
    workflow_ahead         a workflow knows more entries than the log has: *the log lost something*
    workflow_foreign       a running workflow that is no task's of this log, or not on our queue
    update_without_entry   a receipt in a workflow's history that is not in the log: the same loss
    entry_unsequenced      an entry waits for its place in the tree for more than a minute
    entry_forgotten        an entry has no place, and no sequencer will come across it

Everything here is a function of values. Log and server are read one after the other while steps go
on, so a difference counts when two looks, some seconds apart, both find it (`confirmed`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.attestation import DIFFERENCES

PATIENCE = timedelta(seconds=60)
"""An entry may wait so long for its place in the tree."""

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """``subject`` is the task, where there is one; ``detail`` is English and short."""

    kind: str
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A running workflow, as the server lists it. ``seq``: the last entry that it knows."""

    id: str
    type: str
    queue: str
    seq: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that has no place in the tree."""

    chain: str
    seq: int
    recorded_at: datetime
    queued: bool


@dataclass(frozen=True, slots=True)
class Look:
    """The log and the server at about one time.

    ``before`` and ``after`` tell how many entries each task had before the server was asked, and
    afterwards; ``needed`` are the tasks that needed a workflow before.
    """

    before: Mapping[str, int]
    needed: frozenset[str]
    running: Sequence[Process]
    after: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was compared, and what differs: entries of the log, its tasks, running workflows."""

    size: int
    tasks: int
    workflows: int
    differences: tuple[Difference, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The number of differences of every kind."""
        found = Counter(difference.kind for difference in self.differences)
        return {kind: found[kind] for kind in DIFFERENCES}

    @property
    def arguments(self) -> dict[str, Any]:
        """As the log attests it (`domain.attestation`)."""
        return {
            "differences": self.counts,
            "size": self.size,
            "tasks": self.tasks,
            "workflows": self.workflows,
        }


def compare_rows(
    expected: Mapping[str, Mapping[str, Any]], shown: Iterable[tuple[str, Mapping[str, Any]]]
) -> list[Difference]:
    """A table of the read model against the rows that the log leads to, by id."""
    differences, seen = list[Difference](), set[str]()
    for name, row in shown:
        seen.add(name)
        wanted = expected.get(name)
        if wanted is None:
            differences.append(Difference("row_unexplained", name))
        elif fields := _differing(wanted, row):
            differences.append(Difference("row_differs", name, ", ".join(fields)))
    missing = sorted(expected.keys() - seen)
    return differences + [Difference("row_missing", name) for name in missing]


def compare_entries(waiting: Iterable[Waiting], now: datetime) -> list[Difference]:
    """The entries without a place that should have one by now."""
    differences = []
    for entry in waiting:
        subject = f"{entry.chain}/{entry.seq}"
        if not entry.queued:
            differences.append(Difference("entry_forgotten", subject))
        elif now - entry.recorded_at > PATIENCE:
            differences.append(Difference("entry_unsequenced", subject))
    return differences


def compare_workflows(
    look: Look, since: Mapping[str, int], workflow: str, queue: str
) -> list[Difference]:
    """The running workflows against the log. ``workflow`` is our type, ``queue`` our task queue.

    Behind is who lacks an entry that was there when ``since`` was taken: at a first look that of
    the look itself, at a second one that of the first, however many steps came in between. A
    workflow that is missing may have been ended: `workflow_missing` is settled by who asks for its
    last run.
    """
    differences, seen = list[Difference](), set[str]()
    for process in look.running:
        if process.type != workflow or process.queue != queue:
            if process.type == workflow or process.queue == queue:
                detail = f"{process.type} on {process.queue}"
                differences.append(Difference("workflow_foreign", process.id, detail))
            continue
        seen.add(process.id)
        difference = _compare_one(process, since.get(process.id, 0), look.after.get(process.id))
        if difference is not None:
            differences.append(difference)
    missing = sorted(look.needed - seen)
    return differences + [Difference("workflow_missing", task) for task in missing]


def confirmed(first: Sequence[Difference], second: Sequence[Difference]) -> list[Difference]:
    """What both looks have found, as the second one saw it."""
    found = {(difference.kind, difference.subject) for difference in first}
    return [each for each in second if (each.kind, each.subject) in found]


def concerned(differences: Sequence[Difference], *kinds: str) -> list[str]:
    """The subjects of the differences of these kinds."""
    return sorted({each.subject for each in differences if each.kind in kinds})


def _compare_one(process: Process, since: int, has: int | None) -> Difference | None:
    if has is None:
        detail = f"no such task; it knows {process.seq} entries"
        return Difference("workflow_foreign", process.id, detail)
    if process.seq > has:
        detail = f"it knows {process.seq} entries, the log has {has}"
        return Difference("workflow_ahead", process.id, detail)
    if process.seq < since:
        detail = f"it knows {process.seq} entries, the log has {has}"
        return Difference("workflow_behind", process.id, detail)
    return None


def _differing(expected: Mapping[str, Any], shown: Mapping[str, Any]) -> list[str]:
    names = sorted(expected.keys() | shown.keys())
    # A field that only one side has differs, even from one that is null.
    return [n for n in names if expected.get(n, _MISSING) != shown.get(n, _MISSING)]
