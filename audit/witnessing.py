r"""What a log and its witness say to each other (C2SP tlog-witness).

    POST <prefix>/add-checkpoint            the request:
        old 20852014 LF                     the size that the witness cosigned last
        PlRNCrwHpqhGrupue0L7… LF            the proof from there: at most 63 lines of base64
        LF
        …                                   the checkpoint, a signed note

    200   the witness's lines, as they stand under a note: "— name base64" LF
    400   malformed, or ``old`` is more than the size
    403   not signed by a key that the witness trusts for this log
    404   a log that the witness doesn't know
    409   ``old`` is not what the witness cosigned last: decimal LF, as text/x.tlog.size;
          or it is, the size is the same, and the root another
    422   the proof doesn't hold

Both sides are here: what one formats the other parses, strictly.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from audit.cosignature import parse_decimal
from audit.dsse import decode_base64
from audit.malformed import Malformed
from audit.merkle import HASH_BYTES
from audit.note import Line, Note, format_note, parse_note

PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = 128 << 10
"""Room for the longest proof, and for a checkpoint with thirty lines by ML-DSA-44."""
MAX_SIZE_BYTES = 20

_OLD = "old "


@dataclass(frozen=True, slots=True)
class Request:
    """Nothing is said of ``note`` yet: `audit.checkpoint` opens it."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def format_request(request: Request) -> bytes:
    """Raises ValueError for what would not be read back."""
    lines = [f"{_OLD}{request.old}", *(base64.b64encode(item).decode() for item in request.proof)]
    data = "".join(f"{line}\n" for line in [*lines, ""]).encode() + request.note
    try:
        same = parse_request(data) == request
    except Malformed as error:
        raise ValueError("not a request") from error
    if not same:
        raise ValueError("not a request")
    return data


def parse_request(data: bytes) -> Request:
    """Raises Malformed."""
    if len(data) > MAX_REQUEST_BYTES:
        raise Malformed("witness_request_too_long", f"{len(data)} bytes")
    head, blank, note = data.partition(b"\n\n")
    if not blank:
        raise Malformed("witness_request_form", "no empty line")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("witness_request_form", f"byte {error.start}") from error
    if not first.startswith(_OLD):
        raise Malformed("witness_request_form", first[:40])
    old = parse_decimal(first.removeprefix(_OLD), "witness_request_old")
    if len(proof) > MAX_PROOF_LINES:
        raise Malformed("witness_request_proof", f"{len(proof)} lines")
    return Request(old, tuple(map(_parse_hash, proof)), note)


def format_cosignatures(text: str, lines: Sequence[Line]) -> bytes:
    """The lines of a witness under the checkpoint ``text``. Raises ValueError."""
    return format_note(Note(text, tuple(lines)))[len(text.encode()) + 1 :]


def parse_cosignatures(text: str, data: bytes) -> tuple[Line, ...]:
    """Raises Malformed; says nothing about the signatures."""
    note = parse_note(text.encode() + b"\n" + data)
    if note.text != text:  # an empty line in the answer would have moved the end of the text
        raise Malformed("note_signature_line", "an empty line")
    return note.lines


def format_size(size: int) -> bytes:
    return b"%d\n" % size


def parse_size(data: bytes) -> int:
    """Raises Malformed."""
    if len(data) > MAX_SIZE_BYTES or not data.endswith(b"\n") or not data.isascii():
        raise Malformed("witness_answer_size")
    return parse_decimal(data[:-1].decode(), "witness_answer_size")


def _parse_hash(line: str) -> bytes:
    item = decode_base64(line)
    if len(item) != HASH_BYTES:
        raise Malformed("witness_request_proof", f"a hash of {len(item)} bytes")
    return item
