"""The activities of a task's workflow. They run as local activities: one hop instead of three."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio import activity

from activities.queue import Asker, RecorderQueue
from activities.recorder import Handed, Recorder, Timeout
from activities.unsealing import TASK_PREFIX
from audit.entry import open_command
from audit.malformed import Malformed
from audit.submission import Submission, parse_submission
from domain.directory import LOG
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.snapshot import format_task
from domain.task import Task
from workflows.messages import LOOK_UP, RECORD_STEP, SETTLE, Answer, RecordStep, Settle


@dataclass(frozen=True)
class StepActivities:
    """Bound to the recorder of this process."""

    recorder: Recorder
    queue: RecorderQueue
    now: Callable[[], datetime]

    def all(self) -> Sequence[Callable[..., Any]]:
        return [self.record_step, self.settle_deadlines, self.look_up_task]

    @activity.defn(name=RECORD_STEP)
    async def record_step(self, step: RecordStep) -> Answer:
        """Record a command that came through Temporal. A refusal is an answer, not a failure."""
        received_at = self.now()
        try:
            submission = parse_submission(step.submission.encode(errors="surrogatepass"))
            _check_task(submission, step.task)
            recorded = await self.queue.record(Handed(submission, received_at), Asker.WORKFLOW)
        except Malformed as error:
            return Answer(None, refused=error.code, facts={"detail": error.detail})
        except Refused as refusal:
            return Answer(None, refused=refusal.code, facts=dict(refusal.facts))
        return Answer(_snapshot(recorded.task), (recorded.entry or b"").decode())

    @activity.defn(name=SETTLE)
    async def settle_deadlines(self, settle: Settle) -> Answer:
        """Record what ran out. Safe to repeat: what is recorded does not run out twice."""
        ran_out = Timeout(settle.task, parse_instant(settle.at))
        recorded = await self.queue.record(ran_out, Asker.WORKFLOW)
        return Answer(_snapshot(recorded.task))

    @activity.defn(name=LOOK_UP)
    async def look_up_task(self, task: str) -> Answer:
        """The task as the log has it (no snapshot when it has none of that id), and its key."""
        return await asyncio.to_thread(self._looked_up, task)

    def _looked_up(self, task: str) -> Answer:
        """The task before the key: so the key is never older than the entries that were seen."""
        snapshot = _snapshot(self.recorder.task(task))
        key = self.recorder.directory().key_of(LOG)
        return Answer(snapshot, log_key=key.spki if key else None)


def _check_task(submission: Submission, task: str) -> None:
    if open_command(submission.command).subject.name != TASK_PREFIX + task:
        raise Refused("other_task", task=task)


def _snapshot(task: Task | None) -> dict[str, Any] | None:
    return format_task(task) if task else None
