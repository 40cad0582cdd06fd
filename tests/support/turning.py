"""A sequencer in a process of its own, over the log of a `World`.

    python -m tests.support.turning < plan.json

It works in small steps, so that few entries make many. With a ``point`` it is killed there, at the
``number``-th time; ``renaming`` is before each file gets its name. With ``until`` it goes on until
that file exists and nothing is left to do, and prints how many checkpoints it has published.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from sequencing import sequencer
from sequencing.files import TreeFiles
from tests.support.publishing import Published
from tests.support.world import World

STEP = 16
"""How many entries at a time are placed, and written."""


@dataclass(frozen=True)
class Plan:
    url: str
    folder: str
    point: str = ""
    number: int = 1
    until: str = ""

    def start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.turning"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(self)).encode())
        process.stdin.close()
        process.stdin = None
        return process


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


def main(plan: Plan) -> None:
    sequencer.BATCH = sequencer._WRITE_AT_ONCE = STEP
    fuse = Fuse(plan)
    FusedFiles.fuse = fuse
    published = Published(World(plan.url), FusedFiles(Path(plan.folder)))
    running = published.sequencer(fuse)
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
    sys.stdout.write(f"{turns}\n")


if __name__ == "__main__":
    main(Plan(**json.loads(sys.stdin.read())))
