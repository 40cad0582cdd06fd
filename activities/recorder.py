"""The arbiter: judges steps against the log's own state and appends them, several in a transaction.

Every step of every task passes here, whether a person's command came through the door or through
Temporal, or a deadline ran out. Before any lock it is made ready (`activities.preparing`). In one
transaction: lock the chains, read their heads (`activities.transaction`), settle deadlines that ran
out earlier, judge, append (`activities.appending`, `activities.chaining`), update the read model,
note the workflow in the outbox, and state what was refused (`activities.stating`). Results are
returned after the commit only. A command recorded before is answered with its entry, whatever has
happened since.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from activities.appending import Appending
from activities.evidence import Missing, nothing_missing
from activities.jobs import Attest, Handed, Job, Recorded, SumUp, Timeout, Turned
from activities.preparing import Prepared, Preparing, chain_for
from activities.refusing import Refusing
from activities.signing import LogKeys
from activities.stating import Stating
from activities.transaction import Transaction
from activities.trusting import Trusting
from activities.unsealing import Request
from audit.entry import command_digest, parse_entry
from domain.attestation import CHAIN as ATTESTATIONS
from domain.calendar import Calendar
from domain.directory import CHAIN, Directory
from domain.refusal import Refused
from domain.task import Task
from store import ledger
from store.engine import forget_erased, writing

__all__ = [
    "Attest", "Handed", "Job", "Probe", "Recorded", "Recorder", "SumUp", "Timeout", "Turned",
    "no_probe",
]  # fmt: skip

log = structlog.get_logger(__name__)

Probe = Callable[[str], None]
_CACHED_TASKS = 20_000


def no_probe(_point: str) -> None:
    """Named points of a step, where tests pull the plug."""


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
        preparing = self._preparing()
        requests = [preparing.prepared(job) for job in jobs]
        self._probe("prepared")
        if (refused := _all_refused(requests)) and self._only_counted(jobs, refused):
            return [*refused]
        chains = {chain_for(request) for request in requests if not isinstance(request, Refused)}
        commands = [request.command.id for request in requests if isinstance(request, Request)]
        with writing(self._engine) as connection:
            transaction = self._begun(connection, chains, commands)
            appending = self._appending(transaction)
            answers = [_answer(appending, request) for request in requests]
            transaction.write(self._keys.vault)
            noted = Stating(appending, self._refusing).note(jobs, answers)
            self._probe("before_commit")
        self._probe("after_commit")
        self._refusing.keep(noted)
        if transaction.has_erased and not forget_erased(self._engine):
            log.warning("erased_words_still_in_wal")
        self._remember(transaction)
        return answers

    def task(self, task: str) -> Task | None:
        """The task as the log has it now; None when the log has none of that id."""
        with self._engine.connect() as connection:
            heads = ledger.heads(connection, [task])
            return Transaction(connection, heads, self._directory, self._tasks).fold(task)

    def directory(self) -> Directory:
        """The directory as the log has it now."""
        with self._engine.connect() as connection:
            heads = ledger.heads(connection, [CHAIN])
            transaction = Transaction(connection, heads, self._directory)
            transaction.follow_directory()
        self._directory = transaction.directory
        return transaction.directory

    def known_directory(self) -> Directory:
        """The directory as it was when last looked at: for what can't wait for the database."""
        return self._directory if self._directory.seq else self.directory()

    def _preparing(self) -> Preparing:
        return Preparing(
            self._keys.origin,
            self._now,
            self._missing,
            known=lambda: self._directory,
            looked_up=self.directory,
        )

    def _appending(self, transaction: Transaction) -> Appending:
        return Appending(transaction, self._keys, self._calendar, self._now, self._trusting)

    def _begun(
        self, connection: Connection, chains: set[str], commands: Sequence[str]
    ) -> Transaction:
        """The transaction, with these chains locked and the directory followed to its head."""
        ledger.lock(connection, chains)
        heads = ledger.heads(connection, chains | {CHAIN})
        known = ledger.by_command(connection, commands) if commands else {}
        transaction = Transaction(connection, heads, self._directory, self._tasks, known)
        transaction.follow_directory()
        return transaction

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

    def _remember(self, transaction: Transaction) -> None:
        self._directory = transaction.directory
        for chain, task in transaction.tasks.items():
            self._tasks[chain] = task
            self._tasks.move_to_end(chain)
        while len(self._tasks) > _CACHED_TASKS:
            self._tasks.popitem(last=False)


def _answer(appending: Appending, request: Prepared) -> Recorded | Refused:
    transaction = appending.transaction
    mark = len(transaction.rows)
    try:
        match request:
            case Refused():
                return request
            case SumUp():
                return Recorded(ATTESTATIONS, None, (), None)
            case Timeout(task, at):
                appending.settle(task, at)
                return _recorded(transaction, task, mark, None)
            case Attest():
                return _answer_request(appending, appending.attestation(request), mark)
            case Request():
                return _answer_request(appending, request, mark)
    except Refused as refusal:
        return refusal


def _answer_request(appending: Appending, request: Request, mark: int) -> Recorded:
    chain, transaction = request.command.task, appending.transaction
    if found := _repeated(transaction, request):
        return Recorded(chain, found, (), transaction.fold(chain))
    row = appending.append(request)
    return _recorded(transaction, chain, mark, row.data)


def _repeated(transaction: Transaction, request: Request) -> bytes | None:
    """The entry of a command recorded before; a command of the same id but other bytes is
    somebody's mistake or trick.
    """
    row = transaction.known.get(request.command.id)
    if row is None:
        return None
    if command_digest(parse_entry(row.data).command) != command_digest(request.envelope):
        raise Refused("command_id_reused", command=request.command.id)
    return row.data


def _recorded(transaction: Transaction, chain: str, mark: int, receipt: bytes | None) -> Recorded:
    appended = tuple(row.data for row in transaction.rows[mark:])
    return Recorded(chain, receipt, appended, transaction.tasks.get(chain))


def _is_lost_race(error: DBAPIError) -> bool:
    """A chain's head was taken, or PostgreSQL gave way in a deadlock (40P01, 40001)."""
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(error, IntegrityError) or state in {"40P01", "40001"}


def _all_refused(requests: Sequence[Prepared]) -> list[Refused]:
    """The requests, if none of them is left to be judged."""
    refused = [request for request in requests if isinstance(request, Refused)]
    return refused if len(refused) == len(requests) else []
