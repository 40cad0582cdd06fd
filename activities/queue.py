"""Group commit: jobs that arrive while a transaction runs share the next one.

One thread owns the recorder. Under load a transaction, and with it a flush to disk, is paid by many
steps; a step alone waits for nobody.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto
from queue import SimpleQueue
from typing import NoReturn

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from activities.jobs import Job, Recorded, SumUp, Turned
from activities.recorder import Recorder
from domain.refusal import Refused

log = structlog.get_logger(__name__)

MAX_BATCH = 64

MAX_WAITING = 10_000

SUM_SECONDS = 60.0


class Stopped(Exception):
    """The queue takes no more jobs: the service is going down, or has more than it can do."""


class Asker(Enum):
    """On whose behalf a job was handed in: that decides who has yet to hear of it."""

    DOOR = auto()
    WORKFLOW = auto()


@dataclass
class _Waiting:
    job: Job
    asker: Asker
    answer: "Future[Recorded]" = field(default_factory=Future)


class RecorderQueue:
    """`submit` from any thread or event loop; answers come after the commit."""

    def __init__(self, recorder: Recorder, on_recorded: Callable[[Recorded, Asker], None]) -> None:
        """``on_recorded`` is called on the queue's thread for each answer, before its giver."""
        self._recorder = recorder
        self._on_recorded = on_recorded
        self._jobs: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def submit(self, job: Job, asker: Asker = Asker.DOOR) -> "Future[Recorded]":
        """A future that ends with the record, or with Refused, or with the database's error."""
        if self._stopped or self._jobs.qsize() >= MAX_WAITING:
            raise Stopped
        waiting = _Waiting(job, asker)
        self._jobs.put(waiting)
        return waiting.answer

    async def record(self, job: Job, asker: Asker = Asker.DOOR) -> Recorded:
        """The record of ``job``. Raises Refused."""
        return await asyncio.wrap_future(self.submit(job, asker))

    async def turn_away(self, turned: Turned, asker: Asker = Asker.DOOR) -> NoReturn:
        """Have a refusal recorded that was found already, and raise it, come what may."""
        try:
            await self.record(turned, asker)
        except (SQLAlchemyError, Stopped) as error:
            log.warning("refusal_not_recorded", code=turned.refusal.code, error=str(error))
        raise turned.refusal

    def stop(self) -> None:
        """Finish what was accepted, state what was only counted, then end. Blocks until then."""
        self._stopped = True
        self._jobs.put(_Waiting(SumUp(at_once=True), Asker.DOOR))
        self._jobs.put(None)
        self._thread.join()

    async def keep_summed(self, every: float = SUM_SECONDS) -> None:
        """State from time to time how much was refused without an entry of its own. For ever."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.record(SumUp())
            except Exception as error:  # noqa: BLE001 - tried again in a minute
                log.warning("refusals_not_summed", error=str(error))

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch = [first]
            while len(batch) < MAX_BATCH and not self._jobs.empty():
                waiting = self._jobs.get()
                if waiting is None:
                    self._jobs.put(None)
                    break
                batch.append(waiting)
            # From here on a giver who stops waiting can no longer take the job back.
            batch = [each for each in batch if each.answer.set_running_or_notify_cancel()]
            if batch:
                self._record(batch)

    def _record(self, batch: list[_Waiting]) -> None:
        try:
            answers = self._recorder.record([waiting.job for waiting in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            if len(batch) == 1 or isinstance(error, OperationalError):
                # The database is away or has no room: trying each alone would wait for each.
                for waiting in batch:
                    waiting.answer.set_exception(error)
            else:
                # One transaction, one fate: alone, only the job that is to blame fails.
                for waiting in batch:
                    self._record([waiting])
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Refused):
                waiting.answer.set_exception(answer)
            else:
                if not isinstance(waiting.job, SumUp):
                    self._tell(answer, waiting.asker)
                waiting.answer.set_result(answer)

    def _tell(self, recorded: Recorded, asker: Asker) -> None:
        """What nobody hears now is in the outbox."""
        try:
            self._on_recorded(recorded, asker)
        except Exception as error:  # noqa: BLE001 - whatever it was, the giver gets the receipt
            log.warning("news_not_heard", chain=recorded.chain, error=str(error))
