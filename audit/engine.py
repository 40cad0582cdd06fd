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

`audit.checks` has them one by one. What an entry *means* is not known here: check 8 is a `Judge`
from outside (`domain.replay`).

The first finding in a chain ends the verification of that chain, since what follows hangs on the
broken entry; the other chains go on. Whatever the input, the answer is a `Report`, never an
exception: only reading the input itself may fail.

Chains need each other in one thing only, the keys that the directory names. So a log can be dealt
out among several runs: each is given the directory, and those chains that are its own.
"""

import hashlib
from typing import NoReturn, TypeAlias

from audit.chains import DIRECTORY, TASK_PREFIX
from audit.checks import (
    Judge,
    Last,
    Openings,
    Predicate,
    check_binding,
    check_chain,
    check_command_signature,
    check_not_expired,
    check_openings,
    check_purpose,
    check_record_signature,
    check_rules,
)
from audit.directory import Change
from audit.dsse import signed_bytes
from audit.entry import header_of, unpack_entry
from audit.founding import Anchors, founder, log_key_founded
from audit.keyring import Keyring
from audit.malformed import Malformed
from audit.once import CommandIds
from audit.report import Broken, Check, Finding, Head, Report
from audit.statement import read_command, read_record
from audit.tally import Tally

_MAX_DETAIL = 300

_Signed: TypeAlias = tuple[str, str, Predicate, Predicate, Change]
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
        self.keyring = Keyring(anchors.origin)
        self._anchors = anchors
        self._openings = openings
        self._judge = judge
        self._tally = Tally()
        self._last: dict[str, Last] = {}
        self._commands = CommandIds()
        self._seq = 0

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
        tally = self._tally
        tally.entries += counted
        if chain in tally.broken:
            tally.skipped += counted
            return
        self._seq = 0
        try:
            if alone:
                self._check_signed(data)
                tally.signed_only += counted
            else:
                self._check_beyond(self._check_signed(data), leaf, index, counted=counted)
                tally.complete += counted
        except (Broken, Malformed) as error:
            tally.fail(self._finding(error, chain, leaf, index), counted=counted)

    def holds(self, chain: str) -> bool:
        """Whether nothing is wrong with a chain so far."""
        return chain not in self._tally.broken

    def report(self) -> Report:
        """What was found so far."""
        left_out = [Check.OPENINGS] if self._openings is None else []
        left_out += [Check.RULES] if self._judge is None else []
        passed = self._tally.passed(left_out)
        for found in self._commands.repeated():
            passed[Check.ONCE] -= 1
            known = self._tally.broken.get(found.chain)
            # That it came twice says more than how the rules stumbled over it.
            if known is None or found.seq <= known.seq:
                where = (found.chain, found.seq, found.leaf)
                detail = f"command {found.command}"
                self._tally.note(
                    Finding(Check.ONCE, "command_repeated", *where, detail, found.index)
                )
        heads = {chain: Head(last.seq, last.leaf) for chain, last in self._last.items()}
        return self._tally.report(passed, heads)

    def _finding(
        self, error: Broken | Malformed, chain: str, leaf: str, index: int | None
    ) -> Finding:
        """What is wrong, and with which entry. What is `Malformed` fails check 1."""
        check, seq = Check.FORM, self._seq
        if isinstance(error, Broken):
            check = error.check
            seq, leaf = error.missing or (seq, leaf)
        return Finding(check, error.code, chain, seq, leaf, error.detail[:_MAX_DETAIL], index)

    def _check_signed(self, data: bytes) -> _Signed:
        """Checks 1 to 4: all that can be said of an entry by itself.

        A statement is read only after its signature is known to be good. Check 1 is where bytes are
        taken apart: in `unpack_entry`, `read_record` and `read_command`.
        """
        payload, key, signature, recorded, log_key, log_signature = unpack_entry(data)
        present = self.keyring.log_key
        log = present or self._anchors.log_key or log_key_founded(payload)
        check_record_signature(log, log_key, log_signature, recorded)
        record_subject, record_header, record = read_record(recorded)
        if not self._seq:
            self._seq = record["seq"]
        signed = signed_bytes(payload)
        digest = hashlib.sha256(signed).hexdigest()
        if present:
            holder = self.keyring.holder(key) or self._not_counting(key)
            if holder.not_after is not None:
                check_not_expired(holder, record["received_at"])
        else:  # the first entry of a log brings its own key
            holder = founder(self._anchors, payload, digest, record, log)
        check_command_signature(holder, key, signature, signed)
        subject, header, command = read_command(payload)
        check_purpose(holder, subject, command["event"])
        change = self._change(command, record) if subject == DIRECTORY else ()
        same_subject = subject == record_subject and header == record_header
        check_binding(
            self._anchors.origin, subject, command, record, digest, holder,
            same_subject=same_subject,
        )  # fmt: skip
        return subject.removeprefix(TASK_PREFIX), header, command, record, change

    def _check_beyond(
        self, signed: _Signed, leaf: str, index: int | None, *, counted: bool
    ) -> None:
        """Checks 5 to 8: how the entry stands to others, to its words and to the rules."""
        chain, header, command, record, change = signed
        seq = record["seq"]
        last = self._last.get(chain)
        if last is None:
            last = Last(header_of(command))
        check_chain(chain, header, record, last)
        if counted:  # else another run looks for repetitions in this chain
            self._commands.add(command["id"], chain, seq, leaf, index)
        if self._openings is not None:
            opened, erased = check_openings(self._openings, leaf, command["arguments"])
            self._tally.opened += opened
            self._tally.erased += erased
        if self._judge is not None:
            check_rules(self._judge, chain, header, leaf, command, record)
        if change:
            self.keyring.follow(change)
        if not last.seq:
            self._last[chain] = last
        last.seq, last.leaf = seq, leaf
        last.to, last.recorded_at = record["to"], record["recorded_at"]

    def _not_counting(self, key: str) -> NoReturn:
        """Say why a key does not count. The order of the log decides that; time only ends it."""
        broken = self._tally.broken.get(DIRECTORY)
        reason = f"; the directory is broken at {broken.seq}" if broken else ""
        name = self.keyring.name(key)
        detail = f"key {key[:16]}{' of ' if name else ''}{name}{reason}"
        raise Broken(Check.COMMAND_SIGNATURE, self.keyring.why_not(key), detail)

    def _change(self, command: Predicate, record: Predicate) -> Change:
        """What the entry does to keys: check 3 too, since it says who may sign from here on."""
        try:
            return self.keyring.check(command["event"], command["arguments"], record["received_at"])
        except Malformed as error:
            raise Broken(Check.COMMAND_SIGNATURE, error.code, error.detail) from error
