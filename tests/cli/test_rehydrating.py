"""`dondoc rehydrate` on a real Temporal: what it tells the workflows that it starts."""

import asyncio
from typing import Any

import pytest

from cli import status
from embedded.connecting import connect
from embedded.home import Home
from embedded.keyring import save_public
from tests.cli.shell import Shell
from tests.support.temporal import TemporalServer
from tests.support.world import key_of


@pytest.fixture(name="kept")
def _kept(served: Shell, temporal_server: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A log with one task that no workflow knows of yet. The name is the test's own: the server is
    shared.
    """
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)
    served.world.registered(name(served), issued_on="2026-02-27", due_on=None)
    return served


def name(shell: Shell) -> str:
    return f"H-{abs(hash(str(shell.home.path)))}"


async def told(home: Home, address: str, task: str) -> Any:
    """What the workflow of a task was started with."""
    client = await connect(home, address)
    history = await client.get_workflow_handle(task).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    return (await client.data_converter.decode(started.input.payloads))[0]


def test_workflows_get_the_key_that_the_log_signs_with_now(
    kept: Shell, temporal_server: TemporalServer
) -> None:
    assert kept("key", "rotate", "log") == status.DONE, kept.complained
    keys = kept.json("key", "list")["keys"]
    present = next(key["key"] for key in keys if key["holder"] == "log")
    assert name(kept) in kept.json("rehydrate")["tasks"]
    start = asyncio.run(told(kept.home, temporal_server.address, name(kept)))
    named = kept.world.recorder.directory().keys[present]
    assert start["log_key"] == named.spki
    assert start["snapshot"]["id"] == name(kept)


def test_no_workflow_is_told_the_key_of_another_log(kept: Shell) -> None:
    save_public(kept.home.log_key, key_of("another log").public)
    assert kept.json("rehydrate")["refused"] == "keys_of_another_log"
