"""Verification of a bundle, with nothing but the bundle and a trust file: no network, no database.

    11 checkpoint   the log's keys signed it, of every required type; witnesses as the policy asks;
                    not too old; the trees of checkpoints known from elsewhere begin this one
    10 tree         entries hash to tiles, tiles to tiles, and those to the root of the checkpoint
    1-8 entries     as `audit.engine` says; 7 and 8 where words and a judge are at hand
    12 heads        what entries of the log state about the ends of all chains is so

Chains are dealt out among processes (`audit.share`). Findings that no entry is to blame for have no
chain.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from audit.bundle import CHECKPOINT, STAMPED, TIMESTAMP, Files, open_bundle
from audit.checkpoint import Checkpoint, Opened, open_checkpoint, parse_checkpoint
from audit.checks import Judge
from audit.chosen import verify_chosen
from audit.dealing import dealt_out
from audit.disputes import disputed
from audit.entry import leaf_hash, peek_chain
from audit.founding import Anchors
from audit.malformed import Malformed
from audit.merkle import root_at
from audit.note import ED25519, MLDSA44, VerifierKey, parse_note, spki_of
from audit.policy import LogKey, Policy, check_checkpoint
from audit.report import MAX_DISPUTED, MAX_FINDINGS, Check, Finding, Report
from audit.share import NOTHING, Done, Keys, Share, Whole
from audit.tiles import HEIGHT, WIDTH, Tile, tile_reader, tile_root
from audit.timestamp import Stamped, check_token

Progress = Callable[[int, int], None]
_T = TypeVar("_T")
_RAW_BYTES = {ED25519: 32, MLDSA44: 1312}


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a verification.

    ``judge`` makes the judge of check 8; it goes to other processes, so it is a function or class
    that they can import. ``signatures`` false: whoever trusts the checkpoint checks only that the
    entries are those that it signs. ``known`` are checkpoints (notes) that were seen elsewhere;
    ``now`` is in seconds since 1970, None to leave ages alone. With ``roots``, the certificates
    that a time-stamping authority hangs on, the bundle must have a time-stamp.
    """

    path: Path
    policy: Policy
    now: int | None
    judge: Callable[[], Judge] | None = None
    signatures: bool = True
    known: tuple[bytes, ...] = ()
    processes: int = 1
    roots: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Fork:
    """Two checkpoints that the log signed and that can't both be true: evidence by itself."""

    known: bytes
    found: bytes


