"""Dealing a log out among processes, and hearing how far each has come."""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

from audit.share import Done, Share, verify_share

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import SynchronizedArray

Progress = Callable[[int, int], None]
_TELL_SECONDS = 0.2
_WORTH_A_PROCESS = 2_000
"""So many entries take longer than to start a process for them."""
_HASHES_WORTH_A_PROCESS = 150_000
"""The same where only their hashes are compared."""


def cores() -> int:
    """How many cores this process may use: a container often has fewer than its machine."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return allowed or 1


def dealt_out(share: Share, processes: int, progress: Progress) -> list[Done]:
    """What each process found. ``progress`` hears of entries read by all, of all.

    Raises Malformed and OSError for what can't be read.
    """
    worth = _WORTH_A_PROCESS if share.anchors else _HASHES_WORTH_A_PROCESS
    processes = min(processes, share.size // worth)
    if processes <= 1:
        return [verify_share(share, _summing(progress, share.size))]
    context = get_context(_start_method())
    read = context.Array("Q", processes, lock=False)
    shares = [replace(share, number=n, processes=processes) for n in range(processes)]
    with ProcessPoolExecutor(processes, context, _remember, (read,)) as pool:
        futures = [pool.submit(_work, each) for each in shares]
        waiting = set(futures)
        while waiting:
            waiting = wait(waiting, _TELL_SECONDS).not_done
            progress(sum(read) // processes, share.size)
        return [future.result() for future in futures]


def _start_method() -> str:
    """A fork is there at once; but threads of whoever calls must not be copied half-way."""
    alone = threading.active_count() == 1 and sys.platform == "linux"
    return "fork" if alone else "spawn"


def _summing(progress: Progress, size: int) -> Callable[[int], None]:
    total, told = 0, time.monotonic()

    def tell(entries: int) -> None:
        nonlocal total, told
        total += entries
        if total == size or time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            progress(total, size)

    return tell


_read: "SynchronizedArray[int] | None" = None


def _remember(read: "SynchronizedArray[int]") -> None:
    """In a new process: where it tells how far it has come."""
    global _read  # noqa: PLW0603 - an executor's initializer has no other way
    _read = read
    # A share makes no cycles of objects; to look for them again and again costs a twentieth.
    gc.disable()


def _work(share: Share) -> Done:
    def tell(entries: int) -> None:
        if _read is not None:
            _read[share.number] += entries

    return verify_share(share, tell)


__all__: Sequence[str] = ["cores", "dealt_out"]
