"""From a job to what may be judged, or a refusal: all that is done before any lock is taken."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from activities.evidence import Missing, digests_in
from activities.jobs import Attest, Handed, Job, SumUp, Timeout, Turned
from activities.stamping import stamped_at
from activities.unsealing import Request, unseal
from domain import attestation
from domain.directory import Directory
from domain.refusal import Refused

Prepared = Request | Timeout | Attest | SumUp | Refused


@dataclass(frozen=True, slots=True)
class Preparing:
    """``known`` is the directory as it was when last looked at; ``looked_up`` asks the log, for who
    has a key that is not in it yet.
    """

    origin: str
    now: Callable[[], datetime]
    missing: Missing
    known: Callable[[], Directory]
    looked_up: Callable[[], Directory]

    def prepared(self, job: Job) -> Prepared:
        """The job with its command unsealed and no instant of it ahead of now."""
        match job:
            case Handed():
                return self._handed(job)
            case Turned():
                return job.refusal
            case Timeout() | Attest():
                # Nobody's clock but ours decides what has run out, or when something was so.
                return replace(job, at=min(job.at, self.now()))
            case SumUp():
                return job

    def _handed(self, job: Handed) -> Request | Refused:
        # What is ahead of the recorder's own clock is a door's clock gone wrong.
        job = replace(job, received_at=min(job.received_at, self.now()))
        try:
            return self._unsealed(job, self.known())
        except Refused as refusal:
            if refusal.code not in {"unknown_key", "stamp_wrong"}:
                return refusal
        try:
            return self._unsealed(job, self.looked_up())
        except Refused as refusal:
            return refusal

    def _unsealed(self, job: Handed, directory: Directory) -> Request:
        received_at = job.received_at
        if job.submission.stamp is not None:
            stamped = stamped_at(job.submission, self.origin, directory, received_at)
            received_at = min(stamped, received_at)
        request = unseal(job.submission, self.origin, directory, received_at)
        digests = digests_in(request.command.event, request.command.arguments)
        # Looked for before any lock is taken; told only to who may take the step (`check_kept`).
        return replace(request, missing=tuple(self.missing(digests))) if digests else request


def chain_for(prepared: Request | Timeout | Attest | SumUp) -> str:
    """The chain that it may add to."""
    match prepared:
        case Timeout(task):
            return task
        case Attest() | SumUp():
            return attestation.CHAIN
    return prepared.command.task
