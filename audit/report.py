"""What a verification found: the numbered checks, the findings, the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from audit.disputes import Disputed

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


class Broken(Exception):
    """An entry failed a check: raised by the check, and made a `Finding` by who called it.

    ``missing`` is the seq and leaf of another entry to be named: one that is not there.
    """

    def __init__(
        self,
        check: Check,
        code: str,
        detail: str = "",
        *,
        missing: tuple[int, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.check = check
        self.code = code
        self.detail = detail
        self.missing = missing


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
