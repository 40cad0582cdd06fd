"""Verification of the entries of a log that one has at hand: checks 1 to 8 of `audit.engine`.

`audit.read_model` then compares the tables that screens are drawn from (check 9).

Entries signed by a key that was revoked as compromised before them are *disputed*: told apart, and
no findings. Where an entry stands decides that, counted from 0 in the order given.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from audit.disputes import disputed
from audit.engine import Anchors, Judge, Openings, Run, Stored
from audit.keys import PublicKey
from audit.report import MAX_DISPUTED, Check, Finding, Head, Report

__all__ = [
    "Check",
    "Finding",
    "Head",
    "Judge",
    "Openings",
    "Report",
    "Stored",
    "verify",
]

PROGRESS_EVERY = 500


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
    run = Run(Anchors(origin, log_key, founding), openings, judge)
    for stored in entries:
        run.take(stored)
        if run.entries % PROGRESS_EVERY == 0:
            progress(run.entries)
    progress(run.entries)
    return _with_disputed(run, entries)


def _with_disputed(run: Run, entries: Iterable[Stored]) -> Report:
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
