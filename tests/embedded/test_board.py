"""The board shows what people wrote, whatever they wrote, and never takes the service down."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from sqlalchemy import create_engine

from embedded import board
from embedded.up import _show_board
from messages import Texts
from tests.support.world import World


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield world
    world.close()


@pytest.mark.parametrize("title", ["Phụ lục [/b]", "[red]Khẩn[/red]", "[/]", "a\\[b] :smile:"])
def test_a_title_with_brackets_is_shown_as_it_was_written(world: World, title: str) -> None:
    """As markup, the first one ended the whole service, and again at each start."""
    world.assigned("D1-1")
    view = board.read(world.engine)
    view = replace(view, deadlines=[replace(task, title=title) for task in view.deadlines])
    assert title in shown(view, world)


def test_neither_a_title_nor_a_name_steers_the_operators_terminal(world: World) -> None:
    world.assigned("D1-1")
    view = board.read(world.engine)
    view = replace(
        view,
        deadlines=[replace(task, title="a\x9b2Jb") for task in view.deadlines],
        entries=[replace(line, person="a\x9b2Jb") for line in view.entries],
    )
    text = shown(view, world)
    assert "\x9b" not in text
    assert text.count("a\\x9b2Jb") == 1 + len(view.entries)


def test_a_database_that_is_away_for_a_moment_does_not_end_the_service(tmp_path: Path) -> None:
    running = SimpleNamespace(engine=create_engine(f"sqlite:///{tmp_path / 'empty.sqlite'}"))

    async def watched() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stop.set)
        await _show_board(running, Texts("en"), "here", stop)  # type: ignore[arg-type]

    asyncio.run(watched())
    running.engine.dispose()


def shown(view: board.View, world: World) -> str:
    frame = board.Frame(Texts("en"), ZoneInfo("Asia/Ho_Chi_Minh"), 200, 60, "here")
    console = Console(width=200)
    with console.capture() as captured:
        console.print(board.render(view, frame, world.now))
    return captured.get()
