"""A report on two heads that contradict each other, which stands alone.

Whoever reads it needs no dondoc and no trust in the witness, only the log's public keys from a
source of their own: the heads are in it as the log signed them, byte for byte.
"""

import base64
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from messages import Texts
from witness.home import write_private
from witness.judging import Head, Kind
from witness.store import Kept

_RULER = "-----"


def report(kept: Kept, name: str, texts: Texts) -> str:
    """``name`` is that of the witness."""
    evidence = kept.evidence
    first, second = evidence.first.checkpoint, evidence.second.checkpoint
    is_fork = evidence.kind is Kind.FORK
    at = datetime.fromtimestamp(kept.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    title = texts("fork_title") if is_fork else texts("suspicion_title")
    lines = [
        texts("fork_heading", number=kept.number, title=title),
        texts("fork_log", origin=first.origin),
        texts("fork_seen", name=name, at=at),
        "",
        *_head(texts("fork_first"), evidence.first, texts),
        *_head(texts("fork_second"), evidence.second, texts),
    ]
    if not is_fork:
        proof = "".join(f"{base64.b64encode(item).decode()}\n" for item in evidence.proof)
        lines += [texts("fork_proof", old=first.size, new=second.size), *_ruled("proof", proof)]
    lines += [texts("fork_keys"), *(f"    {vkey}" for vkey in evidence.vkeys), ""]
    if is_fork:
        lines.append(texts("fork_check", size=first.size))
    else:
        lines.append(texts("suspicion_check", old=first.size, new=second.size))
    if kept.settled:
        lines.append(texts("suspicion_settled", size=second.size))
    return "\n".join(lines) + "\n"


def write_reports(directory: Path, kept: tuple[Kept, ...], name: str) -> None:
    """A file for each; those that are there stay. Raises OSError."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for item in kept:
        second = item.evidence.second
        digest = hashlib.sha256(second.checkpoint.origin.encode() + second.note).hexdigest()
        path = directory / f"{item.number:04}-{item.evidence.kind.value}-{digest[:12]}.txt"
        if not os.path.lexists(path):
            write_private(path, report(item, name, Texts("en")).encode())


def _head(title: str, head: Head, texts: Texts) -> list[str]:
    tree = head.checkpoint
    root = base64.b64encode(tree.root).decode()
    return [
        title,
        texts("fork_tree", size=tree.size, root=root),
        *_ruled(f"tree {tree.size}", head.note.decode()),
    ]


def _ruled(name: str, content: str) -> list[str]:
    return [f"{_RULER} {name} {_RULER}", *content.removesuffix("\n").split("\n"), _RULER * 4, ""]
