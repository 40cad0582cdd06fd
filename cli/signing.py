"""Who gives a command: the person, the role that fits, and the key that signs."""

import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import typer

from audit.private_keys import PrivateKey
from cli.session import Session
from domain.authority import permits, relations, roles_of
from domain.directory import Directory, Person
from domain.refusal import Refused
from domain.task import Role, Secrecy, Task
from embedded.keyring import (
    PASSPHRASE_VARIABLE,
    person_path,
    read_key,
    read_passphrase,
)
from gateway.composing import Signer

Opened = TypeVar("Opened")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says they are: the options --as, --role, --agency, --key and --for.

    ``key_file`` is a key of their own, PKCS#8 in PEM or PKCS#12; ``behalf`` the absent person in
    whose place they act.
    """

    person: str | None
    role: str | None = None
    agency: str | None = None
    key_file: Path | None = None
    behalf: str | None = None


def signer_for(
    session: Session, directory: Directory, event: str, task: Task | None, claim: Claim
) -> tuple[Person, Signer]:
    """The person and their signature for ``event``. Raises Refused, or BadParameter for nobody."""
    key = open_key(session, claim.key_file) if claim.key_file else None
    person = _person(session, directory, claim, key)
    posts = _posts(directory, person, claim.behalf, session.now)
    agency, role = _fitting(person, posts, event, task, claim)
    if key is None:
        key = open_key(session, person_path(session.home, person.id))
    return person, Signer(key, agency, role, claim.behalf)


def open_key(session: Session, path: Path) -> PrivateKey:
    """The key of a file, by the passphrase at hand, or by one that is asked for."""
    return opened(session, path, read_key)


def opened(session: Session, path: Path, read: Callable[[Path, bytes], Opened]) -> Opened:
    """What ``read`` makes of a key file and its passphrase. Raises Refused."""
    try:
        return read(path, read_passphrase(session.home))
    except Refused as refusal:
        asked = refusal.code in {"private_key_unreadable", "passphrase_missing"}
        # Only a person at a terminal can answer.
        if not asked or not path.exists() or session.out.as_json or not sys.stdin.isatty():
            raise
    return read(path, getpass.getpass(session.texts("ask_passphrase", path=path)).encode())


def ask_new_passphrase(session: Session, path: Path) -> bytes:
    """The passphrase for a key that is being made: of the environment, or asked for twice.

    Never that of the data directory: the key is a person's own. Raises Refused.
    """
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given.encode()
    if session.out.as_json or not sys.stdin.isatty():
        raise Refused("passphrase_missing", variable=PASSPHRASE_VARIABLE)
    first, again = (
        getpass.getpass(session.texts(code, path=path))
        for code in ("ask_passphrase", "ask_passphrase_again")
    )
    if not first or first != again:
        raise Refused("passphrases_differ")
    return first.encode()


def _person(session: Session, directory: Directory, claim: Claim, key: PrivateKey | None) -> Person:
    if key is not None:
        holder = directory.key_in_force(key.public.id, session.now).holder
        if holder not in directory.people:
            raise Refused("key_of_other_purpose", holder=holder)
        if claim.person not in {None, holder}:
            raise Refused("key_of_other", person=claim.person or "", holder=holder)
        return directory.people[holder]
    if claim.person is None:
        raise typer.BadParameter(session.texts("misuse_who"))
    person = directory.people.get(claim.person)
    if person is None:
        raise Refused("unknown_person", person=claim.person[:80])
    return person


def _posts(
    directory: Directory, person: Person, behalf: str | None, now: datetime
) -> frozenset[tuple[str, str]]:
    """The (agency, role) pairs in which the person may act, in the absent one's place or directly.

    Raises Refused for who stands in for nobody of that name.
    """
    if behalf is None:
        return person.roles_at(now)
    standing = directory.substitutions.get(person.id, ())
    found = frozenset(
        (each.agency, each.role)
        for each in standing
        if each.absent == behalf and each.period.covers(now)
    )
    if not found:
        raise Refused("stands_in_for_nobody", person=person.id, absent=behalf[:80])
    return found


def _fitting(
    person: Person,
    posts: frozenset[tuple[str, str]],
    event: str,
    task: Task | None,
    claim: Claim,
) -> tuple[str, str]:
    """The (agency, role) in whose name the step is made: the only one that fits."""
    needed = roles_of(event)
    held = sorted(
        (agency, role)
        for agency, role in posts
        if role in needed and claim.role in {None, role} and claim.agency in {None, agency}
    )
    # An officer of two agencies acts for the one that has the task; if none has, the door says so.
    fitting = [pair for pair in held if _responsible(event, task, *pair)] or held
    if not fitting:
        roles = ", ".join(sorted(needed))
        raise Refused("no_fitting_role", person=person.id, event=event, needed=roles)
    if len(fitting) > 1:
        found = ", ".join(f"{role} ({agency})" for agency, role in fitting)
        raise Refused("several_roles", person=person.id, event=event, found=found)
    return fitting[0]


def _responsible(event: str, task: Task | None, agency: str, role: str) -> bool:
    held = relations(task, agency)
    return permits(event, Role(role), held, Secrecy.NORMAL, Secrecy.NORMAL)
