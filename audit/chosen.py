"""Verification of chosen tasks: their whole histories, and nothing of others.

Each entry is shown to stand at its index by an inclusion proof out of the tiles that came along.
The chains are complete when an entry of event ``heads`` says so: a proof leads from each chain's
last entry to the root which that entry states (`audit.heads`). What came later is there, too, but
nothing shows that it is all.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from audit.bundle import HEADS, Files, parse_head_proofs
from audit.chains import ATTESTATIONS, DIRECTORY
from audit.commitment import Opening
from audit.engine import Run
from audit.entry import leaf_hash, open_record, parse_entry, peek_chain
from audit.malformed import Malformed
from audit.merkle import check_inclusion, prove_inclusion
from audit.report import Check, Finding
from audit.share import Done, Share, SigningFollower, Whole, stated_before, words_of
from audit.tiles import WIDTH, tile_reader

Progress = Callable[[int, int], None]


def verify_chosen(
    share: Share, files: Files, root: bytes, chosen: Sequence[int], progress: Progress
) -> Done:
    """Verify the entries at the ``chosen`` indexes. Raises Malformed for what is no bundle."""
    work = _Work(share, files, root, chosen)
    for done, index in enumerate(chosen, start=1):
        work.take(index)
        progress(done, len(chosen))
    return work.done()


class _Work:
    def __init__(self, share: Share, files: Files, root: bytes, chosen: Sequence[int]) -> None:
        if share.anchors is None:
            raise Malformed("chosen_without_signatures")
        self._size = share.size
        self._files = files
        self._root = root
        self._chosen = chosen
        self._reader = tile_reader(share.size, files.read)
        self._number = -1
        self._words: Mapping[str, Mapping[str, Opening]] = {}
        self._run = Run(share.anchors, self._openings, share.judge() if share.judge else None)
        self._signing = SigningFollower()
        self._findings: list[Finding] = []
        found = files.find(HEADS)
        self._proofs = parse_head_proofs(found) if found is not None else None
        self._stated: tuple[int, int, bytes] | None = None
        self._stated_at = ""
        self._leaves: dict[str, list[tuple[int, str]]] = {}
        self._included = 0

    def take(self, index: int) -> None:
        data = self._files.read(f"entry/{index}")
        leaf, chain = leaf_hash(data), peek_chain(data)
        try:
            proof = prove_inclusion(index, self._size, self._reader) if index < self._size else ()
            check_inclusion(proof, index, self._size, bytes.fromhex(leaf), self._root)
        except Malformed as error:
            detail = f"entry/{index}: {error.detail}"
            self._findings.append(Finding(Check.TREE, error.code, chain, 0, leaf, detail, index))
            return
        self._included += 1
        self._read_words(index // WIDTH)
        states = self._proofs is not None and index == self._proofs.index
        # The chain of attestations is not shown as a whole, only the one that states the heads.
        self._run.take_published(data, leaf, chain, index, alone=states)
        if chain == DIRECTORY:
            self._signing.follow(self._run, index)
        if not states:
            self._leaves.setdefault(chain, []).append((index, leaf))
        elif self._run.holds(chain):
            self._stated = self._read_stated(data, leaf, index)
            self._stated_at = open_record(parse_entry(data).record).text("recorded_at")

    def done(self) -> Done:
        run, stated = self._run, 0
        try:
            stated = self._check_ends()
        except Malformed as error:
            self._findings.append(Finding(Check.HEADS, error.code, "", 0, "", error.detail))
        keys = self._signing.keys(run)
        findings = tuple(self._findings)
        return Done(run.report(), keys, self._included, stated, findings, self._whole())

    def _whole(self) -> Whole | None:
        """An old statement is as true as the newest one: so it must be told how old it is."""
        if self._stated is None:
            return None
        size = self._stated[0]
        later = sum(index >= size for leaves in self._leaves.values() for index, _leaf in leaves)
        return Whole(size, self._stated_at, later)

    def _openings(self, leaf: str) -> Mapping[str, Opening]:
        return self._words.get(leaf, {})

    def _read_words(self, number: int) -> None:
        """The words beside these entries, once; of others there may be none."""
        if number == self._number:
            return
        self._number = number
        # Found by halves: who makes the bundle may choose one entry of each of very many bundles.
        first, end = (bisect_left(self._chosen, (number + more) * WIDTH) for more in (0, 1))
        mine = self._chosen[first:end]
        leaves = {leaf_hash(self._files.read(f"entry/{index}")) for index in mine}
        self._words, finding = words_of(self._files, number, lambda: leaves)
        if finding is not None:
            self._findings.append(finding)

    def _read_stated(self, data: bytes, leaf: str, index: int) -> tuple[int, int, bytes] | None:
        try:
            return stated_before(data, index)
        except Malformed as error:
            finding = Finding(Check.HEADS, error.code, ATTESTATIONS, 0, leaf, error.detail, index)
            self._findings.append(finding)
            return None

    def _check_ends(self) -> int:
        """Check 12. Returns how many chains were shown to be whole."""
        if self._proofs is None or self._stated is None:
            raise Malformed("heads_missing", "nothing shows that the histories are whole")
        size, chains, root = self._stated
        ends = {proof.chain: proof for proof in self._proofs.proofs}
        for chain, proof in ends.items():
            proof.check(chains, root)
            then = [leaf for index, leaf in self._leaves.get(chain, ()) if index < size]
            if (proof.count, proof.head) != (len(then), then[-1] if then else ""):
                raise Malformed("chain_not_whole", f"{chain}: {len(then)} entries of {proof.count}")
        for chain, leaves in self._leaves.items():
            # A chain that began later has no end that was stated.
            if chain not in ends and leaves[0][0] < size:
                raise Malformed("heads_missing", chain)
        return len(ends)
