"""The durable process of one task: it sleeps until the nearest deadline and follows the log.

It learns of steps in three ways. `Follow` brings entries that the door recorded. `Submit`, update
or signal, brings a signed command straight through Temporal, which is recorded from here. And when
a deadline runs out, it has that recorded itself. Whatever it may have missed (a reset, a lost
signal, a new run) shows as a gap in the entries' numbers, and one look into the log closes it.

An entry that another key signed is a forgery, or the log has a new key. What comes from outside is
never believed about that: the log is asked, by our own activity, and not too often.

Deadlines are absolute instants from the log's entries: nothing here computes or guesses one.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from audit.entry import leaf_hash
    from audit.keys import PublicKey, load_public
    from audit.malformed import Malformed
    from domain.instants import format_instant
    from domain.refusal import Refused
    from domain.snapshot import format_task, parse_task
    from domain.step import Step, evolve
    from domain.task import Task
    from workflows import attributes
    from workflows.details import details
    from workflows.fitness import refuse_unfit
    from workflows.following import OtherKey, read_entry
    from workflows.messages import (
        FOLLOW,
        LOOK_UP,
        RECORD_STEP,
        SETTLE,
        SUBMIT,
        SUBMIT_SIGNAL,
        WORKFLOW,
        Answer,
        Follow,
        RecordStep,
        Settle,
        Submit,
        TaskStart,
    )

_T = TypeVar("_T", Follow, Submit)

ROLL_AT_EVENTS = 256
"""A run's history is kept this short, so that a restarted worker replays it in milliseconds."""

_AGAIN = timedelta(seconds=1)
_PATIENCE = timedelta(seconds=10)
_LATER = timedelta(minutes=1)
_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    maximum_interval=timedelta(seconds=5),
    # A log that can't be read is not better a moment later.
    non_retryable_error_types=["ValueError", "KeyError", "TypeError", "Malformed", "Refused"],
)


