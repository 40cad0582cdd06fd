"""The migrations lead to the tables that the code speaks of, on both databases."""

import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from store.engine import open_engine
from store.schema import metadata
from store.upgrade import upgrade


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def test_a_migrated_database_has_the_tables_of_the_schema(engine: Engine) -> None:
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    upgrade(engine)
    upgrade(engine)


def test_two_services_that_start_at_once_both_find_the_tables(database_url: str) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(2)

    def work() -> None:
        engine = open_engine(database_url)
        start.wait()
        try:
            upgrade(engine)
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
