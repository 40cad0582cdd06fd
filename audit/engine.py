"""The verification of entries, one by one: checks 1 to 8.

Who verifies brings two things from outside, and trusts nothing else: the log's name (its origin)
and either the digest of its founding, which names every root of trust, or the public key that the
log was founded with. Every other key comes from the log itself, by entries of the directory.

For each entry, in this order; the numbers are those of the output and of ``docs/verification.md``:

    1 form              canonical bytes of at most 65,535, every field there and of its form
    2 record signature  the log's key, the present one there, signed the record
    3 command signature the giver signed the command, with a key enrolled before, for its purpose
    4 binding           record, command, signer and stored columns speak of the same thing
    5 chain             seq without gap, prev is the leaf before, states and times follow
    6 once              no command was recorded twice
    7 openings          the words beside the log fit their commitments; erased ones are counted
    8 rules             the step is legal, and has exactly the effects that the record claims

What an entry *means* is not known here: check 8 is a `Judge` from outside (`domain.replay`).

The first finding in a chain ends the verification of that chain, since what follows hangs on the
broken entry; the other chains go on. Whatever the input, the answer is a `Report`, never an
exception: only reading the input itself may fail.

Chains need each other in one thing only, the keys that the directory names. So a log can be dealt
out among several runs: each is given the directory, and those chains that are its own.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

from audit.canonical import Json
from audit.commitment import Opening, commitments_in
from audit.entry import (
    NO_PREVIOUS,
    header_of,
    leaf_hash,
    read_command,
    read_record,
    signed_bytes,
    unpack_entry,
)
from audit.keyring import ATTESTATIONS, DIRECTORY, Change, Holder, Keyring, Purpose, read_change
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.once import CommandIds
from audit.report import MAX_FINDINGS, Check, Finding, Head, Report

_TASK_PREFIX = "task:"
_MAX_DETAIL = 300
_ABOUT_ONE = (Check.RECORD_SIGNATURE, Check.COMMAND_SIGNATURE, Check.FORM, Check.BINDING)
_ORDER = (*_ABOUT_ONE, Check.CHAIN, Check.ONCE, Check.OPENINGS, Check.RULES)
"""As they are passed: a statement is read only after its signature is known to be good."""
ABOUT_THE_LOG = frozenset({DIRECTORY, ATTESTATIONS})
"""Chains that are no task's. Their records have no states: they say null and "recorded"."""
_NO_TASKS = frozenset(_TASK_PREFIX + name for name in ("", *ABOUT_THE_LOG))


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


@dataclass(frozen=True, slots=True)
class Anchors:
    """What is trusted from outside: the log's name and, at least one, its first key or founding.

    ``founding`` is the digest of the founding's arguments (`audit.entry.header_digest`).
    """

    origin: str
    log_key: PublicKey | None = None
    founding: str | None = None

    def __post_init__(self) -> None:
        if self.log_key is None and self.founding is None:
            raise ValueError("nothing is trusted: give the log's key, or the founding's digest")


class _Broken(Exception):
    """An entry failed a check. Stays inside this module."""

    def __init__(
        self,
        check: Check,
        code: str,
        detail: str = "",
        *,
        missing: tuple[int, str] | None = None,
    ) -> None:
        """``missing`` is the seq and leaf of another entry to be named: one that is not there."""
        super().__init__(code)
        self.check = check
        self.code = code
        self.detail = detail
        self.missing = missing


@dataclass(slots=True)
class _Last:
    """What the next entry of a chain must follow on."""

    header: str
    seq: int = 0
    leaf: str = NO_PREVIOUS
    to: Json = None
    recorded_at: str = ""


_Predicate = Mapping[str, Any]
_Signed = tuple[str, str, _Predicate, _Predicate, Change]
"""What an entry says once its signatures are known to be good: the chain and the digest of its
header, the predicates of command and record, and what becomes of the keys. A plain tuple, since one
is made for every entry.
"""


