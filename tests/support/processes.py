"""Child processes of the tests: started so that none outlives them, ended by their id."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.patience import PATIENCE


class DidNotStart(Exception):
    """A server that a test needs is not there; the message says what it wrote last."""


def dying_with_us(command: Sequence[str], *, with_signal: str) -> list[str]:
    """The command, asked to end when this test process dies, be it by ``kill -9``.

    The kernel ties this to the *thread* that starts the child, so it is asked for in the main
    thread only: a child started from a pool's thread would end with that thread.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [setpriv, "--pdeathsig", with_signal, "--", *command]


def wait_until_ready(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], *, log: Path, seconds: float
) -> None:
    """Return once ``ready()``; raise DidNotStart when the process ended or time is over."""
    end = time.monotonic() + seconds
    while not ready():
        status = process.poll()
        if status is not None or time.monotonic() > end:
            stop(process, signal.SIGKILL)
            why = "took too long" if status is None else f"ended with status {status}"
            tail = log.read_text(errors="replace")[-2000:]
            raise DidNotStart(f"{process.args!r} {why}; its last words:\n{tail}")
        time.sleep(0.02)


def stop(
    process: subprocess.Popen[bytes], number: signal.Signals, *, seconds: float = PATIENCE
) -> int:
    """Signal that one process, wait for its end, use SIGKILL when it does not come."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(seconds)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
