"""Task-heads: from time to time the log states how long each of its chains is.

The statement is an entry like any other (`domain.attestation`, event ``heads``), so whoever trusts
a checkpoint over it can be shown that nothing is missing at the end of a chain (`audit.heads`). It
speaks of a tree that was signed already: its size is that of the newest checkpoint.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from activities.folding import attested
from activities.queue import RecorderQueue
from activities.recorder import Attest
from audit.head_proofs import heads_root
from domain import attestation
from domain.refusal import Refused
from store import tree

log = structlog.get_logger(__name__)


FIRST = timedelta(seconds=15)


async def keep_attesting(
    engine: Engine, queue: RecorderQueue, now: Callable[[], datetime], epoch: timedelta
) -> None:
    """Once an epoch, for ever. Several services may do it: the log takes each size once."""
    # Soon after a start, what was recorded before it is stated, too.
    wait = min(epoch, FIRST)
    while True:
        await asyncio.sleep(wait.total_seconds())
        wait = epoch
        try:
            due = await asyncio.to_thread(heads_due, engine, now)
            if due is not None:
                await queue.record(due)
        except Refused as refusal:
            log.info("heads_not_recorded", code=refusal.code)
        except Exception as error:  # noqa: BLE001 - tried again in the next epoch
            log.warning("attesting_hindered", error=str(error))


def heads_due(engine: Engine, now: Callable[[], datetime]) -> Attest | None:
    """What there is to state now; None when nothing but attestations was added since the last."""
    with engine.connect() as connection:
        arguments = _heads(connection)
    return Attest(attestation.HEADS, arguments, now()) if arguments else None


def _heads(connection: Connection) -> dict[str, Any] | None:
    last = tree.last_checkpoint(connection)
    before = attested(connection).size
    if last is None or last.size <= before:
        return None
    # Statements about statements would go on for ever.
    if not tree.has_others(connection, before, last.size, attestation.CHAIN):
        return None
    heads = tree.heads_at(connection, last.size)
    return {"chains": len(heads), "root": heads_root(heads).hex(), "size": last.size}