class Run:
    """One verification under way.

    Needs memory for the head of each chain and for the keys; command ids rest on disk.
    """

    def __init__(self, anchors: Anchors, openings: Openings | None, judge: Judge | None) -> None:
        """Without ``openings`` or ``judge`` there is no check 7 or 8."""
        self.entries = 0
        self.keyring = Keyring(anchors.origin)
        self._anchors = anchors
        self._openings = openings
        self._judge = judge
        self._complete = 0
        self._signed_only = 0
        self._failed: Counter[Check] = Counter()
        self._last: dict[str, _Last] = {}
        self._commands = CommandIds()
        self._broken: dict[str, Finding] = {}
        self._order: list[str] = []
        self._skipped = 0
        self._opened = 0
        self._erased = 0
        self._seq: object = 0

    def take(self, stored: Stored, index: int | None = None) -> None:
        """The next entry out of a database, whose columns are held against the bytes."""
        self.entries += 1
        chain, leaf = str(stored.chain), str(stored.leaf)
        if chain in self._broken:
            self._skipped += 1
            self._explain_gap(self._broken[chain], stored.seq, leaf)
            return
        self._seq = stored.seq
        try:
            self._check(_stored_bytes(stored), leaf, stored, index, counted=True)
            self._complete += 1
        except (_Broken, Malformed) as error:
            self._failed[self._find(error, chain, leaf, index)] += 1

    def take_published(
        self,
        data: bytes,
        leaf: str,
        chain: str,
        index: int,
        *,
        counted: bool = True,
        alone: bool = False,
    ) -> None:
        """The next entry out of tiles. ``leaf`` was compared with the bytes already.

        ``chain`` is what the bytes seem to be about; ``counted`` is false for an entry that another
        run reports on; ``alone`` is true for one whose chain is not at hand: it hangs on nothing.
        """
        self.entries += counted
        if chain in self._broken:
            self._skipped += counted
            return
        self._seq = 0
        try:
            if alone:
                self._check_signed(data)
                self._signed_only += counted
            else:
                self._check(data, leaf, None, index, counted=counted)
                self._complete += counted
        except (_Broken, Malformed) as error:
            self._failed[self._find(error, chain, leaf, index)] += counted

    def holds(self, chain: str) -> bool:
        """Whether nothing is wrong with a chain so far."""
        return chain not in self._broken

    def report(self) -> Report:
        """What was found so far."""
        passed = self._passed()
        for found in self._commands.repeated():
            passed[Check.ONCE] -= 1
            known = self._broken.get(found.chain)
            # That it came twice says more than how the rules stumbled over it.
            if known is None or found.seq <= known.seq:
                where = (found.chain, found.seq, found.leaf)
                detail = f"command {found.command}"
                self._note(Finding(Check.ONCE, "command_repeated", *where, detail, found.index))
        return Report(
            entries=self.entries,
            passed=passed,
            chains=len(self._last.keys() | self._broken.keys()),
            heads={chain: Head(last.seq, last.leaf) for chain, last in self._last.items()},
            broken=dict(self._broken),
            skipped=self._skipped,
            opened=self._opened,
            erased=self._erased,
            findings=tuple(self._broken[chain] for chain in self._order[:MAX_FINDINGS]),
        )

    def _passed(self) -> dict[Check, int]:
        """How many entries passed each check: those that passed all, or failed a later one."""
        made = dict.fromkeys(_ORDER, self._complete)
        made |= dict.fromkeys(_ABOUT_ONE, self._complete + self._signed_only)
        if self._openings is None:
            made[Check.OPENINGS] = 0
        if self._judge is None:
            made[Check.RULES] = 0
        for failed, entries in self._failed.items():
            # What has no form may not have come as far as its signatures.
            for check in _ORDER[: _ORDER.index(failed)] if failed is not Check.FORM else ():
                made[check] += entries
        return made

    def _find(
        self, error: "_Broken | Malformed", chain: str, leaf: str, index: int | None
    ) -> Check:
        """Note what is wrong. Returns the check that failed."""
        check, seq = Check.FORM, self._seq
        if isinstance(error, _Broken):
            check = error.check
            seq, leaf = error.missing or (seq, leaf)
        number = seq if type(seq) is int else 0
        self._note(
            Finding(check, error.code, chain, number, leaf, error.detail[:_MAX_DETAIL], index)
        )
        return check

    def _note(self, finding: Finding) -> None:
        if finding.chain not in self._broken:
            self._order.append(finding.chain)
        self._broken[finding.chain] = finding

    def _check(
        self, data: bytes, leaf: str, stored: Stored | None, index: int | None, *, counted: bool
    ) -> None:
        """All checks, in their order."""
        chain, header, command, record, change = self._check_signed(data)
        seq = record["seq"]
        if stored is not None:
            _check_columns(stored, chain, command, record, data)
        last = self._last.get(chain)
        if last is None:
            last = _Last(header_of(command))
        _check_chain(chain, header, record, last)
        if counted:  # else another run looks for repetitions in this chain
            self._commands.add(command["id"], chain, seq, leaf, index)
        if self._openings is not None:
            self._check_openings(self._openings, leaf, command["arguments"])
        if self._judge is not None:
            self._check_rules(self._judge, chain, header, leaf, command, record)
        if change:
            self.keyring.follow(change)
        if not last.seq:
            self._last[chain] = last
        last.seq, last.leaf = seq, leaf
        last.to, last.recorded_at = record["to"], record["recorded_at"]

    def _check_signed(self, data: bytes) -> _Signed:
        """Checks 1 to 4: all that can be said of an entry by itself.

        A statement is read only after its signature is known to be good.
        """
        payload, key, signature, recorded, log_key, log_signature = unpack_entry(data)
        present = self.keyring.log_key
        log = present or self._anchors.log_key or _log_key_founded(payload)
        if log_key != log.id or not log.verify(log_signature, signed_bytes(recorded)):
            raise _Broken(Check.RECORD_SIGNATURE, "record_signature_wrong")
        record_name, record_header, record = read_record(recorded)
        if type(self._seq) is not int or not self._seq:
            self._seq = record["seq"]
        signed = signed_bytes(payload)
        digest = hashlib.sha256(signed).hexdigest()
        if present:
            holder = self.keyring.holder(key) or self._uncounted(key)
            if holder.not_after is not None:
                _check_expired(holder, record["received_at"])
        else:
            # The first entry of a log brings its own key. That the log's key vouches for it is
            # all there is to say for it: so it must be the very command that the record names.
            if record["command"] != digest:
                raise _Broken(Check.BINDING, "command_not_as_recorded")
            holder = self._founder(payload, record, log)
        if key != holder.key.id or not holder.key.verify(signature, signed):
            detail = f"key of {holder.name}"
            raise _Broken(Check.COMMAND_SIGNATURE, "command_signature_wrong", detail)
        name, header, command = read_command(payload)
        if not holder.may_sign(name, command["event"]):
            detail = f"{holder.purpose} key of {holder.name}, event {command['event']}"
            raise _Broken(Check.COMMAND_SIGNATURE, "key_of_other_purpose", detail)
        change = self._change(command, record) if name == DIRECTORY else ()
        same_subject = name == record_name and header == record_header
        self._check_binding(name, command, record, digest, holder, same_subject=same_subject)
        return name.removeprefix(_TASK_PREFIX), header, command, record, change

    def _change(self, command: _Predicate, record: _Predicate) -> Change:
        try:
            return self.keyring.check(command["event"], command["arguments"], record["received_at"])
        except Malformed as error:
            raise _Broken(Check.COMMAND_SIGNATURE, error.code, error.detail) from error

    def _uncounted(self, key: str) -> NoReturn:
        """Say why a key does not count. The order of the log decides that; time only ends it."""
        raise _Broken(Check.COMMAND_SIGNATURE, self.keyring.why_not(key), self._uncounted_key(key))

    def _founder(self, payload: bytes, record: _Predicate, log_key: PublicKey) -> Holder:
        name, _, command = read_command(payload)
        if name != DIRECTORY:
            detail = "no directory entry before"
            raise _Broken(Check.COMMAND_SIGNATURE, "log_not_founded", detail)
        if record["seq"] != 1:
            # Without its first entry the directory has no key that could sign the others.
            detail = "the directory's first"
            raise _Broken(Check.CHAIN, "entry_missing", detail, missing=(1, ""))
        holders = _founded(name, command)
        founding = self._anchors.founding
        if founding is not None and header_of(command) != founding:
            raise _Broken(Check.COMMAND_SIGNATURE, "founding_differs")
        if holders[Purpose.LOG].key != log_key:
            detail = "the founding names another"
            raise _Broken(Check.RECORD_SIGNATURE, "log_key_differs", detail)
        return holders[Purpose.ADMINISTRATOR]

    def _uncounted_key(self, key: str) -> str:
        broken = self._broken.get(DIRECTORY)
        reason = f"; the directory is broken at {broken.seq}" if broken else ""
        name = self.keyring.name(key)
        return f"key {key[:16]}{' of ' if name else ''}{name}{reason}"

    def _check_binding(
        self,
        name: str,
        command: _Predicate,
        record: _Predicate,
        digest: str,
        holder: Holder,
        *,
        same_subject: bool,
    ) -> None:
        origin = self._anchors.origin
        if name in _NO_TASKS or not (name.startswith(_TASK_PREFIX) or name in ABOUT_THE_LOG):
            code = "subject_unknown"
        elif record["command"] != digest:
            code = "command_not_as_recorded"
        elif not same_subject:
            code = "subject_differs"
        elif command["log"] != origin or record["log"] != origin:
            code = "other_log"
        elif command["key"] != holder.key.id:
            code = "key_differs"
        elif record["person"] != holder.name:
            code = "person_differs"
        else:
            return
        detail = f"these are the bytes of {name} entry {record['seq']}"
        raise _Broken(Check.BINDING, code, detail)

    def _check_openings(self, openings: Openings, leaf: str, arguments: _Predicate) -> None:
        try:
            found = openings(leaf)
        except (TypeError, ValueError) as error:  # nothing guards what stands beside the log
            raise _Broken(Check.OPENINGS, "opening_unreadable", str(error)) from error
        if not found:
            if arguments:
                self._erased += len(commitments_in(arguments))
            return
        commitments = commitments_in(arguments)
        for field, opening in found.items():
            if field not in commitments:
                raise _Broken(Check.OPENINGS, "opening_unasked", field)
            if opening.field != field or not _opens(opening, commitments[field]):
                raise _Broken(Check.OPENINGS, "opening_wrong", field)
        self._opened += len(found)
        self._erased += len(commitments) - len(found)

    def _check_rules(
        self,
        judge: Judge,
        chain: str,
        header: str,
        leaf: str,
        command: _Predicate,
        record: _Predicate,
    ) -> None:
        try:
            judge(chain, header, leaf, command, record)
        except Exception as error:  # whatever a judge trips over in a stranger's entry is a finding
            code = getattr(error, "code", None)
            known = code if isinstance(code, str) else "judge_failed"
            detail = str(error) if isinstance(code, str) else f"{type(error).__name__}: {error}"
            raise _Broken(Check.RULES, known, detail) from error

    def _explain_gap(self, finding: Finding, seq: object, leaf: str) -> None:
        """An entry that was missing and comes later was moved, not removed."""
        if finding.code == "entry_missing" and seq == finding.seq:
            self._broken[finding.chain] = replace(finding, code="entry_out_of_order", leaf=leaf)


