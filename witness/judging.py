"""What a witness decides: from a request, and from what it has seen, to a status. Pure.

1. The request has its form, and in it a checkpoint.               else 400
2. Its origin is that of a log which the witness was told of.      else 404
3. A trusted key of *each type* that was told signed it.           else 403
4. ``old`` is at most the checkpoint's size.                       else 400
5. ``old`` is the size that the witness cosigned last, or 0.       else 409
6. At the same size, the root is the same.                         else 409: a fork
7. The proof leads from the old root to the new one.               else 422: a suspicion

Why each type and not each key: while a log rotates a key, it is trusted under the old and the
new one, and signs with either. A type whose line was stripped is noticed all the same.

Two signed checkpoints of one size with two roots are a *fork*: whoever trusts the log's key can see
that it lied. They count whatever ``old`` says, and also against a smaller tree that was cosigned
long ago. A proof that fails is a *suspicion* only: anybody may hand in two honest checkpoints with
a proof of nonsense between them. It is kept too, because it is all that a witness sees of a log
that shows it another tree at another size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from audit.checkpoint import Checkpoint, parse_checkpoint
from audit.consistency import check_consistency
from audit.cosignature import verified
from audit.malformed import Malformed
from audit.merkle import EMPTY_ROOT
from audit.note import Note, VerifierKey, format_note, parse_note
from audit.witnessing import parse_request

Trusted = Mapping[str, Sequence[VerifierKey]]
"""The keys of each log, by its origin."""


class Declined(Exception):
    """The request ends here, with this status; nothing was learnt from it."""

    def __init__(self, status: HTTPStatus, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint, and the note in which the log signed it: with no line but the log's own."""

    checkpoint: Checkpoint
    text: str
    note: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose checkpoint was signed by keys that are trusted."""

    old: int
    proof: tuple[bytes, ...]
    head: Head
    vkeys: tuple[str, ...]
    """All keys of the log that are trusted, as they are written down: evidence needs them, and an
    older head may have been signed by one that the log has rotated out since."""


class Kind(Enum):
    FORK = "fork"
    SUSPICION = "suspicion"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two heads that the log signed, of which at most one is its history."""

    kind: Kind
    first: Head
    second: Head
    proof: tuple[bytes, ...]
    vkeys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """OK: to be cosigned."""

    status: HTTPStatus
    evidence: Evidence | None = None


def read(data: bytes, trusted: Trusted) -> Asked:
    """Steps 1 to 4. Raises Declined."""
    try:
        request = parse_request(data)
        note = parse_note(request.note)
        checkpoint = parse_checkpoint(note.text)
    except Malformed as error:
        raise Declined(HTTPStatus.BAD_REQUEST, error.code) from error
    keys = trusted.get(checkpoint.origin)
    if not keys:
        raise Declined(HTTPStatus.NOT_FOUND, "log_unknown")
    signed = _signed(note, keys)
    if request.old > checkpoint.size:
        raise Declined(HTTPStatus.BAD_REQUEST, "old_above_size")
    ids = {(key.name, key.id) for key in signed}
    lines = tuple(line for line in note.lines if (line.name, line.key_id) in ids)
    head = Head(checkpoint, note.text, format_note(Note(note.text, lines)))
    return Asked(request.old, request.proof, head, tuple(key.vkey for key in keys))


def judge(asked: Asked, latest: Head | None, same_size: Head | None) -> Judged:
    """Steps 5 to 7.

    ``latest`` is what the witness cosigned last for this log, ``same_size`` what it ever cosigned
    at the size asked for.
    """
    new = asked.head.checkpoint
    known = latest.checkpoint if latest else Checkpoint(new.origin, 0, EMPTY_ROOT)
    if same_size is not None and same_size.checkpoint.root != new.root:
        return Judged(HTTPStatus.CONFLICT, _evidence(Kind.FORK, same_size, asked))
    if asked.old != known.size or (new.size == known.size and new.root != known.root):
        return Judged(HTTPStatus.CONFLICT)
    try:
        check_consistency(asked.proof, known.size, new.size, known.root, new.root)
    except Malformed:
        # Between a tree and itself, or the empty one, no proof can show anything.
        telling = latest is not None and 0 < known.size < new.size
        evidence = _evidence(Kind.SUSPICION, latest, asked) if latest and telling else None
        return Judged(HTTPStatus.UNPROCESSABLE_ENTITY, evidence)
    return Judged(HTTPStatus.OK)


def _signed(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """The keys that signed. Raises Declined unless there is one of each type."""
    try:
        signed = tuple(verified(note, keys))
    except Malformed as error:
        raise Declined(HTTPStatus.FORBIDDEN, error.code) from error
    if {key.type for key in keys} - {key.type for key in signed}:
        raise Declined(HTTPStatus.FORBIDDEN, "checkpoint_signature_missing")
    return signed


def _evidence(kind: Kind, known: Head, asked: Asked) -> Evidence:
    proof = asked.proof if kind is Kind.SUSPICION else ()
    return Evidence(kind, known, asked.head, proof, asked.vkeys)
