"""Who reads sealed words at this terminal: with which key, and up to which level."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.completing import complete_person
from cli.session import Session
from domain.refusal import Refused
from domain.secrecy import covers, is_protected
from domain.task import Secrecy

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from activities.words import Reader
    from domain.directory import Directory
    from vault.keys import ReadingKey

ReadAs = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="PERSON", help="opt_reader", envvar="DONDOC_AS",
        autocompletion=complete_person,
    ),
]  # fmt: skip


def clearance_of(directory: "Directory", person: str | None) -> Secrecy:
    """The level up to which a person may read: the one the directory says, if they are still there.
    Who names nobody and brings the key keeps the vault.
    """
    if person is None:
        return Secrecy.TOP_SECRET
    found = directory.people.get(person)
    return Secrecy.NORMAL if found is None or found.left is not None else found.clearance


def reader_of(
    session: Session, connection: "Connection", level: Secrecy, person: str | None
) -> "Reader":
    """The reader of a task of this level. Without the key, or not cleared, it is one who sees what
    stands in clear. Raises Refused when the key that DONDOC_VAULT_KEY names does not open.
    """
    from activities.words import Reader, cleared  # noqa: PLC0415 - not for --help

    if not is_protected(level):
        return Reader()
    clearance = clearance_of(session.directory(connection), person)
    if not covers(clearance, level):
        return Reader()
    return Reader(key_at_hand(session), cleared(clearance))


def key_at_hand(session: Session) -> "ReadingKey | None":
    """The key that opens words, opened with the passphrase at hand or one that is asked for; None
    when there is none. Raises Refused when DONDOC_VAULT_KEY names one that does not open.
    """
    from embedded.keyring import read_passphrase  # noqa: PLC0415 - not for --help
    from embedded.vaulting import is_named, read_reading_key, reading_key_path  # noqa: PLC0415 - likewise

    path = reading_key_path(session.home)
    if path is None:
        return None
    try:
        return read_reading_key(session.home, read_passphrase(session.home))
    except Refused as refusal:
        asked = refusal.code in {"vault_key_unreadable", "passphrase_missing"}
        if not asked or session.out.as_json or not sys.stdin.isatty():
            # The key beside the others may well be none of the reader's.
            if is_named():
                raise
            return None
    passphrase = getpass.getpass(session.texts("ask_passphrase", path=path)).encode()
    return read_reading_key(session.home, passphrase)
