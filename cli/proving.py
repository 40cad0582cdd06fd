"""`dondoc audit export|prove|receipt|checkpoint|trust|verifier`: what an outsider takes along."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import status
from cli.options import TaskId
from cli.session import Session
from domain.refusal import Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from audit.checkpoint import Opened
    from audit.policy import Policy
    from audit.receipt import Receipt
    from sequencing.exporting import Source

_OUT = typer.Option("--out", metavar="FILE", help="opt_out")
_TRUST = Annotated[Path | None, typer.Option("--trust", metavar="FILE", help="opt_trust")]


def export(
    session: Session,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="opt_out")],
    task: Annotated[list[str] | None, typer.Option("--task", help="opt_export_task")] = None,
    words: Annotated[bool, typer.Option("--words", help="opt_words")] = False,  # noqa: FBT002 - a switch
) -> None:
    """One file with the log, or with the histories of chosen tasks, for offline verification."""
    from cli.finding import find_task  # noqa: PLC0415 - not for --help
    from sequencing.exporting import export_log, export_tasks  # noqa: PLC0415 - likewise

    policy = session.home.policy.read_bytes() if session.home.policy.exists() else None
    progress = _progress(session)
    with session.reading() as connection:
        source = _source(session, connection)
        if task:
            tasks = [find_task(connection, each).id for each in task]
            count = export_tasks(source, out, tasks, words=words, policy=policy, progress=progress)
        else:
            count = export_log(source, out, words=words, policy=policy, progress=progress)
    session.out.end_progress()
    session.out.document({"file": str(out), "entries": count, "size": source.size})
    session.out.line(session.texts("exported", path=str(out), entries=count, size=source.size))
    if words:
        session.out.line(session.texts("exported_words"), "yellow")


def prove(
    session: Session,
    task: TaskId,
    seq: Annotated[int | None, typer.Option("--seq", min=1, help="opt_seq")] = None,
    out: Annotated[Path | None, _OUT] = None,
) -> None:
    """Proof that an entry is in the log, or that a task's history is whole."""
    from cli.finding import find_task  # noqa: PLC0415 - not for --help
    from sequencing.exporting import export_tasks, prove_entry  # noqa: PLC0415 - likewise
    from store import ledger  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        found = find_task(connection, task)
        source = _source(session, connection)
        if seq is None:
            target = out or Path(f"{found.id}.zip")
            count = export_tasks(
                source, target, [found.id], words=False, policy=None, progress=_progress(session)
            )
            session.out.end_progress()
            session.out.line(session.texts("proved_task", path=str(target), entries=count))
        else:
            rows = ledger.read_chain(connection, found.id, seq - 1)
            if not rows or rows[0].seq != seq:
                raise Refused("unknown_entry", task=found.id, seq=seq)
            target = out or Path(f"{found.id}-{seq}.tlog-proof")
            target.write_bytes(prove_entry(source, rows[0].leaf))
            session.out.line(session.texts("proved_entry", path=str(target), size=source.size))
    session.out.document({"file": str(target), "size": source.size})


def receipt(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="opt_receipt_file")],
    proof: Annotated[
        Path | None, typer.Option("--proof", metavar="FILE", help="opt_receipt_proof")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="opt_receipt_bundle")
    ] = None,
    trust: _TRUST = None,
) -> int:
    """Whether what a receipt promises was kept; status 1 when it was not, or not yet."""
    policy = _policy(session, trust)
    if proof is not None:
        found = _by_proof(session, file.read_bytes(), proof.read_bytes(), policy)
    else:
        found = _by_bundle(file.read_bytes(), bundle or session.home.published, policy)
    return _show_receipt(session, found)


def checkpoint(session: Session) -> None:
    """The newest published checkpoint, as it is."""
    with session.reading() as connection:
        source = _source(session, connection)
    found = source.checkpoint
    session.out.document({
        "origin": found.origin, "size": found.size, "root": found.root.hex(),
        "note": source.note.decode(),
    })  # fmt: skip
    session.out.line(source.note.decode().rstrip("\n"))


