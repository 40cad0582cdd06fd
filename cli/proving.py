"""`dondoc audit export|prove|receipt|checkpoint|trust|verifier`: what an outsider takes along."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.malformed import Malformed
from cli import status
from cli.options import TaskId
from cli.reading import key_at_hand
from cli.session import Session
from domain.refusal import Refused
from domain.task import Secrecy

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from activities.words import Reader
    from audit.keys import PublicKey
    from audit.policy import Policy
    from audit.receipt import Answer, Receipt
    from sequencing.exporting import Exported, Source

_OUT = typer.Option("--out", metavar="FILE", help="opt_out")
_TRUST = Annotated[Path | None, typer.Option("--trust", metavar="FILE", help="opt_trust")]


def export(
    session: Session,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="opt_out")],
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="ID", help="opt_export_task")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="opt_words")] = False,  # noqa: FBT002 - a switch
    protected_words: Annotated[  # noqa: FBT002 - a switch
        bool, typer.Option("--protected-words", help="opt_protected_words")
    ] = False,
) -> None:
    """One file with the log, or with the histories of chosen tasks, for offline verification."""
    from activities.words import ANYBODY  # noqa: PLC0415 - not for --help
    from cli.finding import find_task  # noqa: PLC0415 - likewise
    from sequencing.exporting import export_log, export_tasks  # noqa: PLC0415 - likewise

    if protected_words and not words:
        raise typer.BadParameter(
            session.texts("misuse_needs_words"), param_hint="--protected-words"
        )
    reader = _vault_reader(session) if protected_words else ANYBODY
    policy = session.home.policy.read_bytes() if session.home.policy.exists() else None
    progress = _progress(session)
    with session.reading() as connection:
        tasks = [find_task(connection, each).id for each in task or ()]
        source = replace(_source(session, connection), reader=reader)
        if tasks:
            done = export_tasks(source, out, tasks, words=words, policy=policy, progress=progress)
        else:
            done = export_log(source, out, words=words, policy=policy, progress=progress)
    session.out.end_progress()
    session.out.document(_facts(out, source, done))
    session.out.line(
        session.texts("exported", path=str(out), entries=done.entries, size=source.size)
    )
    _tell_later(session, done)
    if words:
        session.out.line(session.texts("exported_words"), "yellow")
    if protected_words:
        session.out.line(session.texts("exported_protected"), "bold red")


def _vault_reader(session: Session) -> "Reader":
    """Whoever keeps the vault's key. Raises Refused when it is not at hand."""
    from activities.words import Reader, cleared  # noqa: PLC0415 - not for --help
    from embedded.vaulting import VAULT_VARIABLE  # noqa: PLC0415 - likewise

    key = key_at_hand(session)
    if key is None:
        raise Refused("vault_key_missing", variable=VAULT_VARIABLE)
    return Reader(key, cleared(Secrecy.TOP_SECRET))


def prove(
    session: Session,
    task: TaskId,
    seq: Annotated[int | None, typer.Option("--seq", min=1, help="opt_seq")] = None,
    out: Annotated[Path | None, _OUT] = None,
    small: Annotated[bool, typer.Option("--small", help="opt_small")] = False,  # noqa: FBT002 - a switch
) -> None:
    """Proof that an entry is in the log, or that a task's history is whole."""
    from cli.finding import find_task  # noqa: PLC0415 - not for --help
    from sequencing.exporting import export_tasks  # noqa: PLC0415 - likewise

    if small and seq is None:
        raise typer.BadParameter(session.texts("misuse_needs_seq"), param_hint="--small")
    with session.reading() as connection:
        found = find_task(connection, task).id
        source = _source(session, connection)
        if seq is not None:
            target = out or Path(f"{found}-{seq}.tlog-proof")
            _prove_entry(session, source, found, seq, target, small=small)
            return
        target = out or Path(f"{found}.zip")
        done = export_tasks(
            source, target, [found], words=False, policy=None, progress=_progress(session)
        )
    session.out.end_progress()
    session.out.document(_facts(target, source, done))
    session.out.line(session.texts("proved_task", path=str(target), entries=done.entries))
    _tell_later(session, done)


