"""Stating what was refused, in the transaction of what was accepted and behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from activities.appending import Appending
from activities.describing import Refusal
from activities.jobs import Attest, Job, Recorded, SumUp
from activities.refusing import Noted, Refusing
from activities.transaction import Transaction
from domain.attestation import CHAIN, Attested
from domain.refusal import Refused
from store import ledger
from store.engine import still_stands

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stating:
    """``appending`` is what the jobs were answered by."""

    appending: Appending
    refusing: Refusing

    def note(self, jobs: Sequence[Job], answers: Sequence[Recorded | Refused]) -> Noted:
        """State what was refused, behind what was accepted, which stays whatever happens here.
        The result is to be kept once it is committed.
        """
        at, found = self.appending.now(), list[Refusal]()
        sums = [job for job in jobs if isinstance(job, SumUp)]
        transaction = self.appending.transaction
        try:
            pairs = zip(jobs, answers, strict=True)
            found += self.refusing.describe(pairs, transaction.directory, at)
            if not sums and (counted := self.refusing.only_counted(found, at)):
                return counted
            with transaction.connection.begin_nested():
                return self._state(found, sums)
        except Exception as error:
            if not still_stands(transaction.connection):
                raise
            log.warning("refusals_not_recorded", number=len(found), error=type(error).__name__)
            return self.refusing.failed(found)

    def _state(self, found: Sequence[Refusal], sums: Sequence[SumUp]) -> Noted:
        connection = self.appending.transaction.connection
        ledger.lock(connection, {CHAIN})
        # What is rolled back here must not be taken for written: it has a transaction of its own.
        # How long the log was at its last statement of heads is no matter for a refusal.
        directory = self.appending.transaction.directory
        heads = ledger.heads(connection, {CHAIN})
        own = Transaction(connection, heads, directory, attested=Attested())
        appending = replace(self.appending, transaction=own)

        def write(attest: Attest) -> bool:
            request = appending.attestation(attest)
            if attest.occasion and ledger.by_command(connection, [request.command.id]):
                return False
            appending.append(request)
            return True

        at = appending.now()
        noted = self.refusing.note(connection, found, at, write)
        if sums:
            at_once = any(job.at_once for job in sums)
            noted = self.refusing.sum_up(noted, at, write, at_once=at_once)
        own.write(appending.keys.vault)
        return noted
