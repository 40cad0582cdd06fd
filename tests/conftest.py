"""Fixtures that every test may use: real servers, each started once per test process.

``postgres_url``   a fresh database on a real PostgreSQL, dropped afterwards
``database_url``   the test runs twice: on a SQLite file and on PostgreSQL
``temporal_server`` a real Temporal server, shared by the tests of this process
``time_skipping``  a Temporal server of this test's own, whose workflows' clocks can be moved
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support.postgres import PostgresServer, postgres_server
from tests.support.temporal import TemporalServer, start_server, time_skipping_environment

# Two busy cores say nothing about our code: a slow example is no failure.
hypothesis.settings.register_profile("dondoc", deadline=None)
hypothesis.settings.load_profile("dondoc")


_EMBEDDED = Path(__file__).parent / "embedded"
_PROCESSES = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process begins with a part of the list. What takes turns stands at the beginning, so
    that one process does it all and no other waits; what waits for a minute begins the next part.
    """
    waiting = [item for item in items if item.get_closest_marker("long")]
    turns = [item for item in items if item.path.is_relative_to(_EMBEDDED)]
    rest = [item for item in items if item not in {*waiting, *turns}]
    items[:] = [*turns, *rest]
    part = len(items) // _PROCESSES
    items[part:part] = waiting


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
