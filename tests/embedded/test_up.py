"""`dondoc up` as a person starts and stops it: in a process, with signals, in a terminal."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from payloads.ring import REREAD_SECONDS
from tests.support.scanning import found_in
from tests.support.temporal import find_temporal

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


@pytest.fixture
def started() -> Iterator[list[Up]]:
    running: list[Up] = []
    yield running
    for up in running:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()
        if up.terminal is not None:
            os.close(up.terminal)


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


@pytest.mark.timeout(400)
def test_start_after_start_and_stop_after_stop_leave_nothing_behind(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for round_ in range(9):
        how = ("Ctrl-C", "SIGTERM", "closed terminal")[round_ % 3]
        up = start(started, data, "--no-board", terminal=how == "closed terminal")
        addresses = up.ready()
        assert up.stop(how) == 0, (how, up.said())
        assert processes_of(data) == []
        assert all(is_free(addresses[name]) for name in ("door", "temporal", "web"))
        assert not (data / "running.json").exists()


def test_the_sample_is_there_after_the_first_start_and_not_doubled_by_the_second(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    counted = []
    for _ in range(2):
        up = start(started, data, "--no-board")
        up.ready()
        listed = subprocess.run(
            [*COMMAND, "--data", str(data), "--json", "task", "list"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        counted.append(len(json.loads(listed.stdout)))
        assert up.stop("SIGTERM") == 0
    assert counted[0] == counted[1] > 50


def test_who_lost_a_key_or_left_the_sample_gets_none_by_a_restart(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"

    def dondoc(*words: str) -> Any:
        line = [*COMMAND, "--data", str(data), "--json", *words]
        return json.loads(subprocess.run(line, cwd=ROOT, capture_output=True, check=True).stdout)

    for round_ in range(2):
        up = start(started, data, "--no-board")
        up.ready()
        if round_ == 0:
            dondoc("directory", "leave", "thanh-tra.officer")
            dondoc("key", "revoke", "so-y-te.officer", "--reason", "lost")
        assert up.stop("SIGTERM") == 0
    people = {each["person"]: each for each in dondoc("directory", "show")["people"]}
    assert people["thanh-tra.officer"]["left"] is not None
    assert people["so-y-te.officer"]["key"] is None
    assert people["so-y-te.approver"]["key"] is not None


def test_a_second_start_on_the_same_data_says_so(started: list[Up], tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = start(started, data, "--no-board", "--no-sample")
    first.ready()
    second = start(started, data, "--no-board", "--no-sample")
    assert second.process.wait(SECONDS) == 1
    assert "already" in second.said()
    assert str(first.process.pid) in second.output.read_text()
    assert first.stop("Ctrl-C") == 0


def test_two_on_different_data_run_side_by_side(started: list[Up], tmp_path: Path) -> None:
    ups = [
        start(started, tmp_path / name, "--no-board", "--no-sample", *port)
        for name, port in (("one", ["--port", "17233"]), ("two", []))
    ]
    addresses = [up.ready() for up in ups]
    logs = [httpx.get(f"{each['door']}/health").json()["log"] for each in addresses]
    assert logs[0] != logs[1]
    assert [up.stop("SIGTERM") for up in ups] == [0, 0]


def test_a_port_that_is_taken_is_named(started: list[Up], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = start(started, tmp_path / "data", "--no-board", "--port", str(port))
        assert up.process.wait(SECONDS) == 1
    assert str(port) in up.said()


def test_after_a_kill_no_child_is_left_and_the_next_start_goes_on(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board", "--no-sample")
    up.ready()
    up.process.kill()
    up.process.wait()
    deadline = time.monotonic() + 15
    while processes_of(data):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    again = start(started, data, "--no-board", "--no-sample")
    again.ready()
    assert again.stop("SIGTERM") == 0


def test_temporal_is_started_again_when_it_dies(started: list[Up], tmp_path: Path) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board", "--no-sample")
    up.ready()
    server = _child(up.process.pid)
    os.kill(server, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _child(up.process.pid) in {server, 0}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert up.stop("SIGTERM") == 0
    assert processes_of(data) == []


def _child(parent: int) -> int:
    """The living child of a process; 0 when it has none."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in children:
        state = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][:1]
        if state != "Z":
            return int(child)
    return 0


def test_the_private_parts_of_the_data_are_for_the_owner_only(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board")
    door = up.ready()["door"]
    octets = {"Content-Type": "application/octet-stream"}
    answer = httpx.post(f"{door}/evidence?task=nowhere", content=b"x", headers=octets)
    assert answer.json()["refused"] == "unknown_task", "it takes files, of tasks that it knows"
    assert up.stop("SIGTERM") == 0
    assert data.stat().st_mode & 0o077 == 0
    secrets = [data / "passphrase", data / "dondoc.sqlite", *data.glob("keys/*.pem")]
    assert all(file.stat().st_mode & 0o077 == 0 for file in secrets)
    pems = [*data.glob("keys/*.pem"), *data.glob("people/*.pem")]
    assert pems
    assert all(b"ENCRYPTED PRIVATE KEY" in file.read_bytes() for file in pems)


def temporal(addresses: dict[str, str], *words: str) -> bytes:
    """What Temporal's own program answers."""
    done = subprocess.run(
        [find_temporal(), *words, "--address", addresses["temporal"]],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_temporals_own_program_and_its_ui_read_and_write_by_the_codec_endpoint(
    started: list[Up], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    up = start(started, data, "--no-board", "--codec-encode")
    addresses = up.ready()
    settings = httpx.get(f"{addresses['web']}/api/v1/settings").json()
    assert settings["Codec"]["Endpoint"] == addresses["codec"]
    listed = temporal(addresses, "workflow", "list", "--output", "json", "--limit", "1")
    task = json.loads(listed)[0]["execution"]["workflowId"]
    show = ("workflow", "show", "--workflow-id", task, "--output", "json")
    token = (data / "codec.token").read_text()
    codec = ("--codec-endpoint", addresses["codec"], "--codec-auth", f"Bearer {token}")
    assert found_in(temporal(addresses, *show, *codec), ["snapshot"])
    # Without the endpoint it shows what is stored, which says nothing.
    assert not found_in(temporal(addresses, *show), ["snapshot"])
    with pytest.raises(subprocess.CalledProcessError):
        temporal(addresses, *show, *codec[:3], "Bearer wrong")

    made = subprocess.run(
        [*COMMAND, "--data", str(data), "--json", "key", "rotate-payload"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    key = json.loads(made.stdout)["key"]
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
