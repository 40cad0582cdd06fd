"""Check 9: the tables that screens are drawn from say what the log leads to.

They are no part of the log, but they remember how long each chain was, and so show what was cut
off. Only who has the database can make this check.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from audit.chains import ATTESTATIONS, DIRECTORY
from audit.report import MAX_FINDINGS, Check, Finding, Head, Report


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
