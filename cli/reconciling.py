"""`dondoc audit reconcile`: log, read model and workflows against each other."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import status
from cli.session import Session
from domain.attestation import RECONCILED
from domain.refusal import Refused

if TYPE_CHECKING:
    from temporalio.client import Client

    from gateway.comparing import Reconciled
    from gateway.reconciling import Repaired, Scene

_SHOWN = 100
"""So many differences are printed for people; the document has them all."""


def reconcile(
    session: Session,
    repair: Annotated[bool, typer.Option("--repair", help="opt_repair")] = False,  # noqa: FBT002 - a switch
    terminate_foreign: Annotated[  # noqa: FBT002 - likewise
        bool, typer.Option("--terminate-foreign", help="opt_terminate_foreign")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="opt_last")] = False,  # noqa: FBT002 - likewise
) -> int:
    """Compare now, or show what the service found last; status 1 when something differs."""
    if last and (repair or terminate_foreign):
        raise typer.BadParameter(session.texts("misuse_last_only"), param_hint="--last")
    if terminate_foreign and not repair:
        raise typer.BadParameter(session.texts("misuse_needs_repair"))
    if last:
        return _last(session)
    running = session.home.read_running()
    return asyncio.run(
        _compare(
            session,
            running.temporal if running else None,
            repair=repair,
            terminate_foreign=terminate_foreign,
        )
    )


async def _compare(
    session: Session, embedded: str | None, *, repair: bool, terminate_foreign: bool
) -> int:
    from cli.repair import connect  # noqa: PLC0415 - not for --help
    from gateway.reconciling import reconcile as compare  # noqa: PLC0415 - likewise

    client = await connect(session, embedded)
    scene = _scene(session, client)
    found = await compare(scene)
    document = _document(found)
    _show(session, found)
    if repair and found.differences:
        done = await _repair(session, scene, found, terminate_foreign=terminate_foreign)
        found = await compare(scene)
        document |= {"repaired": _figures(done), "remaining": _document(found)}
        session.out.line(session.texts("reconcile_repaired", **_figures(done)))
        _show(session, found)
    session.out.document(document)
    return status.REFUSED if found.differences else status.DONE


def _scene(session: Session, client: "Client") -> "Scene":
    from gateway.reconciling import Scene  # noqa: PLC0415 - not for --help
    from workflows.messages import TASK_QUEUE  # noqa: PLC0415 - likewise

    return Scene(client, session.engine, TASK_QUEUE, lambda: session.now)


async def _repair(
    session: Session, scene: "Scene", found: "Reconciled", *, terminate_foreign: bool
) -> "Repaired":
    from cli.repair import make_driver  # noqa: PLC0415 - not for --help
    from gateway.reconciling import repair  # noqa: PLC0415 - likewise

    driver = make_driver(session, scene.client)
    return await repair(scene, found, driver, terminate_foreign=terminate_foreign)


def _last(session: Session) -> int:
    """What the newest entry of the log's own chain says about it."""
    from activities.folding import newest, recorded_at  # noqa: PLC0415 - not for --help
    from domain.instants import format_instant  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        found = newest(connection, RECONCILED)
    if found is None:
        raise Refused("never_reconciled")
    at, counts = recorded_at(found.row), dict(found.arguments["differences"])
    session.out.document(
        {**found.arguments, "recorded_at": format_instant(at), "seq": found.row.seq,
         "leaf": found.row.leaf}
    )  # fmt: skip
    when = session.texts.moment(at, session.zone)
    session.out.line(session.texts("reconciled_at", at=when, seq=found.row.seq), "bold")
    _show_figures(session, found.arguments, counts)
    return status.REFUSED if any(counts.values()) else status.DONE


def _show(session: Session, found: "Reconciled") -> None:
    texts, line = session.texts, session.out.line
    for each in found.differences[:_SHOWN]:
        detail = f" ({each.detail})" if each.detail else ""
        what = texts.name("difference", each.kind)
        line(f"{each.subject}: {what}{detail} [{each.kind}]", "red")
    if len(found.differences) > _SHOWN:
        line(texts("reconcile_more", number=len(found.differences) - _SHOWN), "red")
    _show_figures(session, found.arguments, found.counts)


def _show_figures(session: Session, figures: Mapping[str, Any], counts: dict[str, int]) -> None:
    texts = session.texts
    compared = {name: figures[name] for name in ("size", "tasks", "workflows")}
    session.out.line(texts("reconcile_figures", **compared))
    for kind, number in sorted(counts.items()):
        if number:
            session.out.line(f"  {number}  {texts.name('difference', kind)} [{kind}]", "red")
    total = sum(counts.values())
    if total:
        session.out.line(texts("reconcile_differences", number=total), "bold red")
    else:
        session.out.line(texts("reconcile_same"), "bold green")


def _document(found: "Reconciled") -> dict[str, Any]:
    return {
        "ok": not found.differences,
        "size": found.size,
        "tasks": found.tasks,
        "workflows": found.workflows,
        "counts": found.counts,
        "differences": [
            {"kind": each.kind, "subject": each.subject, "detail": each.detail}
            for each in found.differences
        ],
    }


def _figures(done: "Repaired") -> dict[str, int]:
    return {
        "rows": done.rows,
        "driven": done.driven,
        "queued": done.queued,
        "terminated": done.terminated,
    }
