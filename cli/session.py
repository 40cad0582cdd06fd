"""One run of the command: language, data directory, and what is opened when it is first needed.

Databases, keys and network are imported inside the methods that use them: `dondoc --help` must not
wait for libraries that it does not need.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cli.output import Output
from domain.refusal import Refused
from embedded.home import DATA_VARIABLE, DEFAULT_DATA, Home
from messages import Texts

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from audit.keys import PublicKey
    from domain.calendar import Calendar
    from domain.directory import Directory

_SQLITE = "sqlite:///"


class Session:
    """What every command is given first."""

    def __init__(self, texts: Texts, *, as_json: bool = False) -> None:
        self.texts = texts
        self.out = Output(texts, as_json=as_json)
        self._data: Path | None = None
        self._engine: Engine | None = None
        # The log's later keys, as a receipt made us look for them: many receipts, one look.
        self.log_keys: tuple[PublicKey, ...] = ()

    def adopt(self, data: Path | None, *, as_json: bool) -> None:
        """Take over the common options, given before a command's name or behind it."""
        self._data = data or self._data
        self.out.as_json = as_json or self.out.as_json

    @cached_property
    def home(self) -> Home:
        """The data directory: --data, or DONDOC_DATA, or ./data."""
        return Home(self._data or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA))

    @cached_property
    def calendar(self) -> "Calendar":
        """The calendar that the service computes with now."""
        from domain.calendars import load  # noqa: PLC0415 - see the module's docstring

        return load()

    @property
    def zone(self) -> ZoneInfo:
        return self.calendar.timezone

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def engine(self) -> "Engine":
        """The database. Raises Refused when there is none yet."""
        if self._engine is None:
            from store.engine import open_engine  # noqa: PLC0415 - see the module's docstring

            url = self.home.database_url
            # SQLite would make an empty file of a mistyped --data, and then show no tasks.
            if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_file():
                raise Refused("database_missing", data=str(self.home.path))
            self._engine = open_engine(url)
        return self._engine

    def check_database(self) -> None:
        """Raise Refused when there is none: then nothing that belongs to it is missing either."""
        _ = self.engine

    @contextmanager
    def reading(self) -> Iterator["Connection"]:
        """One consistent look at the database, though others write meanwhile."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # SQLite's transactions are such a look by themselves.
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def directory(self, connection: "Connection") -> "Directory":
        """Agencies, people and keys, folded from the log itself."""
        from activities.folding import follow_rows  # noqa: PLC0415 - see the module's docstring
        from domain.directory import CHAIN, Directory  # noqa: PLC0415 - likewise
        from store import ledger  # noqa: PLC0415 - likewise

        return follow_rows(Directory(), ledger.read_chain(connection, CHAIN))

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
