"""`dondoc witness`: running a witness, which cosigns the checkpoints of logs (docs/witnessing.md).

It has a directory of its own, given with each command: it is no part of the log's data directory,
and belongs on another machine, with other people.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import status
from cli.session import Session
from domain.refusal import Refused

if TYPE_CHECKING:
    from witness.home import Home

_DIR = Annotated[Path, typer.Argument(metavar="DIR", help="opt_witness_dir")]


def init(
    session: Session,
    directory: _DIR,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="opt_witness_name")],
) -> None:
    """Make the keys, and print what others need to know of them."""
    with _opened(directory) as home:
        from witness.home import found  # noqa: PLC0415 - not for --help

        signers = found(home, name)
    vkeys = [key.vkey for key in signers.verifiers]
    session.out.document({"name": name, "vkeys": vkeys})
    session.out.line(session.texts("witness_founded", name=name, path=str(directory)))
    for vkey in vkeys:
        session.out.line(vkey)
    session.out.line(session.texts("witness_policy"))


def trust(
    session: Session,
    directory: _DIR,
    vkeys: Annotated[list[str], typer.Argument(metavar="VKEY...", help="opt_witness_vkeys")],
) -> None:
    """Watch logs, given by their keys."""
    with _opened(directory) as home:
        from witness import home as homes  # noqa: PLC0415 - not for --help

        logs = homes.trust(home, vkeys)
    session.out.document({"logs": {o: [key.vkey for key in keys] for o, keys in logs.items()}})
    for origin, keys in logs.items():
        session.out.line(session.texts("witness_trusts", origin=origin, keys=len(keys)))


def serve(
    session: Session,
    directory: _DIR,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="opt_witness_port")] = 0,
) -> None:
    """Cosign on loopback until Ctrl-C."""

    def ready(address: str) -> None:
        session.out.document({"witness": name, "address": address})
        session.out.line(session.texts("witness_serves", name=name, address=address))
        sys.stdout.flush()  # who started it may read a pipe

    with _opened(directory) as home:
        from witness.home import read_name  # noqa: PLC0415 - not for --help
        from witness.server import run  # noqa: PLC0415 - likewise

        name = read_name(home)
        run(home, port, ready)


def show(session: Session, directory: _DIR) -> None:
    """Name and keys; of each log, what was cosigned last."""
    with _opened(directory) as home:
        from witness.home import read_logs, read_signers  # noqa: PLC0415 - not for --help
        from witness.store import Store  # noqa: PLC0415 - likewise

        signers, store = read_signers(home), Store(home.store)
        try:
            seen = {origin: store.latest(origin) for origin in read_logs(home)}
        finally:
            store.close()
    logs = [
        {
            "origin": origin,
            "size": last.head.checkpoint.size if last else None,
            "root": last.head.checkpoint.root.hex() if last else None,
            "at": datetime.fromtimestamp(last.at, UTC).isoformat() if last else None,
        }
        for origin, last in seen.items()
    ]
    vkeys = [key.vkey for key in signers.verifiers]
    session.out.document({"name": signers.name, "vkeys": vkeys, "logs": logs})
    session.out.line(signers.name, "bold")
    for vkey in vkeys:
        session.out.line(vkey)
    if not seen:
        session.out.line(session.texts("witness_no_logs"))
        return
    rows = [
        (
            origin,
            str(last.head.checkpoint.size),
            last.head.checkpoint.root.hex(),
            session.texts.moment(datetime.fromtimestamp(last.at, UTC), session.zone),
        )
        if last
        else (origin, session.texts("witness_nothing_seen"), "", "")
        for origin, last in seen.items()
    ]
    session.out.table(("column_log", "column_size", "column_root", "column_cosigned"), rows)


def forks(session: Session, directory: _DIR) -> int:
    """Heads that contradict each other; status 1 when there are any that were not settled."""
    with _opened(directory) as home:
        from witness.evidence import report, write_reports  # noqa: PLC0415 - not for --help
        from witness.home import read_name  # noqa: PLC0415 - likewise
        from witness.store import Store  # noqa: PLC0415 - likewise

        name, store = read_name(home), Store(home.store)
        try:
            kept = store.kept()
        finally:
            store.close()
        write_reports(home.forks, kept, name)
    session.out.document(
        [
            {
                "kind": item.evidence.kind.value,
                "origin": item.evidence.first.checkpoint.origin,
                "at": datetime.fromtimestamp(item.at, UTC).isoformat(),
                "settled": item.settled,
                "first": item.evidence.first.note.decode(),
                "second": item.evidence.second.note.decode(),
                "proof": [part.hex() for part in item.evidence.proof],
                "vkeys": list(item.evidence.vkeys),
            }
            for item in kept
        ]
    )
    for item in kept:
        session.out.line(report(item, name, session.texts))
    if not kept:
        session.out.line(session.texts("witness_no_forks"))
    return status.DONE if all(item.settled for item in kept) else status.REFUSED


@contextmanager
def _opened(directory: Path) -> Iterator["Home"]:
    """The directory; a refusal by the witness, which knows nothing of the domain, becomes ours."""
    from witness import home, refused  # noqa: PLC0415 - not for --help

    try:
        yield home.Home(directory)
    except refused.Refused as error:
        raise Refused(error.code, **error.facts) from error
