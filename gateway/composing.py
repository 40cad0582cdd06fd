"""Writing a command on behalf of the person who signs it: the client's half of the door.

Words become salted commitments, the task's version is bound in, and the whole is signed with the
person's own key. Nothing here needs the service.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import normalize

from activities.unsealing import TASK_PREFIX
from audit.commitment import SALT_BYTES, Opening
from audit.directory import enrolment_text
from audit.entry import Subject, header_digest
from audit.private_keys import PrivateKey
from audit.signing import sign_command
from audit.submission import Submission
from domain import attestation
from domain.command import FIELDS, check_arguments, check_text, text_fields
from domain.directory import CHAIN
from domain.instants import format_instant
from domain.refusal import Refused
from domain.secrecy import refuse_highest
from domain.task import Task

Random = Callable[[int], bytes]


@dataclass(frozen=True)
class Signer:
    """A person who signs: the key, and in whose name; ``behalf`` is the absent person, if any."""

    key: PrivateKey = field(repr=False)
    agency: str
    role: str
    behalf: str | None = None


def compose(
    origin: str,
    target: Task | str,
    event: str,
    arguments: Mapping[str, Any],
    signer: Signer,
    now: datetime,
    random: Random = secrets.token_bytes,
) -> Submission:
    """A signed command on ``target``: the task as the person saw it, or the id of a new one.

    ``arguments`` are plain values; texts are brought to NFC. Raises Refused when they don't fit.
    """
    refuse_highest(dict(arguments))
    if event not in FIELDS:
        raise Refused("unknown_event", event=event)
    openings = tuple(
        Opening(name, normalize("NFC", str(arguments[name])), random(SALT_BYTES))
        for name in sorted(text_fields(event))
        if arguments.get(name) is not None
    )
    for opening in openings:
        check_text(opening.field, opening.value)
    committed = {name: value for name, value in arguments.items() if value is not None}
    committed |= {opening.field: opening.commitment for opening in openings}
    check_arguments(event, committed)
    predicate = _predicate(origin, event, committed, signer, now, random)
    if isinstance(target, Task):
        subject = Subject(TASK_PREFIX + target.id, target.header)
        predicate["seen"] = {"digest": target.seen, "version": target.version}
    else:
        subject = Subject(TASK_PREFIX + target, header_digest(committed))
        predicate["seen"] = None
    return Submission(sign_command(subject, predicate, signer.key), openings)


def compose_change(
    origin: str,
    founding: Mapping[str, Any] | str | None,
    event: str,
    arguments: Mapping[str, Any],
    signer: Signer,
    now: datetime,
    random: Random = secrets.token_bytes,
) -> Submission:
    """A signed change of the directory. ``founding`` are the arguments of its first entry, which
    name the chain, or their digest; None for that entry itself.
    """
    header = founding if isinstance(founding, str) else header_digest(founding or arguments)
    subject = Subject(CHAIN, header)
    return _about_log(origin, subject, event, arguments, signer, now, random)


def prove_enrolment(origin: str, person: str, key: PrivateKey) -> str:
    """What a person's new key signs to come into the directory: the argument ``proof`` of `enrol`
    and `rotate`.
    """
    text = enrolment_text(origin, person, key.public.id)
    return base64.b64encode(key.sign(text)).decode()


def compose_attestation(
    origin: str,
    header: str | None,
    event: str,
    arguments: Mapping[str, Any],
    signer: Signer,
    now: datetime,
    random: Random = secrets.token_bytes,
) -> Submission:
    """A signed attestation, such as an erasure. ``header`` is the digest that names the chain; None
    for its first entry.
    """
    subject = Subject(attestation.CHAIN, header or header_digest(arguments))
    return _about_log(origin, subject, event, arguments, signer, now, random)


def _about_log(
    origin: str,
    subject: Subject,
    event: str,
    arguments: Mapping[str, Any],
    signer: Signer,
    now: datetime,
    random: Random,
) -> Submission:
    predicate = _predicate(origin, event, dict(arguments), signer, now, random) | {"seen": None}
    return Submission(sign_command(subject, predicate, signer.key))


def _predicate(
    origin: str,
    event: str,
    arguments: dict[str, Any],
    signer: Signer,
    now: datetime,
    random: Random,
) -> dict[str, Any]:
    return {
        "arguments": arguments,
        "event": event,
        "id": random(16).hex(),
        "issued_at": format_instant(now),
        "log": origin,
        "on_behalf": {"agency": signer.agency, "for": signer.behalf, "role": signer.role},
    }
