"""Nothing of a protected document stands anywhere in clear, after the whole service worked on it.

`dondoc up` runs as a person starts it; people work with the commands, and somebody goes straight to
Temporal. Then every byte is searched: the database, its journal, Temporal's store, keys, receipts,
the published log, an export, both logs, and what every command said on its way to being refused.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowHandle

from audit.commitment import Opening
from audit.submission import format_submission
from cli.main import main
from domain.snapshot import parse_task
from embedded.connecting import connect
from embedded.home import Home
from embedded.keyring import person_path, read_key, read_origin, read_passphrase
from gateway.composing import Signer, compose
from tests.embedded.test_up import Up, start
from tests.support.canary import Canary
from tests.support.patience import PATIENCE
from workflows.messages import Submit

PROTECTED = Canary("of a protected document")
HIGHEST = Canary("of a document of the highest level")

DOCUMENT = """\
documents:
  - number: {number}
    symbol: CT-M
    issued_on: 2026-01-05
    issuer: vpub
    signatory: {words}
    secrecy: {secrecy}
    document_title: {words}
    tasks:
      - key: 1a
        title: {words}
        lead: so-y-te
        monitor: vpub
        due_on: {due}
"""
OFFICE, OFFICER, APPROVER, MONITOR = (
    "vpub.office", "so-y-te.officer", "so-y-te.approver", "vpub.monitor",
)  # fmt: skip
WORDS = PROTECTED.words
LIFE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("dispute", OFFICER, ("--reason", WORDS)),
    ("keep", OFFICE, ("--reason", WORDS)),
    ("confirm", OFFICER, ()),
    ("start", OFFICER, ()),
    ("report", OFFICER, ("--summary", WORDS)),
    ("decline", APPROVER, ("--item", "report", "--reason", WORDS)),
    ("report", OFFICER, ("--summary", WORDS)),
    ("endorse", APPROVER, ("--item", "report")),
    ("evaluate", MONITOR, ("--rating", "met", "--note", WORDS)),
    ("urge", MONITOR, ("--channel", "phone", "--note", WORDS)),
    ("explain", OFFICER, ("--reason", WORDS)),
    ("submit", OFFICER, ("--summary", WORDS)),
    ("send-back", APPROVER, ("--reason", WORDS)),
    ("submit", OFFICER, ("--summary", WORDS)),
    ("approve", APPROVER, ("--note", WORDS)),
)
REFUSED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("approve", OFFICER, ("--note", WORDS)),  # has not the role
    ("dispute", "so-noi-vu.officer", ("--reason", WORDS)),  # of another agency, and not cleared
    ("submit", OFFICER, ("--summary", WORDS)),  # in the wrong state
)


@pytest.fixture(name="started")
def _started() -> Iterator[list[Up]]:
    running: list[Up] = []
    yield running
    for up in running:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


class Hands:
    """People at the command line; keeps all that it said to them."""

    def __init__(self, data: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self.capture = capture
        self.said = b""

    def __call__(self, *words: str, expect: int = 0) -> str:
        status = main(["--lang", "en", "--data", str(self.data), *words])
        out, err = self.capture.readouterr()
        self.said += (out + err).encode()
        assert status == expect, out + err
        return out


def test_no_word_of_a_protected_document_is_anywhere_after_all_have_worked_on_it(
    started: list[Up], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    up = start(started, data)
    addresses = up.ready()
    dondoc = Hands(data, capsys)
    for person in (OFFICE, OFFICER, APPROVER, MONITOR):
        dondoc("directory", "clear", person, "secret")
    task = _imported(dondoc, tmp_path)
    for event, person, words in REFUSED:
        dondoc("task", event, task, "--as", person, *words, expect=1)
    for event, person, words in LIFE:
        dondoc("task", event, task, "--as", person, *words)
    asyncio.run(_straight_to_temporal(Home(data), task))
    _forbidden(dondoc, tmp_path, addresses["door"])
    export = tmp_path / "export" / "log.zip"
    export.parent.mkdir()
    dondoc("audit", "export", str(export), "--words")
    dondoc("audit", "verify")
    metrics = _metrics(up)
    assert up.stop("SIGTERM") == 0
    for canary in (PROTECTED, HIGHEST):
        assert canary.files(data, export.parent) == []
        assert not canary.in_bytes(up.output.read_bytes())
        assert not canary.in_bytes(metrics)
        assert not canary.in_bytes(dondoc.said)
    shown = Hands(data, capsys)
    shown("task", "show", task, "--as", OFFICE)
    assert PROTECTED.in_bytes(shown.said), "who is cleared, and has the key, reads it"
    shown = Hands(data, capsys)
    shown("task", "show", task, "--as", "so-noi-vu.officer")
    assert not PROTECTED.in_bytes(shown.said)


def next_june() -> str:
    """A day in the next year: no task is due in the past."""
    return f"{datetime.now(UTC).year + 1}-06-15"


def _imported(dondoc: Hands, folder: Path) -> str:
    """The task of a protected document; the file itself lies outside the data."""
    file = folder / "protected.yaml"
    file.write_text(DOCUMENT.format(number=7, words=WORDS, secrecy="mật", due=next_june()))
    before = {each["id"] for each in json.loads(dondoc("task", "list", "--json"))}
    dondoc("import", str(file), "--as", OFFICE)
    after = {each["id"] for each in json.loads(dondoc("task", "list", "--json"))}
    (task,) = after - before
    return str(task)


async def _straight_to_temporal(home: Home, task: str) -> None:
    """The Office's own command, with words, past the door: Temporal stores it, encrypted."""
    running = home.read_running()
    assert running is not None
    client = await connect(home, running.temporal)
    handle = client.get_workflow_handle(task)
    known = parse_task(await handle.query("task"))
    key = read_key(person_path(home, OFFICE), read_passphrase(home))
    submission = compose(
        read_origin(home), known, "recall", {"reason": WORDS}, Signer(key, "vpub", "office"),
        datetime.now(UTC),
    )  # fmt: skip
    assert all(isinstance(opening, Opening) for opening in submission.openings)
    await handle.signal("submit_signal", Submit(format_submission(submission).decode()))
    await handle.signal("submit_signal", WORDS)
    async with asyncio.timeout(PATIENCE):
        while await _is_busy(handle):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.1)


async def _is_busy(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether something that the workflow was sent is still being worked on."""
    described = (await handle.describe()).raw_description
    return bool(described.pending_activities) or described.HasField("pending_workflow_task")


def _forbidden(dondoc: Hands, folder: Path, door: str) -> None:
    """The highest level, at every door."""
    file = folder / "highest.yaml"
    level = "tuyệt mật"
    file.write_text(DOCUMENT.format(number=8, words=HIGHEST.words, secrecy=level, due=next_june()))
    dondoc("import", str(file), "--as", OFFICE, expect=1)
    body = json.dumps({"secrecy": level, "title": HIGHEST.words}, ensure_ascii=False).encode()
    answer = httpx.post(f"{door}/commands", content=body, trust_env=False, timeout=PATIENCE)
    assert answer.json()["refused"] == "secrecy_forbidden"
    assert not HIGHEST.in_bytes(answer.content)


def _metrics(up: Up) -> bytes:
    """What Temporal measures, where it says that it can be had."""
    found = re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/metrics", up.said())
    if found is None:
        return b""
    return httpx.get(found[0], trust_env=False, timeout=PATIENCE).content
