"""A small founded log that tests work in: agencies, people with keys, a clock that stands still.

    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    task = world.assigned("D1-1")                     # registered and transferred by the office
    task = world.do(task, "confirm", role="officer")
    world.forward(days=3)
    with pytest.raises(Refused):
        world.do(task, "dispute", {"reason": "..."}, role="officer")

All keys, salts and command ids come from fixed seeds and the time moves only when told: the same
test makes the same bytes each time. The people:

    office          vp   Văn phòng
    officer         snv  Sở Nội vụ           approver         snv
    both_officer    snv  one person with one key, who holds both roles: both_approver
    monitor         ttt  Thanh tra tỉnh
    other_officer   sxd  Sở Xây dựng         other_approver   sxd
"""

import base64
import hashlib
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from sqlalchemy import make_url

from activities.evidence import Missing, nothing_missing
from activities.folding import header_of
from activities.queue import RecorderQueue
from activities.recorder import Attest, Handed, Recorded, Recorder, Timeout
from activities.sealing import Vault
from activities.signing import CheckpointKeys, LogKeys
from activities.stamping import Stamper
from audit.private_keys import PrivateKey, private_key
from audit.submission import Submission
from domain.calendars import load
from domain.instants import format_instant
from domain.refusal import Refused
from domain.task import Task
from gateway.composing import (
    Signer,
    compose,
    compose_attestation,
    compose_change,
    prove_enrolment,
)
from gateway.door import Door
from store import ledger
from store.engine import open_engine
from store.ledger import Row
from store.upgrade import upgrade
from tests.support.postgres import dump, load_dump
from vault.keys import ReadingKey, reading_key

ORIGIN = "dondoc.example/log"
START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
"""A Monday, 09:00 in Việt Nam, with nothing unusual about its weeks."""

FOREVER = datetime(2020, 1, 1, tzinfo=UTC)
"""Since when people hold their roles: before any test begins."""

AGENCIES = {
    "vp": ("Văn phòng", "Office"),
    "snv": ("Sở Nội vụ", "Department of Home Affairs"),
    "sxd": ("Sở Xây dựng", "Department of Construction"),
    "ttt": ("Thanh tra tỉnh", "Provincial Inspectorate"),
}

# name of the signer: (person, agency, role)
PEOPLE = {
    "office": ("vp.office", "vp", "office"),
    "officer": ("snv.officer", "snv", "officer"),
    "approver": ("snv.approver", "snv", "approver"),
    "both_officer": ("snv.both", "snv", "officer"),
    "both_approver": ("snv.both", "snv", "approver"),
    "monitor": ("ttt.monitor", "ttt", "monitor"),
    "other_officer": ("sxd.officer", "sxd", "officer"),
    "other_approver": ("sxd.approver", "sxd", "approver"),
}

FOUNDED = 1 + len(AGENCIES) + 1 + len({person for person, _, _ in PEOPLE.values()})
"""Entries of a new world: the founding, each agency, all people in one, and a key for each."""

HEADER: Mapping[str, Any] = {
    "document": "D1",
    "number": "12",
    "symbol": "CT-UBND",
    "issued_on": "2026-02-27",
    "issuer": "vp",
    "secrecy": "normal",
    "priority": "regular",
    "lead": "snv",
    "coordinators": ["sxd"],
    "monitor": "ttt",
    "due_on": "2026-06-15",
    "document_title": "Chỉ thị về sắp xếp trụ sở",
    "title": "Lập phương án sử dụng trụ sở dôi dư",
}
"""The arguments of a usual task: a term of three to six months, so with two points of update."""


def key_of(name: str) -> PrivateKey:
    """The key that belongs to ``name`` in every test."""
    return private_key(_seed(name))


def pq_key_of(name: str) -> PrivateKey:
    """The same of the kind that withstands quantum computers: ML-DSA-44."""
    return PrivateKey(MLDSA44PrivateKey.from_seed_bytes(_seed(name)))


