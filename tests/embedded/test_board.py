"""What the board shows: people's words for the log's own chains, and ids that are never cut."""

from datetime import UTC, datetime
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from embedded.board import Frame, Line, View, render
from messages import Texts

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
ID = "4mh4d37w-01a-6jolwd"


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
