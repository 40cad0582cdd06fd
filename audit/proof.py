r"""Proof files (C2SP tlog-proof): that an entry is in the log, to be checked without the log.

    c2sp.org/tlog-proof@v1 LF
    extra SP base64(anything) LF            may be left out; nobody signed it
    index SP decimal LF                     the entry's number, from 0
    base64(hash) LF                         the inclusion proof, from the leaf up; none or more
    LF
    the checkpoint, a signed note, as it was published

Of the entry "b" in a log of three, "a", "b" and "c":

    c2sp.org/tlog-proof@v1
    index 1
    Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=
    WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=

    log.example
    3
    NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=

    — log.example HMdY+fYP4s341zBz47cyr4Ug0iHTVbODuxzSuuHRWaKg7j2SExLRuY1sMhMEeat37U363Bof+GEgMiDL3hbnJ1vkwg0=
    — north.example DuYXNAAAAABlU/EAtmTxNa9/wOuIRFFINdG44V2/x9QmL9gl/AYCxl8xacFqalRxpLa5ua7IlYyPyxXDsA1QmzHhN5ArjhoVyA1uAQ==

`audit.policy.check_checkpoint` checks the checkpoint, `audit.merkle.check_inclusion` the hashes
under its root.
"""  # noqa: E501 a signature line has no place to break

import base64
from dataclasses import dataclass

from audit.cosignature import parse_decimal
from audit.dsse import decode_base64
from audit.malformed import Malformed
from audit.merkle import HASH_BYTES
from audit.note import MAX_BYTES

_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "
_MAX_HASHES = 63
_LONGEST = 2 * MAX_BYTES


@dataclass(frozen=True, slots=True)
class Proof:
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_proof(proof: Proof) -> bytes:
    """Raises ValueError for what would not be read back."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(_EXTRA + base64.b64encode(proof.extra).decode())
    lines.append(f"{_INDEX}{proof.index}")
    lines += (base64.b64encode(found).decode() for found in proof.hashes)
    data = "\n".join([*lines, "", ""]).encode() + proof.checkpoint
    try:
        same = parse_proof(data) == proof
    except Malformed as error:
        raise ValueError("not a proof") from error
    if not same:
        raise ValueError("not a proof")
    return data


def parse_proof(data: bytes) -> Proof:
    """The parts of a proof file. Raises Malformed; nothing of it is checked yet."""
    if len(data) > _LONGEST:
        raise Malformed("proof_too_long", f"{len(data)} bytes")
    head, blank, checkpoint = data.partition(b"\n\n")
    if not blank or not checkpoint:
        raise Malformed("proof_checkpoint", "none")
    if not head.isascii():
        raise Malformed("proof_lines", "not ASCII")
    lines = head.decode().split("\n")
    if lines.pop(0) != _HEADER:
        raise Malformed("proof_header")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = decode_base64(lines.pop(0).removeprefix(_EXTRA))
        if not extra:
            raise Malformed("proof_extra", "nothing in it")
    if not lines or not lines[0].startswith(_INDEX):
        raise Malformed("proof_index", "none")
    index = parse_decimal(lines.pop(0).removeprefix(_INDEX), "proof_index")
    if len(lines) > _MAX_HASHES:
        raise Malformed("proof_length", f"{len(lines)} hashes")
    return Proof(index, tuple(_hash(line) for line in lines), checkpoint, extra)


def _hash(line: str) -> bytes:
    found = decode_base64(line)
    if len(found) != HASH_BYTES:
        raise Malformed("proof_hash_length", f"{len(found)} bytes")
    return found