def trust(session: Session) -> None:
    """The trust file for auditors: keys, witnesses, the digest of the founding."""
    from audit.policy import format_policy  # noqa: PLC0415 - not for --help

    text = format_policy(_own_policy(session)).decode()
    session.out.document({"trust": text})
    session.out.line(text.rstrip("\n"))


def verifier(session: Session) -> None:
    """The offline verifier as one Python file, to be read whole."""
    from audit.extracting import single_file  # noqa: PLC0415 - not for --help

    text = single_file()
    session.out.document({"verifier": text})
    session.out.line(text.rstrip("\n"))


@dataclass(frozen=True, slots=True)
class _Found:
    """A receipt, and where its entry stands under a checkpoint."""

    receipt: "Receipt"
    opened: "Opened"
    index: int | None


def _by_proof(session: Session, data: bytes, proof: bytes, policy: "Policy") -> _Found:
    """With nothing but a proof file. The log's key for records is that of the data directory."""
    from audit.policy import check_checkpoint  # noqa: PLC0415 - not for --help
    from audit.proof import parse_proof  # noqa: PLC0415 - likewise
    from audit.receipt import check_proof, read_receipt  # noqa: PLC0415 - likewise
    from embedded.keyring import read_public  # noqa: PLC0415 - likewise

    parsed = parse_proof(proof)
    held = read_receipt(data, [read_public(session.home.log_key)])
    opened = check_checkpoint(parsed.checkpoint, policy, int(session.now.timestamp()))
    check_proof(held, parsed, opened)
    return _Found(held, opened, parsed.index)


def _by_bundle(data: bytes, bundle: Path, policy: "Policy") -> _Found:
    """With a whole log, which is verified elsewhere: `dondoc audit verify`."""
    from audit.bundle import CHECKPOINT, open_bundle  # noqa: PLC0415 - not for --help
    from audit.policy import check_checkpoint  # noqa: PLC0415 - likewise
    from audit.receipt import find, log_keys_in, read_receipt  # noqa: PLC0415 - likewise

    with open_bundle(bundle) as files:
        opened = check_checkpoint(files.read(CHECKPOINT), policy, None)
        size = opened.checkpoint.size
        held = read_receipt(data, list(log_keys_in(files, size)))
        return _Found(held, opened, find(held, files, size))


def _show_receipt(session: Session, found: _Found) -> int:
    from audit.receipt import Kept, judged  # noqa: PLC0415 - not for --help

    kept, record = judged(found.receipt, found.index, found.opened), found.receipt.record
    checkpoint = found.opened.checkpoint
    facts = {
        "chain": record.subject.name.removeprefix("task:"),
        "seq": record.predicate["seq"],
        "index": found.index,
        "size": checkpoint.size,
        "leaf": found.receipt.leaf,
        "recorded_at": record.text("recorded_at"),
    }
    style = "green" if kept is Kept.RECORDED else "yellow" if kept is Kept.NOT_YET else "bold red"
    session.out.document({"kept": str(kept), **facts})
    session.out.line(session.texts(f"receipt_{kept}", **facts), style)
    if kept is Kept.MISSING:
        from audit.note import format_note  # noqa: PLC0415 - likewise

        session.out.line(format_note(found.opened.note).decode())
    return status.DONE if kept is Kept.RECORDED else status.REFUSED


def _source(session: Session, connection: "Connection") -> "Source":
    from sequencing.exporting import open_source  # noqa: PLC0415 - not for --help
    from sequencing.files import TreeFiles  # noqa: PLC0415 - likewise

    return open_source(connection, TreeFiles(session.home.published))


def _policy(session: Session, trust: Path | None) -> "Policy":
    """What the caller trusts: the file given or, at home, what the log itself says."""
    from embedded.publishing import read_policy  # noqa: PLC0415 - not for --help

    return read_policy(trust) if trust is not None else _own_policy(session)


def _own_policy(session: Session) -> "Policy":
    from embedded.publishing import own_policy  # noqa: PLC0415 - not for --help

    with session.reading() as connection:
        return own_policy(session.home, connection)


def _progress(session: Session) -> Callable[[int, int], None]:
    def tell(done: int, of: int) -> None:
        session.out.progress(session.texts("progress_of", done=done, of=of))

    return tell
