"""`dondoc up` as a person starts and stops it: in a process, with signals, in a terminal."""

import json
import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from payloads.ring import REREAD_SECONDS
from tests.support.alone import alone
from tests.support.patience import PATIENCE
from tests.support.scanning import found_in
from tests.support.temporal import find_temporal, free_port

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from cli.main import run; run()"]
SECONDS = 60


@dataclass
class Up:
    """A started `dondoc up`. ``terminal`` is our end of its terminal, when it has one."""

    process: subprocess.Popen[bytes]
    data: Path
    output: Path
    terminal: int | None

    def ready(self) -> dict[str, str]:
        """Wait until it says that it is ready; the addresses it wrote down."""
        deadline = time.monotonic() + SECONDS
        # Other lines may hold the word, too: "already".
        while "] ready" not in self.said() or not (self.data / "running.json").exists():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        addresses: dict[str, str] = json.loads((self.data / "running.json").read_text())
        return addresses

    def said(self) -> str:
        logs = (self.output, self.data / "dondoc.log")
        return "".join(log.read_text(encoding="utf-8") for log in logs if log.exists())

    def stop(self, how: str) -> int:
        """End it the way a person, a supervisor or a closed window does; its exit status."""
        if how == "closed terminal":
            assert self.terminal is not None
            os.close(self.terminal)
            self.terminal = None
        else:
            self.process.send_signal(signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM)
        return self.process.wait(SECONDS)


@contextmanager
def ended_at_last() -> Iterator[list[Up]]:
    """A list for what is started; what of it still runs in the end is killed."""
    running: list[Up] = []
    yield running
    for up in running:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()
        if up.terminal is not None:
            os.close(up.terminal)


@pytest.fixture
def started() -> Iterator[list[Up]]:
    with ended_at_last() as running:
        yield running