@workflow.defn(name=WORKFLOW)
class TaskWorkflow:
    @workflow.init
    def __init__(self, start: TaskStart) -> None:
        """Handlers may run before `run`: everything they need is here."""
        self._start = start
        self._log_key = _read_key(start.log_key)
        self._task = parse_task(start.snapshot) if start.snapshot else None
        self._behind = self._task is None
        self._doubted = start.doubted
        self._patient = False
        self._lock = asyncio.Lock()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: datetime | None = None
        self._rung = False

    @workflow.run
    async def run(self, _start: TaskStart) -> str:
        """Until the task is closed and nothing is awaited any more.

        All that is asked of Temporal, search attributes and the timer, is asked from this one
        coroutine in one order: histories must replay on every version of Python.
        """
        while True:
            if self._behind:
                await self._despite_failure(self._catch_up)
            elif self._may_ask():
                await self._despite_failure(self._ask_for_key)
            if self._task is None:
                continue
            task = self._known()
            self._show(task)
            self._set_alarm(task)
            if not task.is_open and not task.clocks:
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._must_look() and self._known() == task:
                    return str(task.state)
                continue
            if self._is_long():
                await self._roll()
                continue
            await workflow.wait_condition(partial(self._must_act, task))
            if self._rung:
                await self._answer_alarm(task)

    @workflow.signal(dynamic=True)
    async def hear(self, name: str, given: Sequence[RawValue]) -> None:
        """`Follow` under the name ``follow``, `Submit` under ``submit_signal``.

        Anyone who may write to the namespace can send anything under any name, and what a handler
        can't take would stop the workflow for ever. So everything is taken as it comes: what is no
        command is recorded as refused, like a command that was.
        """
        if name == FOLLOW:
            self._follow(_read(given, Follow))
            return
        try:
            await self._record(_read(given, Submit) if name == SUBMIT_SIGNAL else None)
        except ActivityError as error:
            workflow.logger.error("a command could not be recorded: %s", error.cause)

    @workflow.update(dynamic=True)
    async def answer(self, name: str, given: Sequence[RawValue]) -> Answer:
        """`Submit` under the name ``submit``: have a signed command recorded, and wait for it.

        Raises ApplicationError of type ``refused``, for whatever else is sent, too.
        """
        answer = await self._record(_read(given, Submit) if name == SUBMIT else None)
        if answer.refused is not None:
            raise ApplicationError(answer.refused, answer.facts, type="refused", non_retryable=True)
        return answer

    @answer.validator
    def check_answer(self, name: str, given: Sequence[RawValue]) -> None:
        """What the history must not have is turned down before it has it."""
        submit = _read(given, Submit) if name == SUBMIT else None
        if submit is None:
            return
        try:
            refuse_unfit(submit.submission, self._task.secrecy if self._task else None)
        except Refused as refusal:
            raise ApplicationError(refusal.code, {}, type="refused", non_retryable=True) from None

    @workflow.query(name="task")
    def task(self) -> dict[str, Any] | None:
        """The task as this workflow knows it (`domain.snapshot`)."""
        return format_task(self._task) if self._task else None

    def _follow(self, follow: Follow | None) -> None:
        """Steps that the log holds already. What the log did not sign is passed over."""
        for text in follow.entries if follow else ():
            self._follow_one(text)

    def _follow_one(self, text: str) -> None:
        if self._task is None:
            self._behind = True
            return
        try:
            if leaf_hash(text.encode()) == self._task.head:
                return
            step = read_entry(self._start.task, text, self._log_key)
            if step.seq == self._task.seq + 1:
                self._task = evolve(self._task, step)
            elif step.seq > self._task.seq or _contradicts(self._task, step):
                self._behind = True
        except OtherKey:
            self._doubted = True
        except (Malformed, ValueError, KeyError, TypeError) as error:
            # Anyone who may write to the namespace can signal: it must not block the workflow.
            workflow.logger.warning("passed over an entry that is not the log's: %s", error)

    async def _record(self, submit: Submit | None) -> Answer:
        async with self._lock:
            before = self._task
            answer: Answer = await workflow.execute_local_activity(
                RECORD_STEP,
                RecordStep(self._start.task, submit.submission if submit else None),
                result_type=Answer,
                start_to_close_timeout=_PATIENCE,
                retry_policy=_RETRY,
            )
            self._adopt(answer.snapshot, before)
            return answer

    async def _despite_failure(self, work: Callable[[], Awaitable[None]]) -> None:
        """A log that can't be read now ends no workflow: it is asked again later."""
        try:
            await work()
        except ActivityError as error:
            workflow.logger.error("the log could not be read: %s", error.cause)
            self._behind = True
            await workflow.sleep(_LATER)

    async def _catch_up(self) -> None:
        """Learn from the log what was missed."""
        async with self._lock:
            # A gap, or a doubt, that shows while we look asks for another look.
            self._behind = self._doubted = False
            before = self._task
            answer: Answer = await workflow.execute_local_activity(
                LOOK_UP,
                self._start.task,
                result_type=Answer,
                start_to_close_timeout=_PATIENCE,
                retry_policy=_RETRY,
            )
            if answer.snapshot is None:
                raise ApplicationError("the log has no such task", non_retryable=True)
            self._adopt(answer.snapshot, before)
            if answer.log_key is not None:
                self._log_key = _read_key(answer.log_key)

    async def _ask_for_key(self) -> None:
        """Learn from the log whether it signs with another key now.

        Anybody can make us doubt. Once asked in vain, the log is not asked again for a while; a
        doubt that arises meanwhile is kept, for the key may have changed just then.
        """
        known = self._log_key, self._task
        await self._catch_up()
        if (self._log_key, self._task) == known:
            self._patient = True
            loop = asyncio.get_running_loop()
            loop.call_later(_LATER.total_seconds(), self._lose_patience)

    def _lose_patience(self) -> None:
        self._patient = False

    def _may_ask(self) -> bool:
        return self._doubted and not self._patient

    def _must_look(self) -> bool:
        return self._behind or self._may_ask()

    async def _settle(self) -> None:
        """Have recorded what has run out by now."""
        async with self._lock:
            before = self._task
            answer: Answer = await workflow.execute_local_activity(
                SETTLE,
                Settle(self._start.task, format_instant(workflow.now())),
                result_type=Answer,
                start_to_close_timeout=_PATIENCE,
                retry_policy=_RETRY,
            )
            self._adopt(answer.snapshot, before)

    def _must_act(self, task: Task) -> bool:
        """Whether more is to be done than was done for ``task``."""
        news = self._task is not task
        # Signals alone make a run long too, and the server takes no more than so many in one.
        return self._rung or self._must_look() or news or self._is_long()

    def _set_alarm(self, task: Task) -> None:
        """One timer, on the nearest deadline; it is set anew only when another one is nearest."""
        if self._rung:
            return
        nearest = task.next_clock
        due = nearest[1].due if nearest else None
        if due == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, due
        if due is not None:
            wait = max(due - workflow.now(), timedelta(0))
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(wait.total_seconds(), self._ring)

    def _ring(self) -> None:
        self._rung = True

    async def _answer_alarm(self, task: Task) -> None:
        """A deadline has come: have it recorded, and forget the timer that said so."""
        self._rung, self._alarm, self._alarm_at = False, None, None
        await self._despite_failure(self._settle)
        if self._known().next_clock == task.next_clock:
            # The recorder's clock is behind ours by a little.
            await workflow.sleep(_AGAIN)

    async def _roll(self) -> None:
        """Go on in a new run, with the task as the first one left it."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._behind:
            return
        log_key = base64.b64encode(self._log_key.spki).decode()
        task = format_task(self._known())
        workflow.continue_as_new(TaskStart(self._start.task, log_key, task, self._doubted))

    def _is_long(self) -> bool:
        info = workflow.info()
        too_long = info.get_current_history_length() >= ROLL_AT_EVENTS
        return too_long or info.is_continue_as_new_suggested()

    def _known(self) -> Task:
        if self._task is None:
            raise ApplicationError("the task is not known yet")
        return self._task

    def _adopt(self, snapshot: dict[str, Any] | None, before: Task | None) -> None:
        """Take over the log's view, unless a later one came in since ``before`` was asked with.

        When nothing came in, the log is right even if it knows less: it was restored.
        """
        if snapshot is None:
            return
        task = parse_task(snapshot)
        if self._task is None or self._task is before or task.seq > self._task.seq:
            self._task = task

    def _show(self, task: Task) -> None:
        """Bring what operators see up to date; only what changed is written."""
        shown = workflow.info().typed_search_attributes
        changed = [
            key.value_set(value)
            for key, value in attributes.values(task).items()
            if shown.get(key) != value
        ]
        if changed:
            workflow.upsert_search_attributes(changed)
        workflow.set_current_details(details(task))


def _read(given: Sequence[RawValue], kind: type[_T]) -> _T | None:
    """What was sent, if it is one value of this kind."""
    try:
        (value,) = given
        read = workflow.payload_converter().from_payload(value.payload, kind)
    except Exception as error:  # noqa: BLE001 - whatever a converter says about bytes from outside
        workflow.logger.warning("passed over what is no %s: %s", kind.__name__, error)
        return None
    return read if isinstance(read, kind) else None


def _read_key(spki: str) -> PublicKey:
    return load_public(base64.b64decode(spki))


def _contradicts(task: Task, step: Step) -> bool:
    """Whether the log's last entry is another than the one we know by its number."""
    return step.seq == task.seq and step.leaf != task.head
