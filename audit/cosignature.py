r"""What each type of key signs under a note, and how its signatures are checked.

    0x01  Ed25519 over the text
    0x04  u64be time || Ed25519 over "cosignature/v1" LF "time " decimal LF text
    0x06  u64be time || ML-DSA-44 over the structure below

Times are seconds since 1970. What types 0x04 and 0x06 sign is the text of a checkpoint, which has
exactly three lines (`audit.checkpoint` is about them); a cosigner says: at that time, this was the
largest tree of this log that I had seen, and it contained all that I had seen before.

The structure that ML-DSA-44 signs (C2SP tlog-cosignature), here of the cosigner ``w.example`` for
tree 5 of the log ``l.example``, in hexadecimal:

    73 75 62 74 72 65 65 2f 76 31 0a 00     label: "subtree/v1" LF NUL
    09 77 2e 65 78 61 6d 70 6c 65           cosigner's name, behind its length
    00 00 00 00 64 18 50 cb                 time 1679315147
    09 6c 2e 65 78 61 6d 70 6c 65           log's origin, behind its length
    00 00 00 00 00 00 00 00                 start: 0, the whole tree
    00 00 00 00 00 00 00 05                 end: the size
    … 32 bytes …                            the root

The log signs its own checkpoints as 0x01 and 0x06, both under its origin as the name. Those who
sign are in `audit.signers`.
"""

from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature

from audit.dsse import decode_base64
from audit.malformed import Malformed
from audit.merkle import HASH_BYTES, MAX_SIZE
from audit.note import (
    COSIGNATURE,
    ED25519,
    MLDSA44,
    MLDSA44_BYTES,
    TYPE_NAMES,
    Line,
    Note,
    VerifierKey,
    check_name,
    load_ed25519,
    load_mldsa44,
)

MAX_TIME = 2**63 - 1

_LABEL = b"subtree/v1\n\x00"
_TIME_BYTES = 8
_SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 64, MLDSA44: MLDSA44_BYTES}
_CHECKPOINT_LINES = 3
_SIZE_DIGITS = len(str(MAX_SIZE))


def message_ed25519(timestamp: int, text: str) -> bytes:
    """What an Ed25519 cosigner signs. It names no cosigner: one key serves one name only."""
    return b"cosignature/v1\ntime %d\n%b" % (timestamp, text.encode())


def message_mldsa(name: str, timestamp: int, origin: str, size: int, root: bytes) -> bytes:
    start = 0
    return b"".join(
        [
            _LABEL,
            _counted(name),
            _u64(timestamp),
            _counted(origin),
            _u64(start),
            _u64(size),
            root,
        ]
    )


def signed_tree(text: str) -> tuple[str, int, bytes]:
    """Origin, size and root in a checkpoint's text. Raises Malformed.

    No line may follow them: ML-DSA-44 wouldn't cover it, so anybody on the way could write it.
    """
    *lines, rest = text.split("\n")
    if rest or len(lines) < _CHECKPOINT_LINES:
        raise Malformed("checkpoint_lines", f"{len(lines)} whole ones")
    if len(lines) > _CHECKPOINT_LINES:
        raise Malformed("checkpoint_extension", lines[_CHECKPOINT_LINES][:40])
    origin, size, encoded = lines
    try:
        check_name(origin)
    except Malformed as error:
        raise Malformed("checkpoint_origin", error.detail) from error
    root = decode_base64(encoded)
    if len(root) != HASH_BYTES:
        raise Malformed("checkpoint_root", f"{len(root)} bytes")
    return origin, parse_decimal(size, "checkpoint_size"), root


def parse_decimal(text: str, code: str) -> int:
    """A number up to 2**63 - 1 in its one form. Raises Malformed with ``code``."""
    # The length first: int() would work long on a long text, or refuse it in its own way.
    if len(text) > _SIZE_DIGITS or not (text.isascii() and text.isdecimal()):
        raise Malformed(code, text[:40])
    number = int(text)
    if number > MAX_SIZE or str(number) != text:
        raise Malformed(code, text)
    return number


def verify_line(key: VerifierKey, note: Note, line: Line) -> int | None:
    """The time that the line gives; None for type 0x01, which gives none.

    Raises Malformed unless the line is this key's and its signature holds.
    """
    who = f"{key.name} {TYPE_NAMES[key.type]}"
    if (line.name, line.key_id) != (key.name, key.id):
        raise Malformed("note_signature_wrong", f"{who}: another key's line")
    timed = key.type != ED25519
    expected = _SIGNATURE_BYTES[key.type] + (_TIME_BYTES if timed else 0)
    if len(line.signature) != expected:
        raise Malformed("note_signature_wrong", f"{who}: {len(line.signature)} bytes")
    if not timed:
        _require(load_ed25519(key.public).verify(line.signature, note.text.encode()), who)
        return None
    timestamp = int.from_bytes(line.signature[:_TIME_BYTES], "big")
    if timestamp > MAX_TIME:
        raise Malformed("note_signature_wrong", f"{who}: time {timestamp}")
    origin, size, root = signed_tree(note.text)
    signature = line.signature[_TIME_BYTES:]
    if key.type == COSIGNATURE:
        message = message_ed25519(timestamp, note.text)
        _require(load_ed25519(key.public).verify(signature, message), who)
    else:
        message = message_mldsa(key.name, timestamp, origin, size, root)
        _require(_mldsa_verifies(key, signature, message), who)
    return timestamp


def verified(note: Note, keys: Iterable[VerifierKey]) -> dict[VerifierKey, int | None]:
    """Which of ``keys`` signed the note, and when each says it did.

    A line counts for a key when name *and* id are the key's; other lines are ignored. Raises
    Malformed for a line of a known key that doesn't verify, and also for a key's second line, even
    a good one: two times by one cosigner leave open which of them is meant, and an honest log
    publishes one.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.id), key) != key:
            raise Malformed("vkey_ambiguous", f"{key.name}+{key.id.hex()}")
    times: dict[VerifierKey, int | None] = {}
    for line in note.lines:
        found = known.get((line.name, line.key_id))
        if found is None:
            continue
        if found in times:
            raise Malformed("note_signature_twice", f"{found.name} {TYPE_NAMES[found.type]}")
        times[found] = verify_line(found, note, line)
    return times


def _mldsa_verifies(key: VerifierKey, signature: bytes, message: bytes) -> bool:
    try:
        load_mldsa44(key.public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _require(holds: bool, who: str) -> None:  # noqa: FBT001 it says what must hold
    if not holds:
        raise Malformed("note_signature_wrong", who)


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _counted(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data
