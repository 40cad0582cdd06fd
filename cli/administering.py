"""What all commands of the directory's administrator share: look, sign, hand in, tell."""

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import normalize

import typer

from cli.options import read_day
from cli.session import Session
from domain.instants import format_instant
from domain.refusal import Refused

if TYPE_CHECKING:
    from cli.door import Receipt
    from domain.directory import Directory

Administrator = Annotated[
    Path | None,
    typer.Option("--administrator", metavar="FILE", help="opt_administrator", show_default=False),
]
Post = Annotated[str, typer.Argument(metavar="AGENCY:ROLE", help="opt_post")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="opt_from")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="opt_until")]

_DAY = timedelta(days=1)


def read_directory(session: Session) -> "tuple[Directory, str]":
    """The directory, and the digest of the log's founding. Raises Refused when there is none."""
    from activities.folding import header_of  # noqa: PLC0415 - not for --help
    from domain.directory import CHAIN  # noqa: PLC0415 - likewise
    from store import ledger  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        directory = session.directory(connection)
        last = ledger.read_chain(connection, CHAIN, directory.seq - 1)
    if not last:
        raise Refused("not_founded", data=str(session.home.path))
    return directory, header_of(last[0])


def change(
    session: Session, event: str, arguments: dict[str, Any], administrator: Path | None
) -> "Receipt":
    """Have a change of the directory recorded, signed by the administrator. Raises Refused.

    Texts are brought to NFC: keyboards and clipboards differ, the log takes one form.
    """
    from cli.door import hand_in  # noqa: PLC0415 - not for --help
    from cli.signing import open_key  # noqa: PLC0415 - likewise
    from domain.directory import ADMINISTRATOR  # noqa: PLC0415 - likewise
    from embedded.keyring import key_named, read_origin  # noqa: PLC0415 - likewise
    from gateway.composing import Signer, compose_change  # noqa: PLC0415 - likewise

    directory, founding = read_directory(session)
    if administrator is not None:
        key = open_key(session, administrator)
    else:
        key = key_named(session.home, directory, ADMINISTRATOR)
    signer = Signer(key, "log", ADMINISTRATOR)
    origin = read_origin(session.home)
    normal = _normal(arguments)
    return hand_in(session, compose_change(origin, founding, event, normal, signer, session.now))


def _normal(value: Any) -> Any:  # noqa: ANN401 - whatever arguments are made of
    match value:
        case str():
            return normalize("NFC", value)
        case dict():
            return {name: _normal(each) for name, each in value.items()}
        case list():
            return [_normal(each) for each in value]
    return value


def tell_change(session: Session, event: str, receipt: "Receipt", about: str) -> None:
    """Say that the entry is in the log."""
    record = receipt.record.predicate
    session.out.document(
        {"event": event, "about": about, "seq": record["seq"], "leaf": receipt.leaf}
    )
    what = session.texts.name("event", event)
    told = session.texts("directory_changed", what=what, about=about, leaf=receipt.leaf[:12])
    session.out.line(told)


def read_post(session: Session, text: str, option: str) -> tuple[str, str]:
    """An agency and a role there, written like snv:officer. Raises BadParameter."""
    agency, colon, role = text.rpartition(":")
    if not (agency and colon and role):
        reason = session.texts("misuse_role", value=text[:40])
        raise typer.BadParameter(reason, param_hint=option)
    return agency, role


def read_period(session: Session, from_: str | None, until: str | None) -> dict[str, str | None]:
    """The fields ``from`` and ``until``: from now on, and for good, unless said otherwise."""
    begins = _moment(session, from_, "--from", timedelta()) if from_ else session.now
    ends = _moment(session, until, "--until", _DAY) if until else None
    return {
        "from": format_instant(begins),
        "until": format_instant(ends) if ends else None,
    }


def _moment(session: Session, text: str, option: str, within_day: timedelta) -> datetime:
    """An instant (a local one when it names no zone), or a day: its beginning plus ``within_day``.

    Raises BadParameter.
    """
    if "T" in text:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            reason = session.texts("misuse_day", value=text[:40])
            raise typer.BadParameter(reason, param_hint=option) from error
        return moment if moment.tzinfo else moment.replace(tzinfo=session.zone)
    day = datetime.fromisoformat(read_day(session, text, option)).date() + within_day
    return datetime.combine(day, time(), session.zone)
