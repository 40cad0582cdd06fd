"""The activities of a task's workflow. They run as local activities: one hop instead of three."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from temporalio import activity

from activities.queue import Asker, RecorderQueue
from activities.recorder import Handed, Recorder, Timeout, Turned
from activities.unsealing import TASK_PREFIX, refuse_highest_in, why_malformed
from audit.entry import open_command
from audit.malformed import Malformed
from audit.submission import parse_submission
from domain.directory import LOG
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.refused import WORKFLOW
from domain.secrecy import is_protected, may_be_protected
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
        job = _read(step, self.now())
        try:
            if isinstance(job, Handed) and job.submission.openings:
                job = await asyncio.to_thread(self._without_secrets, job, step.task)
            if isinstance(job, Turned):
                await self.queue.turn_away(job, Asker.WORKFLOW)
            recorded = await self.queue.record(job, Asker.WORKFLOW)
        except Refused as refusal:
            return _refused(refusal)
        return Answer(_snapshot(recorded.task), (recorded.entry or b"").decode())

    def _without_secrets(self, job: Handed, name: str) -> Handed | Turned:
        """What came as a signal stands in the history already. It is refused all the same."""
        task = self.recorder.task(name)
        envelope = job.submission.command
        try:
            refuse_highest_in(job.submission)
        except Refused as highest:
            return Turned(highest, job.received_at, WORKFLOW, name, envelope)
        command = open_command(envelope).predicate
        protected = (
            is_protected(task.secrecy)
            if task
            else may_be_protected(command["event"], command["arguments"])
        )
        if not protected:
            return job
        refusal = Refused("words_by_door_only")
        return Turned(refusal, job.received_at, WORKFLOW, name, envelope)

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


def _read(step: RecordStep, received_at: datetime) -> Handed | Turned:
    """What came in through Temporal: a submission for this task, or a refusal."""
    turned = Turned(Refused("not_a_command"), received_at, WORKFLOW, step.task)
    if step.submission is None:
        return turned
    data = step.submission.encode(errors="surrogatepass")
    try:
        submission = parse_submission(data)
        turned = replace(turned, envelope=submission.command)
        subject = open_command(submission.command).subject
    except Malformed as error:
        return replace(turned, refusal=why_malformed(error, data))
    if subject.name != TASK_PREFIX + step.task:
        return replace(turned, refusal=Refused("other_task", task=step.task), astray=True)
    return Handed(submission, received_at, WORKFLOW)


def _refused(refusal: Refused) -> Answer:
    return Answer(None, refused=refusal.code, facts=dict(refusal.facts))


def _snapshot(task: Task | None) -> dict[str, Any] | None:
    return format_task(task) if task else None
