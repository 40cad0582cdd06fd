"""Receipts: what the giver of a command gets back, and what it is worth later.

A receipt is the entry itself, its record signed by the log: a promise that it is in the log for
ever. Whoever holds one needs nobody's help to find out whether the promise was kept, with one of

    a proof file   it leads from the entry to a signed checkpoint
    a bundle       the entry is looked for among all leaves, and these give the signed root

and gets one of these answers:

    recorded   it is there: the checkpoint is the log's signature on it
    not yet    it is not, and the log need not have had it when it signed the checkpoint
    missing    it is not, though another entry stands in its place, or the checkpoint is later.
               The log signed both: receipt and checkpoint together are evidence

What is missing is a *record*. It says nothing of the bytes of the command's signature, and who can
sign a command can sign it twice: a receipt with another signature than the one recorded is no
evidence of anything, and is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from audit.bundle import CHECKPOINT, Files
from audit.chains import DIRECTORY
from audit.checkpoint import Checkpoint, Opened, parse_checkpoint
from audit.engine import Run
from audit.entry import (
    Entry,
    Statement,
    command_digest,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
    peek_chain,
)
from audit.founding import Anchors
from audit.frontier import Frontier
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.merkle import check_inclusion, prove_inclusion
from audit.note import parse_note
from audit.offline import policy_at
from audit.policy import Policy, check_checkpoint
from audit.proof import Proof
from audit.share import SigningFollower
from audit.tiles import WIDTH, Tile, parse_tile, tile_reader

GRACE = timedelta(minutes=5)
"""So much later than its record a checkpoint must be before an entry is missing from it: clocks of
two machines may differ, and a sequencer may have been behind.
"""

_TASK_PREFIX = "task:"


class Kept(StrEnum):
    """Whether a promise was kept."""

    RECORDED = "recorded"
    NOT_YET = "not_yet"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, as its command's giver got it back. Nobody's signature has been checked."""

    data: bytes
    leaf: str
    entry: Entry
    record: Statement

    @property
    def log(self) -> str:
        return self.record.text("log")

    @property
    def chain(self) -> str:
        return self.record.subject.name.removeprefix(_TASK_PREFIX)

    @property
    def seq(self) -> int:
        seq = self.record.predicate["seq"]
        return seq if isinstance(seq, int) else 0

    @property
    def recorded_at(self) -> datetime:
        return datetime.fromisoformat(self.record.text("recorded_at"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a promise; ``index`` is where the entry stands under the checkpoint."""

    kept: Kept
    opened: Opened
    index: int | None = None


def read_receipt(data: bytes, origin: str) -> Receipt:
    """The receipt that a file holds, if it speaks of the log ``origin``. Raises Malformed."""
    entry = parse_entry(data)
    command, record = open_command(entry.command), open_record(entry.record)
    receipt = Receipt(data, leaf_hash(data), entry, record)
    if receipt.log != origin:
        raise Malformed("receipt_of_other_log", receipt.log)
    if record.text("command") != command_digest(entry.command) or record.subject != command.subject:
        raise Malformed("receipt_forged", "the record speaks of another command")
    return receipt


def check_proof(receipt: Receipt, proof: Proof, policy: Policy) -> Answer:
    """The entry is recorded: the proof shows it under a checkpoint. Raises Malformed otherwise."""
    opened = check_checkpoint(proof.checkpoint, policy, None)
    _check_included(receipt.leaf, proof.index, proof.hashes, opened.checkpoint)
    return Answer(Kept.RECORDED, opened, proof.index)


def look_up(
    receipt: Receipt, files: Files, policy: Policy, log_keys: Sequence[PublicKey] = ()
) -> Answer:
    """Whether the entry is in the log that ``files`` hold.

    The log's keys are those that its directory names, which hangs on the policy's founding;
    ``log_keys`` are more that are believed to have signed records. Raises Malformed for files that
    are not those of a signed checkpoint, and for a receipt that the log never gave.
    """
    try:
        reading = _Reading(receipt, files, policy)
        reading.run()
        return reading.answer(log_keys)
    except FileNotFoundError as error:
        raise Malformed("bundle_file_missing", str(error.filename or error)[-80:]) from error


@dataclass
class _Reading:
    """One reading of a bundle: for the entry, for others of its chain, and for the log's keys."""

    receipt: Receipt
    files: Files
    policy: Policy
    index: int | None = None
    length: int = 0
    last: bytes = b""
    altered: bool = False
    log_keys: list[PublicKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        founding = self.policy.founding
        anchors = Anchors(self.policy.origin, None, founding) if founding else None
        self.note = self.files.read(CHECKPOINT)
        self.tree = parse_checkpoint(parse_note(self.note).text)
        self.chosen = self.files.chosen()
        self.directory = Run(anchors, None, None) if anchors else None
        self.signing = SigningFollower()

    def run(self) -> None:
        for index, leaf, data in self._entries():
            self._take(index, leaf, data)
        if self.directory is None:
            return
        for broken in self.directory.report().broken.values():
            raise Malformed(broken.code, f"{broken.chain} {broken.seq}: {broken.detail}")

    def answer(self, log_keys: Sequence[PublicKey]) -> Answer:
        keys = self.signing.keys(self.directory) if self.directory else None
        policy = policy_at(self.policy, keys, self.tree.size)
        opened = check_checkpoint(self.note, policy, None)
        if self.index is not None:
            return Answer(Kept.RECORDED, opened, self.index)
        if self.altered:
            raise Malformed("receipt_altered", f"{self.receipt.chain} {self.receipt.seq}")
        record = self.receipt.entry.record
        if not any(record.verify(key) for key in (*self.log_keys, *log_keys)):
            raise Malformed("receipt_forged", "no key of the log that is known here signed it")
        if self.chosen:
            raise Malformed("receipt_needs_whole_log")
        late = self._time(opened) >= self.receipt.recorded_at + GRACE
        gone = late or self.length >= self.receipt.seq
        return Answer(Kept.MISSING if gone else Kept.NOT_YET, opened)

    def _entries(self) -> Iterator[tuple[int, str, bytes]]:
        """Entries with their indexes and hashes, each shown to stand under the checkpoint."""
        if self.chosen:
            reader = tile_reader(self.tree.size, self.files.read)
            for index in self.chosen:
                data = self.files.read(f"entry/{index}")
                proof = (
                    prove_inclusion(index, self.tree.size, reader) if index < self.tree.size else ()
                )
                _check_included(leaf_hash(data), index, proof, self.tree)
                yield index, leaf_hash(data), data
            return
        frontier = Frontier()
        for number in range(-(-self.tree.size // WIDTH)):
            width = min(WIDTH, self.tree.size - number * WIDTH)
            hashes = parse_tile(self.files.read(Tile(0, number, width).path), width)
            frontier = frontier.extended(hashes)
            for at, data in enumerate(self.files.entries(number, self.tree.size)):
                if leaf_hash(data) != hashes[at].hex():
                    raise Malformed("entry_not_of_tile", f"index {number * WIDTH + at}")
                yield number * WIDTH + at, hashes[at].hex(), data
        if frontier.root() != self.tree.root:
            raise Malformed("root_differs", f"of {self.tree.size} entries")

    def _take(self, index: int, leaf: str, data: bytes) -> None:
        if leaf == self.receipt.leaf:
            self.index = index
        chain = peek_chain(data)
        if chain == self.receipt.chain:
            self.length += 1
            record = parse_entry(data).record
            self.altered |= record.signed_bytes == self.receipt.entry.record.signed_bytes
        if chain == DIRECTORY and self.directory is not None:
            self.directory.take_published(data, leaf, chain, index)
            self.signing.follow(self.directory, index)
            key = self.directory.keyring.log_key
            if key is not None and key not in self.log_keys:
                self.log_keys.append(key)
        self.last = data

    def _time(self, opened: Opened) -> datetime:
        """When the log signed the tree: not before it says so itself, nor before the tree's end.

        Not when witnesses say they saw it. One that the log could not reach for a while cosigns an
        old tree for whoever asks, and the log is accused of what it never signed.
        """
        own = (time for key, time in opened.times.items() if key.name == self.policy.origin)
        times = [_instant(time) for time in own if time is not None]
        recorded = open_record(parse_entry(self.last).record).text("recorded_at")
        return max([*times, datetime.fromisoformat(recorded)])


def _instant(seconds: int) -> datetime:
    """A log that dates its tree behind all calendars can't escape its promises by that."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _check_included(leaf: str, index: int, proof: Sequence[bytes], tree: Checkpoint) -> None:
    check_inclusion(proof, index, tree.size, bytes.fromhex(leaf), tree.root)
