"""The arbiter: judges steps against the log's own state and appends them, several in a transaction.

Every step of every task passes here, whether a person's command came through the door or through
Temporal, or a deadline ran out. In one transaction: lock the chains, read their heads, settle
deadlines that ran out earlier, judge, append, update the read model, note the workflow in the
outbox. Results are returned after the commit only. A command recorded before is answered with its
entry, whatever has happened since.

What a task is, is folded from its entries and never taken from the read model; folds are cached by
the leaf hash they end at, so a cached one is as good as the log.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from activities.folding import attested, caught_up, follow_rows, header_of, recorded_at
from activities.signing import LogKeys
from activities.stamping import stamped_at
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
from audit.keyring import read_change
from audit.keys import PrivateKey
from audit.malformed import Malformed
from audit.submission import Submission
from domain import attestation
from domain import directory as directories
from domain.attestation import SYSTEM_CHAINS, Attested
from domain.calendar import Calendar
from domain.command import ASSURED_AS_SERVICE, read_command
from domain.decide import RULES_VERSION, check_issued, decide, due_clocks
from domain.directory import CHAIN, CLOCK, DOOR, LOG, Directory
from domain.instants import format_instant
from domain.refusal import Refused
from domain.snapshot import format_clocks
from domain.step import Step, evolve
from domain.task import Clock, Role, Task
from store import ledger
from store.engine import forget_erased, writing
from store.ledger import Row

log = structlog.get_logger(__name__)

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
    """A submission and when it stood at the door (UTC), where no stamp on it says so."""

    submission: Submission
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Attest:
    """A request that the service itself state something about the log (`domain.attestation`), as
    it was ``at`` that instant (UTC).
    """

    event: str
    arguments: Mapping[str, Any]
    at: datetime


Job = Handed | Timeout | Attest


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to one job, after the commit.

    ``entry`` is the receipt of a submission (None for a timeout); ``entries`` are all those that
    the job appended, the clock's own before it. ``task`` is None for a chain about the log.
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
    attested: Attested | None = None
    has_erased: bool = False


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a record says about a step that was judged, beside the command itself."""

    person: str
    before: str | None
    after: str
    clocks: dict[str, dict[str, str] | None]
    recorded_at: datetime
    assurance: str = ASSURED_AS_SERVICE


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
        if work.has_erased and not forget_erased(self._engine):
            log.warning("erased_words_still_in_wal")
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

    def known_directory(self) -> Directory:
        """The directory as it was when last looked at: for what can't wait for the database."""
        return self._directory if self._directory.seq else self.directory()

    def _prepared(self, job: Job) -> Request | Timeout | Attest | Refused:
        if not isinstance(job, Handed):
            # Nobody's clock but ours decides what has run out, or when something was so.
            return replace(job, at=min(job.at, self._now()))
        # What is ahead of the recorder's own clock is a door's clock gone wrong.
        job = replace(job, received_at=min(job.received_at, self._now()))
        try:
            return self._unsealed(job, self._directory)
        except Refused as refusal:
            if refusal.code not in {"unknown_key", "stamp_wrong"}:
                return refusal
        try:
            return self._unsealed(job, self.directory())
        except Refused as refusal:
            return refusal

    def _unsealed(self, job: Handed, directory: Directory) -> Request:
        received_at = job.received_at
        if job.submission.stamp is not None:
            stamped = stamped_at(job.submission, self._keys.origin, directory, received_at)
            received_at = min(stamped, received_at)
        return unseal(job.submission, self._keys.origin, directory, received_at)

    def _answer(
        self, connection: Connection, work: _Work, request: Request | Timeout | Attest | Refused
    ) -> Recorded | Refused:
        mark = len(work.rows)
        try:
            match request:
                case Refused():
                    return request
                case Timeout(task, at):
                    self._settle(connection, work, task, at)
                    return _recorded(work, task, mark, None)
                case Attest():
                    statement = self._attest_request(connection, work, request)
                    return self._answer_request(connection, work, statement, mark)
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
        elif chain == attestation.CHAIN:
            row = self._append_attestation(connection, work, request)
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
            self._append_step(connection, work, self._lapse_request(work, task, due[0], clock))
            task = work.tasks[chain]

    def _lapse_request(self, work: _Work, task: Task, name: str, clock: Clock) -> Request:
        """It is issued and received on the deadline that it speaks of: how late the service carried
        it out shows in ``recorded_at`` alone.
        """
        due = format_instant(clock.due)
        statement: dict[str, JsonLike] = {
            "arguments": {"clock": name, "due": due},
            "event": "lapse",
            "seen": {"digest": task.seen, "version": task.version},
        }
        subject = Subject(TASK_PREFIX + task.id, task.header)
        occasion = f"{task.id}|{name}|{due}|{task.seq}"
        return self._clock_request(work, subject, statement, clock.due, occasion)

    def _attest_request(self, connection: Connection, work: _Work, job: Attest) -> Request:
        last = self._last(connection, work, attestation.CHAIN)
        header = header_of(last) if last else header_digest(job.arguments)
        statement: dict[str, JsonLike] = {
            "arguments": job.arguments, "event": job.event, "seen": None,
        }  # fmt: skip
        subject = Subject(attestation.CHAIN, header)
        seq = last.seq if last else 0
        occasion = f"{attestation.CHAIN}|{job.event}|{format_instant(job.at)}|{seq}"
        return self._clock_request(work, subject, statement, job.at, occasion)

    def _clock_request(
        self,
        work: _Work,
        subject: Subject,
        statement: Mapping[str, JsonLike],
        at: datetime,
        occasion: str,
    ) -> Request:
        """A command of the service's own clock, issued and received ``at`` that instant."""
        key = self._keys.named(work.directory, CLOCK)
        identity = f"{self._keys.origin}|{occasion}"
        predicate: dict[str, JsonLike] = {
            **statement,
            # The same for the same occasion, and nobody else's to guess and use up beforehand.
            "id": hashlib.sha256(key.sign(identity.encode())).hexdigest()[:32],
            "issued_at": format_instant(at),
            "log": self._keys.origin,
            "on_behalf": {"agency": CLOCK, "for": None, "role": str(Role.CLOCK)},
        }
        envelope = sign_command(subject, predicate, key)
        chain = subject.name.removeprefix(TASK_PREFIX)
        command = read_command(chain, open_command(envelope).predicate)
        return Request(command, subject, envelope, (), at)

    def _append_step(self, connection: Connection, work: _Work, request: Request) -> Row:
        command = request.command
        task = self._fold(connection, work, command.task)
        header = task.header if task else header_digest(command.arguments)
        if request.subject.digest != header:
            raise Refused("other_task", task=command.task)
        received_at = request.received_at
        actor = work.directory.actor(
            command.key, command.agency, command.role, received_at, command.behalf
        )
        directories.check_agencies(work.directory, command.arguments)
        decision = decide(task, command, actor, received_at, self._calendar)
        claim = _Claim(
            person=actor.person,
            before=str(task.state) if task else None,
            after=str(decision.to),
            clocks=format_clocks(decision.clocks),
            recorded_at=self._time_after(received_at, *([task.recorded_at] if task else [])),
            assurance=actor.assurance,
        )
        row = self._sign(work, request, claim)
        step = Step(
            task=command.task,
            header=request.subject.digest,
            event=command.event,
            agency=command.agency,
            role=command.role,
            arguments=command.arguments,
            command=command.id,
            person=actor.person,
            behalf=actor.behalf,
            received_at=received_at,
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
        self._check_keys(request)
        judge = directories.judge
        judge(work.directory, command.event, command.arguments, command.key, request.received_at)
        row = self._sign_about_log(connection, work, request, directories.ADMINISTRATOR)
        work.directory = directories.follow(
            work.directory, command.event, command.arguments, row.leaf
        )
        return row

    def _append_attestation(self, connection: Connection, work: _Work, request: Request) -> Row:
        event, arguments = request.command.event, request.command.arguments
        holder = work.directory.key_in_force(request.command.key, request.received_at).holder
        so_far = work.attested or attested(connection)
        attestation.judge(so_far, event, arguments, holder)
        erases = event == attestation.ERASE
        if erases and not ledger.is_opened(connection, arguments["leaf"], arguments["field"]):
            raise Refused("nothing_to_erase", field=arguments["field"])
        row = self._sign_about_log(connection, work, request, holder)
        if erases:
            ledger.erase(connection, arguments["leaf"], arguments["field"])
            work.has_erased = True
        work.attested = attestation.follow(so_far, event, arguments, row.leaf)
        return row

    def _sign_about_log(
        self, connection: Connection, work: _Work, request: Request, person: str
    ) -> Row:
        """An entry of a chain about the log itself. It knows no states and no deadlines; no
        workflow hears of it, and no listing shows it.
        """
        command = request.command
        last = self._last(connection, work, command.task)
        header = header_of(last) if last else header_digest(command.arguments)
        if request.subject.digest != header:
            raise Refused("other_task", task=command.task)
        check_issued(command, request.received_at)
        earlier = [recorded_at(last)] if last else []
        claim = _Claim(
            person=person,
            before=None,
            after="recorded",
            clocks={},
            recorded_at=self._time_after(request.received_at, *earlier),
        )
        return self._sign(work, request, claim)

    def _last(self, connection: Connection, work: _Work, chain: str) -> Row | None:
        """The chain's last entry: any has the header of the first."""
        queued = [row for row in work.rows if row.chain == chain]
        if queued:
            return queued[-1]
        seq, _ = work.heads.get(chain, (0, ""))
        return ledger.read_chain(connection, chain, seq - 1)[-1] if seq else None

    def _check_keys(self, request: Request) -> None:
        """A key that comes in must be sound, and one that the service shall sign with be here.
        Raises Refused.
        """
        event, arguments = request.command.event, request.command.arguments
        try:
            change = read_change(event, arguments, format_instant(request.received_at))
        except Malformed as error:
            raise Refused(error.code, detail=error.detail) from error
        if not isinstance(change, tuple):
            return
        for holder in change:
            first = {
                LOG: self._keys.log, CLOCK: self._keys.clock, DOOR: self._keys.door,
            }.get(holder.name)  # fmt: skip
            if first is None:
                continue
            if event == "found" and holder.key != first.public:
                raise Refused("other_log", log=self._keys.origin)
            if self._keys.held(holder.key.id) is None:
                raise Refused("key_not_held", holder=holder.name)

    def _log_key(self, directory: Directory) -> PrivateKey:
        """The key that signs the next record: what rotates it is itself signed with the old one."""
        return self._keys.named(directory, LOG) if directory.seq else self._keys.log

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
            "assurance": claim.assurance,
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
        record = sign_record(request.subject, predicate, self._log_key(work.directory))
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
        if chain in SYSTEM_CHAINS:
            return None
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
        rows = ledger.read_chain(connection, CHAIN, work.directory.seq)
        work.directory = follow_rows(work.directory, rows)

    def _write(self, connection: Connection, work: _Work) -> None:
        if not work.rows:
            return
        ledger.append(connection, work.rows, work.openings)
        changed = {row.chain for row in work.rows} - SYSTEM_CHAINS
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


def _chain(request: Request | Timeout | Attest) -> str:
    match request:
        case Timeout(task):
            return task
        case Attest():
            return attestation.CHAIN
    return request.command.task
