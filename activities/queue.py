"""Group commit: jobs that arrive while a transaction runs share the next one.

One thread owns the recorder. Under load a transaction, and with it a flush to disk, is paid by many
steps; a step alone waits for nobody.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue

from activities.recorder import Job, Recorded, Recorder
from domain.refusal import Refused

MAX_BATCH = 64


class Stopped(Exception):
    """The queue takes no more jobs: the service is going down."""


@dataclass
class _Waiting:
    job: Job
    answer: "Future[Recorded]" = field(default_factory=Future)


class RecorderQueue:
    """`submit` from any thread or event loop; answers come after the commit."""

    def __init__(self, recorder: Recorder, on_recorded: Callable[[Recorded], None]) -> None:
        """``on_recorded`` is called on the queue's thread for each answer, before its giver."""
        self._recorder = recorder
        self._on_recorded = on_recorded
        self._jobs: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> "Future[Recorded]":
        """A future that ends with the record, or with Refused, or with the database's error."""
        if self._stopped:
            raise Stopped
        waiting = _Waiting(job)
        self._jobs.put(waiting)
        return waiting.answer

    async def record(self, job: Job) -> Recorded:
        """The record of ``job``. Raises Refused."""
        return await asyncio.wrap_future(self.submit(job))

    def stop(self) -> None:
        """Finish what was accepted, then end. Blocks until it is done."""
        self._stopped = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch = [first]
            while len(batch) < MAX_BATCH and not self._jobs.empty():
                waiting = self._jobs.get()
                if waiting is None:
                    self._jobs.put(None)
                    break
                batch.append(waiting)
            self._record(batch)

    def _record(self, batch: list[_Waiting]) -> None:
        try:
            answers = self._recorder.record([waiting.job for waiting in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
            else:
                # One transaction, one fate: alone, only the job that is to blame fails.
                for waiting in batch:
                    self._record([waiting])
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Refused):
                waiting.answer.set_exception(answer)
            else:
                self._on_recorded(answer)
                waiting.answer.set_result(answer)
