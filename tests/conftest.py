"""Fixtures that every test may use: real servers, each started once per test process.

``postgres_url``   a fresh database on a real PostgreSQL, dropped afterwards
``database_url``   the test runs twice: on a SQLite file and on PostgreSQL
``temporal_server`` a real Temporal server, shared by the tests of this process
``time_skipping``  a Temporal server of this test's own, whose workflows' clocks can be moved
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import hypothesis
import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support.postgres import PostgresServer, postgres_server
from tests.support.temporal import TemporalServer, start_server, time_skipping_environment

# Two busy cores say nothing about our code: a slow example is no failure, nor is drawing one. And a
# check says the same twice: it draws the same examples each time, others when the test is changed.
# To look for new ones: make test ARGS="--hypothesis-profile=explore tests/..."
hypothesis.settings.register_profile(
    "dondoc",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "explore", hypothesis.settings.get_profile("dondoc"), derandomize=False
)
hypothesis.settings.load_profile("dondoc")


def _work_in_memory() -> None:
    """Tests make their files in memory where there is room: nearly every step of theirs waits for a
    disk to have written it, and no test shows what a disk does. Whoever sets TMPDIR decides.
    """
    memory, about = Path("/dev/shm"), Path("/proc/meminfo")  # noqa: S108 - nothing of fixed name
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK) or not about.exists():
        return
    volume, available = os.statvfs(memory), 0
    for line in about.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) << 10
    room = min(volume.f_bavail * volume.f_frsize, available)
    # Some tests start programs that they have put there.
    if room > _ROOM and not volume.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(memory)
        tempfile.tempdir = None  # ask again


_ROOM = 6 << 30
_work_in_memory()

_PROCESSES = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process begins with a part of the list, and whoever is done takes from the end of
    another's. What mostly waits stands at the beginning of parts: so it is done beside what
    computes, and in the end nobody waits alone. What takes turns is all one process's.
    """
    here = Path(__file__).parent
    waiting = [item for item in items if item.get_closest_marker("long")]
    turns, crashes, workflows = (
        [item for item in items if item.path.is_relative_to(here / room) and item not in waiting]
        for room in ("embedded", "crashes", "workflows")
    )
    half = len(crashes) // 2
    begin = [[*turns, *crashes[:half]], [*waiting, *crashes[half:]], [], workflows]
    placed = {item for part in begin for item in part}
    rest = iter([item for item in items if item not in placed])
    ordered: list[pytest.Item] = []
    for number, first in enumerate(begin, 1):
        ordered += first
        ordered += islice(rest, max(len(items) * number // _PROCESSES - len(ordered), 0))
    items[:] = [*ordered, *rest]


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'dondoc.sqlite'}"
    # Asked for only here, so that a test of SQLite alone starts no server.
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    server = start_server(tmp_path_factory.mktemp("temporal"))
    yield server
    server.kill()


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping_environment() as environment:
        yield environment
