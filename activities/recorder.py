"""The arbiter: judges steps against the log's own state and appends them, several in a transaction.

Every step of every task passes here, whether a person's command came through the door or through
Temporal, or a deadline ran out. In one transaction: lock the chains, read their heads, settle
deadlines that ran out earlier, judge, append, update the read model, note the workflow in the
outbox. Results are returned after the commit only. A command recorded before is answered with its
entry, whatever has happened since.

What a task is, is folded from its entries and never taken from the read model; folds are cached by
the leaf hash they end at, so a cached one is as good as the log.
"""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from activities.folding import caught_up, follow_row, header_of, recorded_at
from activities.signing import LogKeys
from activities.unsealing import TASK_PREFIX, Request, unseal
from audit.canonical import JsonLike
from audit.commitment import Opening
from audit.entry import (
    NO_PREVIOUS,
    Entry,
    Subject,
    command_digest,
    format_entry,
    header_digest,
    leaf_hash,
    open_command,
    parse_entry,
    sign_command,
    sign_record,
)
from audit.keyring import Keyring, holders_named
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.submission import Submission
from domain import directory as directories
from domain.calendar import Calendar
from domain.command import Command, read_command
from domain.decide import RULES_VERSION, check_issued, decide, due_clocks
from domain.directory import CHAIN, CLOCK, Directory
from domain.instants import format_instant
from domain.refusal import Refused
from domain.snapshot import format_clocks
from domain.step import Step, evolve
from domain.task import Clock, Role, Task
from store import ledger
from store.engine import writing
from store.ledger import Row

Probe = Callable[[str], None]
_CACHED_TASKS = 20_000


def no_probe(_point: str) -> None:
    """Named points of a step, where tests pull the plug."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """A request to record what ran out on a task up to ``at`` (UTC)."""

    task: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Handed:
    """A submission and when it stood at the door (UTC)."""

    submission: Submission
    received_at: datetime


Job = Handed | Timeout


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to one job, after the commit.

    ``entry`` is the receipt of a submission (None for a timeout); ``entries`` are all those that
    the job appended, the clock's own before it. ``task`` is None for the directory.
    """

    chain: str
    entry: bytes | None
    entries: tuple[bytes, ...]
    task: Task | None


