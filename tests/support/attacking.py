"""Logs as their operator may write and publish them, with every key of the log in hand.

`Scribe` writes small logs that hold by checks 1 to 7; nobody asks it what an entry means. `show`
publishes any entries whatsoever: tiles, and a checkpoint that the log's keys sign.
"""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.bundle import HeadProofs, format_head_proofs, format_words
from audit.canonical import JsonLike
from audit.chains import ATTESTATIONS, DIRECTORY
from audit.checkpoint import Checkpoint
from audit.commitment import Opening
from audit.dsse import Envelope
from audit.entry import (
    NO_PREVIOUS,
    Entry,
    Subject,
    command_digest,
    format_entry,
    header_digest,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
)
from audit.growth import Edge
from audit.merkle import prove_inclusion, root_at
from audit.note import VerifierKey, format_note
from audit.offline import BundleReport, Order, verify_bundle
from audit.policy import LogKey, Policy
from audit.private_keys import PrivateKey
from audit.report import Check, Finding
from audit.signers import Ed25519Signer, MLDSACosigner, sign_checkpoint
from audit.signing import sign_command, sign_record
from audit.tiles import WIDTH, tile_reader
from domain.instants import format_instant
from domain.replay import Replay
from gateway.composing import compose_change, prove_enrolment
from store import ledger
from store.ledger import Row
from tests.support.forging import forged, with_bytes
from tests.support.heads import tree_of
from tests.support.world import FOUNDING, ORIGIN, START, Chance, World, key_of, spki_of

SIGNED_AT = 1_790_000_000
"""When checkpoints are signed, unless a test says otherwise."""

Signers = Sequence[Ed25519Signer | MLDSACosigner]
Words = Mapping[str, Mapping[str, Opening]]
Files = dict[str, bytes]


def signers_of(
    ed25519: PrivateKey = FOUNDING["checkpoint"],
    mldsa: PrivateKey = FOUNDING["checkpoint_pq"],
    origin: str = ORIGIN,
) -> tuple[Ed25519Signer, MLDSACosigner]:
    """Who signs the checkpoints of a log."""
    first, second = ed25519.unwrapped, mldsa.unwrapped
    assert isinstance(first, Ed25519PrivateKey)
    assert isinstance(second, MLDSA44PrivateKey)
    return Ed25519Signer(origin, first), MLDSACosigner(origin, second)


def policy_of(keys: Iterable[VerifierKey] = (), founding: str | None = None, **more: Any) -> Policy:
    """Trust in the keys and the founding of the tests' log, and in nobody else."""
    chosen = tuple(keys) or tuple(signer.verifier for signer in signers_of())
    founded = {holder: spki_of(key) for holder, key in FOUNDING.items()}
    return Policy(tuple(map(LogKey, chosen)), founding=founding or header_digest(founded), **more)


