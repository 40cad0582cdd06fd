"""`dondoc task history`: every entry of a task, straight from the log."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.options import TaskId
from cli.reading import ReadAs, reader_of
from cli.session import Session
from domain.command import text_fields
from domain.instants import parse_instant

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from activities.words import Reader
    from store.ledger import Row

_SHORT = 12
_IN_TEXT = frozenset({"item", "rating", "channel", "percent", "lead", "due_on", "committed_on"})
"""Arguments worth a line; the header's are shown by `dondoc task show`."""


def history(session: Session, task: TaskId, as_: ReadAs = None) -> None:
    """The entries in order, with the words that were not erased and that the reader may open."""
    from cli.finding import find_task  # noqa: PLC0415 - not for --help
    from store import ledger  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        found = find_task(connection, task)
        rows = ledger.read_chain(connection, found.id)
        reader = reader_of(session, connection, found.secrecy, as_)
        entries = [_entry(connection, row, reader) for row in rows]
    session.out.document({"task": found.id, "entries": entries})
    for entry in entries:
        _show(session, entry)


def _entry(connection: "Connection", row: "Row", reader: "Reader") -> dict[str, Any]:
    from activities.words import words_of  # noqa: PLC0415 - see `history`
    from audit.entry import open_command, open_record, parse_entry  # noqa: PLC0415 - likewise

    entry = parse_entry(row.data)
    command = open_command(entry.command).predicate
    record = open_record(entry.record).predicate
    event, arguments, behalf = command["event"], command["arguments"], command["on_behalf"]
    read = words_of(connection, row.leaf, reader)
    given: Mapping[str, Any] = arguments if isinstance(arguments, dict) else {}
    worded = sorted(name for name in text_fields(str(event)) if given.get(name) is not None)
    return {
        "seq": row.seq,
        "event": event,
        "person": record["person"],
        "on_behalf": behalf,
        "from": record["from"],
        "to": record["to"],
        "received_at": record["received_at"],
        "recorded_at": record["recorded_at"],
        "deadlines": record["clocks"],
        "arguments": {name: value for name, value in given.items() if name not in worded},
        "texts": {
            name: read.opened[name].value if name in read.opened else None for name in worded
        },
        "sealed": sorted(read.closed | read.damaged),
        "leaf": row.leaf,
    }


def _show(session: Session, entry: Mapping[str, Any]) -> None:
    from activities.evidence import digests_in  # noqa: PLC0415 - see `history`

    texts, line = session.texts, session.out.line
    at = texts.moment(parse_instant(entry["received_at"]), session.zone)
    role = texts.name("role", entry["on_behalf"]["role"])
    before = texts.name("state", entry["from"] or "new")
    after = texts.name("state", entry["to"])
    moved = after if before == after else f"{before} → {after}"
    line(f"{entry['seq']:>3}  {at}  {texts.name('event', entry['event'])}", "bold")
    absent = entry["on_behalf"]["for"]
    instead = f", {texts('in_place_of', person=absent)}" if absent else ""
    line(f"     {entry['person']} ({role}{instead}) · {moved} · {entry['leaf'][:_SHORT]}", "dim")
    for name, value in entry["arguments"].items():
        if name in _IN_TEXT and entry["event"] != "register":
            line(f"     {texts.name('field', name)}: {_readable(session, name, value)}")
        elif name == "clock":
            line(f"     {texts('field_clock')}: {texts.clock(value)}")
    for digest in digests_in(entry["event"], entry["arguments"]):
        line(f"     {texts.name('field', 'evidence')}: {digest}")
    for name, words in entry["texts"].items():
        absent = texts("sealed" if name in entry["sealed"] else "erased")
        line(f"     {texts.name('field', name)}: {absent if words is None else words}")
    for name, clock in entry["deadlines"].items():
        if clock is None:
            line(f"     − {texts.clock(name)}", "dim")
        else:
            due = parse_instant(clock["due"])
            when = f"{texts.weekday(due, session.zone)} {texts.instant(due, session.zone)}"
            line(f"     + {texts.clock(name)}: {when}")


def _readable(session: Session, name: str, value: object) -> str:
    if name.endswith("_on"):
        year, month, day = str(value).split("-")
        return f"{day}/{month}/{year}"
    return session.texts.name(name, str(value))
