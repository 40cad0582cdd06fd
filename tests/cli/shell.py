"""A data directory on a real SQLite log, and a real door; no Temporal, which the door needs not."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.queue import RecorderQueue
from cli.main import main
from embedded.home import Home, Running
from embedded.keyring import key_path, person_path, read_log_keys, save_key, save_public
from embedded.payload_keys import make_next
from evidence.opening import open_keeper
from gateway.evidence import add_evidence
from gateway.http import make_app, serving
from tests.support.patience import PATIENCE
from tests.support.world import FOUNDING, PEOPLE, World, key_of, vault_key

PASSPHRASE = b"a passphrase of the tests"


def utc_now() -> datetime:
    return datetime.now(UTC)


def prepare(home: Home, world: World) -> None:
    """What the first start leaves in a data directory."""
    home.prepare()
    home.origin.write_text(world.origin)
    home.passphrase.write_bytes(PASSPHRASE)
    save_public(home.log_key, world.keys.log.public)
    for holder, key in FOUNDING.items():
        save_key(key_path(home, holder), key, PASSPHRASE)
    for person in {person for person, _, _ in PEOPLE.values()}:
        save_key(person_path(home, person), key_of(person), PASSPHRASE)
    make_next(home)
    home.vault_key.write_bytes(vault_key().to_pem(PASSPHRASE))
    home.vault_public.write_bytes(vault_key().recipient.to_pem())
    world.keys = read_log_keys(home)
    world.recorder = world.another_recorder()


@contextmanager
def open_door(home: Home, world: World) -> Iterator[None]:
    """Serve the door in a thread, on a port of the system's choice, while the context lasts."""
    world.recorder._now = utc_now
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
        keeper = open_keeper(home.evidence, os.environ, utc_now)
        world.recorder._missing = keeper.missing
        app = make_app(world.door(queue, utc_now, keeper.missing), world.origin)
        add_evidence(app, keeper, world.recorder.task)
        async with serving(app, 0) as port:
            home.write_running(Running(os.getpid(), f"http://127.0.0.1:{port}", "", ""))
            ready.set()
            await stop.wait()
        await asyncio.to_thread(queue.stop)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)


@dataclass
class Shell:
    """Runs command lines in this process and keeps what they said."""

    home: Home
    world: World
    capture: pytest.CaptureFixture[str]
    said: str = ""
    complained: str = ""
    status: int = field(default=0)

    def __call__(self, *words: str, language: str = "vi") -> int:
        self.status = main([*words, "--lang", language, "--data", str(self.home.path)])
        self.said, self.complained = self.capture.readouterr()
        return self.status

    def json(self, *words: str) -> Any:
        """The one JSON document that the command printed."""
        self(*words, "--json")
        return json.loads(self.said)


Make = Callable[[datetime], Shell]
