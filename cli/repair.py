"""`dondoc rebuild` and `dondoc rehydrate`: read model and workflows again, from the log alone."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.session import Session
from domain.directory import LOG
from domain.refusal import Refused

if TYPE_CHECKING:
    from temporalio.client import Client

    from domain.directory import Directory
    from gateway.driver import Driver
    from gateway.rehydration import Rehydrated


def rebuild(session: Session) -> None:
    """One transaction: whoever looks meanwhile, the service too, sees the old or the new."""
    from activities.rebuilding import rebuild as rebuild_all  # noqa: PLC0415 - not for --help
    from store.upgrade import upgrade  # noqa: PLC0415 - likewise

    upgrade(session.engine)
    try:
        done = rebuild_all(session.engine, _progress(session))
    except ValueError as error:
        raise Refused("log_broken", detail=str(error)[:120]) from error
    session.out.end_progress()
    counted: dict[str, Any] = {
        "entries": done.entries, "tasks": done.tasks, "agencies": done.agencies,
    }  # fmt: skip
    session.out.document(counted)
    session.out.line(session.texts("rebuilt", **counted))


def rehydrate(session: Session) -> None:
    """Give each task that needs one its workflow again; a running worker carries them on."""
    running = session.home.read_running()
    done = asyncio.run(_rehydrate(session, running.temporal if running else None))
    counted = {
        "needed": done.needed,
        "missing": len(done.missing),
        "behind": len(done.behind),
    }
    session.out.document({**counted, "tasks": [*done.missing, *done.behind]})
    session.out.line(session.texts("rehydrated", **counted))


async def _rehydrate(session: Session, embedded: str | None) -> "Rehydrated":
    from gateway.rehydration import rehydrate as repair  # noqa: PLC0415 - not for --help

    client = await connect(session, embedded)
    return await repair(client, session.engine, make_driver(session, client))


def make_driver(session: Session, client: "Client") -> "Driver":
    """A driver of our own, beside that of the service."""
    from gateway.driver import Driver  # noqa: PLC0415 - not for --help
    from workflows.messages import TASK_QUEUE  # noqa: PLC0415 - likewise

    return Driver(client, session.engine, partial(_directory, session), TASK_QUEUE)


def _directory(session: Session) -> "Directory":
    """From the database, believed when its log was founded with the key that we know."""
    from embedded.keyring import read_origin, read_public  # noqa: PLC0415 - not for --help

    with session.reading() as connection:
        directory = session.directory(connection)
    first = next((key for key in directory.keys.values() if key.holder == LOG), None)
    if first is not None and first.id != read_public(session.home.log_key).id:
        raise Refused("keys_of_another_log", log=read_origin(session.home))
    return directory


async def connect(session: Session, embedded: str | None) -> "Client":
    """Temporal's own settings (TEMPORAL_ADDRESS, …) come first, then the embedded server."""
    from temporalio.envconfig import ClientConfig  # noqa: PLC0415 - not for --help

    from embedded.connecting import connect as connect_encrypting  # noqa: PLC0415 - likewise

    config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    address = config.get("target_host") or embedded
    if not address:
        raise Refused("not_running", data=str(session.home.path))
    try:
        return await connect_encrypting(session.home, address, **config)
    except RuntimeError as error:
        raise Refused("temporal_unreachable", address=address) from error


def _progress(session: Session) -> Callable[[int], None]:
    def tell(entries: int) -> None:
        session.out.progress(session.texts("progress_entries", entries=entries))

    return tell