@dataclass
class Scribe:
    """A log under way. Each method adds an entry and returns its index."""

    origin: str = ORIGIN
    entries: list[bytes] = field(default_factory=list)
    words: dict[str, dict[str, Opening]] = field(default_factory=dict)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)
    keys: dict[str, PrivateKey] = field(default_factory=lambda: dict(FOUNDING))
    headers: dict[str, str] = field(default_factory=dict)

    def found(self, *people: str) -> "Scribe":
        """The founding, and a key for each of these people."""
        self.write(DIRECTORY, "found", {name: spki_of(key) for name, key in FOUNDING.items()})
        for person in people:
            key = key_of(person)
            proof = prove_enrolment(self.origin, person, key)
            enrolment = {"person": person, "spki": spki_of(key), "proof": proof}
            self.write(DIRECTORY, "enrol", enrolment)
        return self

    def step(self, task: str, event: str, person: str, title: str | None = None) -> int:
        """A step of a task; with a title, words are committed to."""
        opening = (
            Opening("title", title, Chance(f"{task} {len(self.entries)}")(32)) if title else None
        )
        arguments = {"title": opening.commitment} if opening else {}
        index = self.write(task, event, arguments, by=key_of(person), person=person)
        if opening:
            self.words[leaf_hash(self.entries[index])] = {"title": opening}
        return index

    def state_heads(self, **changes: Any) -> int:
        """What the log says about the ends of all chains; ``changes`` are lies."""
        stated = {
            "chains": len(self.heads),
            "root": tree_of(self.heads).root().hex(),
            "size": len(self.entries),
            **changes,
        }
        return self.write(ATTESTATIONS, "heads", stated)

    def rotate(self, holder: str, key: PrivateKey) -> int:
        arguments = {"holder": holder, "spki": spki_of(key)}
        if holder not in FOUNDING:
            arguments["proof"] = prove_enrolment(self.origin, holder, key)
        index = self.write(DIRECTORY, "rotate", arguments)
        self.keys[holder] = key
        return index

    def write(
        self,
        chain: str,
        event: str,
        arguments: Mapping[str, Any],
        *,
        by: PrivateKey | None = None,
        person: str | None = None,
        identity: str | None = None,
        name: str | None = None,
    ) -> int:
        """Any entry. The service signs what nobody is named for; ``name`` is the subject's."""
        about_log = chain in {DIRECTORY, ATTESTATIONS}
        holder = "clock" if chain == ATTESTATIONS else "administrator"
        index, (seq, prev) = len(self.entries), self.heads.get(chain, (0, NO_PREVIOUS))
        header = self.headers.setdefault(chain, header_digest(arguments))
        subject = Subject(name or (chain if about_log else f"task:{chain}"), header)
        at = format_instant(START + timedelta(seconds=index))
        command = sign_command(
            subject,
            {
                "arguments": arguments,
                "event": event,
                "id": identity or Chance(f"{chain} {seq}")(16).hex(),
                "issued_at": at,
                "log": self.origin,
                "on_behalf": {"agency": "a", "for": None, "role": "r"},
                "seen": None,
            },
            by or self.keys[holder],
        )
        record: dict[str, JsonLike] = {
            "assurance": "key",
            "calendar": "1",
            "clocks": {},
            "command": command_digest(command),
            "from": None if about_log or not seq else "open",
            "log": self.origin,
            "person": person or holder,
            "prev": prev,
            "received_at": at,
            "recorded_at": at,
            "rules": "1",
            "seq": seq + 1,
            "to": "recorded" if about_log else "open",
        }
        self.entries.append(
            format_entry(Entry(command, sign_record(subject, record, self.keys["log"])))
        )
        self.heads[chain] = (seq + 1, leaf_hash(self.entries[-1]))
        return index

    @property
    def signers(self) -> tuple[Ed25519Signer, MLDSACosigner]:
        """Those whose keys the directory names now."""
        return signers_of(self.keys["checkpoint"], self.keys["checkpoint_pq"], self.origin)

    def files(self, signers: Signers = (), time: int = SIGNED_AT) -> Files:
        return published(self.entries, signers or self.signers, self.words, time)

    def chosen(self, *chains: str, stating: int) -> Files:
        """The bundle of some chains; the entry ``stating`` stated the heads of all before it."""
        wanted = {DIRECTORY, *chains}
        indexes = [i for i, chain in enumerate(self.chains()) if chain in wanted]
        whole = self.files()
        size = len(self.entries)
        used: Files = {}

        def read(path: str) -> bytes:
            used[path] = whole[path]
            return whole[path]

        reader = tile_reader(size, read)
        root_at(size, reader)
        for index in (*indexes, stating):
            prove_inclusion(index, size, reader)
        heads = heads_of(self.entries[:stating], self.chains()[:stating])
        proofs = tuple(map(tree_of(heads).prove, sorted(wanted & heads.keys())))
        words = {leaf: self.words[leaf] for i in indexes
                 if (leaf := leaf_hash(self.entries[i])) in self.words}  # fmt: skip
        return {
            **used,
            **{f"entry/{index}": self.entries[index] for index in (*indexes, stating)},
            **words_files([self.entries[i] if i in indexes else b"" for i in range(size)], words),
            "checkpoint": whole["checkpoint"],
            "heads": format_head_proofs(HeadProofs(stating, proofs)),
        }

    def chains(self) -> list[str]:
        """Of each entry."""
        return [chain_of(data) for data in self.entries]


def chain_of(data: bytes) -> str:
    return open_command(parse_entry(data).command).subject.name.removeprefix("task:")


def heads_of(entries: Sequence[bytes], chains: Sequence[str]) -> dict[str, tuple[int, str]]:
    """The last entry of each chain."""
    heads: dict[str, tuple[int, str]] = {}
    for data, chain in zip(entries, chains, strict=True):
        heads[chain] = (heads.get(chain, (0, ""))[0] + 1, leaf_hash(data))
    return heads


def small_log() -> Scribe:
    """Some twenty entries of six chains: two with words, and one that states the heads."""
    scribe = Scribe().found("an", "binh")
    for task in ("T-1", "T-2", "T-3", "T-4"):
        scribe.step(task, "register", "an", title="Tết" if task in {"T-1", "T-2"} else None)
        scribe.step(task, "confirm", "binh")
    scribe.step("T-1", "start", "binh")
    scribe.state_heads()
    for task in ("T-1", "T-2", "T-3", "T-4"):
        scribe.step(task, "submit", "an")
    return scribe


