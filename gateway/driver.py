"""Tells workflows what the log has recorded, and keeps at it until Temporal has taken it.

A note in the outbox is written with the entry, in one transaction, and struck when the server has
accepted the signal. So a crash, or an absence of Temporal, delays a workflow and nothing else. The
signal starts the workflow when there is none: of a new task, of one that somebody terminated, of
all of them when Temporal's store is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Engine
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.folding import fold
from activities.queue import Asker
from activities.recorder import Recorded, no_probe
from audit.malformed import Malformed
from domain.directory import LOG, Directory
from domain.snapshot import format_task
from domain.task import Task
from store import ledger, queries
from store.engine import writing
from workflows import attributes
from workflows.messages import FOLLOW, WORKFLOW, Follow, TaskStart

log = structlog.get_logger(__name__)

_AT_ONCE = 32
_SWEEP_SECONDS = 1.0
_STRIKE_SECONDS = 0.25


@dataclass
class _News:
    """What a workflow has not been told yet."""

    task: Task
    entries: list[str]


class Driver:
    """`hear` from any thread; `run` until cancelled, in the event loop of the client."""

    def __init__(
        self,
        client: Client,
        engine: Engine,
        directory: Callable[[], Directory],
        task_queue: str,
        probe: Callable[[str], None] = no_probe,
    ) -> None:
        """``directory`` reads the directory as the log has it now; it is called off the loop."""
        self._client = client
        self._engine = engine
        self._directory = directory
        self._log_key = ""
        self._task_queue = task_queue
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._news: dict[str, _News] = {}
        self._busy: set[str] = set()
        self._delivered: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._idle = asyncio.Event()

    def hear(self, recorded: Recorded, asker: Asker) -> None:
        """Take note of new entries. Returns at once."""
        if recorded.task is None or not recorded.entries:
            return
        if asker is Asker.WORKFLOW:
            # It learns of them by the answer, which Temporal repeats until it has come.
            self._loop.call_soon_threadsafe(self._note_delivered, recorded.task)
        else:
            self._loop.call_soon_threadsafe(self._note, recorded.task, recorded)

    async def run(self) -> None:
        """Deliver what is heard, and what the outbox still holds from earlier."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(_SWEEP_SECONDS, self._sweep))
            group.create_task(self._every(_STRIKE_SECONDS, self._strike))
            for _ in range(_AT_ONCE):
                group.create_task(self._deliver_for_ever())

    async def drive(self, tasks: Sequence[str]) -> None:
        """Make sure that each of these tasks has a workflow, told of the log's last entry."""
        await self._learn_key()
        for batch in (tasks[at : at + _AT_ONCE] for at in range(0, len(tasks), _AT_ONCE)):
            news = await asyncio.to_thread(self._read, batch)
            answers = await asyncio.gather(*map(self._tell, news), return_exceptions=True)
            for each, answer in zip(news, answers, strict=True):
                if isinstance(answer, Exception):
                    log.warning("workflow_not_told", task=each.task.id, error=str(answer))
                else:
                    # The sweep passes over whom we told: it is for us to have the note struck.
                    delivered = self._delivered.get(each.task.id, 0)
                    self._delivered[each.task.id] = max(each.task.seq, delivered)

    async def drained(self) -> None:
        """Wait until everything heard so far has been delivered."""
        while self._news or self._busy:
            self._idle.clear()
            await self._idle.wait()
        await self._strike()

    def _note(self, task: Task, recorded: Recorded) -> None:
        entries = [entry.decode() for entry in recorded.entries]
        news = self._news.get(task.id)
        if news is None:
            self._add(_News(task, entries))
        else:
            news.task = task
            news.entries.extend(entries)

    def _note_delivered(self, task: Task) -> None:
        self._told[task.id] = self._delivered[task.id] = task.seq

    def _add(self, news: _News) -> None:
        """Queue what is not queued yet. A busy task's turn comes when it is no longer busy."""
        self._news[news.task.id] = news
        if news.task.id not in self._busy:
            self._ready.put_nowait(news.task.id)

    async def _deliver_for_ever(self) -> None:
        while True:
            task = await self._ready.get()
            self._busy.add(task)
            try:
                await self._deliver(self._news.pop(task))
            finally:
                self._busy.discard(task)
                if task in self._news:
                    self._ready.put_nowait(task)
                self._idle.set()

    async def _deliver(self, news: _News) -> None:
        self._probe("before_signal")
        try:
            await self._tell(news)
        except Exception as error:  # noqa: BLE001 - whatever hinders the server's answer
            # The outbox still has it: the next sweep tries again.
            log.warning("workflow_not_told", task=news.task.id, error=str(error))
            await asyncio.sleep(_SWEEP_SECONDS)
            return
        self._probe("after_signal")
        self._delivered[news.task.id] = news.task.seq

    async def _tell(self, news: _News) -> None:
        """Signal the workflow, starting it where there is none."""
        if news.task.id in self._told and await self._signalled(news):
            return
        await self._client.start_workflow(
            WORKFLOW,
            TaskStart(news.task.id, await self._present_key(), format_task(news.task)),
            id=news.task.id,
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=attributes.typed(news.task),
            start_signal=FOLLOW,
            start_signal_args=[Follow(news.entries)],
        )
        self._told[news.task.id] = news.task.seq

    async def _present_key(self) -> str:
        """The key that a new workflow shall believe."""
        if not self._log_key:
            await self._learn_key()
        if not self._log_key:
            raise LookupError("the directory names no key for the log")
        return self._log_key

    async def _learn_key(self) -> None:
        """Look which key the log signs with now. Whoever was told an older one asks the log."""
        key = (await asyncio.to_thread(self._directory)).key_of(LOG)
        self._log_key = key.spki if key else ""

    async def _signalled(self, news: _News) -> bool:
        """A signal alone is the cheaper way to a workflow that runs; whether it still did."""
        workflow = self._client.get_workflow_handle(news.task.id)
        try:
            await workflow.signal(FOLLOW, Follow(news.entries))
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            del self._told[news.task.id]
            return False
        self._told[news.task.id] = news.task.seq
        return True

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a bad moment must not end the service
                log.warning("driver_hindered", error=str(error))
            await asyncio.sleep(seconds)

    async def _sweep(self) -> None:
        """Pick up what other processes, or this one before a crash, left in the outbox."""
        await self._learn_key()
        posted = await asyncio.to_thread(self._posted)
        unheard = [
            task
            for task, seq in posted.items()
            if task not in self._news and task not in self._busy and self._told.get(task, 0) < seq
        ]
        for news in await asyncio.to_thread(self._read, unheard):
            if news.task.id not in self._news:
                self._add(news)

    def _posted(self) -> dict[str, int]:
        with self._engine.connect() as connection:
            return queries.posted(connection)

    def _read(self, tasks: Sequence[str]) -> list[_News]:
        """Tasks with their last entry: from its number a workflow knows what it lacks."""
        if not tasks:
            return []
        with self._engine.connect() as connection:
            return [news for task in tasks if (news := self._read_one(connection, task))]

    def _read_one(self, connection: Connection, task: str) -> _News | None:
        """From the log, not from the read model: a workflow sleeps by what it is told here."""
        try:
            rows = ledger.read_chain(connection, task)
            return _News(fold(rows), [rows[-1].data.decode()])
        except (Malformed, LookupError, ValueError, TypeError) as error:
            log.warning("chain_unreadable", task=task, error=str(error))
            return None

    async def _strike(self) -> None:
        if delivered := dict(self._delivered):
            self._probe("before_strike")
            await asyncio.to_thread(self._unpost, delivered)
            for task, seq in delivered.items():
                if self._delivered.get(task) == seq:
                    del self._delivered[task]

    def _unpost(self, delivered: Mapping[str, int]) -> None:
        with writing(self._engine) as connection:
            queries.unpost(connection, delivered)
