"""Refused commands on their way into the log: what may be said of each, and which have an entry.

A refusal is described by `describe`, which believes a signature and nothing else. `Refusing` then
holds it against the buckets of `domain.refusals`, and has it stated as an entry or counted. The
buckets follow the log: a start looks back as far as matters, and what another service stated in the
meantime is read before anything is added. What was counted and not yet summed is in memory only: a
service that is killed loses those numbers, one that is stopped states them first.

A command that is refused for the same reason a second time says nothing new, and has one entry.
"""

import base64
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from activities.jobs import Attest, Handed, Turned
from activities.unsealing import chain_of
from audit.dsse import Envelope
from audit.entry import Statement, command_digest, open_command, open_record, parse_entry
from audit.keys import load_public
from audit.malformed import Malformed
from domain import refused
from domain.attestation import CHAIN, KNOWN_EVENTS, SYSTEM_CHAINS
from domain.directory import CHAIN as DIRECTORY
from domain.directory import Directory
from domain.instants import format_instant, parse_instant
from domain.refusal import Refused
from domain.refusals import LOOK_BACK, Room, Tally, remembered
from domain.refused import CLAIMED_DIGITS, CODE_ALONE, REFUSED, ROLES, SUMMED, is_id
from store import ledger
from store.ledger import Row

log = structlog.get_logger(__name__)

Write = Callable[[Attest], bool]
"""Appends an attestation; False when the log has one for the same occasion already."""

_OURS = frozenset({"key_not_held"})
"""What hinders the service itself, whoever asked."""

_REMEMBERED = 1_000
_LOOK_BACK_ROWS = 256


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


@dataclass(frozen=True, slots=True)
class _Book:
    """The buckets after the chain's entry ``seq``, received at ``last``, and what was counted.
    Before the log was looked at, ``seq`` is negative.
    """

    room: Room = field(default_factory=Room)
    tally: Tally = field(default_factory=Tally)
    seq: int = -1
    last: datetime | None = None

    def stated(self, room: Room, at: datetime) -> "_Book":
        """After one more entry, of our own."""
        return replace(self, room=room, seq=self.seq + 1, last=at)

    def counted(self, refusals: Iterable[Refusal]) -> "_Book":
        tally = self.tally
        for each in refusals:
            tally = tally.counted(each.code, each.actor, each.at)
        return replace(self, tally=tally)

    def followed(self, rows: Iterable[Row]) -> "_Book":
        """After what others stated."""
        room, seq, last = self.room, self.seq, self.last
        for row in rows:
            event, arguments, last = _read(row)
            seq = row.seq
            if event == REFUSED:
                room = room.after_one(arguments["actor"], last)
            elif event == SUMMED:
                room = room.after_sum(last)
        return replace(self, room=room, seq=seq, last=last)


@dataclass(frozen=True, slots=True)
class Noted:
    """What `Refusing.keep` takes over once it is committed."""

    book: _Book
    occasions: tuple[str, ...] = ()


class Refusing:
    """The refusals of one recorder. For the thread that records."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._book = _Book()
        self._stated: OrderedDict[str, None] = OrderedDict()

    def describe(
        self,
        answers: Iterable[tuple[object, object]],
        directory: Directory,
        now: datetime,
    ) -> list[Refusal]:
        """The refused commands among jobs and their answers, but those that say nothing new."""
        found = [
            describe(job, answer, self._origin, directory, now)
            for job, answer in answers
            if isinstance(job, Handed | Turned) and isinstance(answer, Refused)
        ]
        return [each for each in found if each is not None and each.occasion not in self._stated]

    def only_counted(self, refusals: Sequence[Refusal], now: datetime) -> Noted | None:
        """What to keep when none of them can have an entry; None when the log has to be asked."""
        if any(self._book.room.for_one(each.actor, now) for each in refusals):
            return None
        return Noted(self._book.counted(refusals))

    def note(
        self, connection: Connection, refusals: Sequence[Refusal], now: datetime, write: Write
    ) -> Noted:
        """State each refusal, or count it. Lock the chain first, and `keep` the result afterwards,
        once it is committed.
        """
        book = self._caught_up(connection, now)
        at = max(now, book.last) if book.last else now
        known = ledger.heads(connection, {each.arguments["chain"] for each in refusals} - {None})
        occasions: dict[str, None] = {}
        for each in refusals:
            if each.occasion in occasions:
                continue
            if not book.room.for_one(each.actor, at):
                book = book.counted([each])
                continue
            if write(Attest(REFUSED, _without_unknown(each, known), at, each.occasion)):
                book = book.stated(book.room.after_one(each.actor, at), at)
            if each.occasion is not None:
                occasions[each.occasion] = None
        return Noted(book, tuple(occasions))

    def sum_up(self, noted: Noted, now: datetime, write: Write, *, at_once: bool) -> Noted:
        """State what was counted, if it is time for that and there is room for the entry."""
        book = noted.book
        at = max(now, book.last) if book.last else now
        due = book.tally.total > 0 and (at_once or book.tally.is_due(at))
        if not due or not book.room.for_sum(at):
            return noted
        write(Attest(SUMMED, book.tally.arguments(), at))
        book = replace(book, tally=Tally()).stated(book.room.after_sum(at), at)
        return replace(noted, book=book)

    def failed(self, refusals: Sequence[Refusal]) -> Noted:
        """What to keep when the entries could not be written: the numbers."""
        return Noted(self._book.counted(refusals))

    def keep(self, noted: Noted) -> None:
        """Go on from there: it is committed."""
        self._book = noted.book
        self._stated.update(dict.fromkeys(noted.occasions))
        while len(self._stated) > _REMEMBERED:
            self._stated.popitem(last=False)

    def _caught_up(self, connection: Connection, now: datetime) -> _Book:
        head, _ = ledger.heads(connection, [CHAIN]).get(CHAIN, (0, ""))
        if not 0 <= self._book.seq <= head:
            return _looked_back(self._book.tally, connection, head, now)
        if head == self._book.seq:
            return self._book
        return self._book.followed(ledger.read_chain(connection, CHAIN, self._book.seq))


_BESIDE = ("opening_", "text_", "stamp_")


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


def _without_unknown(each: Refusal, known: Iterable[str]) -> dict[str, Any]:
    """The id of a task that the log lacks may be words of somebody's: it is left out."""
    chain = _known(each.arguments["chain"], {*known, *SYSTEM_CHAINS})
    return {**each.arguments, "chain": chain}


def _read(row: Row) -> tuple[str, Any, datetime]:
    """Event, arguments and instant of receipt of an attestation."""
    entry = parse_entry(row.data)
    predicate = open_command(entry.command).predicate
    received_at = parse_instant(open_record(entry.record).text("received_at"))
    return predicate["event"], predicate["arguments"], received_at


def _looked_back(tally: Tally, connection: Connection, head: int, now: datetime) -> _Book:
    """The buckets as the log left them."""
    since, back = now - LOOK_BACK, _LOOK_BACK_ROWS
    while True:
        after = max(head - back, 0)
        read = [_read(row) for row in ledger.read_chain(connection, CHAIN, after)]
        if after == 0 or read[0][2] < since:
            break
        back *= 4
    recent = [each for each in read if each[2] >= since]
    actors = [arguments["actor"] for event, arguments, _ in recent if event == REFUSED]
    sums = sum(event == SUMMED for event, _, _ in recent)
    last = read[-1][2] if read else None
    at = max(now, last) if last else now
    return _Book(remembered(actors, sums, at), tally, head, last)
