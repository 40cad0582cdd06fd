"""Checks 10 to 12 on the database itself: the order of the log, its checkpoints, and the heads.

What `audit.offline` does with a bundle, for whoever has the database at hand: the entries, in the
order in which they were placed, give the root of every checkpoint that was ever signed; each was
signed by the keys that the directory named then; the published checkpoint is one of them; and what
attestations say about the ends of chains is so. Entries that have no place yet are no error.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from audit.chains import ATTESTATIONS, DIRECTORY
from audit.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from audit.entry import leaf_hash
from audit.frontier import Frontier
from audit.heads import HeadsFollower
from audit.malformed import Malformed
from audit.note import VerifierKey, parse_note
from audit.report import MAX_FINDINGS, Check, Finding, Report
from audit.share import stated_heads
from domain.refusal import Refused
from sequencing.opening import KeysAt
from store import tree
from store.ledger import Row
from store.tree import Persisted

Progress = Callable[[int], None]


def check_order(
    report: Report,
    connection: Connection,
    published: bytes | None,
    origin: str,
    keys_at: KeysAt,
    progress: Progress = lambda _entries: None,
) -> Report:
    """The report with checks 10 to 12. ``progress`` is told of entries read.

    ``published`` is the checkpoint that everybody can see, looked at *before* ``connection`` began
    to read: the log grows meanwhile, and a later one would be ahead of what is read here.
    """
    walk = _Walk(connection, origin, keys_at)
    walk.run(progress)
    walk.check_published(published)
    return replace(
        report,
        passed={**report.passed, **walk.passed},
        findings=(*report.findings, *walk.findings)[:MAX_FINDINGS],
    )


@dataclass
class _Walk:
    """One reading of the log in its order."""

    connection: Connection
    origin: str
    keys_at: KeysAt
    passed: Counter[Check] = field(
        default_factory=lambda: Counter({Check.TREE: 0, Check.CHECKPOINT: 0, Check.HEADS: 0})
    )
    findings: list[Finding] = field(default_factory=list)
    frontier: Frontier = field(default_factory=Frontier)
    heads: HeadsFollower = field(default_factory=HeadsFollower)
    roots: dict[int, bytes] = field(default_factory=dict)
    keys: list[VerifierKey] = field(default_factory=list)
    signed: int = 0

    def run(self, progress: Progress) -> None:
        size = tree.tree_size(self.connection)
        checkpoints = list(tree.read_checkpoints(self.connection))
        self.signed = max((checkpoint.size for checkpoint in checkpoints), default=0)
        if size < self.signed:
            self._find(Check.TREE, "leaves_missing", f"{size} of {self.signed}")
        gap = tree.first_gap(self.connection)
        if gap is not None:
            self._find(Check.TREE, "log_has_gap", f"index {gap}")
            size = gap
        # What lies before is as it was signed, or is not: that is worth knowing, too.
        at = 0
        for checkpoint in checkpoints:
            if checkpoint.size <= size:
                self._read(at, checkpoint.size)
                at = checkpoint.size
                self._check(checkpoint)
                progress(at)
        self._read(at, size)
        progress(size)

    def check_published(self, note: bytes | None) -> None:
        """What everybody can see is one of the trees that the database has."""
        if note is None:
            return
        try:
            shown = parse_checkpoint(parse_note(note).text)
            if shown.size > self.signed:
                detail = f"{shown.size}, here {self.signed}"
                self._find(Check.CHECKPOINT, "log_behind_checkpoint", detail)
                return
            if shown.size not in self.roots:
                # It was signed and is incomplete now, which was found; or it was never signed.
                if tree.read_checkpoint(self.connection, shown.size) is None:
                    detail = f"published tree of {shown.size}"
                    self._find(Check.CHECKPOINT, "log_forked", detail)
                return
            if self.roots[shown.size] != shown.root:
                self._find(Check.CHECKPOINT, "log_forked", f"published tree of {shown.size}")
                return
            open_checkpoint(note, self.origin, self.keys_at(self.connection, shown.size))
        except (Malformed, Refused) as error:
            self._find(Check.CHECKPOINT, error.code, f"the published checkpoint: {error}")

    def _read(self, start: int, end: int) -> None:
        """Entries that hang on the tree between two checkpoints."""
        leaves = []
        for index, row in enumerate(tree.read_leaves(self.connection, start, end), start=start):
            leaves.append(self._leaf(row, index))
            if row.chain == ATTESTATIONS:
                self._check_heads(row, index)
            self.heads.follow([row.chain], [row.leaf])
            if row.chain == DIRECTORY:
                self.keys = []
        self.frontier = self.frontier.extended(leaves)

    def _leaf(self, row: Row, index: int) -> bytes:
        found = leaf_hash(row.data)
        if found != row.leaf:
            detail = "its bytes have another hash"
            self.findings.append(
                Finding(Check.TREE, "entry_altered", row.chain, row.seq, row.leaf, detail, index)
            )
        else:
            self.passed[Check.TREE] += 1
        return bytes.fromhex(found)

    def _check(self, persisted: Persisted) -> None:
        root = self.frontier.root()
        self.roots[persisted.size] = root
        try:
            if not self.keys:
                self.keys = self.keys_at(self.connection, persisted.size)
            signed = open_checkpoint(persisted.note, self.origin, self.keys).checkpoint
        except (Malformed, Refused) as error:
            self._find(Check.CHECKPOINT, error.code, f"of {persisted.size} entries: {error}")
            return
        if signed != Checkpoint(self.origin, persisted.size, root):
            self._find(Check.TREE, "root_differs", f"of {persisted.size} entries")
            return
        self.passed[Check.CHECKPOINT] += 1

    def _check_heads(self, row: Row, index: int) -> None:
        try:
            stated = stated_heads(row.data)
            if stated is None:
                return
            size, chains, root = stated
            same = self.heads.stated(size) == (chains, root)
        except Malformed as error:
            self._find_entry(row, index, error.code, error.detail)
            return
        if same:
            self.passed[Check.HEADS] += 1
        else:
            self._find_entry(row, index, "heads_differ", f"of the first {size} entries")

    def _find_entry(self, row: Row, index: int, code: str, detail: str) -> None:
        self.findings.append(
            Finding(Check.HEADS, code, row.chain, row.seq, row.leaf, detail, index)
        )

    def _find(self, check: Check, code: str, detail: str) -> None:
        self.findings.append(Finding(check, code, "", 0, "", detail))
