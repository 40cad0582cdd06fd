"""Handing a signed command in at the door of the running service, and checking the receipt."""

import base64
import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from activities.unsealing import TASK_PREFIX
from audit.entry import (
    Entry,
    Statement,
    command_digest,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
)
from audit.keys import load_public
from audit.malformed import Malformed
from audit.submission import Submission, format_submission
from cli.session import Session
from domain.directory import LOG
from domain.refusal import Refused
from embedded.keyring import read_public

_PATIENCE_SECONDS = 30.0
_CONFLICT, _UNAVAILABLE = 409, 503
_AGAIN_SECONDS, _AGAIN_FOR_SECONDS = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """The entry that the log made of a command, signed by the log."""

    data: bytes
    leaf: str
    record: Statement


def hand_in(session: Session, submission: Submission) -> Receipt:
    """Have a command recorded. Raises Refused: by the rules, or because no service runs."""
    running = session.home.read_running()
    if running is None:
        raise Refused("not_running", data=str(session.home.path))
    task = open_command(submission.command).subject.name.removeprefix(TASK_PREFIX)
    data, patience = format_submission(submission), time.monotonic() + _AGAIN_FOR_SECONDS
    status, body = _post(session, running.door, data, task)
    while status == _UNAVAILABLE and time.monotonic() < patience:
        # With the door's stamp on it, it counts as received when it was handed in first.
        data = _stamped(body) or data
        time.sleep(_AGAIN_SECONDS)
        status, body = _post(session, running.door, data, task)
    if status == _CONFLICT:
        raise refusal_of(body, status)
    if status != http.client.OK:
        raise Refused("door_failed", status=status)
    return _checked(session, body, submission)


def _post(session: Session, door: str, data: bytes, task: str) -> tuple[int, bytes]:
    address = urlsplit(door)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_PATIENCE_SECONDS
    )
    try:
        connection.connect()
    except OSError as error:
        raise Refused("not_running", data=str(session.home.path)) from error
    try:
        connection.request(
            "POST", "/commands", body=data, headers={"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        # It may have been recorded: only the log can tell.
        raise Refused("door_silent", task=task) from error
    finally:
        connection.close()


def _stamped(body: bytes) -> bytes | None:
    try:
        answer: Any = json.loads(body)
        return str(answer["stamped"]).encode()
    except (ValueError, KeyError, TypeError):
        return None


def refusal_of(body: bytes, status: int) -> Refused:
    """Why the door did not do it."""
    try:
        answer: Any = json.loads(body)
        return Refused(str(answer["refused"]), **{str(k): v for k, v in answer["facts"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refused("door_failed", status=status)


def _checked(session: Session, body: bytes, submission: Submission) -> Receipt:
    """Believe the log's signature, not the port: another program may listen there by now."""
    sent = command_digest(submission.command)
    try:
        entry = parse_entry(body)
        record = open_record(entry.record)
        if not _is_signed(session, entry) or record.predicate["command"] != sent:
            raise Refused("receipt_wrong")
    except Malformed as error:
        raise Refused("receipt_wrong") from error
    return Receipt(body, leaf_hash(body), record)


def _is_signed(session: Session, entry: Entry) -> bool:
    """Whether the log signed the record: with the key it was founded with, or one that came later.

    The directory is read from the service's own database, and believed when it begins with the key
    that we know.
    """
    founded = read_public(session.home.log_key)
    if any(entry.record.verify(key) for key in (founded, *session.log_keys)):
        return True
    with session.reading() as connection:
        keys = session.directory(connection).keys.values()
    spkis = [base64.b64decode(key.spki) for key in keys if key.holder == LOG]
    if founded.spki not in spkis[:1]:
        return False
    session.log_keys = tuple(map(load_public, spkis))
    return any(entry.record.verify(key) for key in session.log_keys)
