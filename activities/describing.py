"""What the log may say of a refused command, which anybody may have sent.

A signature is believed, and nothing else: without one, what a command claims may be words of
anybody's. A name is taken over only where the log has it already.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activities.jobs import Handed, Turned
from activities.unsealing import chain_of
from audit.dsse import Envelope
from audit.entry import Statement, command_digest, open_command
from audit.keys import load_public
from audit.malformed import Malformed
from domain import refused
from domain.attestation import KNOWN_EVENTS, SYSTEM_CHAINS
from domain.directory import CHAIN as DIRECTORY
from domain.directory import Directory
from domain.instants import format_instant
from domain.refusal import Refused
from domain.refused import CLAIMED_DIGITS, CODE_ALONE, REFUSED, ROLES, is_id

_OURS = frozenset({"key_not_held"})
"""What hinders the service itself, whoever asked."""

_BESIDE = ("opening_", "text_", "stamp_")
"""Codes about what stands beside the signed command."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What may be said of a refused command. Its chain may still be one that the log lacks."""

    arguments: dict[str, Any]
    actor: str | None
    at: datetime
    occasion: str | None

    @property
    def code(self) -> str:
        return str(self.arguments["code"])


def describe(
    job: Handed | Turned, refusal: Refused, origin: str, directory: Directory, now: datetime
) -> Refusal | None:
    """What may be said of a refused command; None when it was not the command that was refused."""
    envelope = job.submission.command if isinstance(job, Handed) else job.envelope
    statement = _opened(envelope)
    chain = job.task if isinstance(job, Turned) and job.task else _chain(statement)
    if refusal.code in _OURS and chain != DIRECTORY:
        return None
    at = min(job.received_at, now)
    digest = command_digest(envelope) if envelope else None
    occasion = f"{REFUSED}|{refusal.code}|{chain}|{digest}" if digest else None
    arguments = refused.alone(refusal.code, format_instant(at))
    if refusal.code in CODE_ALONE:
        return Refusal(arguments, None, at, occasion)
    # Words and stamps stand beside what was signed: whoever has seen the command can spoil them.
    spoilt = refusal.code.startswith(_BESIDE)
    astray = isinstance(job, Turned) and job.astray
    ours = None if astray or spoilt else origin
    actor, claimed = _giver(envelope, statement, ours, directory, at)
    predicate = statement.predicate if statement else {}
    behalf = predicate["on_behalf"] if actor else {}
    arguments |= {
        "chain": chain,
        "event": _known(predicate.get("event"), KNOWN_EVENTS),
        "actor": actor,
        "claimed": claimed,
        "agency": _known(behalf.get("agency"), filter(is_id, directory.agencies)),
        "role": _known(behalf.get("role"), ROLES),
        "command": digest,
        "door": job.door,
    }
    return Refusal(arguments, actor, at, occasion)


def without_unknown(each: Refusal, known: Iterable[str]) -> dict[str, Any]:
    """What is said of a refused command, without a chain that is not ``known``.

    The id of a task that the log lacks may be words of somebody's.
    """
    chain = _known(each.arguments["chain"], {*known, *SYSTEM_CHAINS})
    return {**each.arguments, "chain": chain}


def _giver(
    envelope: Envelope | None,
    statement: Statement | None,
    origin: str | None,
    directory: Directory,
    at: datetime,
) -> tuple[str | None, str | None]:
    """Whose command it was, if the signature proves it; else which known key it named, if any.

    A command for another log (``origin``) may have been brought here by anybody who saw it.
    """
    if envelope is None:
        return None, None
    key = str(statement.predicate["key"]) if statement else envelope.keyid
    if key not in directory.keys:
        return None, None
    if statement is not None and statement.predicate["log"] == origin:
        try:
            holder = directory.key_in_force(key, at)
            signed = envelope.verify(load_public(base64.b64decode(holder.spki)))
            if signed and is_id(holder.holder):
                return holder.holder, None
        except (Refused, Malformed):
            pass
    return None, key[:CLAIMED_DIGITS]


def _opened(envelope: Envelope | None) -> Statement | None:
    try:
        return open_command(envelope) if envelope else None
    except Malformed:
        return None


def _chain(statement: Statement | None) -> str | None:
    try:
        return chain_of(statement.subject.name) if statement else None
    except Malformed:
        return None


def _known(value: object, names: Iterable[str]) -> str | None:
    """The name, unless somebody made it up."""
    return value if isinstance(value, str) and value in names else None
