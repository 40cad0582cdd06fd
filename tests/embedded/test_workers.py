"""`dondoc worker`, twice, beside a Temporal of one's own: one set of payload keys, one endpoint."""

import asyncio
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import Client
from temporalio.service import RPCError

from embedded import payload_keys
from embedded.connecting import connect
from embedded.home import Home
from payloads.codec import ENCODING, ENCRYPTED, KEY_ID
from tests.cli.shell import prepare
from tests.embedded.test_up import SECONDS, Up, start
from tests.support.patience import PATIENCE
from tests.support.scanning import found_in
from tests.support.temporal import TemporalServer, free_port
from tests.support.world import World

TASK = f"W-{secrets.token_hex(6)}"
WEB = "http://ui.example"


@pytest.fixture(name="started")
def _started() -> Iterator[list[Up]]:
    running: list[Up] = []
    yield running
    for up in running:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


@pytest.fixture(name="homes")
def _homes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporal_server: TemporalServer
) -> Iterator[tuple[Home, Home]]:
    """Two data directories of one log with one task; the payload keys lie in a third one."""
    shared = tmp_path / "payload-keys"
    shared.mkdir(mode=0o700)
    monkeypatch.setenv(payload_keys.DIRECTORY_VARIABLE, str(shared))
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)
    one, two = Home(tmp_path / "one"), Home(tmp_path / "two")
    one.prepare()
    world = World(one.database_url)
    prepare(one, world)
    monkeypatch.setenv("DONDOC_DATABASE_URL", one.database_url)
    world.assigned(TASK)
    shutil.copytree(one.path, two.path, ignore=shutil.ignore_patterns("dondoc.sqlite*"))
    yield one, two
    world.close()


def until_ready(up: Up) -> None:
    deadline = time.monotonic() + SECONDS
    while "] ready" not in up.said():
        assert up.process.poll() is None, up.said()
        assert time.monotonic() < deadline, up.said()
        time.sleep(0.05)


async def answer(address: str) -> Payload:
    """What the workflow answers about its task, as Temporal passes it on; waited for."""
    plain = await Client.connect(address)
    request = QueryWorkflowRequest(
        namespace=plain.namespace,
        execution=WorkflowExecution(workflow_id=TASK),
        query=WorkflowQuery(query_type="task"),
    )
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            done = await plain.workflow_service.query_workflow(request)
            return done.query_result.payloads[0]
        except (RPCError, IndexError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_two_workers_share_keys_and_take_up_a_new_one_under_way(
    started: list[Up], homes: tuple[Home, Home], temporal_server: TemporalServer
) -> None:
    port = free_port()
    codec = ("--codec-port", str(port), "--codec-web", f"{WEB}/")
    workers = [
        start(started, homes[0].path, "--no-sequencer", *codec, verb="worker"),
        start(started, homes[1].path, "--no-sequencer", verb="worker"),
    ]
    for worker in workers:
        until_ready(worker)
    first = payload_keys.ring(homes[0]).newest()
    before = await answer(temporal_server.address)
    assert before.metadata[ENCODING] == ENCRYPTED
    assert before.metadata[KEY_ID] == first.id.encode()

    second = payload_keys.make_next(homes[1])
    deadline = time.monotonic() + SECONDS
    named: list[bytes] = []
    # Each of both may be asked; from a second later on both encrypt with the new key.
    while named[-4:] != [second.id.encode()] * 4:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
        named.append((await answer(temporal_server.address)).metadata[KEY_ID])
    client = await connect(homes[1], temporal_server.address)
    assert (await client.get_workflow_handle(TASK).query("task"))["id"] == TASK

    token = homes[0].codec_token.read_text()
    payloads = [before, await answer(temporal_server.address)]
    question = json_format.MessageToJson(Payloads(payloads=payloads))
    headers = {"Authorization": f"Bearer {token}", "Origin": WEB}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
        asked = await http.post("/decode", content=question, headers=headers)
    opened = json_format.Parse(asked.text, Payloads()).payloads
    assert [found_in(each.data, [TASK]) for each in opened] == [{TASK}, {TASK}]
    assert not homes[1].codec_token.exists()
    assert [worker.stop("SIGTERM") for worker in workers] == [0, 0]
    await client.get_workflow_handle(TASK).terminate("end of the test")


async def test_a_worker_without_payload_keys_says_where_it_looked(
    started: list[Up], homes: tuple[Home, Home]
) -> None:
    directory = payload_keys.key_directory(homes[0])
    for file in directory.iterdir():
        file.unlink()
    worker = start(started, homes[0].path, "--no-sequencer", verb="worker")
    assert worker.process.wait(SECONDS) == 1
    assert str(directory) in worker.said()
    assert "rotate-payload" in worker.said()
