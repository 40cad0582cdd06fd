"""A log of eight leaves, a witness that was told of it, and the address where it serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.witnessing import Clock, Log, make_witness, served
from witness.home import PASSPHRASE_VARIABLE, Home


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)


@pytest.fixture(scope="session")
def log() -> Log:
    return Log().grown(8)


@pytest.fixture
def home(tmp_path: Path, log: Log) -> Home:
    return make_witness(tmp_path / "witness", log)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(home: Home, clock: Clock) -> Iterator[str]:
    with served(home, clock) as address:
        yield address
