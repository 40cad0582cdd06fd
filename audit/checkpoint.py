r"""Checkpoints (C2SP tlog-checkpoint): the log says how large its tree is, and what its root is.

    origin LF  size LF  base64(root) LF        as the text of a signed note

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

The origin is the log's name for ever, and the name of its keys. Our log signs with Ed25519 and with
ML-DSA-44; who opens a checkpoint says which keys must have signed, and a line of one that was
stripped is noticed. Lines after the root, which the format knows as extensions, are refused.
"""  # noqa: E501 a signature line has no place to break

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.cosignature import signed_tree, verified
from audit.malformed import Malformed
from audit.note import TYPE_NAMES, Note, VerifierKey, parse_note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint whose signatures hold, and the time that each key gave (type 0x01: none)."""

    checkpoint: Checkpoint
    note: Note
    times: Mapping[VerifierKey, int | None]


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The text to sign. Raises ValueError for what would not be read back."""
    root = base64.b64encode(checkpoint.root).decode()
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"
    try:
        same = parse_checkpoint(text) == checkpoint
    except Malformed as error:
        raise ValueError("not a checkpoint") from error
    if not same:
        raise ValueError("not a checkpoint")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text. Raises Malformed; says nothing about the signatures."""
    return Checkpoint(*signed_tree(text))


def open_checkpoint(data: bytes, origin: str, keys: Sequence[VerifierKey]) -> Opened:
    """The checkpoint of the log ``origin`` that *every* one of ``keys`` signed.

    Raises Malformed. Lines by others are ignored: they may be cosignatures that nobody asked for.
    """
    if not keys:
        raise ValueError("a checkpoint that nobody need have signed")
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != origin:
        raise Malformed("checkpoint_other_log", checkpoint.origin)
    times = verified(note, keys)
    for key in keys:
        if key not in times:
            raise Malformed("checkpoint_signature_missing", f"{key.name} {TYPE_NAMES[key.type]}")
    return Opened(checkpoint, note, times)
