"""A sequencer in a process of its own, over the log of a `World`.

    running = Running(Plan(url, folder, "renaming", 3))
    assert running.killed()

It works in small steps, so that few entries make many. With a ``point`` it is killed there, at the
``number``-th time; ``renaming`` is before each file gets its name. With ``until`` it goes on until
that file exists and nothing is left to do. The processes are forked off one that has imported
everything already.
"""

import multiprocessing
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sequencing import sequencer
from sequencing.files import TreeFiles
from tests.support.publishing import Published
from tests.support.world import World

STEP = 16
"""How many entries at a time are placed, and written."""

_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    url: str
    folder: str
    point: str = ""
    number: int = 1
    until: str = ""


class Running:
    """The process, started."""

    def __init__(self, plan: Plan) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._said, saying = context.Pipe(duplex=False)
        self._process = context.Process(target=main, args=(plan, saying), daemon=True)
        self._process.start()
        saying.close()

    def wait_until_ready(self) -> None:
        """Only with ``until``."""
        assert self._said.poll(_SECONDS)
        assert self._said.recv() == "ready"

    def finished(self) -> int:
        """How many checkpoints it has published, when it has ended by itself."""
        assert self._said.poll(_SECONDS)
        published = self._said.recv()
        self._end(0)
        assert isinstance(published, int)
        return published

    def killed(self) -> bool:
        """Once it has met its point."""
        self._end(-signal.SIGKILL)
        return True

    def _end(self, status: int) -> None:
        self._process.join(_SECONDS)
        assert self._process.exitcode == status
        self._process.close()
        self._said.close()


class Fuse:
    """A probe that kills its process at one point."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self._seen[point] += 1
        if (point, self._seen[point]) == (self._plan.point, self._plan.number):
            os.kill(os.getpid(), signal.SIGKILL)


class FusedFiles(TreeFiles):
    """Files that pass the probe after they were written, before they get their names."""

    fuse: Fuse

    def _rename(self, scratch: Path, target: Path) -> None:
        self.fuse("renaming")
        super()._rename(scratch, target)


def main(plan: Plan, saying: Connection) -> None:
    sequencer.BATCH = sequencer._WRITE_AT_ONCE = STEP
    fuse = Fuse(plan)
    FusedFiles.fuse = fuse
    published = Published(World(plan.url), FusedFiles(Path(plan.folder)))
    running = published.sequencer(fuse)
    if plan.until:
        if running.signed is not None:
            running.publish(running.signed.note)
        saying.send("ready")
    turns = 0
    while True:
        is_last = not plan.until or Path(plan.until).exists()
        signed = running.turn()
        if signed is not None:
            running.publish(signed.note)
            turns += 1
        elif is_last:
            break
        else:
            time.sleep(0.001)
    saying.send(turns)
