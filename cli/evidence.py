"""`dondoc evidence`: the files that steps name, from the store itself: no service need run."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import status
from cli.session import Session
from domain.refusal import Refused

if TYPE_CHECKING:
    from activities.evidence import Named
    from evidence.keeper import Keeper

_DIGEST = Annotated[str, typer.Argument(metavar="DIGEST", help="opt_evidence_digest")]
_OUT = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="opt_evidence_out")]
_SHORT = 12
_SHORTEST = 4
_EVERY = 1_000


def list_files(session: Session) -> None:
    """What is kept, and which entries name it."""
    with _keeping(session) as keeper:
        named = _named(session)
        found = list(keeper.store.iterate())
    session.out.end_progress()
    session.out.document(
        [
            {
                "digest": kept.digest,
                "size": kept.size,
                "since": kept.since.isoformat(timespec="seconds"),
                "named": [{"task": n.task, "seq": n.seq} for n in named.get(kept.digest, [])],
            }
            for kept in found
        ]
    )
    if not found:
        session.out.line(session.texts("no_evidence_found"))
        return
    columns = ("column_digest", "column_bytes", "column_kept_since", "column_named")
    session.out.table(
        columns,
        [
            (
                kept.digest,
                str(kept.size),
                session.texts.instant(kept.since, session.zone),
                ", ".join(f"{n.task}/{n.seq}" for n in named.get(kept.digest, [])),
            )
            for kept in found
        ],
    )


def get(session: Session, digest: _DIGEST, out: _OUT) -> None:
    """Write a file's bytes out, whole and unaltered or not at all."""
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(out))
    scratch = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    with _keeping(session) as keeper:
        whole = _whole(keeper, digest)
        try:
            with scratch.open("xb") as file:
                size = sum(map(file.write, keeper.store.open(whole)))
            scratch.replace(out)
        finally:
            scratch.unlink(missing_ok=True)
    session.out.document({"digest": whole, "size": size, "path": str(out)})
    session.out.line(session.texts("evidence_written", path=str(out), size=size))


def check(session: Session) -> int:
    """Read every file that the log names; status 1 when one is missing or altered."""
    wrong: list[dict[str, str | int]] = []
    with _keeping(session) as keeper:
        named = _named(session)
        for number, (digest, entries) in enumerate(named.items()):
            session.out.progress(session.texts("progress_files", done=number, of=len(named)))
            if code := _fault(keeper, digest):
                wrong += [
                    {"digest": digest, "finding": code, "task": n.task, "seq": n.seq}
                    for n in entries
                ]
    session.out.end_progress()
    session.out.document({"files": len(named), "wrong": wrong})
    for each in wrong:
        session.out.line(session.texts(f"found_{each['finding']}", **each), "red")
    if wrong:
        return status.REFUSED
    session.out.line(session.texts("evidence_sound", files=len(named)))
    return status.DONE


def sweep(session: Session) -> None:
    """Remove what no entry names and nobody put in within the last day."""
    from evidence.keeper import SWEPT_AFTER  # noqa: PLC0415 - not for --help

    before = session.now - SWEPT_AFTER
    with _keeping(session) as keeper:
        named = _named(session)
        removed = [
            kept.digest
            for kept in keeper.store.iterate()
            # Looked at again when it is deleted: a step may name it just now.
            if kept.digest not in named and kept.since < before
            if keeper.store.delete(kept.digest, before)
        ]
        parts = keeper.store.sweep()
    session.out.end_progress()
    session.out.document({"removed": removed, "parts": parts})
    session.out.line(session.texts("evidence_swept", files=len(removed), parts=parts))


@contextmanager
def _keeping(session: Session) -> Iterator["Keeper"]:
    from evidence.opening import open_keeper  # noqa: PLC0415 - not for --help
    from evidence.staging import Unavailable  # noqa: PLC0415 - likewise

    try:
        yield open_keeper(session.home.evidence, os.environ, lambda: session.now)
    except Unavailable as error:
        raise Refused("evidence_unavailable", detail=str(error)) from error


def _named(session: Session) -> dict[str, list["Named"]]:
    """What the log names, by digest. Raises Refused for a log without a beginning: to a database
    that was given by mistake every file would look like one that nobody names.
    """
    from activities.evidence import named  # noqa: PLC0415 - not for --help

    found: dict[str, list[Named]] = {}
    with session.reading() as connection:
        if session.directory(connection).seq == 0:
            raise Refused("not_founded", data=str(session.home.path))
        for number, each in enumerate(named(connection)):
            if number % _EVERY == 0:
                session.out.progress(session.texts("progress_entries", entries=number))
            if each is not None:
                found.setdefault(each.digest, []).append(each)
    return found


def _whole(keeper: "Keeper", typed: str) -> str:
    """The digest that was typed, with or without its prefix, or the one that begins so."""
    from evidence.digests import PREFIX, is_hex  # noqa: PLC0415 - not for --help

    name = typed.removeprefix(PREFIX)
    if is_hex(name):
        return PREFIX + name
    if len(name) < _SHORTEST or set(name) - set("0123456789abcdef"):
        raise Refused("evidence_digest_malformed")
    found = [k.digest for k in keeper.store.iterate() if k.digest.startswith(PREFIX + name)]
    if len(found) > 1:
        raise Refused("evidence_ambiguous", digest=typed[:80], found=len(found))
    if not found:
        raise Refused("evidence_missing", digests=typed[:80])
    return found[0]


def _fault(keeper: "Keeper", digest: str) -> str | None:
    """What is wrong with a file; None when nothing is."""
    try:
        for _ in keeper.store.open(digest):
            pass
    except Refused as refusal:
        return refusal.code
    return None