def _check_expired(holder: Holder, received_at: str) -> None:
    if holder.has_expired(received_at):
        detail = f"received {received_at}, the certificate ended {holder.not_after}"
        raise _Broken(Check.COMMAND_SIGNATURE, "certificate_expired", detail)


def _check_chain(chain: str, header: str, record: _Predicate, last: _Last) -> None:
    """Check 5: the entry hangs on the one before it."""
    seq, expected = record["seq"], last.seq + 1
    if seq > expected:
        detail = f"entry {seq} stands where {expected} should"
        leaf = record["prev"] if seq == expected + 1 else ""
        raise _Broken(Check.CHAIN, "entry_missing", detail, missing=(expected, leaf))
    if seq < expected:
        raise _Broken(Check.CHAIN, "entry_repeated", f"entry {expected} should stand here")
    if record["prev"] != last.leaf:
        raise _Broken(Check.CHAIN, "prev_differs", "it does not hang on the entry before it")
    before = None if chain in ABOUT_THE_LOG else last.to
    if record["from"] != before:
        raise _Broken(Check.CHAIN, "from_differs", f"{record['from']}, it was {before}")
    if header != last.header:
        raise _Broken(Check.CHAIN, "header_differs", "the chain began with another header")
    # Instants have one width, so that the order of the text is that of time.
    received, recorded = record["received_at"], record["recorded_at"]
    if received > recorded:
        detail = f"received {received}, recorded {recorded}"
        raise _Broken(Check.CHAIN, "recorded_before_received", detail)
    if recorded < last.recorded_at:
        detail = f"recorded {recorded}, the entry before {last.recorded_at}"
        raise _Broken(Check.CHAIN, "recorded_before_previous", detail)