def _prove_entry(
    session: Session, source: "Source", task: str, seq: int, target: Path, *, small: bool
) -> None:
    from sequencing.exporting import prove_entry  # noqa: PLC0415 - not for --help
    from store import ledger  # noqa: PLC0415 - likewise

    rows = ledger.read_chain(source.connection, task, seq - 1)
    if not rows or rows[0].seq != seq:
        raise Refused("unknown_entry", task=task, seq=seq)
    proof = prove_entry(source, rows[0].leaf, small=small)
    target.write_bytes(proof)
    session.out.document({"file": str(target), "bytes": len(proof), "size": source.size})
    texts = session.texts
    session.out.line(texts("proved_entry", path=str(target), bytes=len(proof), size=source.size))
    if small:
        session.out.line(texts("proved_small"))


def _facts(target: Path, source: "Source", done: "Exported") -> dict[str, Any]:
    return {
        "file": str(target),
        "entries": done.entries,
        "size": source.size,
        "whole_up_to": done.stated,
        "later": done.later,
    }


def _tell_later(session: Session, done: "Exported") -> None:
    if done.later:
        session.out.line(
            session.texts("proved_later", size=done.stated, later=done.later), "yellow"
        )


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
    log_key: Annotated[
        list[Path] | None, typer.Option("--log-key", metavar="FILE", help="opt_receipt_log_key")
    ] = None,
) -> int:
    """Whether what a receipt promises was kept; status 1 when it was not, or not yet."""
    from audit.entry import parse_entry  # noqa: PLC0415 - not for --help
    from embedded.keyring import read_public  # noqa: PLC0415 - likewise

    if proof is not None and bundle is not None:
        raise typer.BadParameter(session.texts("misuse_proof_or_bundle"), param_hint="--proof")
    data = file.read_bytes()
    try:
        parse_entry(data)
    except Malformed as error:
        cause = session.texts(error.code)
        said = session.texts("receipt_unreadable", path=str(file), cause=cause)
        session.out.error(error.code, {"detail": error.detail}, said)
        return status.REFUSED
    if proof is not None:
        held, answer = _by_proof(session, data, proof, trust)
    else:
        keys = [read_public(path) for path in log_key or ()]
        held, answer = _by_bundle(session, data, bundle, trust, keys)
    return _show_receipt(session, held, answer)


def checkpoint(session: Session) -> None:
    """The newest published checkpoint, as it is."""
    with session.reading() as connection:
        source = _source(session, connection)
    found = source.checkpoint
    session.out.document({
        "origin": found.origin, "size": found.size, "root": found.root.hex(),
        "note": source.note.decode(),
    })  # fmt: skip
    session.out.file(source.note.decode())


def trust(
    session: Session,
    small: Annotated[bool, typer.Option("--small", help="opt_trust_small")] = False,  # noqa: FBT002 - a switch
) -> None:
    """The trust file for auditors: keys, witnesses, the digest of the founding."""
    from audit.note import ED25519  # noqa: PLC0415 - not for --help
    from audit.trust_file import format_policy  # noqa: PLC0415 - likewise
    from embedded.publishing import own_policy  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        policy = own_policy(session.home, connection)
    if small:
        logs = tuple(log for log in policy.logs if log.key.type == ED25519)
        policy = replace(policy, logs=logs)
    text = format_policy(policy).decode()
    session.out.document({"trust": text})
    session.out.file(text)


def verifier(session: Session) -> None:
    """The offline verifier as one Python file, to be read whole."""
    from audit.extracting import single_file  # noqa: PLC0415 - not for --help

    text = single_file()
    session.out.document({"verifier": text})
    session.out.file(text)


