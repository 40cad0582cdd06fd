"""Verification of the entries that a database holds: checks 1 to 8 of `audit.engine`.

What the columns beside an entry's bytes say is held against the bytes, too (checks 1 and 4).
`audit.read_model` then compares the tables that screens are drawn from (check 9).

Entries signed by a key that was revoked as compromised before them are *disputed*: told apart, and
no findings. Where an entry stands decides that, counted from 0 in the order given.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Protocol

from audit.checks import Judge, Openings, Predicate
from audit.disputes import disputed
from audit.engine import Run
from audit.entry import leaf_hash
from audit.founding import Anchors
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.report import MAX_DISPUTED, Broken, Check, Finding, Head, Report

__all__ = [
    "Check",
    "Finding",
    "Head",
    "Judge",
    "Openings",
    "Report",
    "Stored",
    "StoredRun",
    "verify",
]

PROGRESS_EVERY = 500


class Stored(Protocol):
    """An entry as a database holds it: the bytes, and what it says about them beside them."""

    @property
    def chain(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def prev(self) -> str: ...
    @property
    def leaf(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class StoredRun(Run):
    """A verification of what a database holds, entry by entry."""

    @property
    def entries(self) -> int:
        """How many were taken."""
        return self._tally.entries

    def take(self, stored: Stored, index: int | None = None) -> None:
        """The next entry."""
        tally = self._tally
        tally.entries += 1
        chain, leaf = str(stored.chain), str(stored.leaf)
        if chain in tally.broken:
            tally.skipped += 1
            self._explain_gap(tally.broken[chain], stored.seq, leaf)
            return
        self._seq = stored.seq if type(stored.seq) is int else 0
        try:
            data = _bytes_of(stored)
            signed = self._check_signed(data)
            chain_signed, _, command, record, _ = signed
            _check_columns(stored, chain_signed, command, record, data)
            self._check_beyond(signed, leaf, index, counted=True)
            tally.complete += 1
        except (Broken, Malformed) as error:
            tally.fail(self._finding(error, chain, leaf, index), counted=True)

    def _explain_gap(self, finding: Finding, seq: object, leaf: str) -> None:
        """An entry that was missing and comes later was moved, not removed."""
        if finding.code == "entry_missing" and seq == finding.seq:
            self._tally.note(replace(finding, code="entry_out_of_order", leaf=leaf))


def verify(
    entries: Iterable[Stored],
    *,
    origin: str,
    log_key: PublicKey | None,
    openings: Openings,
    judge: Judge,
    founding: str | None = None,
    progress: Callable[[int], None] = lambda _entries: None,
) -> Report:
    """Verify ``entries``, given in the order of the log.

    ``log_key`` is the key that the log was founded with, ``founding`` the digest of the founding's
    arguments. Raises ValueError when neither is given, or when ``entries`` can be read once only:
    where a key was revoked as compromised, what it had signed is looked for in a second reading.
    ``progress`` is called with the number of entries seen, now and then and at the end.
    """
    if iter(entries) is entries:
        raise ValueError("entries that can be read once only")
    run = StoredRun(Anchors(origin, log_key, founding), openings, judge)
    for stored in entries:
        run.take(stored)
        if run.entries % PROGRESS_EVERY == 0:
            progress(run.entries)
    progress(run.entries)
    return _with_disputed(run, entries)


def _with_disputed(run: StoredRun, entries: Iterable[Stored]) -> Report:
    report = run.report()
    since = run.keyring.disputed
    if not since:
        return report
    found = disputed(_sound(entries, report), since, run.keyring.name)
    listed = tuple(islice(found, MAX_DISPUTED))
    return replace(report, disputed=listed, disputed_entries=len(listed) + sum(1 for _ in found))


def _sound(entries: Iterable[Stored], report: Report) -> Iterator[tuple[int, str, bytes]]:
    for index, stored in enumerate(entries):
        if stored.chain not in report.broken:
            yield index, stored.leaf, bytes(stored.data)


def _bytes_of(stored: Stored) -> bytes:
    """Check 1, of the columns: the entry's bytes, once it is sure that all have their types."""
    # A damaged or hostile database may hold anything in any column.
    texts = (stored.chain, stored.prev, stored.leaf, stored.command)
    if type(stored.seq) is not int or not all(isinstance(text, str) for text in texts):
        raise Broken(Check.FORM, "stored_columns_malformed")
    if not isinstance(stored.data, bytes | bytearray | memoryview):
        raise Broken(Check.FORM, "stored_columns_malformed", "data")
    return bytes(stored.data)


def _check_columns(
    stored: Stored, chain: str, command: Predicate, record: Predicate, data: bytes
) -> None:
    """Check 4, of the columns: they say of an entry what its bytes say."""
    pairs: tuple[tuple[str, object, object], ...] = (
        ("stored_chain_differs", stored.chain, chain),
        ("stored_seq_differs", stored.seq, record["seq"]),
        ("stored_prev_differs", stored.prev, record["prev"]),
        ("stored_command_differs", stored.command, command["id"]),
        ("stored_leaf_differs", stored.leaf, leaf_hash(data)),
    )
    for code, found, expected in pairs:
        if found != expected:
            detail = f"these are the bytes of {chain} entry {record['seq']}"
            raise Broken(Check.BINDING, code, detail)
