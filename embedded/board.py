"""The live board in the terminal: tasks by state, the next deadlines, the last entries.

`read` asks the database, `render` draws; neither knows of the other's means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from audit.entry import open_command, open_record, parse_entry
from domain.instants import parse_instant
from domain.task import State
from embedded.titles import shown_title
from messages import Texts
from messages.plain import plain
from store import queries
from store.queries import Summary

_SOON = timedelta(days=1)
_MOST_DEADLINES = 60
_MOST_ENTRIES = 8
# Lines of the screen that are neither: heading, counts, borders, headings, the last line.
_FRAME = 9
# From these widths on there is room for the names of agencies, and for titles.
_WIDE, _WIDER = 100, 130
_WIDEST_PERSON = 24


@dataclass(frozen=True, slots=True)
class Line:
    """One of the last entries."""

    at: datetime
    chain: str
    event: str
    person: str


@dataclass(frozen=True, slots=True)
class View:
    """What the board shows."""

    counts: dict[str, int]
    deadlines: Sequence[Summary]
    running: int
    entries: Sequence[Line]
    agencies: dict[str, tuple[str, str]]


def read(engine: Engine) -> View:
    """Ask the read model and the log's end."""
    with engine.connect() as connection:
        upcoming = queries.list_tasks(connection, limit=_MOST_DEADLINES)
        return View(
            queries.counts(connection),
            [task for task in upcoming if task.next_due],
            queries.running_deadlines(connection),
            [_line(data) for data in queries.last_entries(connection, _MOST_ENTRIES)],
            queries.agencies(connection),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """How it is shown: language, place, the screen's size, and how to reach Temporal's screens."""

    texts: Texts
    zone: ZoneInfo
    width: int
    height: int
    where: str

    @property
    def entries(self) -> int:
        return max(2, min(_MOST_ENTRIES, self.height // 5))

    @property
    def deadlines(self) -> int:
        return max(2, self.height - _FRAME - self.entries)


def render(view: View, frame: Frame, now: datetime) -> RenderableType:
    """The whole screen at ``now``."""
    texts = frame.texts
    at = f"{now.astimezone(frame.zone):%d/%m/%Y %H:%M:%S}"
    heading = Text.assemble(("dondoc", "bold"), "  ", at, "  ", (frame.where, "dim"))
    return Group(
        heading,
        _counts(view, texts),
        Panel(_deadlines(view, frame, now), title=_heading(view, frame), title_align="left"),
        Panel(_entries(view, frame), title=texts("board_entries"), title_align="left"),
        Text(texts("board_stop"), style="dim"),
    )


def _counts(view: View, texts: Texts) -> Text:
    """States that hold a task, and always how many are overdue."""
    line = Text()
    for state in State:
        if number := view.counts.get(state, 0):
            line.append(f"{texts(f'state_{state}')} ").append(str(number), "bold").append("   ")
    overdue = view.counts["overdue"]
    return line.append(f"{texts('board_overdue')} {overdue}", "bold red" if overdue else "dim")


def _heading(view: View, frame: Frame) -> str:
    """What the deadlines are, and how many of them there is room for."""
    texts, shown = frame.texts, min(frame.deadlines, len(view.deadlines))
    if shown == view.running:
        return texts("board_deadlines")
    return f"{texts('board_deadlines')} ({texts('board_some', shown=shown, all=view.running)})"


def _deadlines(view: View, frame: Frame, now: datetime) -> RenderableType:
    texts = frame.texts
    if not view.deadlines:
        return Text(texts("board_no_deadlines"), style="dim")
    table = Table(box=None, expand=True, pad_edge=False)
    for name in ("due", "left", "clock", "task"):
        table.add_column(texts(f"board_{name}"), no_wrap=True)
    for name, room, ratio in (("agency", _WIDE, 2), ("title", _WIDER, 3)):
        if frame.width >= room:
            table.add_column(texts(f"board_{name}"), no_wrap=True, overflow="ellipsis", ratio=ratio)
    for task in view.deadlines[: frame.deadlines]:
        cells = _deadline(task, view, frame, now)[: len(table.columns)]
        table.add_row(*map(_cell, cells), style=_style(task, now))
    return table


def _deadline(task: Summary, view: View, frame: Frame, now: datetime) -> tuple[str, ...]:
    texts = frame.texts
    due = parse_instant(task.next_due or "")
    names = view.agencies.get(task.lead, (task.lead, task.lead))
    return (
        texts.instant(due, frame.zone),
        texts.time_left(due - now),
        texts.clock(task.next_clock or ""),
        task.id,
        names[0 if texts.language == "vi" else 1],
        shown_title(texts, task),
    )


def _style(task: Summary, now: datetime) -> str:
    left = parse_instant(task.next_due or "") - now
    if task.overdue or left < timedelta(0):
        return "red"
    return "yellow" if left < _SOON else ""


def _entries(view: View, frame: Frame) -> Table:
    table = Table(box=None, show_header=False, expand=True, pad_edge=False)
    # What was done comes last and takes what room is left: an id cut short names nothing.
    for most in (None, None, _WIDEST_PERSON):
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=most)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for line in view.entries[: frame.entries]:
        cells = (
            f"{line.at.astimezone(frame.zone):%d/%m %H:%M:%S}",
            frame.texts.name("chain", line.chain),
            frame.texts.name("signer", line.person),
            frame.texts.name("event", line.event),
        )
        table.add_row(*map(_cell, cells))
    return table


def _cell(text: str) -> Text:
    """What people wrote is shown as it is: a title may have brackets, and they style nothing."""
    return Text(plain(text))


def _line(data: bytes) -> Line:
    entry = parse_entry(data)
    command, record = open_command(entry.command), open_record(entry.record)
    return Line(
        parse_instant(record.text("recorded_at")),
        record.subject.name.removeprefix("task:"),
        command.text("event"),
        record.text("person"),
    )
