"""Copies of a test's database, as a backup would have them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import URL, make_url

from tests.support.postgres import dump, load_dump


@contextmanager
def copied(url: str, folder: Path) -> Iterator[str]:
    """The address of a copy of the database as it is now. Nobody may be connected to it.

    ``folder`` is where the copy of a file goes.
    """
    address = make_url(url)
    name = f"copy_{uuid4().hex}"
    if address.get_backend_name() == "sqlite":
        target = folder / f"{name}.sqlite"
        with (
            closing(sqlite3.connect(str(address.database))) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
        yield f"sqlite:///{target}"
        return
    _execute(address, f'CREATE DATABASE "{name}" TEMPLATE "{address.database}"')
    try:
        yield address.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(address, f'DROP DATABASE "{name}" WITH (FORCE)')


def contents_of(url: str) -> bytes:
    """All that is in the database, for `fill`. Nobody may be connected to it."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return Path(str(address.database)).read_bytes()
    return dump(url)


def fill(url: str, contents: bytes) -> None:
    """Make a database of the same kind, which is empty or not there yet, what the other one was."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        Path(str(address.database)).write_bytes(contents)
    else:
        assert load_dump(url, contents)


def as_role(url: str, role: str) -> str:
    """The same database for somebody else."""
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def execute_as_superuser(url: str, *statements: str) -> None:
    """What an administrator of the server can do, one statement after the other."""
    for statement in statements:
        _execute(make_url(url), statement, url_database=True)


def _execute(address: URL, statement: str, *, url_database: bool = False) -> None:
    there = address.set(drivername="postgresql")
    if not url_database:
        there = there.set(database="postgres")
    text = there.render_as_string(hide_password=False)
    with psycopg.connect(text, autocommit=True) as connection:
        connection.execute(statement.encode())
