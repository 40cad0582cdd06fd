"""Receipts: what the giver of a command gets back, and what it is worth later.

A receipt is the entry itself, signed by the log: a promise that it is in the log for ever. Whoever
holds one needs nobody's help to find out whether the promise was kept:

    with a proof file      the entry stands at its index under a signed checkpoint
    with a bundle          its hash is looked for among all leaves
    recorded       it is there
    not yet        the checkpoint is older than the receipt: a later one will tell
    missing        the log signed a tree without it. Receipt and checkpoint together are evidence
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from audit.bundle import Files
from audit.checkpoint import Opened
from audit.dsse import decode_base64
from audit.entry import Statement, leaf_hash, open_command, open_record, parse_entry, peek_chain
from audit.keyring import DIRECTORY, Purpose
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed
from audit.merkle import HASH_BYTES, check_inclusion
from audit.proof import Proof
from audit.tiles import WIDTH, Tile

GRACE = timedelta(minutes=1)
"""So long an entry may take from its record to a checkpoint."""


class Kept(StrEnum):
    """Whether a promise was kept."""

    RECORDED = "recorded"
    NOT_YET = "not_yet"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, as its command's giver got it back."""

    data: bytes
    leaf: str
    command: Statement
    record: Statement

    @property
    def recorded_at(self) -> datetime:
        return datetime.fromisoformat(self.record.text("recorded_at"))


def read_receipt(data: bytes, log_keys: list[PublicKey]) -> Receipt:
    """The receipt that one of the log's keys signed. Raises Malformed: it promises nothing."""
    entry = parse_entry(data)
    if not any(entry.record.verify(key) for key in log_keys):
        raise Malformed("receipt_wrong", "the log did not sign it")
    return Receipt(data, leaf_hash(data), open_command(entry.command), open_record(entry.record))


def check_proof(receipt: Receipt, proof: Proof, opened: Opened) -> None:
    """Raise Malformed unless the proof shows the entry under the checkpoint that was ``opened``."""
    checkpoint = opened.checkpoint
    leaf = bytes.fromhex(receipt.leaf)
    check_inclusion(proof.hashes, proof.index, checkpoint.size, leaf, checkpoint.root)


def find(receipt: Receipt, files: Files, size: int) -> int | None:
    """The index of the entry in a whole log, by its tiles; None when it is not there."""
    wanted = bytes.fromhex(receipt.leaf)
    for number in range(-(-size // WIDTH)):
        tile = files.read(Tile(0, number, min(WIDTH, size - number * WIDTH)).path)
        at = tile.find(wanted)
        while at >= 0:
            if at % HASH_BYTES == 0:
                return number * WIDTH + at // HASH_BYTES
            at = tile.find(wanted, at + 1)
    return None


def judged(receipt: Receipt, index: int | None, opened: Opened) -> Kept:
    """What it means that the entry was found, or not, under a checkpoint."""
    if index is not None:
        return Kept.RECORDED
    times = [time for time in opened.times.values() if time is not None]
    signed = datetime.fromtimestamp(max(times, default=0), UTC)
    return Kept.NOT_YET if receipt.recorded_at + GRACE > signed else Kept.MISSING


def log_keys_in(files: Files, size: int) -> Iterator[PublicKey]:
    """Every key for records that the directory of a whole log names.

    Trust the bundle first: `audit.offline` verifies it.
    """
    for number in range(-(-size // WIDTH)):
        for data in files.entries(number, size):
            if peek_chain(data) == DIRECTORY:
                yield from _named(open_command(parse_entry(data).command))


def _named(command: Statement) -> Iterator[PublicKey]:
    arguments = command.predicate["arguments"]
    if not isinstance(arguments, dict):
        return
    match command.predicate["event"], arguments:
        case "found", {"log": spki}:
            yield load_public(decode_base64(spki))
        case "rotate", {"holder": Purpose.LOG, "spki": spki}:
            yield load_public(decode_base64(spki))
