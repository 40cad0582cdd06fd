"""What a verification has come to so far: how many entries passed which check, and the findings."""

from collections import Counter
from collections.abc import Collection, Mapping

from audit.report import MAX_FINDINGS, Check, Finding, Head, Report

_ABOUT_ONE = (Check.RECORD_SIGNATURE, Check.COMMAND_SIGNATURE, Check.FORM, Check.BINDING)
_ORDER = (*_ABOUT_ONE, Check.CHAIN, Check.ONCE, Check.OPENINGS, Check.RULES)
"""As they are passed: a statement is read only after its signature is known to be good."""


class Tally:
    """Counts entries, and keeps the first finding of each chain.

    ``complete`` entries passed all checks, ``signed_only`` those about one entry by itself; who
    verifies counts them, and the words ``opened`` and ``erased``. `Report` explains the others.
    """

    def __init__(self) -> None:
        self.entries = 0
        self.complete = 0
        self.signed_only = 0
        self.skipped = 0
        self.opened = 0
        self.erased = 0
        self.broken: dict[str, Finding] = {}
        self._order: list[str] = []
        self._failed: Counter[Check] = Counter()

    def fail(self, finding: Finding, *, counted: bool) -> None:
        """An entry failed a check. ``counted`` is false for one that is counted elsewhere."""
        self._failed[finding.check] += counted
        self.note(finding)

    def note(self, finding: Finding) -> None:
        """This is the chain's finding; it takes the place of another one."""
        if finding.chain not in self.broken:
            self._order.append(finding.chain)
        self.broken[finding.chain] = finding

    def passed(self, left_out: Collection[Check]) -> dict[Check, int]:
        """How many entries passed each check: those that passed all, or failed a later one."""
        made = dict.fromkeys(_ORDER, self.complete)
        made |= dict.fromkeys(_ABOUT_ONE, self.complete + self.signed_only)
        made |= dict.fromkeys(left_out, 0)
        for failed, entries in self._failed.items():
            # What has no form may not have come as far as its signatures.
            for check in _ORDER[: _ORDER.index(failed)] if failed is not Check.FORM else ():
                made[check] += entries
        return made

    def report(self, passed: Mapping[Check, int], heads: Mapping[str, Head]) -> Report:
        """``heads`` are the ends of all chains of which an entry passed."""
        return Report(
            entries=self.entries,
            passed=passed,
            chains=len(heads.keys() | self.broken.keys()),
            heads=heads,
            broken=dict(self.broken),
            skipped=self.skipped,
            opened=self.opened,
            erased=self.erased,
            findings=tuple(self.broken[chain] for chain in self._order[:MAX_FINDINGS]),
        )
