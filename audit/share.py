"""The share of a log's entries that one process verifies.

Every process reads all entries, to know whose they are, and verifies the chains that are its own;
the directory is followed by all. For each 256 entries one process compares their hashes with the
tile, and the first one follows the heads of all chains (check 12).

What a share finds goes back to the process that dealt it out, so it is made of plain values.
"""

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from audit.bundle import Files, open_bundle
from audit.chains import ATTESTATIONS, DIRECTORY
from audit.checks import Judge
from audit.commitment import Opening
from audit.engine import Run
from audit.entry import open_command, parse_entry, peek_chain
from audit.founding import Anchors
from audit.heads import HeadsFollower
from audit.malformed import Malformed
from audit.merkle import HASH_BYTES, leaf_hash
from audit.report import Check, Finding, Report
from audit.tiles import HEIGHT, WIDTH, Tile, tile_reader, tile_root

JudgeFactory = Callable[[], Judge]
STATED = "heads"
"""The event of an entry that states the heads of all chains."""

DIGITS = 2 * HASH_BYTES
NOTHING = Report(0, 0, {}, {}, {}, 0, 0, 0, ())


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of a bundle to verify: process ``number`` of ``processes``.

    Without ``anchors`` nothing is verified but that the entries are those of the tiles.
    """

    path: Path
    size: int
    anchors: Anchors | None
    judge: JudgeFactory | None
    number: int = 0
    processes: int = 1

    def is_of(self, chain: str) -> bool:
        if chain == ATTESTATIONS:
            return self.number == 0  # who follows the heads must know which statements are signed
        return zlib.crc32(chain.encode()) % self.processes == self.number

    def compares(self, number: int) -> bool:
        """Whether this process holds the entries of bundle ``number`` against their tile."""
        turn, process = divmod(number, self.processes)
        if process == 0 and turn % 2 and self.processes > 1:
            process = 1  # the first has the heads to follow
        return process == self.number


@dataclass(frozen=True, slots=True)
class Signing:
    """The keys that sign checkpoints over more than ``index`` entries, until the next ones do.

    Both are SubjectPublicKeyInfos: Ed25519 and ML-DSA-44.
    """

    index: int
    ed25519: bytes
    mldsa: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """What the log says about keys: those that sign checkpoints, the ids of all that ever did, and
    from which index on which key's signatures are disputed.
    """

    signing: tuple[Signing, ...]
    checkpoint_ids: frozenset[str]
    disputed: Mapping[str, int]
    names: Mapping[str, str]

    def signing_at(self, size: int) -> Signing | None:
        """Which keys sign a checkpoint over ``size`` entries."""
        return next((each for each in reversed(self.signing) if each.index < size), None)


class SigningFollower:
    """The keys for checkpoints, while a log is read."""

    def __init__(self) -> None:
        self._signing: list[Signing] = []

    def follow(self, run: Run, index: int) -> None:
        """After ``run`` has taken an entry of the directory."""
        present = run.keyring.checkpoint_keys
        if present is None:
            return
        now = Signing(index, present[0].spki, present[1].spki)
        if not self._signing or replace(self._signing[-1], index=index) != now:
            self._signing.append(now)

    def keys(self, run: Run) -> Keys:
        """All that a finished run knows about keys."""
        keyring = run.keyring
        disputed = dict(keyring.disputed)
        names = {key: keyring.name(key) for key in disputed}
        return Keys(tuple(self._signing), keyring.checkpoint_ids, disputed, names)


@dataclass(frozen=True, slots=True)
class Whole:
    """How far the histories of chosen tasks are shown to be whole: as far as the first ``size``
    entries of the log go, as it stated ``at`` an instant. ``later`` entries of theirs came since.
    """

    size: int
    at: str
    later: int


@dataclass(frozen=True, slots=True)
class Done:
    """What one share came to. ``hashed`` entries were found to be those of the tiles."""

    report: Report
    keys: Keys
    hashed: int
    stated: int
    findings: tuple[Finding, ...]
    whole: Whole | None = None


def verify_share(share: Share, progress: Callable[[int], None]) -> Done:
    """Verify a share of a whole log. ``progress`` is told of entries read. Raises Malformed and
    OSError for what can't be read.
    """
    with open_bundle(share.path) as files:
        work = _Work(share, files)
        for number in range(-(-share.size // WIDTH)):
            progress(work.take(number))
        return work.done()


class _Work:
    def __init__(self, share: Share, files: Files) -> None:
        self._share = share
        self._files = files
        self._reader = tile_reader(share.size, files.read)
        self._words: Mapping[str, Mapping[str, Opening]] = {}
        judge = share.judge() if share.judge else None
        self._run = Run(share.anchors, self._openings, judge) if share.anchors else None
        self._signing = SigningFollower()
        self._heads = HeadsFollower() if share.number == 0 and share.anchors else None
        self._findings: list[Finding] = []
        self._hashed = 0
        self._stated = 0

    def take(self, number: int) -> int:
        """The entries of one bundle. Returns how many there were."""
        share = self._share
        width = min(WIDTH, share.size - number * WIDTH)
        mine = share.compares(number)
        if self._run is None and not mine:
            return width
        entries = self._files.entries(number, share.size)
        tile = self._files.read(Tile(0, number, width).path)
        if mine:
            self._hashed += self._compare(number, entries, tile)
        if self._run is not None:
            self._words = self._read_words(number, tile, report=mine)
            self._take(self._run, number * WIDTH, entries, _digits_in(tile, width))
        return width

    def done(self) -> Done:
        run, findings = self._run, tuple(self._findings)
        if run is None:
            nobody = Keys((), frozenset(), {}, {})
            return Done(NOTHING, nobody, self._hashed, self._stated, findings)
        # Nobody asks where the chains end, and there are many of them.
        report = replace(run.report(), heads={})
        if self._share.number:
            # The first share tells what is wrong with the directory, once for all.
            broken = {chain: each for chain, each in report.broken.items() if chain != DIRECTORY}
            found = tuple(each for each in report.findings if each.chain != DIRECTORY)
            chains = report.chains - (run.keyring.founded or DIRECTORY in report.broken)
            report = replace(report, chains=chains, broken=broken, findings=found)
        return Done(report, self._signing.keys(run), self._hashed, self._stated, findings)

    def _take(self, run: Run, start: int, entries: list[bytes], leaves: list[str]) -> None:
        chains, is_of = list(map(peek_chain, entries)), self._share.is_of
        if self._heads is not None:
            self._heads.follow(chains, leaves)
        each = zip(entries, leaves, chains, strict=True)
        for index, (data, leaf, chain) in enumerate(each, start):
            if chain == DIRECTORY:
                run.take_published(data, leaf, chain, index, counted=self._share.number == 0)
                self._signing.follow(run, index)
                continue
            if is_of(chain):
                run.take_published(data, leaf, chain, index)
            # A statement costs a look at all chains: only the log itself may ask for that.
            if chain == ATTESTATIONS and self._heads is not None and run.holds(chain):
                self._check_stated(self._heads, data, leaf, index)

    def _read_words(
        self, number: int, tile: bytes, *, report: bool
    ) -> Mapping[str, Mapping[str, Opening]]:
        """The words beside these entries. They may be gone, but nothing else may be in there."""
        words, finding = words_of(self._files, number, lambda: set(_digits_in(tile, WIDTH)))
        if finding is not None and report:
            self._findings.append(finding)
        return words

    def _openings(self, leaf: str) -> Mapping[str, Opening]:
        return self._words.get(leaf, {})

    def _compare(self, number: int, entries: list[bytes], tile: bytes) -> int:
        """Check 10 for these entries. Returns how many are those of the tile."""
        hashes = [leaf_hash(entry) for entry in entries]
        joined = b"".join(hashes)
        if joined != tile:
            at = next((i for i, found in enumerate(hashes) if found != _hash_at(tile, i)), 0)
            index = number * WIDTH + at
            chain = peek_chain(entries[at])
            self._findings.append(
                Finding(Check.TREE, "entry_not_of_tile", chain, 0, hashes[at].hex(), "", index)
            )
            return 0
        if len(entries) == WIDTH and tile_root(tile) != self._reader(HEIGHT, number):
            detail = Tile(0, number).path
            self._findings.append(Finding(Check.TREE, "tile_differs", "", 0, "", detail))
            return 0
        return len(entries)

    def _check_stated(self, heads: HeadsFollower, data: bytes, leaf: str, index: int) -> None:
        """Check 12: what the entry says about the ends of all chains is so."""
        try:
            self._stated += _are_so(heads, data, index)
        except Malformed as error:
            finding = Finding(Check.HEADS, error.code, ATTESTATIONS, 0, leaf, error.detail, index)
            self._findings.append(finding)


def _are_so(heads: HeadsFollower, data: bytes, index: int) -> bool:
    """Whether the entry at ``index`` states heads; and if it does, they are these, or it is
    Malformed.
    """
    stated = stated_before(data, index)
    if stated is None:
        return False
    size, chains, root = stated
    if heads.stated(size) != (chains, root):
        raise Malformed("heads_differ", f"of the first {size} entries")
    return True


def _digits_in(tile: bytes, width: int) -> list[str]:
    """The hashes of a tile in hex; empty ones where it is too short."""
    digits = tile.hex()
    return [digits[at : at + DIGITS] for at in range(0, width * DIGITS, DIGITS)]


def _hash_at(tile: bytes, at: int) -> bytes:
    return tile[at * HASH_BYTES : (at + 1) * HASH_BYTES]


def words_of(
    files: Files, number: int, leaves: Callable[[], Collection[str]]
) -> tuple[Mapping[str, Mapping[str, Opening]], Finding | None]:
    """The words of bundle ``number``, which may be beside entries of these ``leaves`` only; none,
    and what is wrong with them, where they are unreadable or somebody else's.
    """
    path = f"words/{number}"
    try:
        words = files.words(number)
    except Malformed as error:
        detail = f"{path}: {error.detail}".rstrip(": ")
        return {}, Finding(Check.OPENINGS, error.code, "", 0, "", detail)
    strange = words.keys() - leaves() if words else set[str]()
    if strange:
        detail = f"{path}: {min(strange)[:DIGITS]}"
        return {}, Finding(Check.OPENINGS, "words_of_no_entry", "", 0, "", detail)
    return words, None


def stated_heads(data: bytes) -> tuple[int, int, bytes] | None:
    """Size, number of chains and root that an attestation states; None for any other entry.

    Raises Malformed. Its signatures are checked elsewhere.
    """
    statement = open_command(parse_entry(data).command)
    command = statement.predicate
    # On any other chain a person's key may sign an event of this name.
    if statement.subject.name != ATTESTATIONS or command["event"] != STATED:
        return None
    match command["arguments"]:
        case {"chains": int(chains), "root": str(root), "size": int(size)} if len(root) == DIGITS:
            try:
                return size, chains, bytes.fromhex(root)
            except ValueError as error:
                raise Malformed("heads_malformed") from error
    raise Malformed("heads_malformed")


def stated_before(data: bytes, index: int) -> tuple[int, int, bytes] | None:
    """The same of the entry at ``index``, which can't know of entries behind it."""
    stated = stated_heads(data)
    if stated is not None and stated[0] > index:
        raise Malformed("heads_out_of_reach", f"of {stated[0]}, at {index}")
    return stated
