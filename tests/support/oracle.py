"""Go's own packages for notes and logs, as a program to ask: another hand on the same formats.

Built from `go_oracle/main.go` with what Debian installs and nothing else: no network, no modules.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MISSING = "golang-go and golang-golang-x-mod-dev are not installed"

_SOURCE = Path(__file__).with_name("go_oracle") / "main.go"
_GOPATH = Path("/usr/share/gocode")  # where Debian puts the sources of Go libraries


class GoSaysNo(Exception):
    """Go refused; the text is its own."""


def is_installed() -> bool:
    sources = _GOPATH / "src/golang.org/x/mod/sumdb"
    return shutil.which("go") is not None and sources.is_dir()


class Oracle:
    """One process with one log of its own, which only grows."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask, self._answers = process.stdin, process.stdout

    def grow(self, entries: Iterable[bytes]) -> None:
        self._reply("grow", Entries=[_text(entry) for entry in entries])

    def root(self, size: int) -> bytes:
        return self._hashes("root", Size=size)[0]

    def prove_record(self, index: int, size: int) -> tuple[bytes, ...]:
        return self._hashes("prove_record", Index=index, Size=size)

    def prove_tree(self, old: int, size: int) -> tuple[bytes, ...]:
        return self._hashes("prove_tree", Old=old, Size=size)

    def check_record(
        self, proof: Iterable[bytes], index: int, size: int, leaf: bytes, root: bytes
    ) -> None:
        hashes = [_text(item) for item in proof]
        place = {"Index": index, "Size": size}
        self._reply("check_record", Proof=hashes, Leaf=_text(leaf), Root=_text(root), **place)

    def check_tree(
        self, proof: Iterable[bytes], old: int, size: int, old_root: bytes, root: bytes
    ) -> None:
        hashes = [_text(item) for item in proof]
        roots = {"OldRoot": _text(old_root), "Root": _text(root)}
        self._reply("check_tree", Proof=hashes, Old=old, Size=size, **roots)

    def tile(self, level: int, index: int, width: int) -> tuple[str, bytes]:
        found = self._reply("tile", Level=level, Index=index, Width=width)
        return _our_path(found["path"]), base64.b64decode(found["data"])

    def path(self, level: int, index: int, width: int) -> str:
        found = self._reply("path", Level=level, Index=index, Width=width)
        return _our_path(found["path"])

    def new_tiles(self, old: int, size: int) -> list[str]:
        return [
            _our_path(path) for path in self._reply("new_tiles", Old=old, Size=size)["paths"] or ()
        ]

    def open_note(self, note: bytes, vkeys: Iterable[str]) -> tuple[str, list[str]]:
        """The text, and the names of those whose signatures hold."""
        found = self._reply("open", Note=_text(note), Keys=list(vkeys))
        return found["text"], found["names"]

    def sign_note(self, text: str, private_keys: Iterable[str]) -> bytes:
        found = self._reply("sign", Text=text, Keys=list(private_keys))
        return base64.b64decode(found["note"])

    def _hashes(self, operation: str, **fields: int) -> tuple[bytes, ...]:
        found = self._reply(operation, **fields)["hashes"] or ()
        return tuple(base64.b64decode(item) for item in found)

    def _reply(self, operation: str, **fields: Any) -> Any:
        self._ask.write(json.dumps({"Op": operation, **fields}) + "\n")
        self._ask.flush()
        found = json.loads(self._answers.readline())
        if found["error"]:
            raise GoSaysNo(found["error"])
        return found


def build(directory: Path) -> Path:
    """Compile the oracle into ``directory``."""
    program = directory / "oracle"
    subprocess.run(
        ["go", "build", "-o", str(program), str(_SOURCE)],
        check=True,
        cwd=directory,
        env={
            **os.environ,
            "GO111MODULE": "off",
            "GOPATH": str(_GOPATH),
            "GOFLAGS": "",
            "GOCACHE": str(directory / "cache"),
        },
    )
    return program


@contextmanager
def running(program: Path) -> Iterator[Oracle]:
    with subprocess.Popen(
        [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Oracle(process)
        # Leaving closes the oracle's input; then it ends by itself.


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _our_path(path: str) -> str:
    """Go names the height of the tiles, for us always 8, and calls the entries data."""
    return path.replace("tile/8/data/", "tile/entries/").replace("tile/8/", "tile/")
