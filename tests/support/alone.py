"""One at a time: whoever starts everything takes the usual ports, if they are free."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TURNS = Path("/tmp/dondoc-tests.lock")  # noqa: S108 - of all runs, wherever they make their files


@contextmanager
def alone() -> Iterator[None]:
    """Wait for one's turn among all test processes of this machine. Not to be taken twice."""
    with _TURNS.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
