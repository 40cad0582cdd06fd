"""The door: where a signed command stands when its receipt time is taken.

A command that was recorded is answered with its entry, signed by the log: the receipt. The door
does not wait for the workflow, and needs no Temporal: what the log has recorded, the driver brings
to the workflow as soon as it can.
"""

from collections.abc import Callable
from datetime import datetime

from activities.queue import RecorderQueue
from activities.recorder import Handed, Probe, Recorded, no_probe
from audit.malformed import Malformed
from audit.submission import Submission, parse_submission
from domain.refusal import Refused


class Door:
    def __init__(
        self, queue: RecorderQueue, now: Callable[[], datetime], probe: Probe = no_probe
    ) -> None:
        self._queue = queue
        self._now = now
        self._probe = probe

    async def submit_bytes(self, data: bytes) -> Recorded:
        """Have a submission from outside recorded. Raises Refused, saying why it was not."""
        received_at = self._now()
        try:
            submission = parse_submission(data)
        except Malformed as error:
            raise Refused(error.code, detail=error.detail) from error
        return await self._record(submission, received_at)

    async def submit(self, submission: Submission) -> Recorded:
        """The same for a submission of our own process."""
        return await self._record(submission, self._now())

    async def _record(self, submission: Submission, received_at: datetime) -> Recorded:
        self._probe("received")
        return await self._queue.record(Handed(submission, received_at))
