"""What the service's own clock commands: deadlines that ran out, and statements about the log."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from activities.folding import header_of
from activities.jobs import Attest
from activities.signing import LogKeys
from activities.unsealing import TASK_PREFIX, Request
from audit.canonical import JsonLike
from audit.entry import Subject, header_digest, open_command
from audit.signing import sign_command
from domain import attestation
from domain.command import read_command
from domain.directory import CLOCK, Directory
from domain.instants import format_instant
from domain.task import Role, Task
from store.ledger import Row


def lapse_request(keys: LogKeys, directory: Directory, task: Task, name: str) -> Request:
    """It is issued and received on the deadline that it speaks of: how late the service carried it
    out shows in ``recorded_at`` alone. Raises Refused when the clock's key is not here.
    """
    clock = task.clocks[name]
    due = format_instant(clock.due)
    statement: dict[str, JsonLike] = {
        "arguments": {"clock": name, "due": due},
        "event": "lapse",
        "seen": {"digest": task.seen, "version": task.version},
    }
    subject = Subject(TASK_PREFIX + task.id, task.header)
    occasion = f"{task.id}|{name}|{due}|{task.seq}"
    return _request(keys, directory, subject, statement, clock.due, occasion)


def attest_request(keys: LogKeys, directory: Directory, job: Attest, last: Row | None) -> Request:
    """A statement behind ``last``, the last entry of the chain of attestations. Raises Refused when
    the clock's key is not here.
    """
    header = header_of(last) if last else header_digest(job.arguments)
    statement: dict[str, JsonLike] = {
        "arguments": job.arguments, "event": job.event, "seen": None,
    }  # fmt: skip
    subject = Subject(attestation.CHAIN, header)
    at_that_time = f"{job.event}|{format_instant(job.at)}|{last.seq if last else 0}"
    occasion = f"{attestation.CHAIN}|{job.occasion or at_that_time}"
    return _request(keys, directory, subject, statement, job.at, occasion)


def _request(
    keys: LogKeys,
    directory: Directory,
    subject: Subject,
    statement: Mapping[str, JsonLike],
    at: datetime,
    occasion: str,
) -> Request:
    """A command issued and received ``at`` that instant."""
    key = keys.named(directory, CLOCK)
    identity = f"{keys.origin}|{occasion}"
    predicate: dict[str, JsonLike] = {
        **statement,
        # The same for the same occasion, and nobody else's to guess and use up beforehand.
        "id": hashlib.sha256(key.sign(identity.encode())).hexdigest()[:32],
        "issued_at": format_instant(at),
        "log": keys.origin,
        "on_behalf": {"agency": CLOCK, "for": None, "role": str(Role.CLOCK)},
    }
    envelope = sign_command(subject, predicate, key)
    chain = subject.name.removeprefix(TASK_PREFIX)
    command = read_command(chain, open_command(envelope).predicate)
    return Request(command, subject, envelope, (), at)
