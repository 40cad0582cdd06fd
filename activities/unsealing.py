"""From the bytes a person handed in to a command that may be judged: form, signature, openings.

All of it happens before any lock is taken.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.commitment import Opening, is_commitment
from audit.dsse import Envelope
from audit.entry import Subject, open_command
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed
from audit.submission import Submission
from domain import attestation
from domain import command as commands
from domain.attestation import SYSTEM_CHAINS
from domain.command import Command, read_command
from domain.directory import ADMINISTRATOR, CHAIN, Directory, check_purpose
from domain.lifecycle import EVENTS
from domain.refusal import Refused
from domain.secrecy import refuse_highest, refuse_highest_bytes

TASK_PREFIX = "task:"
# A workflow is named by it: Temporal takes at most 1,000 characters.
_TASK_ID = re.compile(r"(?=.*[0-9A-Za-z])[0-9A-Za-z-]{1,120}")


@dataclass(frozen=True, slots=True)
class Request:
    """A command with a sound form, a good signature and openings that fit."""

    command: Command
    subject: Subject
    envelope: Envelope
    openings: tuple[Opening, ...]
    received_at: datetime
    missing: tuple[str, ...] = ()
    """Digests of files that it names and nobody keeps."""


def unseal(
    submission: Submission, origin: str, directory: Directory, received_at: datetime
) -> Request:
    """Check everything about a submission that needs no look at the task. Raises Refused."""
    refuse_highest_in(submission)
    try:
        statement = open_command(submission.command)
        if statement.predicate["log"] != origin:
            raise Refused("other_log", log=str(statement.predicate["log"])[:80])
        chain = chain_of(statement.subject.name)
        command = read_command(chain, statement.predicate)
        key = _signer(command, directory, received_at)
        if command.key != key.id or not submission.command.verify(key):
            raise Refused("signature_wrong")
        _check_openings(command, submission.openings)
    except Malformed as error:
        raise Refused(error.code, detail=error.detail) from error
    return Request(command, statement.subject, submission.command, submission.openings, received_at)


def refuse_highest_in(submission: Submission) -> None:
    """Before anything else is said about it: other refusals may quote what they turn down."""
    refuse_highest_bytes(submission.command.payload)
    refuse_highest({opening.field: opening.value for opening in submission.openings})


def chain_of(subject: str) -> str:
    """The chain that a subject names: a task's id, or a chain about the log. Raises Malformed."""
    if subject in SYSTEM_CHAINS:
        return subject
    task = subject.removeprefix(TASK_PREFIX)
    if task in {subject, *SYSTEM_CHAINS} or _TASK_ID.fullmatch(task) is None:
        raise Malformed("subject_unknown", subject[:80])
    return task


def _signer(command: Command, directory: Directory, received_at: datetime) -> PublicKey:
    """The key that must have signed, once it counts and is for such commands."""
    if command.task == CHAIN and command.event == "found":
        # The first entry brings its own key: it is trusted because the log's key vouches for it.
        return _founder(command.arguments)
    key = directory.key_in_force(command.key, received_at)
    if command.task == attestation.CHAIN:
        attestation.check_purpose(key.holder, command.event)
    else:
        check_purpose(key.holder, command.task, command.event)
    return load_public(base64.b64decode(key.spki))


def _founder(arguments: Mapping[str, Any]) -> PublicKey:
    try:
        return load_public(base64.b64decode(arguments[ADMINISTRATOR], validate=True))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("missing_argument", event="found", field=ADMINISTRATOR) from error


def _check_openings(command: Command, openings: Sequence[Opening]) -> None:
    """Words come with the command, each fitting its commitment; nothing else comes with it."""
    expected = _commitments(command)
    for name in expected.keys() ^ {opening.field for opening in openings}:
        raise Refused("opening_missing", field=name)
    for opening in openings:
        commands.check_text(opening.field, opening.value)
        commitment = expected[opening.field]
        if not is_commitment(commitment) or not opening.opens(commitment):
            raise Refused("opening_wrong", field=opening.field)


def _commitments(command: Command) -> dict[str, Any]:
    """The commitments in a command, by field. Only the steps of tasks have words."""
    if command.task in SYSTEM_CHAINS:
        return {}
    if command.event not in EVENTS:
        raise Refused("unknown_event", event=command.event)
    return {
        name: command.arguments[name]
        for name in commands.text_fields(command.event)
        if command.arguments.get(name) is not None
    }


def why_malformed(error: Malformed, data: bytes) -> Refused:
    """Why such bytes are turned down. What names the highest secrecy is not described further."""
    try:
        refuse_highest_bytes(data)
    except Refused as refusal:
        return refusal
    return Refused(error.code, detail=error.detail)
