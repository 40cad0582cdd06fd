"""The entry of a command that was judged: chained to the last one, its record signed by the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from activities.signing import LogKeys
from activities.unsealing import Request
from audit.canonical import JsonLike
from audit.entry import Entry, command_digest, format_entry, leaf_hash
from audit.malformed import Malformed
from audit.private_keys import PrivateKey
from audit.signing import sign_record
from domain.command import ASSURED_AS_SERVICE
from domain.decide import RULES_VERSION
from domain.directory import LOG, Directory
from domain.instants import format_instant
from domain.refusal import Refused
from store.ledger import Row


@dataclass(frozen=True, slots=True)
class Claim:
    """What a record says about a step that was judged, beside the command itself.

    ``calendar`` is the version that deadlines were reckoned by; ``recorded_at`` is in UTC.
    """

    person: str
    before: str | None
    after: str
    clocks: Mapping[str, JsonLike]
    calendar: str
    recorded_at: datetime
    assurance: str = ASSURED_AS_SERVICE


def chained(
    keys: LogKeys, directory: Directory, request: Request, claim: Claim, head: tuple[int, str]
) -> Row:
    """The entry behind ``head``, the seq and leaf hash of the chain's last one. Raises Refused when
    it gets too large, or the log's key is not here.
    """
    seq, prev = head
    predicate: dict[str, JsonLike] = {
        "assurance": claim.assurance,
        "calendar": claim.calendar,
        "clocks": claim.clocks,
        "command": command_digest(request.envelope),
        "from": claim.before,
        "log": keys.origin,
        "person": claim.person,
        "prev": prev,
        "received_at": format_instant(request.received_at),
        "recorded_at": format_instant(claim.recorded_at),
        "rules": RULES_VERSION,
        "seq": seq + 1,
        "to": claim.after,
    }
    record = sign_record(request.subject, predicate, _log_key(keys, directory))
    try:
        data = format_entry(Entry(request.envelope, record))
    except Malformed as error:
        raise Refused(error.code, detail=error.detail) from error
    return Row(request.command.task, seq + 1, prev, leaf_hash(data), request.command.id, data)


def _log_key(keys: LogKeys, directory: Directory) -> PrivateKey:
    """The key that signs the next record: what rotates it is itself signed with the old one."""
    return keys.named(directory, LOG) if directory.seq else keys.log
