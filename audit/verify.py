"""Verification of a log, entry by entry, in the order in which they are stored.

Who verifies brings two things from outside, and trusts nothing else: the log's name (its origin)
and the log's public key. Every other key comes from the log itself, by entries of the directory.

For each entry, in this order; the numbers are those of the output and of ``docs/verification.md``:

    1 form              canonical bytes of at most 65,535, every field there and of its form
    2 record signature  the log's key signed the record
    3 command signature the giver signed the command, with a key enrolled before, for its purpose
    4 binding           record, command, signer and stored columns speak of the same thing
    5 chain             seq without gap, prev is the leaf before, states and times follow
    6 once              no command was recorded twice
    7 openings          the words beside the log fit their commitments; erased ones are counted
    8 rules             the step is legal, and has exactly the effects that the record claims

and afterwards, by `check_read_model`,

    9 read model        the tables that screens are drawn from say what the log says

What an entry *means* is not known here: check 8 is a `Judge` from outside (`domain.replay`).

The first finding in a chain ends the verification of that chain, since what follows hangs on the
broken entry; the other chains go on. Whatever the input, the answer is a `Report`, never an
exception: only reading the input itself may fail.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from audit.canonical import Json
from audit.commitment import Opening, is_commitment
from audit.dsse import Envelope
from audit.entry import (
    NO_PREVIOUS,
    Entry,
    Statement,
    command_digest,
    header_digest,
    leaf_hash,
    open_command,
    open_record,
    parse_entry,
)
from audit.keyring import DIRECTORY, Holder, Keyring, holders_named
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.report import MAX_FINDINGS, Check, Finding, Head, Report, check_read_model

__all__ = [
    "Check",
    "Finding",
    "Head",
    "Judge",
    "Openings",
    "Report",
    "Stored",
    "check_read_model",
    "verify",
]

_In = TypeVar("_In")
_Out = TypeVar("_Out")
PROGRESS_EVERY = 500
_TASK_PREFIX = "task:"
_MAX_DETAIL = 300


class Stored(Protocol):
    """An entry as a database holds it: the bytes, and what it says about them beside them."""

    @property
    def chain(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def prev(self) -> str: ...
    @property
    def leaf(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class Judge(Protocol):
    """Check 8. Called once for each entry that passed 1 to 7, chains interleaved as stored.

    ``command`` and ``record`` are the predicates. Raises any exception for an illegal step; its
    attribute ``code``, where it has one, becomes the finding's code.
    """

    def __call__(
        self,
        chain: str,
        header: str,
        leaf: str,
        command: Mapping[str, Json],
        record: Mapping[str, Json],
    ) -> None: ...


Openings = Callable[[str], Mapping[str, Opening]]
"""By leaf hash, the openings that exist beside an entry, by field."""


def verify(
    entries: Iterable[Stored],
    *,
    origin: str,
    log_key: PublicKey,
    openings: Openings,
    judge: Judge,
    progress: Callable[[int], None] = lambda _entries: None,
) -> Report:
    """Verify ``entries``, given in the order in which they are stored.

    Needs memory for the head of each chain, for the keys, and some 100 bytes for each command id.
    ``progress`` is called with the number of entries seen, now and then and at the end.
    """
    run = _Run(origin, log_key, openings, judge)
    for stored in entries:
        run.take(stored)
        if run.entries % PROGRESS_EVERY == 0:
            progress(run.entries)
    progress(run.entries)
    return run.report()


class _Broken(Exception):
    """An entry failed a check. Stays inside this module."""

    def __init__(
        self, check: Check, code: str, detail: str = "", missing: tuple[int, str] | None = None
    ) -> None:
        """``missing`` is the seq and leaf of another entry to be named: one that is not there."""
        super().__init__(code)
        self.check = check
        self.code = code
        self.detail = detail
        self.missing = missing


@dataclass(frozen=True, slots=True)
class _Last:
    """What the next entry of a chain must follow on."""

    seq: int
    leaf: str
    header: str
    to: Json
    recorded_at: str


@dataclass(frozen=True, slots=True)
class _Opened:
    """An entry with both statements read, once its signatures are known to be good."""

    entry: Entry
    command: Statement
    record: Statement
    holder: Holder
    admitted: tuple[Holder, ...]

    @property
    def chain(self) -> str:
        return self.command.subject.name.removeprefix(_TASK_PREFIX)

    @property
    def arguments(self) -> Mapping[str, Json]:
        arguments = self.command.predicate["arguments"]
        return arguments if isinstance(arguments, dict) else {}

    @property
    def seq(self) -> int:
        return _seq(self.record)


class _Run:
    """One verification under way."""

    def __init__(self, origin: str, log_key: PublicKey, openings: Openings, judge: Judge) -> None:
        self.entries = 0
        self._origin = origin
        self._log_key = log_key
        self._openings = openings
        self._judge = judge
        self._keyring = Keyring(log_key)
        self._passed: Counter[Check] = Counter({c: 0 for c in Check if c < Check.READ_MODEL})
        self._last: dict[str, _Last] = {}
        self._commands: set[bytes] = set()
        self._broken: dict[str, Finding] = {}
        self._order: list[str] = []
        self._skipped = 0
        self._opened = 0
        self._erased = 0

    def take(self, stored: Stored) -> None:
        self.entries += 1
        chain = str(stored.chain)
        if chain in self._broken:
            self._skipped += 1
            self._explain_gap(self._broken[chain], stored)
            return
        try:
            self._check(stored)
        except _Broken as broken:
            seq, leaf = broken.missing or (stored.seq, str(stored.leaf))
            self._broken[chain] = Finding(
                broken.check,
                broken.code,
                chain,
                seq if type(seq) is int else 0,
                leaf,
                broken.detail[:_MAX_DETAIL],
            )
            self._order.append(chain)

    def report(self) -> Report:
        return Report(
            entries=self.entries,
            passed=dict(self._passed),
            heads={chain: Head(last.seq, last.leaf) for chain, last in self._last.items()},
            broken=dict(self._broken),
            skipped=self._skipped,
            opened=self._opened,
            erased=self._erased,
            findings=tuple(self._broken[chain] for chain in self._order[:MAX_FINDINGS]),
        )

    def _check(self, stored: Stored) -> None:
        entry = _parsed(stored)
        if not entry.record.verify(self._log_key):
            raise _Broken(Check.RECORD_SIGNATURE, "record_signature_wrong")
        self._passed[Check.RECORD_SIGNATURE] += 1
        record = _read(open_record, entry.record)
        opened = self._open(entry, record)
        self._passed.update((Check.FORM, Check.COMMAND_SIGNATURE))
        self._check_binding(stored, opened)
        self._check_chain(opened)
        self._check_once(opened)
        self._check_openings(stored.leaf, opened)
        self._check_rules(stored.leaf, opened)
        self._follow(stored.leaf, opened)

    def _open(self, entry: Entry, record: Statement) -> _Opened:
        """Check 3. A statement is read only after its signature is known to be good."""
        if self._keyring.founded:
            holder = self._keyring.holder(entry.command.keyid)
            if holder is None:
                raise _Broken(Check.COMMAND_SIGNATURE, "key_not_enrolled", self._unenrolled(entry))
            _check_signature(entry.command, holder)
            command = _read(open_command, entry.command)
        else:
            # The first entry of a log brings its own key. That the log's key vouches for it is
            # all there is to say for it: so it must be the very command that the record names.
            if record.predicate["command"] != command_digest(entry.command):
                raise _Broken(Check.BINDING, "command_not_as_recorded")
            command = _read(open_command, entry.command)
            holder = self._founder(command, record)
            _check_signature(entry.command, holder)
        chain, event = command.subject.name, command.text("event")
        if not holder.may_sign(chain, event):
            detail = f"{holder.purpose} key of {holder.name}, event {event}"
            raise _Broken(Check.COMMAND_SIGNATURE, "key_of_other_purpose", detail)
        opened = _Opened(entry, command, record, holder, ())
        if chain != DIRECTORY:
            return opened
        with _as_finding(Check.COMMAND_SIGNATURE):
            admitted = holders_named(event, opened.arguments)
            self._keyring.check(admitted)
        return replace(opened, admitted=admitted)

    def _founder(self, command: Statement, record: Statement) -> Holder:
        if command.subject.name != DIRECTORY:
            raise _Broken(Check.COMMAND_SIGNATURE, "log_not_founded", "no directory entry before")
        if _seq(record) != 1:
            # Without its first entry the directory has no key that could sign the others.
            raise _Broken(Check.CHAIN, "entry_missing", "the directory's first", missing=(1, ""))
        arguments = command.predicate["arguments"]
        with _as_finding(Check.COMMAND_SIGNATURE):
            if command.predicate["event"] != "found" or not isinstance(arguments, dict):
                raise Malformed("log_not_founded", "the first entry is no founding")
            return holders_named("found", arguments)[0]

    def _unenrolled(self, entry: Entry) -> str:
        broken = self._broken.get(DIRECTORY)
        reason = f"; the directory is broken at {broken.seq}" if broken else ""
        return f"key {entry.command.keyid[:16]}{reason}"

    def _check_binding(self, stored: Stored, opened: _Opened) -> None:
        command, record = opened.command.predicate, opened.record.predicate
        name = opened.command.subject.name
        task = name.removeprefix(_TASK_PREFIX)
        if name != DIRECTORY and (task in {name, "", DIRECTORY}):
            raise _Broken(Check.BINDING, "subject_unknown", name)
        if record["command"] != command_digest(opened.entry.command):
            raise _Broken(Check.BINDING, "command_not_as_recorded")
        pairs: tuple[tuple[str, object, object], ...] = (
            ("subject_differs", opened.command.subject, opened.record.subject),
            ("other_log", command["log"], self._origin),
            ("other_log", record["log"], self._origin),
            ("key_differs", command["key"], opened.holder.key.id),
            ("person_differs", record["person"], opened.holder.name),
            ("stored_chain_differs", stored.chain, task),
            ("stored_seq_differs", stored.seq, record["seq"]),
            ("stored_prev_differs", stored.prev, record["prev"]),
            ("stored_command_differs", stored.command, command["id"]),
            ("stored_leaf_differs", stored.leaf, leaf_hash(bytes(stored.data))),
        )
        for code, found, expected in pairs:
            if found != expected:
                where = f"these are the bytes of {task} entry {record['seq']}"
                raise _Broken(Check.BINDING, code, where)
        self._passed[Check.BINDING] += 1

    def _check_chain(self, opened: _Opened) -> None:
        last = self._last.get(opened.chain)
        record, seq = opened.record.predicate, opened.seq
        expected = last.seq + 1 if last else 1
        if seq > expected:
            detail = f"entry {seq} stands where {expected} should"
            leaf = opened.record.text("prev") if seq == expected + 1 else ""
            raise _Broken(Check.CHAIN, "entry_missing", detail, missing=(expected, leaf))
        if seq < expected:
            raise _Broken(Check.CHAIN, "entry_repeated", f"entry {expected} should stand here")
        if record["prev"] != (last.leaf if last else NO_PREVIOUS):
            raise _Broken(Check.CHAIN, "prev_differs", "it does not hang on the entry before it")
        # The directory has no states: its records say null and "recorded".
        before = last.to if last and opened.chain != DIRECTORY else None
        if record["from"] != before:
            raise _Broken(Check.CHAIN, "from_differs", f"{record['from']}, it was {before}")
        header = last.header if last else header_digest(opened.arguments)
        if opened.command.subject.digest != header:
            raise _Broken(Check.CHAIN, "header_differs", "the chain began with another header")
        self._check_times(opened.record, last)
        self._passed[Check.CHAIN] += 1

    def _check_times(self, record: Statement, last: _Last | None) -> None:
        # Instants have one width, so that the order of the text is that of time.
        received, recorded = record.text("received_at"), record.text("recorded_at")
        if received > recorded:
            detail = f"received {received}, recorded {recorded}"
            raise _Broken(Check.CHAIN, "recorded_before_received", detail)
        if last and recorded < last.recorded_at:
            detail = f"recorded {recorded}, the entry before {last.recorded_at}"
            raise _Broken(Check.CHAIN, "recorded_before_previous", detail)

    def _check_once(self, opened: _Opened) -> None:
        identity = bytes.fromhex(opened.command.text("id"))
        if identity in self._commands:
            raise _Broken(Check.ONCE, "command_repeated", f"command {identity.hex()}")
        self._commands.add(identity)
        self._passed[Check.ONCE] += 1

    def _check_openings(self, leaf: str, opened: _Opened) -> None:
        commitments = {
            field: value
            for field, value in opened.arguments.items()
            if isinstance(value, str) and is_commitment(value)
        }
        try:
            found = self._openings(leaf)
        except (TypeError, ValueError) as error:  # nothing guards what stands beside the log
            raise _Broken(Check.OPENINGS, "opening_unreadable", str(error)) from error
        for field, opening in found.items():
            if field not in commitments:
                raise _Broken(Check.OPENINGS, "opening_unasked", field)
            if opening.field != field or not _opens(opening, commitments[field]):
                raise _Broken(Check.OPENINGS, "opening_wrong", field)
        self._opened += len(found)
        self._erased += len(commitments) - len(found)
        self._passed[Check.OPENINGS] += 1

    def _check_rules(self, leaf: str, opened: _Opened) -> None:
        header = opened.command.subject.digest
        command, record = opened.command.predicate, opened.record.predicate
        try:
            self._judge(opened.chain, header, leaf, command, record)
        except Exception as error:  # whatever a judge trips over in a stranger's entry is a finding
            code = getattr(error, "code", None)
            known = code if isinstance(code, str) else "judge_failed"
            detail = str(error) if isinstance(code, str) else f"{type(error).__name__}: {error}"
            raise _Broken(Check.RULES, known, detail) from error
        self._passed[Check.RULES] += 1

    def _follow(self, leaf: str, opened: _Opened) -> None:
        """All checks passed: the next entry may build on this one."""
        self._keyring.admit(opened.admitted)
        self._last[opened.chain] = _Last(
            opened.seq,
            leaf,
            opened.command.subject.digest,
            opened.record.predicate["to"],
            opened.record.text("recorded_at"),
        )

    def _explain_gap(self, finding: Finding, stored: Stored) -> None:
        """An entry that was missing and comes later was moved, not removed."""
        if finding.code == "entry_missing" and stored.seq == finding.seq:
            self._broken[finding.chain] = replace(
                finding, code="entry_out_of_order", leaf=str(stored.leaf)
            )


def _parsed(stored: Stored) -> Entry:
    """Check 1, up to the statements, which are read once their signatures are known to be good."""
    # A damaged or hostile database may hold anything in any column.
    texts = (stored.chain, stored.prev, stored.leaf, stored.command)
    if type(stored.seq) is not int or not all(isinstance(text, str) for text in texts):
        raise _Broken(Check.FORM, "stored_columns_malformed")
    if not isinstance(stored.data, bytes | bytearray | memoryview):
        raise _Broken(Check.FORM, "stored_columns_malformed", "data")
    return _read(parse_entry, bytes(stored.data))


@contextmanager
def _as_finding(check: Check) -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        raise _Broken(check, error.code, error.detail) from error


def _read(parse: Callable[[_In], _Out], data: _In) -> _Out:
    with _as_finding(Check.FORM):
        return parse(data)


def _check_signature(command: Envelope, holder: Holder) -> None:
    if not command.verify(holder.key):
        raise _Broken(Check.COMMAND_SIGNATURE, "command_signature_wrong", f"key of {holder.name}")


def _seq(record: Statement) -> int:
    seq = record.predicate["seq"]
    return seq if isinstance(seq, int) else 0


def _opens(opening: Opening, commitment: str) -> bool:
    try:
        return opening.opens(commitment)
    except (Malformed, TypeError):  # words or salt that the log could never have taken
        return False
