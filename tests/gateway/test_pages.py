"""No page of any site comes in at the door, under whatever name it has this machine's address."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from activities.queue import RecorderQueue
from audit.submission import format_submission
from gateway.http import make_app, serving
from tests.support.patience import PATIENCE
from tests.support.world import World


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    app = make_app(world.door(queue), world.origin)
    async with (
        serving(app, 0) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE
        ) as client,
    ):
        yield world, client
    queue.stop()
    world.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:9999"},
        {"origin": "http://evil.example:9999"},
        {"origin": "null"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "evil.example:99999999"},
        {"host": "localhost/.evil.example"},
        {"host": "["},
    ],
)
async def test_a_page_of_another_site_is_turned_away(
    door: tuple[World, httpx.AsyncClient], headers: dict[str, str]
) -> None:
    world, client = door
    task = world.assigned("D1-1")
    confirm = format_submission(world.submission(task, "confirm", role="officer"))
    answer = await client.post("/commands", content=confirm, headers=headers)
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert len(world.chain("D1-1")) == 2
    accepted = await client.post("/commands", content=confirm)
    assert accepted.status_code == httpx.codes.OK
