"""One verification of a bundle in a process of its own, as an auditor starts it.

    python -m bench.auditor BUNDLE TRUST PROCESSES [rules] [skip]

Prints one line of JSON. Nothing but the verifier is imported, since each process that it deals the
log out to imports this module anew.
"""

import json
import os
import sys
from multiprocessing import active_children
from pathlib import Path
from time import perf_counter

from audit.checks import Judge
from audit.offline import Order, verify_bundle
from audit.policy import parse_policy
from bench.machine import rss_mib


class Peaks:
    """How large the processes became, asked whenever the verifier tells how far it is."""

    def __init__(self) -> None:
        self.told = 0
        self.workers: dict[int, float] = {}

    def __call__(self, _done: int, _of: int) -> None:
        self.told += 1
        for child in active_children():
            try:
                self.workers[child.pid or 0] = rss_mib(child.pid or 0, "VmHWM")
            except (OSError, ValueError):  # it has just ended
                continue


def _rules() -> Judge:
    from domain.replay import Replay  # noqa: PLC0415 - an auditor without rules does not load them

    return Replay()


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Verify once; the bundle must hold."""
    bundle, trust, processes, *words = sys.argv[1:]
    order = Order(
        path=Path(bundle),
        policy=parse_policy(Path(trust).read_bytes()),
        now=None,
        judge=_rules if "rules" in words else None,
        signatures="skip" not in words,
        processes=int(processes),
    )
    peaks, begun, cpu = Peaks(), perf_counter(), _cpu_seconds()
    found = verify_bundle(order, peaks)
    seconds, cpu = perf_counter() - begun, _cpu_seconds() - cpu
    assert found.ok, found.report.first
    print(json.dumps({
        "entries": found.report.entries,
        "openings": found.report.opened,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "told": peaks.told,
        "main_mib": rss_mib(os.getpid(), "VmHWM"),
        "worker_mib": max(peaks.workers.values(), default=0.0),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
