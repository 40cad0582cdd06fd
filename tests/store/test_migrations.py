"""The migrations lead to the tables that the code speaks of, on both databases."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

import store.upgrade
from store.engine import open_engine, writing
from store.schema import metadata
from store.upgrade import upgrade

MIGRATIONS = Path(store.upgrade.__file__).parent / "migrations"


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


def test_levels_of_secrecy_are_told_of_the_tasks_that_there_are(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for task in ("normal", "top_secret"):
            snapshot = json.dumps({"secrecy": task})
            connection.execute(
                text(
                    "INSERT INTO task (id, document, lead, state, overdue, seq, snapshot, title)"
                    " VALUES (:id, 'D', 'snv', 'assigned', false, 1, :snapshot, '')"
                ),
                {"id": task, "snapshot": snapshot},
            )
    upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, secrecy FROM task")).all()
    assert {row.id: row.secrecy for row in rows} == {"normal": "normal", "top_secret": "top_secret"}


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


def test_services_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    """SQLite tells one of them "locked" now and then: so it is tried more than once."""
    failures: list[BaseException] = []

    def work(url: str, start: threading.Barrier) -> None:
        engine = open_engine(url)
        start.wait()
        try:
            engine.connect().close()
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)
        finally:
            engine.dispose()

    for number in range(40):
        start, url = threading.Barrier(6), f"sqlite:///{tmp_path / f'{number}.sqlite'}"
        threads = [threading.Thread(target=work, args=(url, start)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
