"""Reconciliation from time to time, by itself: an entry of the log, and alarms where things differ.

Of several services on one log the first whose turn it is compares: when it was done last stands in
the log. Alarms are log lines at error level, one for each difference; nothing is repaired here.
"""

import asyncio
from datetime import timedelta

import structlog

from activities.folding import newest, recorded_at
from activities.queue import RecorderQueue
from activities.recorder import Attest
from domain.attestation import RECONCILED
from gateway.comparing import Reconciled
from gateway.reconciling import Scene, reconcile

log = structlog.get_logger(__name__)

FIRST = timedelta(minutes=5)
"""A log that was never reconciled waits so long after the start."""

_AGAIN_SECONDS = 60.0
_ALARMS = 100


async def keep_reconciled(scene: Scene, queue: RecorderQueue, every: timedelta) -> None:
    """Reconcile for ever. What hinders it is an alarm too."""
    await asyncio.sleep(min(every, FIRST).total_seconds())
    while True:
        try:
            wait = await asyncio.to_thread(_seconds_left, scene, every)
            if wait <= 0:
                await reconcile_once(scene, queue)
                wait = every.total_seconds()
        except Exception:
            log.exception("reconciliation_failed")
            wait = _AGAIN_SECONDS
        # Another service may do it meanwhile: the log is asked again before it is done.
        await asyncio.sleep(wait)


async def reconcile_once(scene: Scene, queue: RecorderQueue) -> Reconciled:
    """Compare, sound the alarms, and have the result recorded."""
    result = await reconcile(scene)
    for each in result.differences[:_ALARMS]:
        log.error("difference", kind=each.kind, subject=each.subject, detail=each.detail)
    if result.differences:
        counts = {kind: number for kind, number in result.counts.items() if number}
        log.error("reconciled_with_differences", **counts)
    if result.size:
        await queue.record(Attest(RECONCILED, result.arguments, scene.now()))
    return result


def _seconds_left(scene: Scene, every: timedelta) -> float:
    """Until the next time; by the log's word, so that a restart neither skips nor repeats one."""
    with scene.engine.connect() as connection:
        last = newest(connection, RECONCILED)
    if last is None:
        return 0.0
    return (recorded_at(last.row) + every - scene.now()).total_seconds()
