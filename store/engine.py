"""Opening a database: SQLite or PostgreSQL, by address."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Without it INSERT OR REPLACE deletes rows past the triggers that guard the log.
    "PRAGMA recursive_triggers = ON",
    # What is erased is overwritten, not only unlinked.
    "PRAGMA secure_delete = ON",
    "PRAGMA busy_timeout = 30000",
)
_WAL_SECONDS, _WAL_PAUSE = 30, 0.02


def open_engine(url: str) -> Engine:
    """The engine for ``sqlite:///…`` or ``postgresql+psycopg://…``. Connects on first use. Its
    errors name no parameters: among them are people's words, and errors are logged.
    """
    if make_url(url).get_backend_name() != "sqlite":
        # A receipt is a promise: whatever the server's default, its commit waits for the disk.
        durable = {"options": "-c synchronous_commit=on"}
        return create_engine(url, pool_pre_ping=True, connect_args=durable, hide_parameters=True)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes; on SQLite it takes the write lock at once, not half-way."""
    with engine.connect().execution_options(dondoc_writes=True) as connection, connection.begin():
        yield connection


def still_stands(connection: Connection) -> bool:
    """Whether the transaction is open after an error in it. SQLite may end one by itself, as when
    the disk is full; its driver would then commit nothing, and not say so.
    """
    if connection.dialect.name != "sqlite":
        return True
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))


def forget_erased(engine: Engine) -> bool:
    """Have what was deleted leave the files too: SQLite's write-ahead log still holds the pages as
    they were before. Whether it could be done: somebody who reads an older state hinders it.

    On PostgreSQL old rows go with VACUUM, at a time of the server's choice.
    """
    if engine.dialect.name != "sqlite":
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        # Whoever waits here keeps others from recording.
        cursor.execute("PRAGMA busy_timeout = 250")
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
    else:
        return not busy
    finally:
        # The next to use it begins with the usual settings.
        connection.invalidate()
        connection.close()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would open transactions by itself, and late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn a new file into one with a write-ahead log. It takes the file alone, and SQLite does not
    wait for that as it does for a lock: of two services that start at once, one is told "locked".
    """
    for _ in range(round(_WAL_SECONDS / _WAL_PAUSE)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("dondoc_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