def _check_columns(
    stored: Stored, chain: str, command: _Predicate, record: _Predicate, data: bytes
) -> None:
    """What the database says about an entry is what its bytes say."""
    pairs: tuple[tuple[str, object, object], ...] = (
        ("stored_chain_differs", stored.chain, chain),
        ("stored_seq_differs", stored.seq, record["seq"]),
        ("stored_prev_differs", stored.prev, record["prev"]),
        ("stored_command_differs", stored.command, command["id"]),
        ("stored_leaf_differs", stored.leaf, leaf_hash(data)),
    )
    for code, found, expected in pairs:
        if found != expected:
            detail = f"these are the bytes of {chain} entry {record['seq']}"
            raise _Broken(Check.BINDING, code, detail)


def _stored_bytes(stored: Stored) -> bytes:
    """The bytes of an entry, once it is sure that the columns have their types."""
    # A damaged or hostile database may hold anything in any column.
    texts = (stored.chain, stored.prev, stored.leaf, stored.command)
    if type(stored.seq) is not int or not all(isinstance(text, str) for text in texts):
        raise _Broken(Check.FORM, "stored_columns_malformed")
    if not isinstance(stored.data, bytes | bytearray | memoryview):
        raise _Broken(Check.FORM, "stored_columns_malformed", "data")
    return bytes(stored.data)


def _log_key_founded(payload: bytes) -> PublicKey:
    """The log's key as a founding names it, when nothing but the founding's digest is trusted.

    Nothing is believed yet: `Run._founder` holds the founding against the digest afterwards.
    """
    try:
        name, _, command = read_command(payload)
        return _founded(name, command)[Purpose.LOG].key
    except Malformed as error:
        raise _Broken(Check.RECORD_SIGNATURE, "log_not_founded", error.code) from error


def _founded(name: str, command: _Predicate) -> Mapping[str, Holder]:
    """The holders, by name, of the keys that a founding names. Raises Malformed."""
    if name != DIRECTORY or command["event"] != "found":
        raise Malformed("log_not_founded", "the first entry is no founding")
    change = read_change("found", command["arguments"], "", "")
    return {holder.name: holder for holder in change} if isinstance(change, tuple) else {}


def _opens(opening: Opening, commitment: str) -> bool:
    try:
        return opening.opens(commitment)
    except (Malformed, TypeError):  # words or salt that the log could never have taken
        return False