@dataclass(frozen=True, slots=True)
class StampedTree:
    """How large the log was at a time that an authority outside it vouches for."""

    size: int
    stamp: Stamped


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What was found. ``checkpoint`` is None when it could not even be read.

    ``times`` has the keys that signed the checkpoint, with the times they gave; ``chosen`` is the
    number of entries in a bundle of chosen tasks, None for a whole log; ``whole`` says how far
    their histories are shown to be whole, None where nothing shows it.
    """

    report: Report
    checkpoint: Checkpoint | None = None
    times: Mapping[VerifierKey, int | None] = field(default_factory=dict)
    chosen: int | None = None
    forks: tuple[Fork, ...] = ()
    stamped: StampedTree | None = None
    whole: Whole | None = None

    @property
    def ok(self) -> bool:
        return self.report.ok


def verify_bundle(order: Order, progress: Progress = lambda _done, _of: None) -> BundleReport:
    """Verify a bundle; ``progress`` hears of entries read, and of how many there are.

    Whatever the bundle holds, the answer is a report. Raises OSError when it can't be read, and
    Malformed when the policy does not say what the log was founded with.
    """
    if order.policy.founding is None and order.signatures:
        raise Malformed("policy_founding_missing", "the trust file needs a line: founding <digest>")
    try:
        with open_bundle(order.path) as files:
            return _Verification(order, files).report(progress)
    except Malformed as error:
        return BundleReport(_only(Check.FORM, error))


class _Verification:
    def __init__(self, order: Order, files: Files) -> None:
        self._order = order
        self._files = files
        self._passed: Counter[Check] = Counter()
        self._findings: list[Finding] = []
        self._forks: list[Fork] = []

    def report(self, progress: Progress) -> BundleReport:
        try:
            note = self._read_note()
            checkpoint = parse_checkpoint(parse_note(note).text)
        except Malformed as error:
            return BundleReport(_only(Check.CHECKPOINT, error))
        size = checkpoint.size
        rooted = self._try(Check.TREE, lambda: self._check_root(checkpoint))
        done = self._try(Check.TREE, lambda: self._entries(checkpoint, progress)) or []
        keys = done[0].keys if done and self._order.signatures else None
        opened = self._try(Check.CHECKPOINT, lambda: self._check_signed(note, size, keys))
        for known in self._order.known:
            check = partial(self._check_known, known, note, checkpoint, keys, rooted=bool(rooted))
            self._try(Check.CHECKPOINT, check)
        stamped = None
        if self._order.roots:
            stamped = self._try(Check.CHECKPOINT, lambda: self._check_stamp(size))
        self._passed[Check.TREE] = sum(each.hashed for each in done) if rooted else 0
        report = self._merged(done)
        if keys is not None and keys.disputed:
            report = self._with_disputed(report, keys, size)
        return BundleReport(
            report,
            checkpoint,
            opened.times if opened else {},
            len(self._files.chosen()) or None,
            tuple(self._forks),
            stamped,
            done[0].whole if done else None,
        )

    def _read_note(self) -> bytes:
        try:
            return self._files.read(CHECKPOINT)
        except FileNotFoundError as error:
            raise Malformed("bundle_file_missing", CHECKPOINT) from error

    def _check_root(self, checkpoint: Checkpoint) -> bool:
        """If it differs, what follows is checked all the same: it may tell who is to blame."""
        size = checkpoint.size
        if root_at(size, tile_reader(size, self._files.read)) != checkpoint.root:
            raise Malformed("root_differs", f"of {size} entries")
        return True

    def _entries(self, checkpoint: Checkpoint, progress: Progress) -> Sequence[Done]:
        """Checks 1 to 8, 10 and 12."""
        order, policy, chosen = self._order, self._order.policy, self._files.chosen()
        if order.signatures and not checkpoint.size:
            raise Malformed("log_empty", "it has not even the founding that is trusted")
        if not chosen:
            _check_tiles(self._files, checkpoint.size)
        anchors = Anchors(policy.origin, None, policy.founding) if order.signatures else None
        share = Share(order.path, checkpoint.size, anchors, order.judge)
        if chosen:
            return [verify_chosen(share, self._files, checkpoint.root, chosen, progress)]
        return dealt_out(share, order.processes, progress)

    def _check_signed(self, note: bytes, size: int, keys: Keys | None) -> Opened:
        policy = self._order.policy
        if keys is not None and keys.signing:
            # The directory hangs on the founding: whom it never named, the log never had.
            for key in policy.log_keys:
                if sha256(spki_of(key)).hexdigest() not in keys.checkpoint_ids:
                    raise Malformed("checkpoint_key_foreign", f"{key.name}+{key.id.hex()}")
        opened = check_checkpoint(note, policy_at(policy, keys, size), self._order.now)
        self._passed[Check.CHECKPOINT] += 1
        return opened

    def _check_known(
        self, known: bytes, found: bytes, checkpoint: Checkpoint, keys: Keys | None, *, rooted: bool
    ) -> None:
        """The tree of a checkpoint seen elsewhere must begin this one; ``rooted``: the tiles here
        are those of this one.
        """
        size = checkpoint.size
        opened = self._open_known(known, size, keys).checkpoint
        if opened.size > size:
            raise Malformed("log_behind_checkpoint", f"{size} entries, {opened.size} were signed")
        if opened.size == size:
            root = checkpoint.root
        elif rooted:
            root = root_at(opened.size, tile_reader(size, self._files.read))
        else:
            return  # damaged tiles are found already, and say nothing about the log
        if root != opened.root:
            detail = f"another tree of {opened.size} entries was signed"
            # It accuses the log, so both heads must be the log's own.
            self._open_known(found, size, keys)
            self._forks.append(Fork(known, found))
            raise Malformed("log_forked", detail)
        self._passed[Check.CHECKPOINT] += 1

    def _check_stamp(self, size: int) -> StampedTree:
        """The stamped tree begins this one, and the stamp is of it."""
        note, token = self._files.find(STAMPED), self._files.find(TIMESTAMP)
        if note is None or token is None:
            raise Malformed("timestamp_missing")
        text = parse_note(note).text
        tree = parse_checkpoint(text)
        if tree.origin != self._order.policy.origin or tree.size > size:
            raise Malformed("timestamp_of_other_tree", f"{tree.origin}, {tree.size} entries")
        if root_at(tree.size, tile_reader(size, self._files.read)) != tree.root:
            raise Malformed("timestamp_of_other_tree", f"of {tree.size} entries")
        stamp = check_token(token, text.encode(), self._order.roots)
        self._passed[Check.CHECKPOINT] += 1
        return StampedTree(tree.size, stamp)

    def _open_known(self, known: bytes, size: int, keys: Keys | None) -> Opened:
        """Signed by the keys of its time; or by those of the trust file, which a log that was
        rewritten may not know.
        """
        policy = self._order.policy
        claimed = min(parse_checkpoint(parse_note(known).text).size, size)
        try:
            present = policy_at(policy, keys, claimed).log_keys
            return open_checkpoint(known, policy.origin, present)
        except Malformed:
            return open_checkpoint(known, policy.origin, policy.log_keys)

    def _merged(self, done: Sequence[Done]) -> Report:
        report = _sum([each.report for each in done])
        found = [*self._findings, *(finding for each in done for finding in each.findings)]
        self._passed[Check.HEADS] = sum(each.stated for each in done)
        return replace(
            report,
            entries=report.entries or sum(each.hashed for each in done),
            passed={**report.passed, **self._passed},
            findings=tuple(dict.fromkeys((*found, *report.findings)))[:MAX_FINDINGS],
        )

    def _with_disputed(self, report: Report, keys: Keys, size: int) -> Report:
        """A second reading, when a key was revoked as compromised since an earlier entry."""
        found = disputed(self._read_again(report, size), keys.disputed, keys.names.__getitem__)
        listed = tuple(islice(found, MAX_DISPUTED))
        count = len(listed) + sum(1 for _ in found)
        return replace(report, disputed=listed, disputed_entries=count)

    def _read_again(self, report: Report, size: int) -> Iterator[tuple[int, str, bytes]]:
        chosen = self._files.chosen()
        entries = (
            ((index, self._files.read(f"entry/{index}")) for index in chosen)
            if chosen
            else all_entries(self._files, size)
        )
        for index, data in entries:
            if peek_chain(data) not in report.broken:
                yield index, leaf_hash(data), data

    def _try(self, check: Check, work: Callable[[], _T]) -> _T | None:
        """What ``work`` gives, or None and a finding."""
        try:
            return work()
        except Malformed as error:
            self._findings.append(_about_log(check, error))
        except FileNotFoundError as error:
            missing = Malformed("bundle_file_missing", str(error.filename or error)[-80:])
            self._findings.append(_about_log(check, missing))
        return None


def all_entries(files: Files, size: int) -> Iterator[tuple[int, bytes]]:
    """Every entry of a whole log with its index."""
    for number in range(-(-size // WIDTH)):
        for at, data in enumerate(files.entries(number, size)):
            yield number * WIDTH + at, data


def _check_tiles(files: Files, size: int) -> None:
    """Full tiles give those above them. Those of entries are compared by who reads these."""
    reader = tile_reader(size, files.read)
    level = 1
    while size >> (HEIGHT * (level + 1)):
        for number in range(size >> (HEIGHT * (level + 1))):
            tile = Tile(level, number)
            if tile_root(files.read(tile.path)) != reader(HEIGHT * (level + 1), number):
                raise Malformed("tile_differs", tile.path)
        level += 1


def policy_at(policy: Policy, keys: Keys | None, size: int) -> Policy:
    """The policy with the keys that sign checkpoints over ``size`` entries, as the log's own
    directory says: of the types that the policy insists on.
    """
    signing = keys.signing_at(size) if keys else None
    if signing is None:
        return policy
    present = {
        kind: VerifierKey(policy.origin, kind, spki[-_RAW_BYTES[kind] :])
        for kind, spki in ((ED25519, signing.ed25519), (MLDSA44, signing.mldsa))
    }
    wanted = {key.type for key in policy.log_keys}
    return replace(policy, logs=tuple(LogKey(present[kind]) for kind in sorted(wanted)))


def _sum(reports: Sequence[Report]) -> Report:
    """What all shares found together, as one that read everything would have."""
    broken = {chain: finding for each in reports for chain, finding in each.broken.items()}
    first = sorted(broken.values(), key=lambda finding: finding.index or 0)
    return Report(
        entries=sum(each.entries for each in reports),
        chains=sum(each.chains for each in reports),
        passed={
            check: sum(each.passed.get(check, 0) for each in reports)
            for check in Check
            if check <= Check.RULES
        },
        heads={chain: head for each in reports for chain, head in each.heads.items()},
        broken=broken,
        skipped=sum(each.skipped for each in reports),
        opened=sum(each.opened for each in reports),
        erased=sum(each.erased for each in reports),
        findings=tuple(first[:MAX_FINDINGS]),
    )


def _about_log(check: Check, error: Malformed) -> Finding:
    return Finding(check, error.code, "", 0, "", error.detail)


def _only(check: Check, error: Malformed) -> Report:
    return replace(NOTHING, findings=(_about_log(check, error),))
