"""The servers that the other tests lean on do what their fixtures promise."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text
from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.support import postgres as postgres_module
from tests.support.patience import PATIENCE
from tests.support.postgres import PostgresServer, dump, embedded, find_binaries, postgres_server
from tests.support.processes import DidNotStart, is_running
from tests.support.temporal import SEARCH_ATTRIBUTES, TemporalServer, start_server
from tests.support.world import World


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def _gone(pid: int, *, within: float = PATIENCE) -> bool:
    end = time.monotonic() + within
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(pid)


class TestPostgres:
    def test_each_test_gets_an_empty_database(self, postgres: PostgresServer) -> None:
        first, second = postgres.create(), postgres.create()
        with _connect(first) as connection:
            connection.execute("CREATE TABLE promise (id integer)")
        with _connect(second) as connection:
            found = connection.execute("SELECT to_regclass('promise')").fetchone()
        assert found == (None,)
        postgres.drop(first)
        postgres.drop(second)

    def test_a_database_in_use_is_dropped_all_the_same(self, postgres: PostgresServer) -> None:
        url = postgres.create()
        connection = _connect(url)
        postgres.drop(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            _connect(url)

    def test_a_log_that_is_brought_in_as_sql_is_the_one_that_was_founded(
        self, postgres: PostgresServer
    ) -> None:
        urls = [postgres.create() for _ in range(3)]
        first, *others = [World(url, origin="founded.example/once") for url in urls]
        chances = {each.random(9) for each in (first, *others)}
        for each in (first, *others):
            each.close()
        assert {dump(url) for url in urls} == {dump(urls[0])}
        assert len(chances) == 1
        for url in urls:
            postgres.drop(url)

    def test_it_is_new_enough_and_answers_to_sqlalchemy(
        self, postgres: PostgresServer, postgres_url: str
    ) -> None:
        engine = create_engine(postgres_url)
        with engine.connect() as connection:
            version = connection.scalar(text("SHOW server_version_num"))
        engine.dispose()
        assert int(version) // 10_000 == postgres.version >= 15

    def test_only_this_machine_and_this_user_reach_it(self, postgres_url: str) -> None:
        with _connect(postgres_url) as connection:
            listening = connection.execute("SHOW listen_addresses").fetchone()
            where = connection.execute("SHOW unix_socket_directories").fetchone()
        assert listening == ("",)
        assert where is not None
        assert Path(str(where[0])).stat().st_mode & 0o077 == 0

    def test_it_never_runs_as_root(self, postgres: PostgresServer) -> None:
        # PostgreSQL serves only from a directory of its own: whose that is, runs it.
        socket_file = postgres.directory / ".s.PGSQL.5432"
        assert socket_file.stat().st_uid != 0

    @pytest.mark.parametrize("binaries", list(embedded()), ids=lambda path: path.parent.name)
    def test_the_one_in_the_wheel_serves_where_none_is_installed(self, binaries: Path) -> None:
        with postgres_server(binaries) as server, _connect(server.create()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert not is_running(server.pid)

    def test_programs_that_the_other_user_may_not_enter_are_copied(self, tmp_path: Path) -> None:
        binaries = next(embedded())
        package = binaries.parents[1]
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        for part in (package / binaries.parts[-2], package.parent / f"{package.name}.libs"):
            shutil.copytree(part, closed / part.relative_to(package.parent), symlinks=True)
        with (
            postgres_server(closed / binaries.relative_to(package.parent)) as server,
            _connect(server.create()) as connection,
        ):
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_none_at_all_is_a_failure_that_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nowhere() -> Iterator[Path]:
            yield from ()

        monkeypatch.setattr(postgres_module, "candidates", nowhere)
        with pytest.raises(DidNotStart, match="apt-get install postgresql"):
            find_binaries()

    def test_one_that_does_not_come_up_shows_its_last_words(self, tmp_path: Path) -> None:
        shutil.copytree(find_binaries(), tmp_path / "bin", symlinks=True)
        with pytest.raises(DidNotStart, match="initdb"), postgres_server(tmp_path / "bin"):
            pass


def test_a_test_of_the_store_runs_on_both_databases(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE promise (id integer)"))
        connection.execute(text("INSERT INTO promise VALUES (7)"))
        assert connection.scalar(text("SELECT id FROM promise")) == 7
    engine.dispose()


@workflow.defn(sandboxed=False)
class Sleeper:
    @workflow.run
    async def run(self, days: int) -> str:
        await workflow.sleep(timedelta(days=days))
        return workflow.now().isoformat()


class TestTemporal:
    async def test_it_knows_our_search_attributes(self, temporal_server: TemporalServer) -> None:
        client = await Client.connect(temporal_server.address)
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        assert SEARCH_ATTRIBUTES.keys() <= known.custom_attributes.keys()

    async def test_a_killed_one_goes_on_with_what_it_had(self, tmp_path: Path) -> None:
        server = start_server(tmp_path)
        client = await Client.connect(server.address)
        handle = await client.start_workflow(Sleeper.run, 1, id="kept", task_queue="nobody")
        server.kill()
        assert not is_running(server.pid)
        again = start_server(tmp_path, server.port)
        client = await Client.connect(again.address)
        described = await client.get_workflow_handle(handle.id).describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
        again.stop()

    def test_a_stopped_one_leaves_neither_process_nor_port(self, tmp_path: Path) -> None:
        server = start_server(tmp_path)
        server.stop()
        assert not is_running(server.pid)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port)).close()

    def test_one_that_does_not_come_up_shows_its_last_words(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(DidNotStart, match=r"its last words:\n.*\w"):
                start_server(tmp_path, taken.getsockname()[1])

    async def test_a_month_passes_when_it_is_told_to(
        self, time_skipping: WorkflowEnvironment
    ) -> None:
        client = time_skipping.client
        async with Worker(client, task_queue="sleepers", workflows=[Sleeper]):
            before = time.monotonic()
            handle = await client.start_workflow(
                Sleeper.run, 30, id="sleeper", task_queue="sleepers"
            )
            await time_skipping.fast_forward(handle, timedelta(days=31))
            woken = await handle.result()
        assert time.monotonic() - before < PATIENCE
        assert woken > (await handle.describe()).start_time.isoformat()


_STARTS_BOTH = """
import sys, time
from pathlib import Path
from tests.support.postgres import postgres_server
from tests.support.temporal import start_server
with postgres_server() as postgres:
    temporal = start_server(Path(sys.argv[1]))
    print(postgres.pid, temporal.pid, postgres.directory, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs Linux's parent-death signal")
def test_no_server_outlives_a_test_process_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STARTS_BOTH, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        *pids, left_behind = process.stdout.readline().split()
        servers = [int(pid) for pid in pids]
        assert all(is_running(pid) for pid in servers)
        os.kill(process.pid, signal.SIGKILL)
    assert len(servers) == 2
    assert all(_gone(pid) for pid in servers)
    shutil.rmtree(left_behind)
