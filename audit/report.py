"""What a verification found: the numbered checks, the findings, the report, and check 9.

`audit.verify` explains the numbers and makes the report. `check_read_model` then compares it with
the tables that screens are drawn from: they are no part of the log, but they remember how long each
chain was, and so show what was cut off.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from audit.disputes import Disputed
from audit.keyring import ATTESTATIONS, DIRECTORY

MAX_FINDINGS = 50
"""So many findings are kept; `Report.broken` has them all."""

MAX_DISPUTED = 50
"""So many disputed entries are listed; `Report.disputed_entries` counts them all."""


class Check(IntEnum):
    """The numbered steps."""

    FORM = 1
    RECORD_SIGNATURE = 2
    COMMAND_SIGNATURE = 3
    BINDING = 4
    CHAIN = 5
    ONCE = 6
    OPENINGS = 7
    RULES = 8
    READ_MODEL = 9
    TREE = 10
    CHECKPOINT = 11
    HEADS = 12


def printable(text: str) -> str:
    """With every mark spelt out that would steer a terminal, or hide or reorder what it shows.

    A finding may quote what a forger wrote, and must not let that speak for itself.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and with which entry. ``code`` is stable snake_case, ``detail`` English.

    ``index`` is the entry's place in the log, where it has one. What is not about one entry but
    about the log has an empty ``chain``.
    """

    check: Check
    code: str
    chain: str
    seq: int
    leaf: str
    detail: str = ""
    index: int | None = None

    def __str__(self) -> str:
        place = f" (index {self.index})" if self.index is not None else ""
        where = f"{self.chain} entry {self.seq}{place}" if self.chain else "the log"
        detail = f": {self.detail}" if self.detail else ""
        return printable(f"check {self.check}: {self.code}: {where}{detail}")


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain that passed."""

    seq: int
    leaf: str


@dataclass(frozen=True)
class Report:
    """What was found in a log.

    ``passed`` counts, for each check, the entries that passed it; ``broken`` leads from a chain to
    its first finding; ``skipped`` entries came after that one. ``opened`` and ``erased`` count the
    commitments whose words are there, and those whose words are gone. ``disputed`` are entries that
    a key signed which was revoked as from there on: they stand, and whoever reads them should know.
    """

    entries: int
    chains: int
    passed: Mapping[Check, int]
    heads: Mapping[str, Head]
    broken: Mapping[str, Finding]
    skipped: int
    opened: int
    erased: int
    findings: tuple[Finding, ...]
    disputed: tuple[Disputed, ...] = ()
    disputed_entries: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def first(self) -> Finding | None:
        """The finding to look at: those after it may be its consequences."""
        return self.findings[0] if self.findings else None


def check_read_model(
    report: Report,
    shown: Iterable[tuple[str, Mapping[str, object]]],
    folded: Callable[[str], Mapping[str, object] | None],
) -> Report:
    """Check 9: compare ``shown``, a row of fields for each task, with what the log leads to.

    Rows and folds must have the fields ``seq`` and ``head``. A chain cut at its end, or missing as
    a whole, shows here and only here. Chains with a finding of their own are left out.
    """
    passed, findings, seen = 0, list[Finding](), set[str]()
    for chain, row in shown:
        seen.add(chain)
        if chain in report.broken:
            continue
        finding = _compare(chain, row, report.heads.get(chain), folded)
        if finding is None:
            passed += 1
        else:
            findings.append(finding)
    for chain in sorted(
        report.heads.keys() - seen - report.broken.keys() - {DIRECTORY, ATTESTATIONS}
    ):
        head = report.heads[chain]
        findings.append(Finding(Check.READ_MODEL, "row_missing", chain, head.seq, head.leaf))
    broken = {**report.broken, **{finding.chain: finding for finding in findings}}
    return replace(
        report,
        passed={**report.passed, Check.READ_MODEL: passed},
        broken=broken,
        findings=(*report.findings, *findings)[:MAX_FINDINGS],
    )


def _compare(
    chain: str,
    row: Mapping[str, object],
    head: Head | None,
    folded: Callable[[str], Mapping[str, object] | None],
) -> Finding | None:
    def finding(code: str, seq: int, detail: str) -> Finding:
        leaf = head.leaf if head else str(row.get("head", ""))
        return Finding(Check.READ_MODEL, code, chain, seq, leaf, detail)

    seq = row.get("seq")
    if type(seq) is not int:
        return finding("row_malformed", 0, "seq is no number")
    if head is None:
        return finding("chain_missing", 1, f"the row shows {seq} entries, the log has none")
    if seq > head.seq:
        detail = f"the row shows {seq} entries, the log ends after {head.seq}"
        return finding("tail_missing", head.seq + 1, detail)
    if seq < head.seq:
        detail = f"the row shows {seq} entries, the log has {head.seq}"
        return finding("row_behind", head.seq, detail)
    expected = folded(chain)
    if expected is None:
        return finding("row_unexplained", seq, "nothing was folded for this chain")
    names = sorted(row.keys() | expected.keys())
    # A field that only one side has differs, even from one that is null.
    fields = [n for n in names if row.get(n, ...) != expected.get(n, ...)]
    return finding("row_differs", seq, ", ".join(fields)) if fields else None
