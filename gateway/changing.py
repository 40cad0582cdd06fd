"""Many changes of the directory, one signed entry each, several on their way at a time.

The recorder takes what waits together into one transaction, so many changes cost few commits. What
needs another change first waits for it: changes come in phases, and within a phase in units.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from audit.submission import Submission
from gateway.composing import Signer, compose_change

AT_ONCE = 16


class Change(Protocol):
    """An entry to be. ``count``: how many agencies or people it is about."""

    @property
    def event(self) -> str: ...
    @property
    def count(self) -> int: ...
    def resolved(self, at: datetime) -> dict[str, Any]:
        """The arguments; what begins now begins ``at`` that instant (UTC)."""
        ...


async def make_changes(
    phases: Sequence[Sequence[Sequence[Change]]],
    chain: tuple[str, str],
    signer: Signer,
    submit: Callable[[Submission], Awaitable[object]],
    now: Callable[[], datetime],
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Have all changes of one phase recorded before those of the next, and those of a unit in it
    one after the other; ``submit`` answers when one is recorded. ``chain`` is the log's origin and
    the digest of its founding.

    Raises what ``submit`` raised first. What was recorded before stands: what is left to do, a new
    comparison with the directory tells.
    """
    origin, founding = chain
    done = 0

    async def make(change: Change) -> None:
        nonlocal done
        at = now()
        await submit(
            compose_change(origin, founding, change.event, change.resolved(at), signer, at)
        )
        done += change.count
        progress(done)

    async def work(waiting: "list[Sequence[Change]]") -> None:
        while waiting:
            try:
                for change in waiting.pop():
                    await make(change)
            except BaseException:
                waiting.clear()  # the others finish the unit they have begun, and nothing more
                raise

    for phase in phases:
        waiting = list(reversed(phase))
        workers = [work(waiting) for _ in range(min(AT_ONCE, len(phase)))]
        ended = await asyncio.gather(*workers, return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error