def start(
    started: list[Up], data: Path, *arguments: str, terminal: bool = False, verb: str = "up"
) -> Up:
    """Start `dondoc up` on a data directory, on a terminal of its own or with its log in a file."""
    output = data.with_name(f"{data.name}.{len(started)}.log")
    command = [*COMMAND, "--lang", "en", "--data", str(data), verb, *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    ours = theirs = None
    if terminal:
        # The board is drawn to this terminal; nobody reads it, and it never fills up.
        ours, theirs = pty.openpty()
    with output.open("wb") as log:
        process = subprocess.Popen(
            command if theirs is None else [*COMMAND[:2], _on_terminal(), *command[3:]],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL if theirs is None else theirs,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if theirs is not None:
        os.close(theirs)
    up = Up(process, data, output, ours)
    started.append(up)
    return up


def _on_terminal() -> str:
    """Take standard input for the controlling terminal, so that its closing is felt."""
    return (
        "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "from cli.main import run; run()"
    )


def processes_of(data: Path) -> list[str]:
    """Command lines that name the data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(data) in line:
                found.append(line)
    return found


def is_free(address: str) -> bool:
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def dondoc(data: Path, *words: str) -> Any:
    """What a command answers."""
    line = [*COMMAND, "--data", str(data), "--json", *words]
    return json.loads(subprocess.run(line, cwd=ROOT, capture_output=True, check=True).stdout)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Round:
    """A start on the data of the round before, and a stop."""

    how: str
    status: int
    left_behind: list[str]
    still_there: bool
    tasks: int


@dataclass
class Lived:
    """Data that was started and stopped in each way, and in between somebody left and lost a key.

    A start takes seconds: what several tests look at was done for all of them.
    """

    data: Path
    rounds: list[Round]
    unknown: str = ""
    pid: int = 0
    second: Up | None = None


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    data = tmp_path_factory.mktemp("lived") / "data"
    made = Lived(data, [])
    # It comes before the turn that each test waits for.
    with alone(), ended_at_last() as started:
        for how in ("Ctrl-C", "SIGTERM", "closed terminal"):
            up = start(started, data, "--no-board", terminal=how == "closed terminal")
            addresses = up.ready()
            tasks = len(dondoc(data, "task", "list"))
            if not made.rounds:
                dondoc(data, "directory", "leave", "thanh-tra.officer")
                dondoc(data, "key", "revoke", "so-y-te.officer", "--reason", "lost")
                made.unknown = evidence_for_nobody(addresses["door"])
                made.pid = up.process.pid
                made.second = start(started, data, "--no-board")
                made.second.process.wait(SECONDS)
            status = up.stop(how)
            left_behind = processes_of(data)
            # Somebody else may be given one of the ports at once, but not all, and not for long.
            until(lambda at=addresses: all(map(is_free, ports_of(at))))  # type: ignore[misc]
            still_there = (data / "running.json").exists()
            made.rounds.append(Round(how, status, left_behind, still_there, tasks))
    return made


def ports_of(addresses: dict[str, str]) -> list[str]:
    return [addresses[name] for name in ("door", "temporal", "web")]


def evidence_for_nobody(door: str) -> str:
    """Why a file of a task that nobody knows is refused: files are taken, then."""
    octets = {"Content-Type": "application/octet-stream"}
    address = f"{door}/evidence?task=nowhere"
    answer = httpx.post(address, content=b"x", headers=octets, timeout=PATIENCE)
    return str(answer.json()["refused"])


def test_start_after_start_and_stop_after_stop_leave_nothing_behind(lived: Lived) -> None:
    assert [each.how for each in lived.rounds] == ["Ctrl-C", "SIGTERM", "closed terminal"]
    assert [each.status for each in lived.rounds] == [0, 0, 0]
    assert [each.left_behind for each in lived.rounds] == [[], [], []]
    assert not any(each.still_there for each in lived.rounds)


def test_the_sample_is_there_after_the_first_start_and_not_doubled_by_later_ones(
    lived: Lived,
) -> None:
    first, *later = [each.tasks for each in lived.rounds]
    assert first > 50
    assert later == [first, first]


def test_who_lost_a_key_or_left_the_sample_gets_none_by_a_restart(lived: Lived) -> None:
    people = {each["person"]: each for each in dondoc(lived.data, "directory", "show")["people"]}
    assert people["thanh-tra.officer"]["left"] is not None
    assert people["so-y-te.officer"]["key"] is None
    assert people["so-y-te.approver"]["key"] is not None


def test_a_second_start_on_the_same_data_says_so(lived: Lived) -> None:
    assert lived.second is not None
    said = lived.second.output.read_text()
    assert lived.second.process.returncode == 1
    assert "already" in said
    assert str(lived.pid) in said


def test_the_private_parts_of_the_data_are_for_the_owner_only(lived: Lived) -> None:
    data = lived.data
    assert lived.unknown == "unknown_task", "it takes files, of tasks that it knows"
    assert data.stat().st_mode & 0o077 == 0
    secrets = [data / "passphrase", data / "dondoc.sqlite", *data.glob("keys/*.pem")]
    assert all(file.stat().st_mode & 0o077 == 0 for file in secrets)
    pems = [*data.glob("keys/*.pem"), *data.glob("people/*.pem")]
    assert pems
    assert all(b"ENCRYPTED PRIVATE KEY" in file.read_bytes() for file in pems)


def test_two_on_different_data_run_side_by_side(started: list[Up], tmp_path: Path) -> None:
    wanted = str(free_port())
    ups = [
        start(started, tmp_path / name, "--no-board", "--no-sample", *port)
        for name, port in (("one", ["--port", wanted]), ("two", []))
    ]
    addresses = [up.ready() for up in ups]
    assert addresses[0]["temporal"].endswith(f":{wanted}")
    logs = [
        httpx.get(f"{each['door']}/health", timeout=PATIENCE).json()["log"] for each in addresses
    ]
    assert logs[0] != logs[1]
    assert [up.stop("SIGTERM") for up in ups] == [0, 0]


def test_a_port_that_is_taken_is_named(started: list[Up], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = start(started, tmp_path / "data", "--no-board", "--port", str(port))
        assert up.process.wait(SECONDS) == 1
    assert str(port) in up.said()


def test_whatever_is_killed_no_child_is_left_and_it_goes_on(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board", "--no-sample")
    up.ready()
    up.process.kill()
    up.process.wait()
    until(lambda: processes_of(data) == [])
    up = start(started, data, "--no-board", "--no-sample")
    up.ready()
    server = _child(up.process.pid)
    os.kill(server, signal.SIGKILL)
    until(lambda: _child(up.process.pid) not in {server, 0})
    assert up.stop("SIGTERM") == 0
    assert processes_of(data) == []


def _child(parent: int) -> int:
    """The living child of a process; 0 when it has none."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in children:
        with suppress(FileNotFoundError):  # it has ended since
            state = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][:1]
            if state != "Z":
                return int(child)
    return 0


def temporal(addresses: dict[str, str], *words: str) -> bytes:
    """What Temporal's own program answers."""
    done = subprocess.run(
        [find_temporal(), *words, "--address", addresses["temporal"]],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def waiting_notes(data: Path) -> int:
    """How many workflows are still to be told of something."""
    with closing(sqlite3.connect(data / "dondoc.sqlite")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)


def test_temporals_own_program_and_its_ui_read_and_write_by_the_codec_endpoint(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board", "--codec-encode")
    addresses = up.ready()
    settings = httpx.get(f"{addresses['web']}/api/v1/settings", timeout=PATIENCE).json()
    assert settings["Codec"]["Endpoint"] == addresses["codec"]
    until(lambda: waiting_notes(data) == 0)
    listed = temporal(addresses, "workflow", "list", "--output", "json", "--limit", "1")
    task = json.loads(listed)[0]["execution"]["workflowId"]
    # What it was told of it has heard: from here on its history grows by what is done here alone.
    describe = ("workflow", "describe", "--workflow-id", task, "--output", "json")
    until(lambda: "pendingWorkflowTask" not in json.loads(temporal(addresses, *describe)))
    show = ("workflow", "show", "--workflow-id", task, "--output", "json")
    token = (data / "codec.token").read_text()
    codec = ("--codec-endpoint", addresses["codec"], "--codec-auth", f"Bearer {token}")
    assert found_in(temporal(addresses, *show, *codec), ["snapshot"])
    # Without the endpoint it shows what is stored, which says nothing.
    assert not found_in(temporal(addresses, *show), ["snapshot"])
    with pytest.raises(subprocess.CalledProcessError):
        temporal(addresses, *show, *codec[:3], "Bearer wrong")

    key = dondoc(data, "key", "rotate-payload")["key"]
    assert not found_in(temporal(addresses, *show), [key])
    time.sleep(REREAD_SECONDS)
    follow = ("--name", "follow", "--input", '{"entries": ["nothing of the log"]}')
    temporal(addresses, "workflow", "signal", "--workflow-id", task, *follow, *codec)
    stored, opened = temporal(addresses, *show), temporal(addresses, *show, *codec)
    assert found_in(stored, [key, "nothing of the log"]) == {key}
    assert found_in(opened, [key, "nothing of the log"]) == {"nothing of the log"}
    assert up.stop("SIGTERM") == 0
    assert (data / "codec.token").stat().st_mode & 0o077 == 0
    assert token not in up.said() + (data / "temporal.log").read_text()
