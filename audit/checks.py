"""What must hold of an entry: checks 2 to 5, 7 and 8, in their order.

Each raises `Broken` with its number. The bytes were taken apart by `audit.entry` and
`audit.statement` (check 1); `audit.once` finds what was recorded twice (check 6). `audit.engine`
calls them all, and says what each is about.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from audit.canonical import Json
from audit.chains import ABOUT_THE_LOG, TASK_PREFIX
from audit.commitment import Opening, commitments_in
from audit.dsse import signed_bytes
from audit.entry import NO_PREVIOUS
from audit.holders import Holder
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.report import Broken, Check

Predicate = Mapping[str, Any]
"""Of a command or a record, by field; its form was checked."""

Openings = Callable[[str], Mapping[str, Opening]]
"""By leaf hash, the openings that exist beside an entry, by field."""

_NO_TASKS = frozenset(TASK_PREFIX + name for name in ("", *ABOUT_THE_LOG))


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


@dataclass(slots=True)
class Last:
    """What the next entry of a chain must follow on."""

    header: str
    seq: int = 0
    leaf: str = NO_PREVIOUS
    to: Json = None
    recorded_at: str = ""


def check_record_signature(log: PublicKey, key: str, signature: bytes, payload: bytes) -> None:
    """Check 2: the log signed the record, with its present key."""
    if key != log.id or not log.verify(signature, signed_bytes(payload)):
        raise Broken(Check.RECORD_SIGNATURE, "record_signature_wrong")


def check_not_expired(holder: Holder, received_at: str) -> None:
    """Check 3, of a key with a certificate: it had not ended when the command was received."""
    if holder.has_expired(received_at):
        detail = f"received {received_at}, the certificate ended {holder.not_after}"
        raise Broken(Check.COMMAND_SIGNATURE, "certificate_expired", detail)


def check_command_signature(holder: Holder, key: str, signature: bytes, signed: bytes) -> None:
    """Check 3: the holder of the key signed the command."""
    if key != holder.key.id or not holder.key.verify(signature, signed):
        raise Broken(Check.COMMAND_SIGNATURE, "command_signature_wrong", f"key of {holder.name}")


def check_purpose(holder: Holder, subject: str, event: str) -> None:
    """Check 3: it is a command that this key may sign."""
    if not holder.may_sign(subject, event):
        detail = f"{holder.purpose} key of {holder.name}, event {event}"
        raise Broken(Check.COMMAND_SIGNATURE, "key_of_other_purpose", detail)


def check_binding(
    origin: str,
    subject: str,
    command: Predicate,
    record: Predicate,
    digest: str,
    holder: Holder,
    *,
    same_subject: bool,
) -> None:
    """Check 4: record, command and signer speak of the same thing, and of this log.

    ``digest`` is the command's; ``same_subject``: the record has the subject of the command.
    """
    if subject in _NO_TASKS or not (subject.startswith(TASK_PREFIX) or subject in ABOUT_THE_LOG):
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
    detail = f"these are the bytes of {subject} entry {record['seq']}"
    raise Broken(Check.BINDING, code, detail)


def check_chain(chain: str, header: str, record: Predicate, last: Last) -> None:
    """Check 5: the entry hangs on the one before it."""
    seq, expected = record["seq"], last.seq + 1
    if seq > expected:
        detail = f"entry {seq} stands where {expected} should"
        leaf = record["prev"] if seq == expected + 1 else ""
        raise Broken(Check.CHAIN, "entry_missing", detail, missing=(expected, leaf))
    if seq < expected:
        raise Broken(Check.CHAIN, "entry_repeated", f"entry {expected} should stand here")
    if record["prev"] != last.leaf:
        raise Broken(Check.CHAIN, "prev_differs", "it does not hang on the entry before it")
    before = None if chain in ABOUT_THE_LOG else last.to
    if record["from"] != before:
        raise Broken(Check.CHAIN, "from_differs", f"{record['from']}, it was {before}")
    if header != last.header:
        raise Broken(Check.CHAIN, "header_differs", "the chain began with another header")
    # Instants have one width, so that the order of the text is that of time.
    received, recorded = record["received_at"], record["recorded_at"]
    if received > recorded:
        detail = f"received {received}, recorded {recorded}"
        raise Broken(Check.CHAIN, "recorded_before_received", detail)
    if recorded < last.recorded_at:
        detail = f"recorded {recorded}, the entry before {last.recorded_at}"
        raise Broken(Check.CHAIN, "recorded_before_previous", detail)


def check_openings(openings: Openings, leaf: str, arguments: Predicate) -> tuple[int, int]:
    """Check 7: the words beside the entry are those that it commits to.

    Returns how many commitments have their words, and of how many they were erased.
    """
    try:
        found = openings(leaf)
    except (TypeError, ValueError) as error:  # nothing guards what stands beside the log
        raise Broken(Check.OPENINGS, "opening_unreadable", str(error)) from error
    if not found:
        return 0, len(commitments_in(arguments)) if arguments else 0
    commitments = commitments_in(arguments)
    for field, opening in found.items():
        if field not in commitments:
            raise Broken(Check.OPENINGS, "opening_unasked", field)
        if opening.field != field or not _opens(opening, commitments[field]):
            raise Broken(Check.OPENINGS, "opening_wrong", field)
    return len(found), len(commitments) - len(found)


def _opens(opening: Opening, commitment: str) -> bool:
    try:
        return opening.opens(commitment)
    except (Malformed, TypeError):  # words or salt that the log could never have taken
        return False


def check_rules(
    judge: Judge, chain: str, header: str, leaf: str, command: Predicate, record: Predicate
) -> None:
    """Check 8: the judge finds nothing against the step."""
    try:
        judge(chain, header, leaf, command, record)
    except Exception as error:  # whatever a judge trips over in a stranger's entry is a finding
        code = getattr(error, "code", None)
        known = code if isinstance(code, str) else "judge_failed"
        detail = str(error) if isinstance(code, str) else f"{type(error).__name__}: {error}"
        raise Broken(Check.RULES, known, detail) from error
