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
from messages import Texts
from store import queries
from store.queries import Summary

_DEADLINES = 12
_ENTRIES = 8
_SOON = timedelta(days=1)


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
    entries: Sequence[Line]
    agencies: dict[str, tuple[str, str]]


def read(engine: Engine) -> View:
    """Ask the read model and the log's end."""
    with engine.connect() as connection:
        upcoming = queries.list_tasks(connection, limit=_DEADLINES)
        return View(
            queries.counts(connection),
            [task for task in upcoming if task.next_due],
            [_line(data) for data in queries.last_entries(connection, _ENTRIES)],
            queries.agencies(connection),
        )


def render(view: View, texts: Texts, now: datetime, zone: ZoneInfo, where: str) -> RenderableType:
    """The whole screen. ``where`` says how to reach Temporal's own screens."""
    heading = Text.assemble(
        ("dondoc", "bold"), "  ", f"{now.astimezone(zone):%d/%m/%Y %H:%M:%S}", "  ", (where, "dim")
    )
    return Group(
        heading,
        _counts(view, texts),
        Panel(
            _deadlines(view, texts, now, zone), title=texts("board_deadlines"), title_align="left"
        ),
        Panel(_entries(view, texts, zone), title=texts("board_entries"), title_align="left"),
        Text(texts("board_stop"), style="dim"),
    )


def _counts(view: View, texts: Texts) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    row = []
    for state in State:
        table.add_column(texts(f"state_{state}"), justify="right")
        row.append(str(view.counts.get(state, 0)))
    table.add_column(texts("board_overdue"), justify="right", style="bold red")
    table.add_row(*row, str(view.counts["overdue"]), style="bold")
    return table


def _deadlines(view: View, texts: Texts, now: datetime, zone: ZoneInfo) -> RenderableType:
    if not view.deadlines:
        return Text(texts("board_no_deadlines"), style="dim")
    table = Table(box=None, expand=True, pad_edge=False)
    for name in ("due", "left", "clock", "task", "agency", "title"):
        table.add_column(
            texts(f"board_{name}"),
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if name == "title" else None,
        )
    for task in view.deadlines:
        due = parse_instant(task.next_due or "")
        left = due - now
        style = "red" if left < timedelta(0) or task.overdue else "yellow" if left < _SOON else ""
        agency = view.agencies.get(task.lead, (task.lead, task.lead))
        table.add_row(
            texts.instant(due, zone),
            texts.time_left(left),
            texts(f"clock_{(task.next_clock or '').partition(':')[0]}"),
            task.id,
            agency[0 if texts.language == "vi" else 1],
            task.title,
            style=style,
        )
    return table


def _entries(view: View, texts: Texts, zone: ZoneInfo) -> Table:
    table = Table(box=None, show_header=False, expand=True, pad_edge=False)
    for _ in range(4):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for line in view.entries:
        table.add_row(
            f"{line.at.astimezone(zone):%d/%m %H:%M:%S}",
            texts(f"event_{line.event}"),
            line.chain,
            line.person,
        )
    return table


def _line(data: bytes) -> Line:
    entry = parse_entry(data)
    command, record = open_command(entry.command), open_record(entry.record)
    return Line(
        parse_instant(record.text("recorded_at")),
        record.subject.name.removeprefix("task:"),
        command.text("event"),
        record.text("person"),
    )