def _by_proof(
    session: Session, data: bytes, proof: Path, trust: Path | None
) -> tuple["Receipt", "Answer"]:
    """With nothing but a proof file."""
    from audit.proof import parse_proof  # noqa: PLC0415 - not for --help
    from audit.receipt import check_proof, read_receipt  # noqa: PLC0415 - likewise

    parsed = parse_proof(proof.read_bytes())
    policy = _policy(session, trust, parsed.checkpoint)
    held = read_receipt(data, policy.origin)
    return held, check_proof(held, parsed, policy)


def _by_bundle(
    session: Session,
    data: bytes,
    bundle: Path | None,
    trust: Path | None,
    log_keys: list["PublicKey"],
) -> tuple["Receipt", "Answer"]:
    """With a log: the one that is published here, unless another is named."""
    from audit.bundle import CHECKPOINT, open_bundle  # noqa: PLC0415 - not for --help
    from audit.receipt import look_up, read_receipt  # noqa: PLC0415 - likewise

    path = bundle or session.home.published
    if bundle is None and not (path / CHECKPOINT).is_file():
        raise Refused("nothing_published", path=str(path))
    with open_bundle(path) as files:
        note = files.find(CHECKPOINT)
        if note is None:
            raise Malformed("bundle_file_missing", CHECKPOINT)
        policy = _policy(session, trust, note)
        held = read_receipt(data, policy.origin)
        return held, look_up(held, files, policy, log_keys)


def _show_receipt(session: Session, held: "Receipt", answer: "Answer") -> int:
    from audit.note import format_note  # noqa: PLC0415 - not for --help
    from audit.receipt import Kept  # noqa: PLC0415 - likewise

    kept, checkpoint = answer.kept, answer.opened.checkpoint
    note = format_note(answer.opened.note).decode()
    facts = {
        "chain": held.chain,
        "seq": held.seq,
        "index": answer.index,
        "size": checkpoint.size,
        "leaf": held.leaf,
        "recorded_at": held.record.text("recorded_at"),
    }
    style = "green" if kept is Kept.RECORDED else "yellow" if kept is Kept.NOT_YET else "bold red"
    session.out.document({"kept": str(kept), **facts, "checkpoint": note})
    session.out.line(session.texts(f"receipt_{kept}", **facts), style)
    if kept is Kept.MISSING:
        session.out.line(session.texts("receipt_is_evidence", **facts))
        session.out.line()
        # Under the log's own lines anybody may have written another one.
        session.out.line(note.removesuffix("\n"))
    return status.DONE if kept is Kept.RECORDED else status.REFUSED


def _source(session: Session, connection: "Connection") -> "Source":
    from sequencing.exporting import open_source  # noqa: PLC0415 - not for --help
    from sequencing.files import TreeFiles  # noqa: PLC0415 - likewise

    return open_source(connection, TreeFiles(session.home.published))


def _policy(session: Session, trust: Path | None, note: bytes) -> "Policy":
    """What the caller trusts: the file given or, at home, the keys that the log had when it signed
    this checkpoint. Then no witness is asked for: the log is bound by what it signed itself.
    """
    from audit.checkpoint import parse_checkpoint  # noqa: PLC0415 - not for --help
    from audit.note import parse_note  # noqa: PLC0415 - likewise
    from audit.policy import NO_QUORUM  # noqa: PLC0415 - likewise
    from embedded.publishing import own_policy, read_policy  # noqa: PLC0415 - likewise

    if trust is not None:
        return read_policy(trust)
    with session.reading() as connection:
        size = parse_checkpoint(parse_note(note).text).size
        return replace(own_policy(session.home, connection, size), quorum=NO_QUORUM)


def _progress(session: Session) -> Callable[[int, int], None]:
    def tell(done: int, of: int) -> None:
        session.out.progress(session.texts("progress_of", done=done, of=of))

    return tell
