"""`dondoc audit redact`: have the words behind one commitment erased; the log still verifies."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import TaskId, check_choice
from cli.session import Session
from domain.attestation import CHAIN, ERASE, REASONS
from domain.refusal import Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from audit.keys import PrivateKey
    from store.ledger import Row

_Administrator = Annotated[
    Path | None,
    typer.Option("--administrator", metavar="FILE", help="opt_administrator", show_default=False),
]


def redact(
    session: Session,
    task: TaskId,
    seq: Annotated[int, typer.Argument(metavar="SEQ", help="opt_seq", min=1)],
    field: Annotated[str, typer.Argument(metavar="FIELD", help="opt_erased_field")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="|".join(REASONS), help="opt_erase_reason")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="opt_yes")] = False,  # noqa: FBT002 - a switch
    administrator: _Administrator = None,
) -> None:
    """Sign the erasure with the administrator's key, and have the service carry it out."""
    from cli.door import hand_in  # noqa: PLC0415 - not for --help
    from cli.finding import find_task  # noqa: PLC0415 - likewise
    from domain.directory import ADMINISTRATOR  # noqa: PLC0415 - likewise
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise
    from gateway.composing import Signer, compose_attestation  # noqa: PLC0415 - likewise

    check_choice(session, reason, REASONS, "--reason")
    with session.reading() as connection:
        found = find_task(connection, task).id
        entry = _entry(connection, found, seq, field)
        header = _header(connection)
        key = _administrator_key(session, connection, administrator)
    if not yes:
        _confirm(session, found, seq, field)
    arguments = {"field": field, "leaf": entry.leaf, "reason": reason}
    signer = Signer(key, "log", ADMINISTRATOR)
    origin = read_origin(session.home)
    submission = compose_attestation(origin, header, ERASE, arguments, signer, session.now)
    receipt = hand_in(session, submission)
    session.out.document(
        {"task": found, "seq": seq, "field": field, "reason": reason, "leaf": receipt.leaf}
    )
    named = session.texts.name("field", field)
    session.out.line(
        session.texts("words_erased", task=found, seq=seq, field=named, leaf=receipt.leaf[:12])
    )


def _entry(connection: "Connection", task: str, seq: int, field: str) -> "Row":
    """The entry whose words are meant. Raises Refused when there are none."""
    from store import ledger  # noqa: PLC0415 - not for --help

    rows = ledger.read_chain(connection, task, seq - 1)
    if not rows or not ledger.is_opened(connection, rows[0].leaf, field):
        raise Refused("nothing_to_erase", field=field[:80])
    return rows[0]


def _header(connection: "Connection") -> str | None:
    """What names the chain of attestations; None while it has no entry."""
    from activities.folding import header_of  # noqa: PLC0415 - not for --help
    from store import ledger  # noqa: PLC0415 - likewise

    seq, _ = ledger.heads(connection, [CHAIN]).get(CHAIN, (0, ""))
    return header_of(ledger.read_chain(connection, CHAIN, seq - 1)[0]) if seq else None


def _administrator_key(
    session: Session, connection: "Connection", file: Path | None
) -> "PrivateKey":
    from cli.signing import open_key  # noqa: PLC0415 - not for --help
    from domain.directory import ADMINISTRATOR  # noqa: PLC0415 - likewise
    from embedded.keyring import key_named  # noqa: PLC0415 - likewise

    if file is not None:
        return open_key(session, file)
    return key_named(session.home, session.directory(connection), ADMINISTRATOR)


def _confirm(session: Session, task: str, seq: int, field: str) -> None:
    """Ask the person at the terminal. Raises Refused unless they agree."""
    if session.out.as_json or not sys.stdin.isatty():
        raise Refused("confirmation_missing")
    named = session.texts.name("field", field)
    asked = session.texts("ask_erase", task=task, seq=seq, field=named)
    if not typer.confirm(asked, err=True):
        raise Refused("not_confirmed")
