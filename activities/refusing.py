"""Refused commands on their way into the log: which of them have an entry, and which are counted.

`activities.describing` says what may be said of each. `Refusing` holds it against the buckets of
`domain.refusals`, and has it stated as an entry or counted. The buckets follow the log: a start
looks back as far as matters, and what another service stated in the meantime is read before
anything is added. What was counted and not yet summed is in memory only: a service that is killed
loses those numbers, one that is stopped states them first.

A command that is refused for the same reason a second time says nothing new, and has one entry.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from activities.describing import Refusal, describe, without_unknown
from activities.jobs import Attest, Handed, Turned
from audit.entry import open_command, open_record, parse_entry
from domain.attestation import CHAIN
from domain.directory import Directory
from domain.instants import parse_instant
from domain.refusal import Refused
from domain.refusals import LOOK_BACK, Room, Tally, remembered
from domain.refused import REFUSED, SUMMED
from store import ledger
from store.ledger import Row

Write = Callable[[Attest], bool]
"""Appends an attestation; False when the log has one for the same occasion already."""

_REMEMBERED = 1_000
_LOOK_BACK_ROWS = 256


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
            if write(Attest(REFUSED, without_unknown(each, known), at, each.occasion)):
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
