"""A real S3 server for tests, and a proxy before it that fails when told to."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """The server while the context lasts; it ends with us, however we end: its input does then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.s3_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield S3Server(**json.loads(_first_answer(process.stdout.readline)))
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)


def _first_answer(read: Callable[[], str]) -> str:
    """Moto itself says a line or two as it starts."""
    while line := read():
        if line.startswith("{"):
            return line
    raise RuntimeError("the S3 server did not start")


class Hindrance:
    """A TCP server that answers the next requests itself, with what it was told, and hands on all
    later ones: storage that is busy, silent or gone for a while.
    """

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("http://").split(":")
        self._behind = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answers: list[bytes] = []
        self.asked = 0
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            self.asked += 1
            if self.answers:
                answer = self.answers.pop(0)
                if answer:
                    caller.recv(1 << 20)
                    caller.sendall(answer)
                return
            with socket.create_connection(self._behind) as behind:
                back = threading.Thread(target=_pass_on, args=(behind, caller), daemon=True)
                back.start()
                _pass_on(caller, behind)
                back.join(PATIENCE)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
