"""Two requests at once, two processes at once, and a process killed in the middle."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, pairwise
from pathlib import Path

import httpx
import pytest

from audit.consistency import check_consistency
from tests.support.patience import PATIENCE
from tests.support.processes import dying_with_us, stop
from tests.support.witnessing import ORIGIN, Log, post, served
from witness import store as stores
from witness.home import Home
from witness.store import Store

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 12

SERVE = """
import sys
from pathlib import Path
from witness import store as stores
from witness.home import Home
from witness.server import run
run(Home(Path(sys.argv[1])), 0, lambda address: print(address, flush=True))
"""
KILLED_BEHIND_THE_COMMIT = """
import os, signal
from contextlib import contextmanager
from witness.store import Store
writing = Store.writing
@contextmanager
def fatal(self):
    with writing(self) as found:
        yield found
    os.kill(os.getpid(), signal.SIGKILL)
Store.writing = fatal
"""


@contextmanager
def process(home: Home, before: str = "") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A witness in a process of its own."""
    command = [sys.executable, "-c", before + SERVE, str(home.path)]
    child = subprocess.Popen(
        dying_with_us(command, with_signal="KILL"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        yield child, child.stdout.readline().decode().strip()
    finally:
        stop(child, signal.SIGTERM)
        child.stdout.close()


def race(urls: list[str], log: Log) -> Log:
    """Show two trees that contradict each other at once, again and again; the one that stands."""
    assert post(urls[0], log.request(0)).status_code == 200
    order = (0, 1, 1, 0)  # with two addresses, each is shown both trees
    with ThreadPoolExecutor(4) as pool:
        for number in range(ROUNDS):
            trees = [log.grown(log.size + 1 + number % 3, "a"), log.grown(log.size + 2, "b")]
            data = [tree.request(log.size) for tree in trees]
            waiting = [
                pool.submit(post, url, data[which])
                for which, url in zip(order, cycle(urls), strict=False)
            ]
            statuses = [answer.result().status_code for answer in waiting]
            won = {which for which, status in zip(order, statuses, strict=True) if status == 200}
            assert len(won) == 1
            assert set(statuses) <= {200, 409}
            log = trees[won.pop()]
    return log


def check_history(home: Home, log: Log) -> None:
    """Each tree in the store is extended by the next one."""
    store = Store(home.store)
    try:
        rows = store._connection.execute(
            "SELECT size, root FROM cosigned WHERE origin = ? ORDER BY number", (ORIGIN,)
        ).fetchall()
    finally:
        store.close()
    assert len(rows) == ROUNDS + 1
    for (old, old_root), (new, new_root) in pairwise(rows):
        check_consistency(log.prove(old, new), old, new, old_root, new_root)


def test_two_threads_never_get_two_trees_cosigned(home: Home, url: str, log: Log) -> None:
    check_history(home, race([url], log))


def test_two_processes_on_one_store_never_cosign_two_trees(home: Home, log: Log) -> None:
    with process(home) as (_, first), process(home) as (_, second):
        check_history(home, race([first, second], log))


def test_killed_between_writing_and_answering_it_goes_on_from_what_it_wrote(
    home: Home, log: Log
) -> None:
    with process(home, KILLED_BEHIND_THE_COMMIT) as (child, url):
        with pytest.raises(httpx.TransportError, match=r"disconnected|reset"):
            post(url, log.request(0))
        assert child.wait(PATIENCE) == -signal.SIGKILL
    with served(home) as url:
        answer = post(url, log.branch(8).grown(9).request(0))
        assert (answer.status_code, answer.content) == (409, b"8\n")
        assert post(url, log.request(8)).status_code == 200
        assert post(url, log.grown(9).request(8)).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_told_to(home: Home, number: signal.Signals) -> None:
    with process(home) as (child, _):
        assert stop(child, number) == 0


def test_while_another_holds_the_store_it_is_unavailable(
    home: Home, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PATIENCE_SECONDS", 0.2)
    other = Store(home.store)
    with served(home) as url:
        with other.writing():
            assert post(url, log.request(0)).status_code == 503
        assert post(url, log.request(0)).status_code == 200
    other.close()
