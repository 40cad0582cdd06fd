"""The board shows what people wrote, as it is, and people's words for what the log is about."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from sqlalchemy import create_engine

from embedded import board
from embedded.board import Frame, Line, View, render
from embedded.up import show_board
from messages import Texts
from tests.support.world import World

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
ID = "4mh4d37w-01a-6jolwd"


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
    empty = create_engine(f"sqlite:///{tmp_path / 'empty.sqlite'}")

    async def watched() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stop.set)
        await show_board(empty, Texts("en"), "here", stop)

    asyncio.run(watched())
    empty.dispose()


def shown(view: board.View, world: World) -> str:
    frame = board.Frame(Texts("en"), ZoneInfo("Asia/Ho_Chi_Minh"), 200, 60, "here")
    console = Console(width=200)
    with console.capture() as captured:
        console.print(board.render(view, frame, world.now))
    return captured.get()


def drawn(language: str, width: int) -> str:
    entries = [
        Line(NOW, "attestations", "heads", "clock"),
        Line(NOW, "directory", "substitute", "administrator"),
        Line(NOW, ID, "confirm", "so-noi-vu.officer"),
    ]
    view = View({"assigned": 2, "overdue": 0}, [], 2, entries, {})
    screen = StringIO()
    frame = Frame(Texts(language), ZoneInfo("Asia/Ho_Chi_Minh"), width, 30, "Temporal")
    Console(file=screen, width=width, color_system=None).print(render(view, frame, NOW))
    return screen.getvalue()


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_technical_name_reaches_the_screen_and_no_id_is_cut(language: str, width: int) -> None:
    said = drawn(language, width)
    assert "attestations" not in said
    assert "│ 02/03 09:00:00  " in said
    assert f"{ID}  so-noi-vu.officer" in said
    assert all(len(line.rstrip("\n")) <= width for line in said.splitlines())


def test_it_says_how_many_deadlines_there_was_no_room_for() -> None:
    assert "(0 of 2)" in drawn("en", 80)
    assert "(0/2)" in drawn("vi", 80)
