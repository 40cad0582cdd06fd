"""Fixtures of the command's tests; `tests.cli.shell` has what they are made of."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from embedded.home import Home
from tests.cli.shell import Make, Shell, open_door, prepare, utc_now
from tests.support.world import World


@pytest.fixture
def make_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Make]:
    """A data directory whose log was founded at the given instant."""
    worlds: list[World] = []

    def make(start: datetime) -> Shell:
        home = Home(tmp_path / "data")
        home.prepare()
        world = World(f"sqlite:///{home.path / 'dondoc.sqlite'}", start=start)
        worlds.append(world)
        prepare(home, world)
        return Shell(home, world, capsys)

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def shell(make_shell: Make) -> Shell:
    """A log founded just now; no service runs."""
    return make_shell(utc_now())


@pytest.fixture
def served(shell: Shell) -> Iterator[Shell]:
    """The same with its door open."""
    with open_door(shell.home, shell.world):
        yield shell
