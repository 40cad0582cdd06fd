"""The door over HTTP: what is turned away there is answered with a reason, and recorded."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from activities.queue import RecorderQueue
from audit.submission import MAX_SUBMISSION_BYTES, format_submission
from gateway.composing import Signer, compose
from gateway.http import make_app, serving
from store.engine import writing
from tests.support.forging import audit
from tests.support.patience import PATIENCE
from tests.support.refusals import codes, refused
from tests.support.world import World, key_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield made
    made.close()


@asynccontextmanager
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the world's door, on a port of its own."""
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    app = make_app(world.door(queue), world.origin)
    async with (
        serving(app, 0) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE
        ) as made,
    ):
        yield made
    await asyncio.to_thread(queue.stop)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"garbage", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"{}", "submission_fields"),
        (b"x" * (MAX_SUBMISSION_BYTES + 1), "submission_too_large"),
    ],
)
async def test_a_body_that_is_no_command_is_refused_and_recorded(
    world: World, body: bytes, code: str
) -> None:
    async with client(world) as door:
        answer = await door.post("/commands", content=body)
    assert (answer.status_code, answer.json()["refused"]) == (409, code)
    (entry,) = refused(world)
    assert (entry["code"], entry["door"]) == (code, "door")
    assert {entry[name] for name in ("actor", "claimed", "chain", "event", "command")} == {None}
    assert audit(world).ok


async def test_a_key_that_nobody_knows_is_refused_and_recorded(world: World) -> None:
    task = world.assigned("T-1")
    stranger = Signer(key_of("stranger"), "snv", "officer")
    submission = compose(world.origin, task, "confirm", {}, stranger, world.now)
    async with client(world) as door:
        answer = await door.post("/commands", content=format_submission(submission))
    assert (answer.status_code, answer.json()["refused"]) == (409, "unknown_key")
    (entry,) = refused(world)
    assert (entry["code"], entry["chain"], entry["actor"]) == ("unknown_key", "T-1", None)


async def test_the_reason_is_told_even_when_it_can_not_be_recorded(world: World) -> None:
    """The database is out of order; the command is garbage all the same."""
    async with client(world) as door:
        world.engine.dispose()
        with writing(world.engine) as connection:
            connection.exec_driver_sql("ALTER TABLE entry RENAME TO gone")
        answer = await door.post("/commands", content=b"garbage")
        with writing(world.engine) as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO entry")
    assert (answer.status_code, answer.json()["refused"]) == (409, "not_json")
    assert codes(world) == []


async def test_a_flood_at_the_door_has_few_entries_and_good_commands_go_through(
    world: World,
) -> None:
    task = world.assigned("T-1")
    good = format_submission(world.submission(task, "confirm", role="officer"))
    bodies = [b"garbage %d" % number for number in range(400)]
    bodies.insert(200, good)
    async with client(world) as door:
        answers = [
            answer
            for at in range(0, len(bodies), 50)
            for answer in await asyncio.gather(
                *(door.post("/commands", content=body) for body in bodies[at : at + 50])
            )
        ]
    assert [answer.status_code for answer in answers].count(200) == 1
    assert codes(world) == ["not_json"] * 20
    assert audit(world).ok