def note_of(entries: Sequence[bytes], signers: Signers, time: int = SIGNED_AT) -> bytes:
    """The checkpoint of these entries."""
    edge, _files = Edge().extended(entries)
    tree = Checkpoint(signers[0].name, edge.size, edge.root())
    return format_note(sign_checkpoint(tree, signers, time))


def published(
    entries: Sequence[bytes],
    signers: Signers,
    words: Words | None = None,
    time: int = SIGNED_AT,
) -> Files:
    """All files of a log of these entries, by name."""
    _edge, files = Edge().extended(entries)
    return {
        **{file.path: file.data for file in files},
        **words_files(entries, words or {}),
        "checkpoint": note_of(entries, signers, time),
    }


def words_files(entries: Sequence[bytes], words: Words) -> Files:
    """The words beside these entries, in files of 256."""
    files: Files = {}
    for number in range(-(-len(entries) // WIDTH)):
        leaves = map(leaf_hash, entries[number * WIDTH : (number + 1) * WIDTH])
        if found := {leaf: words[leaf] for leaf in leaves if leaf in words}:
            files[f"words/{number}"] = format_words(found)
    return files


def written(files: Mapping[str, bytes], folder: Path) -> Path:
    """The files as a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(files: Mapping[str, bytes], path: Path, method: int = zipfile.ZIP_STORED) -> Path:
    """The files as a zip file."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


@dataclass
class Operator:
    """Who runs the log of a world: has its database and all its keys, but nobody else's.

    Publishes into folders of his own, whatever he likes.
    """

    world: World
    place: Path
    shown: int = 0

    @property
    def signers(self) -> Signers:
        keys = self.world.checkpoint_keys
        return (
            Ed25519Signer(self.world.origin, keys.ed25519),
            MLDSACosigner(self.world.origin, keys.mldsa),
        )

    def words(self) -> Words:
        with self.world.engine.connect() as connection:
            return {row.leaf: ledger.read_openings(connection, row.leaf)
                    for row in self.world.rows()}  # fmt: skip

    def note(self, rows: Sequence[Row], time: int = SIGNED_AT) -> bytes:
        return note_of([row.data for row in rows], self.signers, time)

    def verdict(self, rows: Sequence[Row], *known: bytes, **order: Any) -> BundleReport:
        """What an auditor finds in these entries, published and signed like any others."""
        words = {**self.words(), **order.pop("words", {})}
        return self.audited(published([row.data for row in rows], self.signers, words),
                            *known, **order)  # fmt: skip

    def audited(self, files: Files, *known: bytes, **order: Any) -> BundleReport:
        self.shown += 1
        folder = written(files, self.place / str(self.shown))
        policy = order.pop("policy", policy_of())
        return verify_bundle(
            Order(folder, policy, order.pop("now", None), judge=Replay, known=known, **order)
        )


def first(report: BundleReport) -> tuple[Check, str, str, int, int | None]:
    """What is found first: check, code, chain, seq and index."""
    assert not report.ok, "nothing was found"
    finding = report.report.findings[0]
    return finding.check, finding.code, finding.chain, finding.seq, finding.index


def about(report: BundleReport, check: Check) -> Finding:
    return next(each for each in report.report.findings if each.check is check)


def resigned(row: Row, operator: Operator, key: PrivateKey) -> Row:
    """The entry with its command signed by ``key``, its record by the log's own."""
    entry = parse_entry(row.data)
    statement = open_command(entry.command)
    command = sign_command(statement.subject, dict(statement.predicate), key)
    return with_command(row, operator, command)


def with_command(row: Row, operator: Operator, command: Envelope) -> Row:
    """The entry with another command, which the log's key says was recorded here."""
    record = open_record(parse_entry(row.data).record)
    predicate = {**record.predicate, "command": command_digest(command)}
    signed = sign_record(record.subject, predicate, operator.world.keys.log)
    return with_bytes(row, format_entry(Entry(command, signed)))


def changed_by_operator(
    operator: Operator, rows: list[Row], event: str, arguments: Mapping[str, object]
) -> Row:
    """A change of the directory that the recorder would refuse, by administrator and log."""
    world = operator.world
    command = compose_change(
        world.origin, world.founding, event, arguments, world.administrator, world.now
    ).command
    return forged(world, rows, command, world.keys.log, person="administrator", to="recorded",
                  **{"from": None})  # fmt: skip
