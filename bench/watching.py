"""Knowing when a workflow has applied a step, without asking it.

A query or an update would be a workflow task of its own and would dilute what is compared. So the
worker says so itself: an interceptor notes which entries a signal brought, and when Temporal's
server has acknowledged the workflow task that applied them, whoever waits for them hears of it. The
cost is two dictionary look-ups, the same whether the entries were recorded or not.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from temporalio import client, worker, workflow
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.bridge.worker import Worker as BridgeWorker

from workflows.messages import FOLLOW, Follow

_NOTE = "bench_note"
_PATIENCE_SECONDS = 60.0


class Watch(client.Interceptor, worker.Interceptor):
    """Counts the entries that each workflow has applied. Give it to the client of a service."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._in_hand: dict[str, list[tuple[str, Sequence[str]]]] = {}
        self._applied: dict[str, set[int]] = {}
        self._waiting: dict[str, tuple[int, asyncio.Future[None]]] = {}

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's own name
    ) -> type[worker.WorkflowInboundInterceptor]:
        input.unsafe_extern_functions[_NOTE] = self._note
        return _Noting

    async def until(self, task: str, entries: int) -> None:
        """Return when the workflow has applied that many entries. Raises TimeoutError."""
        if len(self._applied.get(task, ())) >= entries:
            return
        future = self._loop.create_future()
        self._waiting[task] = (entries, future)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await future

    def _note(self, run: str, task: str, entries: Sequence[str]) -> None:
        # On the workflow's thread, before its activation is completed.
        self._in_hand.setdefault(run, []).append((task, entries))

    def completed(self, run: str) -> None:
        """The server has taken what this run did last."""
        for task, entries in self._in_hand.pop(run, ()):
            # An entry may be told twice, and is applied once.
            applied = self._applied.setdefault(task, set())
            applied.update(map(hash, entries))
            wanted, future = self._waiting.get(task, (0, None))
            if future is not None and len(applied) >= wanted:
                del self._waiting[task]
                if not future.done():
                    future.set_result(None)


class _Noting(worker.WorkflowInboundInterceptor):
    async def handle_signal(self, input: worker.HandleSignalInput) -> None:  # noqa: A002
        await super().handle_signal(input)
        if input.signal == FOLLOW:
            info = workflow.info()
            note: Any = workflow.extern_functions()[_NOTE]
            # Its handler takes signals of any name and form, so they come as they were sent.
            (given,) = input.args[1]
            follow = workflow.payload_converter().from_payload(given.payload, Follow)
            note(info.run_id, info.workflow_id, follow.entries)


@contextmanager
def watching() -> Iterator[Watch]:
    """A watch that hears of acknowledged workflow tasks while the context lasts.

    The SDK has no public hook there: this wraps the call that hands a completed activation to its
    core, which returns when the server has answered.
    """
    watch = Watch()
    original = BridgeWorker.complete_workflow_activation

    async def complete(worker: BridgeWorker, completion: WorkflowActivationCompletion) -> None:
        await original(worker, completion)
        watch.completed(completion.run_id)

    with patch.object(BridgeWorker, "complete_workflow_activation", complete):
        yield watch
