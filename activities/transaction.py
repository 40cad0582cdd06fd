"""One transaction: what it has seen of the log, and what it is about to write.

What a task is, is folded from its entries and never taken from the read model; folds of earlier
transactions are kept by the leaf hash they end at, so a kept one is as good as the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from activities.folding import caught_up, follow_rows
from activities.sealing import Vault
from audit.commitment import Opening
from audit.entry import NO_PREVIOUS
from domain.attestation import SYSTEM_CHAINS, Attested
from domain.directory import CHAIN, Directory
from domain.task import Task
from store import ledger, sealed
from store.ledger import Row


@dataclass
class Transaction:
    """``heads`` are the seq and leaf hash of the chains in question, read under their locks; a
    chain that has none is empty. ``directory`` and ``folded`` are what was known before, and
    `follow_directory` and `fold` go on from there to the heads. ``known`` are the entries of
    commands that were recorded before.

    To be written: ``rows``; words by leaf hash, in clear (``openings``) or to be sealed
    (``protected``); what listings show, ``titles`` by task and ``agencies`` that have changed.
    """

    connection: Connection
    heads: dict[str, tuple[int, str]]
    directory: Directory
    folded: Mapping[str, Task] = field(default_factory=dict)
    known: dict[str, Row] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    openings: dict[str, Sequence[Opening]] = field(default_factory=dict)
    protected: dict[str, Sequence[Opening]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    agencies: set[str] = field(default_factory=set)
    attested: Attested | None = None
    has_erased: bool = False
    owns_directory: bool = False

    def follow_directory(self) -> None:
        """Bring the directory up to its chain's head; from the beginning when the log was
        exchanged.
        """
        known = self.directory
        if self.head(CHAIN)[1] == (known.head or NO_PREVIOUS):
            return
        rows = ledger.read_chain(self.connection, CHAIN, known.seq)
        if known.seq and (not rows or rows[0].prev != known.head):
            known, rows = Directory(), ledger.read_chain(self.connection, CHAIN)
        self.directory, self.owns_directory = follow_rows(known, rows), True

    def own_directory(self) -> Directory:
        """The directory to change: copied once a transaction, however many entries change it, since
        others look at the one before until the commit.
        """
        if not self.owns_directory:
            self.directory, self.owns_directory = self.directory.copy(), True
        return self.directory

    def fold(self, chain: str) -> Task | None:
        """The task up to the chain's head: from what was folded before where that reaches, from the
        log beyond. None for an empty chain, and for one about the log itself.
        """
        if chain in SYSTEM_CHAINS:
            return None
        if chain in self.tasks:
            return self.tasks[chain]
        head = self.heads.get(chain)
        if head is None:
            return None
        task = self.folded.get(chain)
        if task is None or task.head != head[1]:
            task = caught_up(task, self.connection, chain)
        self.tasks[chain] = task
        return task

    def head(self, chain: str) -> tuple[int, str]:
        """The seq and leaf hash that the chain's next entry goes on from."""
        return self.heads.get(chain, (0, NO_PREVIOUS))

    def last(self, chain: str) -> Row | None:
        """The chain's last entry: any has the header of the first."""
        queued = [row for row in self.rows if row.chain == chain]
        if queued:
            return queued[-1]
        seq, _ = self.head(chain)
        return ledger.read_chain(self.connection, chain, seq - 1)[-1] if seq else None

    def queue(self, row: Row, openings: Sequence[Opening]) -> None:
        """Have an entry written behind the chain's head, which it is from now on, with the words
        beside it.
        """
        self.rows.append(row)
        self.known[row.command] = row
        self.heads[row.chain] = (row.seq, row.leaf)
        if openings:
            self.openings[row.leaf] = openings

    def protect(self, leaf: str) -> None:
        """Have the words beside a queued entry, if there are any, sealed and nowhere in clear."""
        if leaf in self.openings:
            self.protected[leaf] = self.openings.pop(leaf)

    def write(self, vault: Vault | None) -> None:
        """Append what is queued; bring the read model up to date, and tell the outbox. Raises
        IntegrityError on a lost race.
        """
        if not self.rows:
            return
        ledger.append(self.connection, self.rows, self.openings)
        if vault:
            self._seal(vault)
        changed = {row.chain for row in self.rows} - SYSTEM_CHAINS
        tasks = [self.tasks[chain] for chain in sorted(changed)]
        ledger.show(self.connection, tasks, self.titles)
        ledger.post(self.connection, tasks)
        agencies = self.directory.agencies
        ledger.show_agencies(self.connection, [agencies[each] for each in sorted(self.agencies)])

    def _seal(self, vault: Vault) -> None:
        for row in self.rows:
            if openings := self.protected.get(row.leaf):
                closed = vault.seal(row.leaf, openings, self.tasks[row.chain], self.directory)
                sealed.append(self.connection, row.leaf, closed)
