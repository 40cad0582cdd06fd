"""Files at a real door: taken as they stream in, given out so that no browser runs them."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from activities.queue import RecorderQueue
from activities.recorder import Recorder
from audit.submission import format_submission
from evidence.folder import Folder
from evidence.keeper import Keeper, Limits
from evidence.kinds import FileKind
from gateway.evidence import add_evidence
from gateway.http import make_app, serving
from tests.support import documents
from tests.support.documents import PDF
from tests.support.patience import PATIENCE
from tests.support.world import World

OCTETS = {"Content-Type": "application/octet-stream"}
NOWHERE = "sha256:" + "0" * 64
LIMIT = 3 << 20


@dataclass
class Opened:
    """A door with files behind it."""

    world: World
    root: Path
    keeper: Keeper
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, content: bytes, task: str = "D1-1") -> httpx.Response:
        return httpx.post(
            f"{self.url}/evidence",
            params={"task": task},
            content=content,
            headers=OCTETS,
            timeout=PATIENCE,
        )

    def get(self, digest: str) -> httpx.Response:
        return httpx.get(f"{self.url}/evidence/{digest}", timeout=PATIENCE)

    def submit(self, *digests: str) -> httpx.Response:
        task = self.world.recorder.task("D1-1")
        assert task is not None
        arguments = {"summary": "Xong", "evidence": list(digests)}
        submission = self.world.submission(task, "submit", arguments, role="officer")
        return httpx.post(
            f"{self.url}/commands", content=format_submission(submission), timeout=PATIENCE
        )

    def files(self) -> list[Path]:
        return [p for p in self.root.rglob("*") if p.is_file() and p.name != "lock"]

    def path_of(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self.root / name[:2] / name[2:4] / name


@pytest.fixture
def limits() -> Limits:
    return Limits(LIMIT)


@pytest.fixture
def opened(tmp_path: Path, limits: Limits) -> Iterator[Opened]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    now = lambda: datetime.now(UTC)  # noqa: E731 - a clock
    keeper = Keeper(Folder(tmp_path / "evidence", now), now, limits)
    world.recorder = Recorder(
        world.engine, world.keys, world.calendar, lambda: world.now, missing=keeper.missing
    )
    world.in_progress()
    world.in_progress("S-1", secrecy="secret", number="13")
    with _served(world, keeper) as port:
        yield Opened(world, tmp_path / "evidence", keeper, port)
    world.close()


class _served:  # noqa: N801 - reads as what it does
    def __init__(self, world: World, keeper: Keeper) -> None:
        self._world, self._keeper = world, keeper
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> int:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self._port

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        world, keeper = self._world, self._keeper
        queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
        app = make_app(world.door(queue, missing=keeper.missing), world.origin)
        add_evidence(app, keeper, world.recorder.task)
        async with serving(app, 0) as self._port:
            self._ready.set()
            await self._stop.wait()
        await asyncio.to_thread(queue.stop)


def test_a_file_goes_in_and_comes_out_and_its_step_is_recorded(opened: Opened) -> None:
    content = PDF + os.urandom(2 << 20)
    answer = opened.put(content)
    assert answer.status_code == 200
    digest = answer.json()["digest"]
    assert answer.json() == {"digest": digest, "size": len(content)}
    assert opened.get(digest).content == content
    assert opened.submit(digest).status_code == 200


def test_no_browser_runs_what_comes_out(opened: Opened) -> None:
    digest = opened.put(b"<script>alert(1)</script>\n").json()["digest"]
    headers = opened.get(digest).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith('attachment; filename="sha256-')
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_step_whose_files_were_not_handed_in_is_refused(opened: Opened) -> None:
    digest = opened.put(PDF).json()["digest"]
    answer = opened.submit(digest, NOWHERE)
    assert answer.status_code == 409
    assert answer.json() == {"refused": "evidence_missing", "facts": {"digests": NOWHERE}}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "evidence_empty"),
        (b"MZ\x90\0", "evidence_executable"),
        (documents.DOCM, "evidence_executable"),
        (documents.ZIP, "evidence_type_refused"),
        (b"\0\0\0\0", "evidence_type_unknown"),
        (b"x" * (LIMIT + 1), "evidence_too_large"),
        (b"x" * (LIMIT * 6), "evidence_too_large"),
    ],
)
def test_what_is_not_taken_is_refused_and_leaves_nothing(
    opened: Opened, content: bytes, code: str
) -> None:
    answer = opened.put(content)
    assert (answer.status_code, answer.json()["refused"]) == (409, code)
    assert opened.files() == []


def test_as_much_as_the_limit_is_taken(opened: Opened) -> None:
    assert opened.put(b"x" * LIMIT).status_code == 200


@pytest.mark.parametrize("limits", [Limits(LIMIT, frozenset({FileKind.ZIP}))])
def test_another_choice_of_kinds_is_obeyed(opened: Opened) -> None:
    assert opened.put(documents.ZIP).status_code == 200
    assert opened.put(PDF).json()["refused"] == "evidence_type_refused"


def test_a_file_belongs_to_a_task_that_may_have_files(opened: Opened) -> None:
    assert opened.put(PDF, "nowhere").json()["refused"] == "unknown_task"
    assert opened.put(PDF, "").json()["refused"] == "unknown_task"
    answer = opened.put(PDF, "S-1")
    assert answer.json() == {
        "refused": "evidence_protected",
        "facts": {"task": "S-1", "secrecy": "secret"},
    }
    assert opened.files() == []


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data", ""])
def test_what_a_page_of_another_site_can_send_is_refused(opened: Opened, media_type: str) -> None:
    answer = httpx.post(
        f"{opened.url}/evidence?task=D1-1",
        content=PDF,
        headers={"Content-Type": media_type},
        timeout=PATIENCE,
    )
    assert answer.json()["refused"] == "evidence_media_type"


@pytest.mark.parametrize(
    "digest", [NOWHERE, "x", "sha256:..%2F..%2F..%2Fpasswd", "..%2Flock", "%00", "incoming"]
)
def test_what_is_not_there_is_404(opened: Opened, digest: str) -> None:
    opened.put(PDF)
    assert opened.get(digest).status_code == 404


def test_an_altered_file_is_an_error_and_not_a_file(opened: Opened) -> None:
    digest = opened.put(PDF).json()["digest"]
    opened.path_of(digest).write_bytes(PDF.replace(b"1.7", b"1.4"))
    answer = opened.get(digest)
    assert (answer.status_code, answer.json()["refused"]) == (500, "evidence_altered")


def test_a_large_altered_file_is_cut_off_before_its_end(opened: Opened) -> None:
    content = PDF + b"x" * (2 << 20)
    digest = opened.put(content).json()["digest"]
    opened.path_of(digest).write_bytes(content[:-1] + b"y")
    with pytest.raises(httpx.RemoteProtocolError):
        opened.get(digest)


def test_the_recorder_waits_for_no_storage_that_the_door_can_ask(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = opened.put(PDF).json()["digest"]
    threads: list[str] = []
    claim = opened.keeper.store.claim

    def noted(digest: str) -> bool:
        threads.append(threading.current_thread().name)
        return claim(digest)

    monkeypatch.setattr(opened.keeper.store, "claim", noted)
    assert opened.submit(digest).status_code == 200
    assert len(threads) == 1
    assert threads[0] != "recorder"


def test_a_sender_who_hangs_up_leaves_nothing(opened: Opened) -> None:
    with socket.create_connection(("127.0.0.1", opened.port)) as sender:
        sender.sendall(
            b"POST /evidence?task=D1-1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n%PDF-1.7"
        )
        _until(lambda: len(opened.files()) == 1)
    _until(lambda: opened.files() == [])


def test_the_same_file_from_two_senders_at_once_is_kept_once(opened: Opened) -> None:
    content = PDF + b"x" * (1 << 20)

    async def both() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            return await asyncio.gather(
                *(
                    client.post(
                        f"{opened.url}/evidence?task=D1-1",
                        content=_slowly(content),
                        headers={**OCTETS, "Content-Length": str(len(content))},
                    )
                    for _ in range(2)
                )
            )

    answers = [answer.json() for answer in asyncio.run(both())]
    assert answers[0] == answers[1]
    assert len(opened.files()) == 1


def test_storage_that_is_away_is_503_and_not_a_refusal(opened: Opened) -> None:
    digest = opened.put(PDF).json()["digest"]
    opened.root.rename(opened.root.with_name("away"))
    opened.root.write_text("a file where the folder was")
    for answer in (opened.put(PDF), opened.submit(NOWHERE)):
        assert (answer.status_code, answer.json()["facts"]) == (503, {}), answer.text
    opened.root.unlink()
    opened.root.with_name("away").rename(opened.root)
    assert opened.submit(digest).status_code == 200


async def _slowly(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1 << 16):
        yield content[start : start + (1 << 16)]
        await asyncio.sleep(0.005)


def _until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    waited = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if holds():
            return
        waited.wait(0.02)
    raise AssertionError("it never came true")
