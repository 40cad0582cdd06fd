"""A log that signs what a test wants, lies included, and a witness that is served in a thread."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from fastapi import FastAPI

from audit.checkpoint import Checkpoint
from audit.consistency import prove_consistency
from audit.frontier import Frontier
from audit.merkle import leaf_hash
from audit.note import format_note
from audit.signers import Ed25519Signer, MLDSACosigner, sign_checkpoint
from audit.witnessing import Request, format_request
from tests.support.patience import PATIENCE
from witness import home as homes
from witness.home import Home
from witness.server import make_app, open_witness, serving
from witness.store import Store

NOW = 1_800_000_000
ORIGIN = "log.example/tasks"
NAME = "witness.example/north"


@dataclass(frozen=True)
class Log:
    """Real keys over made-up leaves. `branch` is how it lies."""

    origin: str = ORIGIN
    leaves: tuple[bytes, ...] = ()
    ed25519: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    mldsa: MLDSA44PrivateKey = field(default_factory=MLDSA44PrivateKey.generate)

    @property
    def signers(self) -> tuple[Ed25519Signer, MLDSACosigner]:
        return Ed25519Signer(self.origin, self.ed25519), MLDSACosigner(self.origin, self.mldsa)

    @property
    def vkeys(self) -> list[str]:
        return [signer.verifier.vkey for signer in self.signers]

    @property
    def size(self) -> int:
        return len(self.leaves)

    def grown(self, size: int, mark: str = "") -> "Log":
        """The same with more leaves; another mark makes another tree."""
        new = (leaf_hash(f"{mark}{number}".encode()) for number in range(self.size, size))
        return replace(self, leaves=(*self.leaves, *new))

    def branch(self, size: int, mark: str = "lie") -> "Log":
        """Another tree of this size, under the same keys, that differs in its last leaf only."""
        return self.cut(size - 1).grown(size, mark)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, self.size, Frontier().extended(self.leaves).root())

    def cut(self, size: int) -> "Log":
        """As it was when it had this size."""
        return replace(self, leaves=self.leaves[:size])

    def note(self, signers: Sequence[Ed25519Signer | MLDSACosigner] | None = None) -> bytes:
        """The whole tree. Its own keys sign it once: ML-DSA-44 never gives a signature twice."""
        return self._note if signers is None else self._signed(signers)

    @cached_property
    def _note(self) -> bytes:
        return self._signed(self.signers)

    def _signed(self, signers: Sequence[Ed25519Signer | MLDSACosigner]) -> bytes:
        return format_note(sign_checkpoint(self.checkpoint(), signers, NOW))

    def prove(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        return prove_consistency(old, self.size if new is None else new, self._read)

    def request(self, old: int, proof: Sequence[bytes] | None = None) -> bytes:
        """To cosign the whole tree, coming from ``old``."""
        chosen = tuple(self.prove(old)) if proof is None else tuple(proof)
        return format_request(Request(old, chosen, self.note()))

    def _read(self, level: int, index: int) -> bytes:
        width = 1 << level
        return Frontier().extended(self.leaves[index * width : (index + 1) * width]).root()


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


def make_witness(path: Path, *logs: Log, name: str = NAME) -> Home:
    home = Home(path)
    homes.found(home, name)
    homes.trust(home, [vkey for log in logs for vkey in log.vkeys])
    return home


@contextmanager
def served(home: Home, clock: Callable[[], float] | None = None) -> Iterator[str]:
    """The witness of a directory, in a thread; yields its address."""
    store = Store(home.store)
    try:
        with served_app(make_app(open_witness(home, store), clock or Clock())) as url:
            yield url
    finally:
        store.close()


@contextmanager
def served_app(app: FastAPI) -> Iterator[str]:
    ready, stop = threading.Event(), asyncio.Event()
    found: list[tuple[asyncio.AbstractEventLoop, int]] = []

    async def serve() -> None:
        async with serving(app, 0) as port:
            found.append((asyncio.get_running_loop(), port))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(PATIENCE)
    loop, port = found[0]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)


def post(url: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{url}/add-checkpoint", content=data, timeout=PATIENCE, trust_env=False)
