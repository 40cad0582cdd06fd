"""The sequencer: gives entries their places in the tree, and signs how large it has become.

One turn, in this order; a crash between any two steps is finished by the next turn:

    place     unsequenced entries get the next indexes, up to 1,000 in a transaction
    write     tiles and bundles, flushed to the disk; they may run ahead of what is signed
    sign      a checkpoint over what was written, Ed25519 and ML-DSA-44
    persist   into the database, only as the successor of the one this sequencer built on
    publish   the file ``checkpoint``, with the cosignatures that came in time

A tree that was signed once is never signed in another form: the new root grows out of the hashes
that the last signed root was checked against, not out of what a disk or a table says today. Two
sequencers may run on one log; the one that comes second finds its checkpoint refused by the
database, looks again and goes on from there. `sequencing.opening` says when none starts at all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, Engine

from audit.chains import DIRECTORY
from audit.checkpoint import Checkpoint
from audit.entry import leaf_hash
from audit.growth import Edge, File
from audit.note import format_note
from audit.signers import Signer, sign_checkpoint
from domain.refusal import Refused
from sequencing.files import TreeFiles
from store import tree
from store.engine import writing
from store.ledger import Row

BATCH = 1_000
_WRITE_AT_ONCE = 4_096

SignersAt = Callable[[Connection, int], Sequence[Signer]]
"""Who signs a checkpoint over so many entries: keys change by entries of the log."""

Probe = Callable[[str], None]


def no_probe(_point: str) -> None:
    """Named points of a turn, where tests pull the plug."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that was signed and persisted."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(slots=True)
class State:
    """``edge`` is what the files hold; ``signed`` the last checkpoint, None before the first, and
    ``time`` the latest that any checkpoint said (seconds since 1970).
    """

    edge: Edge
    signed: Signed | None
    time: int

    @property
    def signed_size(self) -> int:
        return self.signed.checkpoint.size if self.signed else 0


class Sequencer:
    """For one thread. Start it from the state that `sequencing.opening` has checked."""

    def __init__(
        self,
        engine: Engine,
        files: TreeFiles,
        origin: str,
        signers_at: SignersAt,
        reopen: Callable[[], State],
        now: Callable[[], datetime],
        probe: Probe = no_probe,
    ) -> None:
        """``reopen`` reads and checks the state; it is called now, and when another was faster."""
        self._engine = engine
        self._files = files
        self._origin = origin
        self._signers_at = signers_at
        self._reopen = reopen
        self._now = now
        self._probe = probe
        self._signers: Sequence[Signer] = ()
        self._state = reopen()
        self._queue_forgotten()

    @property
    def signed(self) -> Signed | None:
        return self._state.signed

    def turn(self) -> Signed | None:
        """Sequence all there is. The checkpoint to publish, or None when there was nothing to do.

        When another sequencer was faster it is that one's: our folder is to show it, too.
        """
        placed = self.place()
        if not placed and self._state.edge.size == self._state.signed_size:
            # Another sequencer may have placed entries, and died.
            with self._engine.connect() as connection:
                if tree.tree_size(connection) == self._state.edge.size:
                    return None
        self.write()
        return self.sign()

    def place(self) -> int:
        """Give every waiting entry its place. Returns how many there were."""
        total = 0
        while True:
            with writing(self._engine) as connection:
                tree.lock(connection)
                placed = tree.sequence(connection, BATCH)
                self._probe("placing")
            total += placed
            if placed < BATCH:
                self._probe("placed")
                return total

    def write(self) -> None:
        """Bring the files up to what has been placed."""
        with self._engine.connect() as connection:
            size = tree.tree_size(connection)
            rows = tree.read_leaves(connection, self._state.edge.size, size)
            for edge, batch in extend(self._state.edge, rows, self._files, self._probe):
                self._state.edge = edge
                if any(row.chain == DIRECTORY for row in batch):
                    self._signers = ()
        self._probe("written")

    def sign(self) -> Signed | None:
        """Sign what the files hold and persist it; None when it is signed already.

        When another sequencer was faster, the checkpoint that it persisted.
        """
        edge, after = self._state.edge, self._state.signed_size
        if edge.size == after:
            return None
        checkpoint = Checkpoint(self._origin, edge.size, edge.root())
        if not self._signers:
            # What is placed stays so: nobody has to wait while a large directory is read.
            with self._engine.connect() as connection:
                self._signers = self._signers_at(connection, edge.size)
        try:
            with writing(self._engine) as connection:
                tree.lock(connection)
                # A clock set back must not make the log say so, too.
                time = max(self._state.time, int(self._now().timestamp()))
                note = sign_checkpoint(checkpoint, self._signers, time)
                signed = Signed(checkpoint, format_note(note))
                self._probe("signed")
                tree.persist(connection, edge.size, after, signed.note)
                self._probe("persisting")
        except tree.Outrun:
            self._state = self._reopen()
            self._signers = ()
            return self._state.signed
        self._probe("persisted")
        self._state.signed, self._state.time = signed, time
        return signed

    def publish(self, note: bytes) -> bool:
        """Show the checkpoint to everybody; ``note`` may carry cosignatures by now.

        False when a newer one is shown already.
        """
        self._probe("publishing")
        published = self._files.publish(note)
        self._probe("published")
        return published

    def _queue_forgotten(self) -> None:
        """Once: it looks at every entry. Nobody is kept from recording unless one is found."""
        with self._engine.connect() as connection:
            if not tree.has_forgotten(connection):
                return
        with writing(self._engine) as connection:
            tree.lock(connection)
            tree.queue_forgotten(connection)


def extend(
    edge: Edge, rows: Iterator[Row], files: TreeFiles, probe: Probe = no_probe
) -> Iterator[tuple[Edge, list[Row]]]:
    """Write the files of these entries, several thousand at a time; yields the edge after each."""
    while batch := list(islice(rows, _WRITE_AT_ONCE)):
        edge, grown = edge.extended([sound(row) for row in batch])
        files.write(_probed(grown, probe))
        yield edge, batch


def _probed(files: Iterable[File], probe: Probe) -> Iterator[File]:
    for file in files:
        probe("writing")
        yield file


def sound(row: Row) -> bytes:
    """The bytes of an entry that still has the hash that others' entries name it by."""
    if leaf_hash(row.data) != row.leaf:
        raise Refused("entry_altered", chain=row.chain, seq=row.seq)
    return row.data