def vault_key() -> ReadingKey:
    """The key that opens the vault of every test's log."""
    return reading_key(_seed("vault"))


def vault() -> Vault:
    return Vault(vault_key().recipient)


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"test key of {name}".encode()).digest()


FOUNDING = {
    **{
        holder: key_of(holder) for holder in ("administrator", "checkpoint", "clock", "door", "log")
    },
    "checkpoint_pq": pq_key_of("checkpoint_pq"),
}
"""The keys that every test's log is founded with."""


def spki_of(key: PrivateKey) -> str:
    """A public key as the directory's arguments spell it."""
    return base64.b64encode(key.public.spki).decode()


def person_of(person: str, *roles: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A person as `add_people` takes one, cleared for everything; the roles, (agency, role), are
    held for good.
    """
    return {
        "person": person,
        "title_vi": "Cán bộ",
        "title_en": "Officer",
        "clearance": "top_secret",
        "roles": [
            {"agency": agency, "role": role, "from": format_instant(FOREVER), "until": None}
            for agency, role in roles
        ],
        **more,
    }


class Chance:
    """A source of "random" bytes that gives the same ones in every run."""

    def __init__(self, seed: str, drawn: int = 0) -> None:
        self._seed = seed
        self.drawn = drawn

    def __call__(self, size: int) -> bytes:
        digest = hashlib.shake_256(f"{self._seed} {self.drawn}".encode())
        self.drawn += 1
        return digest.digest(size)


@dataclass(frozen=True)
class _Founded:
    """A SQLite file with a log that was founded and nothing else, and what that drew by chance."""

    data: bytes
    drawn: int


@lru_cache
def _founded(start: datetime, origin: str) -> _Founded:
    """Made once for all tests of a process: a new log is the same each time."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.sqlite"
        file.touch()  # so that this one is not copied
        world = World(f"sqlite:///{file}", start=start, origin=origin)
        world.close()
        assert isinstance(world.random, Chance)
        return _Founded(file.read_bytes(), world.random.drawn)


class World:
    """A log of our own, founded, with its people enrolled, and the clock at `START`.

    Works on the database of any engine address; the tables are made. ``start`` is where ``now``
    stands until a test moves it; the log was founded then, or at `START` where that was earlier.
    """

    def __init__(self, url: str, *, start: datetime = START, origin: str = ORIGIN) -> None:
        self.now = min(start, START)
        self.origin = origin
        drawn = _copy_founded(url, self.now, origin)
        self.engine = open_engine(url)
        # A test that lets go of its world has closed it.
        weakref.finalize(self, self.engine.dispose)
        if not drawn:
            upgrade(self.engine)
        # What a test puts in here the service finds, as a key file that appears while it runs.
        self.kept: dict[str, PrivateKey] = {}
        self.keys = LogKeys(
            origin, key_of("log"), key_of("clock"), key_of("door"), self.kept.get, vault()
        )
        self.checkpoint_keys = CheckpointKeys(
            origin,
            Ed25519PrivateKey.from_private_bytes(_seed("checkpoint")),
            MLDSA44PrivateKey.from_seed_bytes(_seed("checkpoint_pq")),
        )
        self.calendar = load()
        self.recorder = self.another_recorder()
        self.administrator = Signer(key_of("administrator"), "log", "administrator")
        self.people = {
            name: Signer(key_of(person), agency, role)
            for name, (person, agency, role) in PEOPLE.items()
        }
        self.founding = {holder: spki_of(key) for holder, key in FOUNDING.items()}
        # Opened again, the same log must not draw the same command ids again.
        seed = 0 if drawn else len(self.rows())
        self.random: Callable[[int], bytes] = Chance(f"{origin} {seed}", drawn)
        if self._found():
            _keep_founded(self, url)
        self.now = start

    def close(self) -> None:
        """Let go of the database's connections."""
        self.engine.dispose()

    def another_recorder(self) -> Recorder:
        """A recorder on the same log with nothing cached: what a restart, or a second one, has."""
        return Recorder(self.engine, self.keys, self.calendar, lambda: self.now)

    def door(
        self,
        queue: RecorderQueue,
        now: Callable[[], datetime] | None = None,
        missing: Missing = nothing_missing,
    ) -> Door:
        """A door of this log, whose watch is the world's unless another is given."""
        stamper = Stamper(self.keys, self.recorder.known_directory)
        return Door(queue, stamper, now or (lambda: self.now), missing=missing)

    def forward(self, **delta: float) -> None:
        """Move the clock on: ``forward(days=3, hours=2)``."""
        self.now += timedelta(**delta)

    def forward_to(self, instant: datetime) -> None:
        """Move the clock on to ``instant``; never back."""
        self.now = max(self.now, instant)

    def submission(
        self,
        target: Task | str,
        event: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        role: str,
        issued_at: datetime | None = None,
    ) -> Submission:
        """A signed command as a person would hand it in; ``role`` names one of `PEOPLE`."""
        issued = issued_at or self.now
        signer = self.people[role]
        return compose(self.origin, target, event, arguments or {}, signer, issued, self.random)

    def hand_in(
        self, submission: Submission, *, received_at: datetime | None = None
    ) -> Recorded | Refused:
        """Record one submission that stood at the door at ``received_at``, or now."""
        return self.recorder.record([Handed(submission, received_at or self.now)])[0]

    def do(
        self,
        target: Task | str,
        event: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        role: str,
        received_at: datetime | None = None,
    ) -> Task:
        """One step by a person: the task after it. Raises Refused.

        A ``received_at`` before now is a command that stood at the door then and is recorded late.
        """
        submission = self.submission(
            target, event, arguments, role=role, issued_at=received_at or self.now
        )
        answer = _accepted(self.hand_in(submission, received_at=received_at))
        assert answer.task is not None
        return answer.task

    def tick(self, task: Task | str) -> Task:
        """Let the clock record what has run out on ``task`` by now: the task after it."""
        chain = task if isinstance(task, str) else task.id
        answer = _accepted(self.recorder.record([Timeout(chain, self.now)])[0])
        assert answer.task is not None
        return answer.task

    def change(self, event: str, arguments: Mapping[str, Any]) -> Recorded:
        """A change of the directory by the administrator. Raises Refused."""
        founding = None if event == "found" else self.founding
        submission = compose_change(
            self.origin, founding, event, arguments, self.administrator, self.now, self.random
        )
        return _accepted(self.hand_in(submission))

    def rotate(self, holder: str, key: PrivateKey) -> Recorded:
        """Give the holder another key; for the log and its clock the service has it. Raises
        Refused.
        """
        if holder in {"log", "clock", "door"}:
            self.kept[key.public.id] = key
        proof = {} if holder in FOUNDING else {"proof": self.proof(holder, key)}
        recorded = self.change("rotate", {"holder": holder, "spki": spki_of(key), **proof})
        if holder == "administrator":
            self.administrator = Signer(key, "log", "administrator")
        return recorded

    def add_people(self, *people: Mapping[str, Any]) -> Recorded:
        """Bring people into the directory, by the arguments of `person_of`. Raises Refused."""
        return self.change("add_people", {"people": list(people)})

    def enrol(self, person: str, key: PrivateKey, **more: Any) -> Recorded:
        """Give a person of the directory a key. Raises Refused."""
        proof = self.proof(person, key)
        return self.change(
            "enrol", {"person": person, "spki": spki_of(key), "proof": proof, **more}
        )

    def proof(self, person: str, key: PrivateKey) -> str:
        """That the person has the private half of the key."""
        return prove_enrolment(self.origin, person, key)

    def revoke(
        self, key: PrivateKey, reason: str = "compromised", since: int | None = None
    ) -> Recorded:
        """Raises Refused."""
        return self.change("revoke", {"key": key.public.id, "reason": reason, "since": since})

    def attest(self, event: str, arguments: Mapping[str, Any]) -> Recorded | Refused:
        """Let the service state something about its own log."""
        return self.recorder.record([Attest(event, arguments, self.now)])[0]

    def attestation(
        self, event: str, arguments: Mapping[str, Any], signer: Signer | None = None
    ) -> Submission:
        """An attestation as somebody would hand it in, by default the administrator."""
        rows = self.chain("attestations")
        header = header_of(rows[0]) if rows else None
        by = signer or self.administrator
        return compose_attestation(self.origin, header, event, arguments, by, self.now, self.random)

    def erase(self, task: str, seq: int, field: str, reason: str = "privacy") -> Recorded:
        """Have the words behind a commitment erased by the administrator. Raises Refused."""
        leaf = self.chain(task)[seq - 1].leaf
        arguments = {"leaf": leaf, "field": field, "reason": reason}
        return _accepted(self.hand_in(self.attestation("erase", arguments)))

    def registered(self, task: str = "D1-1", **header: Any) -> Task:
        """A new task with the arguments of `HEADER` except those given; None leaves one out."""
        return self.do(task, "register", {**HEADER, **header}, role="office")

    def assigned(self, task: str = "D1-1", **header: Any) -> Task:
        return self.do(self.registered(task, **header), "transfer", role="office")

    def in_progress(self, task: str = "D1-1", **header: Any) -> Task:
        confirmed = self.do(self.assigned(task, **header), "confirm", role="officer")
        return self.do(confirmed, "start", role="officer")

    def done(self, task: str = "D1-1", **header: Any) -> Task:
        begun = self.in_progress(task, **header)
        submitted = self.do(begun, "submit", {"summary": "Đã xong"}, role="officer")
        return self.do(submitted, "approve", role="approver")

    def rows(self) -> list[Row]:
        """Every entry, in the order of the table."""
        with self.engine.connect() as connection:
            return list(ledger.read_all(connection))

    def chain(self, chain: str) -> list[Row]:
        """The entries of one task, or of the directory."""
        with self.engine.connect() as connection:
            return ledger.read_chain(connection, chain)

    def _found(self) -> bool:
        """Whether there was anything to do."""
        if self.recorder.directory().seq:
            return False
        self.change("found", self.founding)
        for agency, (name_vi, name_en) in AGENCIES.items():
            self.change("add_agency", {
                "agency": agency, "name_vi": name_vi, "name_en": name_en, "parent": None,
            })  # fmt: skip
        held: dict[str, list[tuple[str, str]]] = {}
        for person, agency, role in PEOPLE.values():
            held.setdefault(person, []).append((agency, role))
        self.add_people(*(person_of(person, *roles) for person, roles in held.items()))
        for person in held:
            self.enrol(person, key_of(person))
        return True


@lru_cache
def _dumps() -> dict[tuple[datetime, str], _Founded]:
    """The same for PostgreSQL, as SQL: tables and entries are there at once, and alike."""
    return {}


def _copy_founded(url: str, start: datetime, origin: str) -> int:
    """Begin an empty database, or a file that is not there yet, with a founded log. Returns how
    often that drew by chance, 0 where there is nothing to do.
    """
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        found = _dumps().get((start, origin))
        return found.drawn if found and load_dump(url, found.data) else 0
    if Path(address.database or "").exists():
        return 0
    found = _founded(start, origin)
    Path(address.database or "").write_bytes(found.data)
    return found.drawn


def _keep_founded(world: "World", url: str) -> None:
    """Remember what founding made, for the next database of a test of this process."""
    made = _dumps().setdefault
    if make_url(url).get_backend_name() != "sqlite" and isinstance(world.random, Chance):
        made((world.now, world.origin), _Founded(dump(url), world.random.drawn))


def _accepted(answer: Recorded | Refused) -> Recorded:
    if isinstance(answer, Refused):
        raise answer
    return answer
