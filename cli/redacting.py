"""`dondoc audit redact|shred`: have the words behind one commitment, or all words of a task,
erased; the log still verifies.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import TaskId, check_choice
from cli.session import Session
from domain.attestation import CHAIN, ERASE, REASONS, SHRED
from domain.refusal import Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from audit.private_keys import PrivateKey
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
    from cli.finding import find_task  # noqa: PLC0415 - not for --help

    check_choice(session, reason, REASONS, "--reason")
    with session.reading() as connection:
        found = find_task(connection, task).id
        entry = _entry(connection, found, seq, field)
        header = _header(connection)
        key = _administrator_key(session, connection, administrator)
    named = session.texts.name("field", field)
    if not yes:
        _confirm(session, session.texts("ask_erase", task=found, seq=seq, field=named))
    arguments = {"field": field, "leaf": entry.leaf, "reason": reason}
    leaf = _attest(session, key, header, ERASE, arguments)
    session.out.document(
        {"task": found, "seq": seq, "field": field, "reason": reason, "leaf": leaf}
    )
    session.out.line(
        session.texts("words_erased", task=found, seq=seq, field=named, leaf=leaf[:12])
    )


def shred(
    session: Session,
    task: TaskId,
    reason: Annotated[
        str, typer.Option("--reason", metavar="|".join(REASONS), help="opt_erase_reason")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="opt_yes")] = False,  # noqa: FBT002 - a switch
    administrator: _Administrator = None,
) -> None:
    """The same for all words that a task has now, with the keys to sealed ones."""
    from cli.finding import find_task  # noqa: PLC0415 - not for --help

    check_choice(session, reason, REASONS, "--reason")
    with session.reading() as connection:
        found = find_task(connection, task)
        header = _header(connection)
        key = _administrator_key(session, connection, administrator)
    if not yes:
        _confirm(session, session.texts("ask_shred", task=found.id, seq=found.seq))
    arguments = {"reason": reason, "task": found.id, "through": found.seq}
    leaf = _attest(session, key, header, SHRED, arguments)
    session.out.document({"task": found.id, "seq": found.seq, "reason": reason, "leaf": leaf})
    session.out.line(session.texts("words_shredded", task=found.id, seq=found.seq, leaf=leaf[:12]))


def _attest(
    session: Session,
    key: "PrivateKey",
    header: str | None,
    event: str,
    arguments: dict[str, Any],
) -> str:
    """Hand in the erasure, signed; the leaf hash of its entry. Raises Refused."""
    from cli.door import hand_in  # noqa: PLC0415 - not for --help
    from domain.directory import ADMINISTRATOR  # noqa: PLC0415 - likewise
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise
    from gateway.composing import Signer, compose_attestation  # noqa: PLC0415 - likewise

    signer = Signer(key, "log", ADMINISTRATOR)
    origin = read_origin(session.home)
    submission = compose_attestation(origin, header, event, arguments, signer, session.now)
    return hand_in(session, submission).leaf


def _entry(connection: "Connection", task: str, seq: int, field: str) -> "Row":
    """The entry whose words are meant. Raises Refused when there are none."""
    from activities.erasing import has_words  # noqa: PLC0415 - not for --help
    from store import ledger  # noqa: PLC0415 - likewise

    rows = ledger.read_chain(connection, task, seq - 1)
    if not rows or not has_words(connection, rows[0].leaf, field):
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


def _confirm(session: Session, asked: str) -> None:
    """Ask the person at the terminal. Raises Refused unless they agree."""
    if session.out.as_json or not sys.stdin.isatty():
        raise Refused("confirmation_missing")
    if not typer.confirm(asked, err=True):
        raise Refused("not_confirmed")
