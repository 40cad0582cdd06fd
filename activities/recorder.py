"""The arbiter: judges steps against the log's own state and appends them, several in a transaction.

Every step of every task passes here, whether a person's command came through the door or through
Temporal, or a deadline ran out. In one transaction: lock the chains, read their heads, settle
deadlines that ran out earlier, judge, append, update the read model, note the workflow in the
outbox. Results are returned after the commit only. A command recorded before is answered with its
entry, whatever has happened since.

What a task is, is folded from its entries and never taken from the read model; folds are cached by
the leaf hash they end at, so a cached one is as good as the log.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from activities import erasing
from activities.clock import attest_request, lapse_request
from activities.evidence import Missing, check_kept, digests_in, nothing_missing
from activities.folding import attested, caught_up, follow_rows, header_of, recorded_at
from activities.jobs import Attest, Handed, Job, Recorded, SumUp, Timeout, Turned
from activities.refusing import Noted, Refusal, Refusing
from activities.signing import LogKeys, check_keys
from activities.stamping import stamped_at
from activities.trusting import Trusting, concerns
from activities.unsealing import Request, unseal
from activities.words import mark_of
from audit.canonical import JsonLike
from audit.commitment import Opening
from audit.entry import (
    NO_PREVIOUS,
    Entry,
    command_digest,
    format_entry,
    header_digest,
    leaf_hash,
    parse_entry,
    sign_record,
)
from audit.keys import PrivateKey
from audit.malformed import Malformed
from domain import attestation
from domain import directory as directories
from domain.attestation import SYSTEM_CHAINS, Attested
from domain.calendar import Calendar
from domain.command import ASSURED_AS_SERVICE
from domain.decide import RULES_VERSION, check_issued, decide, due_clocks
from domain.directory import CHAIN, LOG, Directory
from domain.instants import format_instant
from domain.refusal import Refused
from domain.secrecy import is_protected
from domain.snapshot import format_clocks
from domain.step import Step, evolve
from domain.task import Secrecy, Task
from store import ledger, sealed
from store.engine import forget_erased, still_stands, writing
from store.ledger import Row

__all__ = [
    "Attest", "Handed", "Job", "Probe", "Recorded", "Recorder", "SumUp", "Timeout", "Turned",
    "no_probe",
]  # fmt: skip

log = structlog.get_logger(__name__)

Probe = Callable[[str], None]
_Prepared = Request | Timeout | Attest | SumUp | Refused
_CACHED_TASKS = 20_000


def no_probe(_point: str) -> None:
    """Named points of a step, where tests pull the plug."""


@dataclass
class _Work:
    """What one transaction has seen and is about to write."""

    heads: dict[str, tuple[int, str]]
    known: dict[str, Row]
    directory: Directory
    tasks: dict[str, Task] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    openings: dict[str, Sequence[Opening]] = field(default_factory=dict)
    protected: dict[str, Sequence[Opening]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    attested: Attested | None = None
    has_erased: bool = False
    agencies: set[str] = field(default_factory=set)
    owns_directory: bool = False

    def own_directory(self) -> Directory:
        """The directory to change: copied once a transaction, however many entries change it, since
        others look at the one before until the commit.
        """
        if not self.owns_directory:
            self.directory, self.owns_directory = self.directory.copy(), True
        return self.directory


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
        missing: Missing = nothing_missing,
    ) -> None:
        self._engine = engine
        self._missing = missing
        self._keys = keys
        self._calendar = calendar
        self._now = now
        self._probe = probe
        self._directory = Directory()
        self._trusting = Trusting(keys.origin)
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._refusing = Refusing(keys.origin)

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
        if (refused := _all_refused(requests)) and self._only_counted(jobs, refused):
            return [*refused]
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
            noted = self._note_refusals(connection, work, jobs, answers)
            self._probe("before_commit")
        self._probe("after_commit")
        self._refusing.keep(noted)
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

    def _only_counted(self, jobs: Sequence[Job], refused: Sequence[Refused]) -> bool:
        """Whether these refusals, all there is, need no transaction: a flood must not wait for the
        disk, nor have others wait.
        """
        at = self._now()
        found = self._refusing.describe(zip(jobs, refused, strict=True), self._directory, at)
        counted = self._refusing.only_counted(found, at)
        if counted is not None:
            self._refusing.keep(counted)
        return counted is not None

    def _note_refusals(
        self,
        connection: Connection,
        work: _Work,
        jobs: Sequence[Job],
        answers: Sequence[Recorded | Refused],
    ) -> Noted:
        """State what was refused, behind what was accepted, which stays whatever happens here."""
        at, found = self._now(), list[Refusal]()
        sums = [job for job in jobs if isinstance(job, SumUp)]
        try:
            pairs = zip(jobs, answers, strict=True)
            found += self._refusing.describe(pairs, work.directory, at)
            if not sums and (counted := self._refusing.only_counted(found, at)):
                return counted
            with connection.begin_nested():
                return self._state_refusals(connection, work, found, sums)
        except Exception as error:
            if not still_stands(connection):
                raise
            log.warning("refusals_not_recorded", number=len(found), error=type(error).__name__)
            return self._refusing.failed(found)

    def _state_refusals(
        self,
        connection: Connection,
        work: _Work,
        found: Sequence[Refusal],
        sums: Sequence[SumUp],
    ) -> Noted:
        ledger.lock(connection, {attestation.CHAIN})
        heads = ledger.heads(connection, {attestation.CHAIN})
        # What is rolled back here must not be taken for written: it has a work of its own. How long
        # the log was at its last statement of heads is no matter for a refusal.
        own = _Work(heads, {}, work.directory, attested=Attested())

        def write(attest: Attest) -> bool:
            request = self._attest_request(connection, own, attest)
            if attest.occasion and ledger.by_command(connection, [request.command.id]):
                return False
            self._append_attestation(connection, own, request)
            return True

        at = self._now()
        noted = self._refusing.note(connection, found, at, write)
        if sums:
            at_once = any(job.at_once for job in sums)
            noted = self._refusing.sum_up(noted, at, write, at_once=at_once)
        if own.rows:
            ledger.append(connection, own.rows, {})
        return noted

    def _prepared(self, job: Job) -> _Prepared:
        match job:
            case Handed():
                return self._handed(job)
            case Turned():
                return job.refusal
            case Timeout() | Attest():
                # Nobody's clock but ours decides what has run out, or when something was so.
                return replace(job, at=min(job.at, self._now()))
            case SumUp():
                return job

    def _handed(self, job: Handed) -> Request | Refused:
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
        request = unseal(job.submission, self._keys.origin, directory, received_at)
        digests = digests_in(request.command.event, request.command.arguments)
        # Looked for before any lock is taken; told only to who may take the step (`_append_step`).
        return replace(request, missing=tuple(self._missing(digests))) if digests else request

    def _answer(
        self, connection: Connection, work: _Work, request: _Prepared
    ) -> Recorded | Refused:
        mark = len(work.rows)
        try:
            match request:
                case Refused():
                    return request
                case SumUp():
                    return Recorded(attestation.CHAIN, None, (), None)
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
            request = lapse_request(self._keys, work.directory, task, due[0])
            self._append_step(connection, work, request)
            task = work.tasks[chain]

    def _attest_request(self, connection: Connection, work: _Work, job: Attest) -> Request:
        last = self._last(connection, work, attestation.CHAIN)
        return attest_request(self._keys, work.directory, job, last)

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
        digests = digests_in(command.event, command.arguments)
        check_kept(command.task, task.secrecy if task else None, digests, request.missing)
        self._check_vault(task, request)
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
        after = work.tasks[command.task] = evolve(task, step)
        if is_protected(after.secrecy):
            if request.openings:
                work.protected[row.leaf] = work.openings.pop(row.leaf)
            if task is None:
                work.titles[command.task] = mark_of(command.arguments)
            return row
        for opening in request.openings:
            if opening.field == "title":
                work.titles[command.task] = opening.value
        return row

    def _check_vault(self, task: Task | None, request: Request) -> None:
        """Words of a protected task rest sealed, or are not taken at all. Raises Refused."""
        level = task.secrecy if task else Secrecy(request.command.arguments["secrecy"])
        if request.openings and is_protected(level) and self._keys.vault is None:
            raise Refused("vault_missing")

    def _append_change(self, connection: Connection, work: _Work, request: Request) -> Row:
        command = request.command
        authorities = None
        if concerns(command.event, command.arguments):
            unwritten = (row for row in work.rows if row.chain == CHAIN)
            authorities = self._trusting.now(connection, unwritten)
        check_keys(self._keys, command, request.received_at, authorities)
        directories.check_fresh(work.directory, command.issued_at)
        judge = directories.judge
        judge(work.directory, command.event, command.arguments, command.key, request.received_at)
        row = self._sign_about_log(connection, work, request, directories.ADMINISTRATOR)
        at = request.received_at
        advance = directories.advance
        advance(work.own_directory(), command.event, command.arguments, row.leaf, at)
        changed = directories.changed_agencies(command.event, command.arguments)
        work.agencies.update(agency.id for agency in changed)
        return row

    def _append_attestation(self, connection: Connection, work: _Work, request: Request) -> Row:
        event, arguments = request.command.event, request.command.arguments
        holder = work.directory.key_in_force(request.command.key, request.received_at).holder
        so_far = work.attested or attested(connection)
        attestation.judge(so_far, event, arguments, holder)
        erasing.check(connection, event, arguments)
        row = self._sign_about_log(connection, work, request, holder)
        work.has_erased |= erasing.carry_out(connection, event, arguments)
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
        work.directory, work.owns_directory = follow_rows(work.directory, rows), True

    def _write(self, connection: Connection, work: _Work) -> None:
        if not work.rows:
            return
        ledger.append(connection, work.rows, work.openings)
        self._seal(connection, work)
        changed = {row.chain for row in work.rows} - SYSTEM_CHAINS
        tasks = [work.tasks[chain] for chain in sorted(changed)]
        ledger.show(connection, tasks, work.titles)
        ledger.post(connection, tasks)
        agencies = work.directory.agencies
        ledger.show_agencies(connection, [agencies[each] for each in sorted(work.agencies)])

    def _seal(self, connection: Connection, work: _Work) -> None:
        vault = self._keys.vault
        for row in work.rows if vault else ():
            if vault and (openings := work.protected.get(row.leaf)):
                task = work.tasks[row.chain]
                closed = vault.seal(row.leaf, openings, task, work.directory)
                sealed.append(connection, row.leaf, closed)

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


def _all_refused(requests: Sequence[_Prepared]) -> list[Refused]:
    """The requests, if none of them is left to be judged."""
    refused = [request for request in requests if isinstance(request, Refused)]
    return refused if len(refused) == len(requests) else []


def _chain(request: Request | Timeout | Attest | SumUp) -> str:
    match request:
        case Timeout(task):
            return task
        case Attest() | SumUp():
            return attestation.CHAIN
    return request.command.task