@dataclass
class _Work:
    """What one transaction has seen and is about to write."""

    heads: dict[str, tuple[int, str]]
    known: dict[str, Row]
    directory: Directory
    tasks: dict[str, Task] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    openings: dict[str, Sequence[Opening]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a record says about a step that was judged, beside the command itself."""

    person: str
    before: str | None
    after: str
    clocks: dict[str, dict[str, str] | None]
    recorded_at: datetime


class Recorder:
    """Records steps. One per process. `record` is for one thread (see `activities.queue`); `task`
    and `directory` only look, and may be called from any.
    """

    def __init__(
        self,
        engine: Engine,
        keys: LogKeys,
        calendar: Calendar,
        now: Callable[[], datetime],
        probe: Probe = no_probe,
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._calendar = calendar
        self._now = now
        self._clock_spki = base64.b64encode(keys.clock.public.spki).decode()
        self._probe = probe
        self._directory = Directory()
        self._tasks: OrderedDict[str, Task] = OrderedDict()

    def record(self, jobs: Sequence[Job]) -> list[Recorded | Refused]:
        """Answer each job, in order, in one transaction. Raises only when nothing was written."""
        try:
            return self._record(jobs)
        except DBAPIError as error:
            if not _is_lost_race(error):
                raise
            # Another writer was first. The state to judge by is a new one.
            return self._record(jobs)

    def _record(self, jobs: Sequence[Job]) -> list[Recorded | Refused]:
        requests = [self._prepared(job) for job in jobs]
        self._probe("prepared")
        chains = {_chain(request) for request in requests if not isinstance(request, Refused)}
        commands = [request.command.id for request in requests if isinstance(request, Request)]
        with writing(self._engine) as connection:
            ledger.lock(connection, chains)
            work = _Work(
                ledger.heads(connection, chains | {CHAIN}),
                ledger.by_command(connection, commands) if commands else {},
                self._directory,
            )
            self._refresh_directory(connection, work)
            answers = [self._answer(connection, work, request) for request in requests]
            self._write(connection, work)
            self._probe("before_commit")
        self._probe("after_commit")
        self._remember(work)
        return answers

    def task(self, task: str) -> Task | None:
        """The task as the log has it now; None when the log has none of that id."""
        with self._engine.connect() as connection:
            work = _Work(ledger.heads(connection, [task]), {}, self._directory)
            return self._fold(connection, work, task)

    def directory(self) -> Directory:
        """The directory as the log has it now."""
        with self._engine.connect() as connection:
            work = _Work(ledger.heads(connection, [CHAIN]), {}, self._directory)
            self._refresh_directory(connection, work)
        self._directory = work.directory
        return work.directory

    def _prepared(self, job: Job) -> Request | Timeout | Refused:
        if isinstance(job, Timeout):
            # Nobody's clock but ours decides what has run out.
            return Timeout(job.task, min(job.at, self._now()))
        # A stamp ahead of the recorder's own clock is a door's clock gone wrong.
        job = replace(job, received_at=min(job.received_at, self._now()))
        try:
            return self._unsealed(job, self._directory)
        except Refused as refusal:
            if refusal.code != "unknown_key":
                return refusal
        try:
            return self._unsealed(job, self.directory())
        except Refused as refusal:
            return refusal

    def _unsealed(self, job: Handed, directory: Directory) -> Request:
        return unseal(job.submission, self._keys.origin, directory, job.received_at)

    def _answer(
        self, connection: Connection, work: _Work, request: Request | Timeout | Refused
    ) -> Recorded | Refused:
        mark = len(work.rows)
        try:
            match request:
                case Refused():
                    return request
                case Timeout(task, at):
                    self._settle(connection, work, task, at)
                    return _recorded(work, task, mark, None)
                case Request():
                    return self._answer_request(connection, work, request, mark)
        except Refused as refusal:
            return refusal

    def _answer_request(
        self, connection: Connection, work: _Work, request: Request, mark: int
    ) -> Recorded:
        chain = request.command.task
        if found := self._repeated(work, request):
            self._fold(connection, work, chain)
            return Recorded(chain, found, (), work.tasks.get(chain))
        if chain == CHAIN:
            row = self._append_change(connection, work, request)
        else:
            self._settle(connection, work, chain, request.received_at)
            row = self._append_step(connection, work, request)
        return _recorded(work, chain, mark, row.data)

    def _repeated(self, work: _Work, request: Request) -> bytes | None:
        """The entry of a command recorded before; a command of the same id but other bytes is
        somebody's mistake or trick.
        """
        row = work.known.get(request.command.id)
        if row is None:
            return None
        if command_digest(parse_entry(row.data).command) != command_digest(request.envelope):
            raise Refused("command_id_reused", command=request.command.id)
        return row.data

    def _settle(self, connection: Connection, work: _Work, chain: str, at: datetime) -> None:
        """Record, by the clock's own key, every deadline that ran out before ``at``."""
        task = self._fold(connection, work, chain)
        while task is not None and (due := due_clocks(task, at)):
            clock = task.clocks[due[0]]
            self._append_step(connection, work, self._clock_request(task, due[0], clock))
            task = work.tasks[chain]

    def _clock_request(self, task: Task, name: str, clock: Clock) -> Request:
        """The clock's command. It is issued and received on the deadline it speaks of: how late the
        service carried it out shows in ``recorded_at`` alone.
        """
        due = format_instant(clock.due)
        identity = f"{self._keys.origin}|{task.id}|{name}|{due}|{task.seq}"
        predicate: dict[str, JsonLike] = {
            "arguments": {"clock": name, "due": due},
            "event": "lapse",
            # The same for the same deadline, and nobody else's to guess and use up beforehand.
            "id": hashlib.sha256(self._keys.clock.sign(identity.encode())).hexdigest()[:32],
            "issued_at": due,
            "log": self._keys.origin,
            "on_behalf": {"agency": CLOCK, "role": str(Role.CLOCK)},
            "seen": {"digest": task.seen, "version": task.version},
        }
        subject = Subject(TASK_PREFIX + task.id, task.header)
        envelope = sign_command(subject, predicate, self._keys.clock)
        command = read_command(task.id, open_command(envelope).predicate)
        return Request(command, subject, envelope, (), clock.due)

    def _append_step(self, connection: Connection, work: _Work, request: Request) -> Row:
        command = request.command
        task = self._fold(connection, work, command.task)
        header = task.header if task else header_digest(command.arguments)
        if request.subject.digest != header:
            raise Refused("other_task", task=command.task)
        actor = work.directory.actor(command.key, command.agency, command.role)
        directories.check_agencies(work.directory, command.arguments)
        decision = decide(task, command, actor, request.received_at, self._calendar)
        claim = _Claim(
            person=actor.person,
            before=str(task.state) if task else None,
            after=str(decision.to),
            clocks=format_clocks(decision.clocks),
            recorded_at=self._time_after(
                request.received_at, *([task.recorded_at] if task else [])
            ),
        )
        row = self._sign(work, request, claim)
        step = Step(
            task=command.task,
            header=request.subject.digest,
            event=command.event,
            arguments=command.arguments,
            command=command.id,
            person=actor.person,
            received_at=request.received_at,
            recorded_at=claim.recorded_at,
            to=decision.to,
            clocks=decision.clocks,
            seq=row.seq,
            leaf=row.leaf,
        )
        work.tasks[command.task] = evolve(task, step)
        for opening in request.openings:
            if opening.field == "title":
                work.titles[command.task] = opening.value
        return row

    def _append_change(self, connection: Connection, work: _Work, request: Request) -> Row:
        command = request.command
        _check_keys(command, self._keys.log.public)
        directories.judge(work.directory, command.event, command.arguments, command.key)
        queued = [row for row in work.rows if row.chain == CHAIN]
        chain = [*ledger.read_chain(connection, CHAIN), *queued]
        header = header_of(chain[0]) if chain else header_digest(command.arguments)
        if request.subject.digest != header:
            raise Refused("other_task", task=CHAIN)
        if not chain and command.arguments["clock"] != self._clock_spki:
            raise Refused("other_log", log=self._keys.origin)
        check_issued(command, request.received_at)
        claim = _Claim(
            person=directories.ADMINISTRATOR,
            before=None,
            after="recorded",
            clocks={},
            recorded_at=self._time_after(
                request.received_at, *([recorded_at(chain[-1])] if chain else [])
            ),
        )
        row = self._sign(work, request, claim)
        work.directory = directories.follow(
            work.directory, command.event, command.arguments, row.leaf
        )
        return row

    def _time_after(self, *earlier: datetime) -> datetime:
        """Now, but never before the receipt or the chain's last entry, whatever the machine's
        clock does.
        """
        return max(self._now(), *earlier)

    def _sign(self, work: _Work, request: Request, claim: _Claim) -> Row:
        """Chain the command to the last entry of its task, sign the record, and queue the row."""
        chain = request.command.task
        seq, prev = work.heads.get(chain, (0, NO_PREVIOUS))
        predicate: dict[str, JsonLike] = {
            "calendar": self._calendar.version,
            "clocks": claim.clocks,
            "command": command_digest(request.envelope),
            "from": claim.before,
            "log": self._keys.origin,
            "person": claim.person,
            "prev": prev,
            "received_at": format_instant(request.received_at),
            "recorded_at": format_instant(claim.recorded_at),
            "rules": RULES_VERSION,
            "seq": seq + 1,
            "to": claim.after,
        }
        record = sign_record(request.subject, predicate, self._keys.log)
        try:
            data = format_entry(Entry(request.envelope, record))
        except Malformed as error:
            raise Refused(error.code, detail=error.detail) from error
        row = Row(chain, seq + 1, prev, leaf_hash(data), request.command.id, data)
        work.rows.append(row)
        work.known[row.command] = row
        work.heads[chain] = (row.seq, row.leaf)
        if request.openings:
            work.openings[row.leaf] = request.openings
        return row

    def _fold(self, connection: Connection, work: _Work, chain: str) -> Task | None:
        """The task up to the chain's head, from the cache where it reaches, from the log beyond."""
        if chain in work.tasks:
            return work.tasks[chain]
        head = work.heads.get(chain)
        if head is None:
            return None
        task = self._tasks.get(chain)
        if task is None or task.head != head[1]:
            task = caught_up(task, connection, chain)
        work.tasks[chain] = task
        return task

    def _refresh_directory(self, connection: Connection, work: _Work) -> None:
        head = work.heads.get(CHAIN)
        if head is None or head[1] == work.directory.head:
            return
        for row in ledger.read_chain(connection, CHAIN, work.directory.seq):
            work.directory = follow_row(work.directory, row)

    def _write(self, connection: Connection, work: _Work) -> None:
        if not work.rows:
            return
        ledger.append(connection, work.rows, work.openings)
        changed = {row.chain for row in work.rows} - {CHAIN}
        tasks = [work.tasks[chain] for chain in sorted(changed)]
        ledger.show(connection, tasks, work.titles)
        ledger.post(connection, tasks)
        if any(row.chain == CHAIN for row in work.rows):
            ledger.show_agencies(connection, work.directory.agencies.values())

    def _remember(self, work: _Work) -> None:
        self._directory = work.directory
        for chain, task in work.tasks.items():
            self._tasks[chain] = task
            self._tasks.move_to_end(chain)
        while len(self._tasks) > _CACHED_TASKS:
            self._tasks.popitem(last=False)


def _recorded(work: _Work, chain: str, mark: int, receipt: bytes | None) -> Recorded:
    appended = tuple(row.data for row in work.rows[mark:])
    return Recorded(chain, receipt, appended, work.tasks.get(chain))


def _is_lost_race(error: DBAPIError) -> bool:
    """A chain's head was taken, or PostgreSQL gave way in a deadlock (40P01, 40001)."""
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(error, IntegrityError) or state in {"40P01", "40001"}


def _chain(request: Request | Timeout) -> str:
    return request.task if isinstance(request, Timeout) else request.command.task


def _check_keys(command: Command, log_key: PublicKey) -> None:
    """A key that comes in must be sound and nobody's yet. Raises Refused."""
    try:
        Keyring(log_key).check(holders_named(command.event, command.arguments))
    except Malformed as error:
        raise Refused(error.code, detail=error.detail) from error
