"""The door: where a signed command stands when its receipt time is taken.

A command that was recorded is answered with its entry, signed by the log: the receipt. The door
does not wait for the workflow, and needs no Temporal: what the log has recorded, the driver brings
to the workflow as soon as it can.

A command that could not be recorded goes back with the door's stamp on it: handed in again, it
counts as received when it first stood here.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import structlog
from sqlalchemy.exc import SQLAlchemyError

from activities.evidence import Missing, digests_in, nothing_missing
from activities.queue import RecorderQueue, Stopped
from activities.recorder import Handed, Probe, Recorded, Turned, no_probe
from activities.stamping import Stamper
from activities.unsealing import why_malformed
from audit.entry import open_command
from audit.malformed import Malformed
from audit.submission import Submission, parse_submission
from domain.refusal import Refused
from evidence.staging import Unavailable

log = structlog.get_logger(__name__)


class NotRecorded(Exception):
    """The service could not record what stood at the door; ``submission`` is it, stamped."""

    def __init__(self, submission: Submission) -> None:
        super().__init__("not recorded")
        self.submission = submission


class Door:
    def __init__(
        self,
        queue: RecorderQueue,
        stamper: Stamper,
        now: Callable[[], datetime],
        probe: Probe = no_probe,
        missing: Missing = nothing_missing,
    ) -> None:
        self._queue = queue
        self._stamper = stamper
        self._missing = missing
        self._now = now
        self._probe = probe

    async def submit_bytes(self, data: bytes) -> Recorded:
        """Have a submission from outside recorded. Raises Refused, saying why it was not, and
        NotRecorded when it could not be tried.
        """
        received_at = self._now()
        try:
            submission = parse_submission(data)
        except Malformed as error:
            await self._turn_away(why_malformed(error, data), received_at)
        return await self._record(submission, received_at)

    async def turn_away(self, refusal: Refused) -> NoReturn:
        """Refuse what was never read. Raises ``refusal``, once it is recorded."""
        await self._turn_away(refusal, self._now())

    async def submit(self, submission: Submission) -> Recorded:
        """The same for a submission of our own process."""
        return await self._record(submission, self._now())

    async def _turn_away(self, refusal: Refused, received_at: datetime) -> NoReturn:
        await self._queue.turn_away(Turned(refusal, received_at))

    async def _record(self, submission: Submission, received_at: datetime) -> Recorded:
        self._probe("received")
        stamped = self._stamper.stamped(submission, received_at)
        try:
            await self._look_for_files(submission)
            return await self._queue.record(Handed(stamped, received_at))
        except (SQLAlchemyError, Stopped, Unavailable) as error:
            log.warning("command_not_recorded", error=type(error).__name__)
            raise NotRecorded(stamped) from error

    async def _look_for_files(self, submission: Submission) -> None:
        """Have the files that are named looked up here, where nobody else waits for it. The
        recorder decides, and finds what was found remembered.
        """
        if self._missing is nothing_missing:
            return
        try:
            predicate = open_command(submission.command).predicate
            arguments = predicate["arguments"]
            digests = digests_in(str(predicate["event"]), arguments) if arguments else ()
        except (Malformed, KeyError, TypeError, AttributeError):
            return  # the recorder refuses it, and says why
        if digests:
            await asyncio.to_thread(self._missing, digests)
