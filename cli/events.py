"""One command for each step of the lifecycle, generated from the events and their fields."""

import errno
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import As, KeyFile, TaskId
from cli.registry import add_command, keyword
from cli.session import Session
from domain.authority import roles_of
from domain.command import FIELDS, Field, Kind
from domain.lifecycle import EVENTS, Event

if TYPE_CHECKING:
    from cli.door import Receipt

NOT_BY_HAND = frozenset({"register", "lapse"})
"""`dondoc import` registers; only the service's own clock lets a deadline pass."""

_SHORT = 12
_METAVARS = {Kind.DATE: "metavar_day", Kind.TEXT: "metavar_text", Kind.DIGESTS: "metavar_digest"}

_FILE = Annotated[
    list[Path] | None, typer.Option("--file", metavar="FILE", help="opt_evidence_file")
]


def add_all(app: typer.Typer, session: Session) -> None:
    """Add ``dondoc task EVENT`` for every event that a person may cause."""
    for event in EVENTS.values():
        if event.name not in NOT_BY_HAND:
            _add(app, session, event)


def command_name(event: str) -> str:
    return event.replace("_", "-")


def _add(app: typer.Typer, session: Session, event: Event) -> None:
    def perform(session: Session, **options: Any) -> None:  # noqa: ANN401 - as Typer read them
        _perform(session, event.name, options)

    texts = session.texts
    help_text = texts(
        "help_event",
        what=texts.name("event", event.name),
        roles=", ".join(texts.name("role", role) for role in sorted(roles_of(event.name))),
        states=", ".join(texts.name("state", state) for state in event.sources),
        source=event.source.replace("Art.", texts("source_article")),
    )
    add_command(
        app,
        session,
        command_name(event.name),
        perform,
        help_text=help_text,
        short_help=texts.name("event", event.name),
        panel=texts("panel_steps"),
        parameters=_parameters(session, event.name),
    )


def _parameters(session: Session, event: str) -> list[inspect.Parameter]:
    fields = [_option(session, name, field) for name, field in FIELDS[event].items()]
    who = session.texts("panel_who")
    role = Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="opt_role", rich_help_panel=who)
    ]
    agency = Annotated[
        str | None, typer.Option("--agency", metavar="ID", help="opt_agency", rich_help_panel=who)
    ]
    absent = typer.Option("--for", metavar="PERSON", help="opt_for", rich_help_panel=who)
    behalf = Annotated[str | None, absent]
    receipt = Annotated[Path | None, typer.Option("--receipt", metavar="FILE", help="opt_receipt")]
    return [
        keyword("task", TaskId),
        *fields,
        *([keyword("file", _FILE, default=None)] if _digests(event) else []),
        keyword("as_", As, default=None),
        keyword("key", KeyFile, default=None),
        keyword("for_", behalf, default=None),
        keyword("role", role, default=None),
        keyword("agency", agency, default=None),
        keyword("receipt", receipt, default=None),
    ]


def _digests(event: str) -> str | None:
    """The field that names files, if the event has one."""
    return next((n for n, f in FIELDS[event].items() if f.kind is Kind.DIGESTS), None)


def _option(session: Session, name: str, field: Field) -> inspect.Parameter:
    kind: Any = str
    if field.kind is Kind.PERCENT:
        kind = int
    elif field.kind in {Kind.IDS, Kind.DIGESTS}:
        kind = list[str]
    metavar = "|".join(field.codes) or None
    if field.kind in _METAVARS:
        metavar = session.texts(_METAVARS[field.kind])
    option = typer.Option(
        f"--{command_name(name)}",
        help=f"opt_field_{name}",
        metavar=metavar,
        autocompletion=_offering(field.codes) if field.codes else None,
    )
    default = inspect.Parameter.empty if field.required else None
    return keyword(name, Annotated[kind if field.required else kind | None, option], default)


def _offering(codes: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [code for code in codes if code.startswith(incomplete)]

    return complete


def _perform(session: Session, event: str, options: Mapping[str, Any]) -> None:
    """Sign the step in the person's name, hand it in, and show what came of it."""
    from cli.door import hand_in  # noqa: PLC0415 - keys and database only now
    from cli.files import hand_in_files  # noqa: PLC0415 - likewise
    from cli.finding import find_task  # noqa: PLC0415 - likewise
    from cli.signing import Claim, signer_for  # noqa: PLC0415 - likewise
    from cli.values import read_arguments  # noqa: PLC0415 - likewise
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise
    from gateway.composing import compose  # noqa: PLC0415 - likewise

    if options["receipt"] is not None:
        _check_place(options["receipt"])
    arguments = read_arguments(session, event, options)
    with session.reading() as connection:
        task = find_task(connection, options["task"])
        directory = session.directory(connection)
    claim = Claim(
        options["as_"], options["role"], options["agency"], options["key"], options["for_"]
    )
    person, signer = signer_for(session, directory, event, task, claim)
    if options.get("file") and (field := _digests(event)):
        handed = hand_in_files(session, task, options["file"])
        arguments[field] = [*options[field], *handed] if options[field] else handed
    origin = read_origin(session.home)
    submission = compose(origin, task, event, arguments, signer, session.now)
    receipt = hand_in(session, submission)
    kept = options["receipt"] or _place(session, task.id, receipt)
    kept.write_bytes(receipt.data)
    _show(session, task.id, event, person.id, receipt, kept)
    session.out.line(
        session.texts("receipt_kept", path=str(kept), leaf=receipt.leaf[:_SHORT]), "dim"
    )


def _check_place(file: Path) -> None:
    """Raise OSError now, not when the step is recorded already."""
    if not file.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))


def _place(session: Session, task: str, receipt: "Receipt") -> Path:
    """Where a receipt is kept that nobody named a file for."""
    folder = session.home.receipts
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{task}-{receipt.record.predicate['seq']}.json"


def _show(
    session: Session, task: str, event: str, person: str, receipt: "Receipt", kept: Path
) -> None:
    from domain.instants import format_instant  # noqa: PLC0415 - see `_perform`
    from store import queries  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        after = queries.get_task(connection, task)
    nearest = after.next_clock if after else None
    texts, record = session.texts, receipt.record.predicate
    next_text = texts("no_deadline")
    if nearest is not None:
        name, clock = nearest
        due = texts.instant(clock.due, session.zone)
        next_text = f"{texts.clock(name)}, {texts.weekday(clock.due, session.zone)} {due}"
    session.out.line(
        texts(
            "step_recorded" if record["from"] != record["to"] else "step_recorded_here",
            what=texts.name("event", event),
            task=task,
            state=texts.name("state", str(record["to"])),
            deadline=next_text,
        )
    )
    deadline = {"clock": nearest[0], "due": format_instant(nearest[1].due)} if nearest else None
    session.out.document(
        {
            "task": task,
            "event": event,
            "person": person,
            "from": record["from"],
            "to": record["to"],
            "seq": record["seq"],
            "received_at": record["received_at"],
            "leaf": receipt.leaf,
            "receipt": str(kept),
            "next_deadline": deadline,
        }
    )
