"""Judging a command by the log as it is under the locks, and appending what it comes to.

A command is a step of a task, a change of the directory, or an attestation. Each has rules of its
own, and none is appended that they refuse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from activities import erasing
from activities.chaining import Claim, chained
from activities.clock import attest_request, lapse_request
from activities.evidence import check_kept, digests_in
from activities.folding import attested, header_of, recorded_at
from activities.jobs import Attest
from activities.signing import LogKeys, check_keys
from activities.transaction import Transaction
from activities.trusting import Trusting, concerns
from activities.unsealing import Request
from activities.words import mark_of
from audit.entry import header_digest
from domain import attestation
from domain import directory as directories
from domain.calendar import Calendar
from domain.command import Actor
from domain.decide import Decision, check_issued, decide, due_clocks
from domain.refusal import Refused
from domain.secrecy import is_protected
from domain.snapshot import format_clocks
from domain.step import Step, evolve
from domain.task import Secrecy, Task
from store.ledger import Row


@dataclass(frozen=True, slots=True)
class Appending:
    """Appends to one transaction. A command that is refused adds nothing; what ran out before it
    was received stays.
    """

    transaction: Transaction
    keys: LogKeys
    calendar: Calendar
    now: Callable[[], datetime]
    trusting: Trusting

    def append(self, request: Request) -> Row:
        """The entry of a command, behind those of deadlines that ran out before it was received.
        Raises Refused.
        """
        match request.command.task:
            case directories.CHAIN:
                return self._append_change(request)
            case attestation.CHAIN:
                return self._append_attestation(request)
            case task:
                self.settle(task, request.received_at)
                return self._append_step(request)

    def settle(self, chain: str, at: datetime) -> None:
        """Record, by the clock's own key, every deadline that ran out before ``at``. Raises Refused
        when that key is not here.
        """
        task = self.transaction.fold(chain)
        while task is not None and (due := due_clocks(task, at)):
            self._append_step(lapse_request(self.keys, self.transaction.directory, task, due[0]))
            task = self.transaction.tasks[chain]

    def attestation(self, job: Attest) -> Request:
        """The command by which the service states something. Raises Refused when the clock's key is
        not here.
        """
        last = self.transaction.last(attestation.CHAIN)
        return attest_request(self.keys, self.transaction.directory, job, last)

    def _append_step(self, request: Request) -> Row:
        chain = request.command.task
        task = self.transaction.fold(chain)
        actor, decision = self._judged(task, request)
        earlier = [task.recorded_at] if task else []
        claim = Claim(
            person=actor.person,
            before=str(task.state) if task else None,
            after=str(decision.to),
            clocks=format_clocks(decision.clocks),
            calendar=self.calendar.version,
            recorded_at=self._time_after(request.received_at, *earlier),
            assurance=actor.assurance,
        )
        row = self._queued(request, claim)
        step = _step(request, actor, decision, claim, row)
        after = self.transaction.tasks[chain] = evolve(task, step)
        self._place_words(request, row, after)
        return row

    def _judged(self, task: Task | None, request: Request) -> tuple[Actor, Decision]:
        """Whose step it is, and what it does. Raises Refused."""
        command, directory = request.command, self.transaction.directory
        _check_header(request, task.header if task else header_digest(command.arguments))
        received_at = request.received_at
        actor = directory.actor(
            command.key, command.agency, command.role, received_at, command.behalf
        )
        directories.check_agencies(directory, command.arguments)
        decision = decide(task, command, actor, received_at, self.calendar)
        digests = digests_in(command.event, command.arguments)
        check_kept(command.task, task.secrecy if task else None, digests, request.missing)
        self._check_vault(task, request)
        return actor, decision

    def _check_vault(self, task: Task | None, request: Request) -> None:
        """Words of a protected task rest sealed, or are not taken at all. Raises Refused."""
        level = task.secrecy if task else Secrecy(request.command.arguments["secrecy"])
        if request.openings and is_protected(level) and self.keys.vault is None:
            raise Refused("vault_missing")

    def _place_words(self, request: Request, row: Row, after: Task) -> None:
        """Decide what is sealed of the words beside a step, and what listings show."""
        transaction = self.transaction
        if is_protected(after.secrecy):
            transaction.protect(row.leaf)
            if row.seq == 1:
                transaction.titles[row.chain] = mark_of(request.command.arguments)
            return
        for opening in request.openings:
            if opening.field == "title":
                transaction.titles[row.chain] = opening.value

    def _append_change(self, request: Request) -> Row:
        command, transaction = request.command, self.transaction
        authorities = None
        if concerns(command.event, command.arguments):
            unwritten = (row for row in transaction.rows if row.chain == directories.CHAIN)
            authorities = self.trusting.now(transaction.connection, unwritten)
        at = request.received_at
        check_keys(self.keys, command, at, authorities)
        directories.check_fresh(transaction.directory, command.issued_at)
        judge, advance = directories.judge, directories.advance
        judge(transaction.directory, command.event, command.arguments, command.key, at)
        row = self._append_about_log(request, directories.ADMINISTRATOR)
        advance(transaction.own_directory(), command.event, command.arguments, row.leaf, at)
        changed = directories.changed_agencies(command.event, command.arguments)
        transaction.agencies.update(agency.id for agency in changed)
        return row

    def _append_attestation(self, request: Request) -> Row:
        command, transaction = request.command, self.transaction
        event, arguments = command.event, command.arguments
        holder = transaction.directory.key_in_force(command.key, request.received_at).holder
        so_far = transaction.attested or attested(transaction.connection)
        attestation.judge(so_far, event, arguments, holder)
        erasing.check(transaction.connection, event, arguments)
        row = self._append_about_log(request, holder)
        transaction.has_erased |= erasing.carry_out(transaction.connection, event, arguments)
        transaction.attested = attestation.follow(so_far, event, arguments, row.leaf)
        return row

    def _append_about_log(self, request: Request, person: str) -> Row:
        """An entry of a chain about the log itself. It knows no states and no deadlines; no
        workflow hears of it, and no listing shows it.
        """
        command = request.command
        last = self.transaction.last(command.task)
        _check_header(request, header_of(last) if last else header_digest(command.arguments))
        check_issued(command, request.received_at)
        earlier = [recorded_at(last)] if last else []
        claim = Claim(
            person=person,
            before=None,
            after="recorded",
            clocks={},
            calendar=self.calendar.version,
            recorded_at=self._time_after(request.received_at, *earlier),
        )
        return self._queued(request, claim)

    def _queued(self, request: Request, claim: Claim) -> Row:
        transaction = self.transaction
        head = transaction.head(request.command.task)
        row = chained(self.keys, transaction.directory, request, claim, head)
        transaction.queue(row, request.openings)
        return row

    def _time_after(self, *earlier: datetime) -> datetime:
        """Now, but never before the receipt or the chain's last entry, whatever the machine's
        clock does.
        """
        return max(self.now(), *earlier)


def _check_header(request: Request, header: str) -> None:
    """A command names its chain by the digest of the first entry's arguments. Raises Refused."""
    if request.subject.digest != header:
        raise Refused("other_task", task=request.command.task)


def _step(request: Request, actor: Actor, decision: Decision, claim: Claim, row: Row) -> Step:
    """What `read_step` will read out of the entry."""
    command = request.command
    return Step(
        task=command.task,
        header=request.subject.digest,
        event=command.event,
        agency=command.agency,
        role=command.role,
        arguments=command.arguments,
        command=command.id,
        person=actor.person,
        behalf=actor.behalf,
        received_at=request.received_at,
        recorded_at=claim.recorded_at,
        to=decision.to,
        clocks=decision.clocks,
        seq=row.seq,
        leaf=row.leaf,
    )
