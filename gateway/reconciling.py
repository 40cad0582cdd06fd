"""Reconciliation: log, read model and Temporal are held against each other, and repaired.

`gateway.comparing` says what is compared, and what a difference is; here everything is read for it.
The log itself is never touched: where it lacks what others have, people must look.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection, Engine
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.folding import recorded_at
from activities.rebuilding import fold_all, rebuild_agencies, rebuild_tasks
from activities.words import marks
from audit.entry import leaf_hash, open_record, parse_entry
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed
from domain.directory import LOG, Directory
from domain.refusal import Refused
from domain.secrecy import is_protected
from domain.task import Task
from gateway.comparing import (
    Difference,
    Look,
    Process,
    Reconciled,
    Waiting,
    compare_entries,
    compare_rows,
    compare_workflows,
    concerned,
    confirmed,
)
from gateway.driver import Driver
from gateway.receipts import opened, receipts, was_reset
from store import comparing, ledger, tree
from store.engine import writing
from store.schema import agency, task
from workflows import attributes
from workflows.messages import WORKFLOW

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 3.0
"""Between two looks: a step that is on its way has arrived by then."""

HISTORIES = 500
"""So many workflows' histories are searched for receipts: those of the tasks that moved last. A log
that lost something lost its end."""

AGENCY_PREFIX = "agency/"
_AT_ONCE = 16
_T = TypeVar("_T")
_ENDED = {
    WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}
_REPAIRED_BY_DRIVING = (
    "workflow_missing", "workflow_terminated", "workflow_behind", "workflow_reset",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What is compared: the log and read model of ``engine`` with the workflows of ``client``."""

    client: Client
    engine: Engine
    task_queue: str
    now: Callable[[], datetime]
    pause: float = PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Repaired:
    """How many rows were made again, workflows driven, entries queued, workflows terminated."""

    rows: int
    driven: int
    queued: int
    terminated: int


@dataclass(frozen=True, slots=True)
class _Found:
    """One look: the log's size, its tasks, the keys of its records, and what differs."""

    size: int
    tasks: dict[str, Task]
    log_keys: tuple[PublicKey, ...]
    look: Look
    differences: list[Difference]


async def reconcile(scene: Scene) -> Reconciled:
    """Compare. Raises Refused for a log that can't be read, and Temporal's own errors."""
    first = await _look(scene, None)
    lost = await _lost_receipts(scene, first)
    last, differences = first, list[Difference]()
    if first.differences:
        await asyncio.sleep(scene.pause)
        last = await _look(scene, first.look.before)
        found = confirmed(first.differences, last.differences)
        differences = await _gathered([partial(_settled, scene, each) for each in found])
    everything = sorted([*differences, *lost], key=lambda each: (each.kind, each.subject))
    return Reconciled(last.size, len(last.tasks), len(last.look.running), tuple(everything))


async def repair(
    scene: Scene, reconciled: Reconciled, driver: Driver, *, terminate_foreign: bool
) -> Repaired:
    """Make rows and workflows what the log says; foreign workflows end only when told to."""
    found = reconciled.differences
    rows = concerned(found, "row_differs", "row_missing", "row_unexplained")
    tasks = [name for name in rows if not name.startswith(AGENCY_PREFIX)]
    if tasks:
        await asyncio.to_thread(rebuild_tasks, scene.engine, tasks)
    if len(tasks) < len(rows):
        await asyncio.to_thread(rebuild_agencies, scene.engine)
    foreign = concerned(found, "workflow_foreign") if terminate_foreign else []
    for name in foreign:
        await _terminate(scene.client, name)
    driven = concerned(found, *_REPAIRED_BY_DRIVING)
    await driver.drive(driven)
    forgotten = concerned(found, "entry_forgotten")
    queued = await asyncio.to_thread(_queue, scene.engine) if forgotten else 0
    return Repaired(len(rows), len(driven), queued, len(foreign))


async def _look(scene: Scene, since: Mapping[str, int] | None) -> _Found:
    """The log first, then the server, then the log's lengths once more (`Look`)."""
    size, tasks, directory, differences = await asyncio.to_thread(_read_log, scene)
    running = await _running(scene.client, scene.task_queue)
    after = await asyncio.to_thread(_lengths, scene.engine)
    before = {name: known.seq for name, known in tasks.items()}
    needed = frozenset(name for name, known in tasks.items() if known.is_open or known.clocks)
    look = Look(before, needed, running, after)
    compared = compare_workflows(
        look, before if since is None else since, WORKFLOW, scene.task_queue
    )
    return _Found(size, tasks, _log_keys(directory), look, [*differences, *compared])


def _read_log(scene: Scene) -> tuple[int, dict[str, Task], Directory, list[Difference]]:
    """One consistent look at the database, though others write meanwhile."""
    with scene.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # SQLite's transactions are such a look by themselves.
            connection.execution_options(isolation_level="REPEATABLE READ")
        try:
            size, directory, tasks = fold_all(connection)
        except (Malformed, LookupError, TypeError, ValueError) as error:
            raise Refused("log_broken", detail=str(error)[:120]) from error
        return size, tasks, directory, _differing(connection, tasks, directory, scene.now())


def _differing(
    connection: Connection, tasks: dict[str, Task], directory: Directory, now: datetime
) -> list[Difference]:
    protected = [name for name, known in tasks.items() if is_protected(known.secrecy)]
    titles = comparing.titles(connection) | marks(connection, protected)
    wanted = {
        name: comparing.readable(ledger.task_row(known, titles.get(name, "")))
        for name, known in tasks.items()
    }
    rows = compare_rows(wanted, comparing.shown(connection, task))
    wanted = {AGENCY_PREFIX + a.id: ledger.agency_row(a) for a in directory.agencies.values()}
    listed = ((AGENCY_PREFIX + name, row) for name, row in comparing.shown(connection, agency))
    waiting = (
        Waiting(each.chain, each.seq, recorded_at(each), queued)
        for each, queued in comparing.unplaced(connection)
    )
    return [*rows, *compare_rows(wanted, listed), *compare_entries(waiting, now)]


def _lengths(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return comparing.lengths(connection)


def _log_keys(directory: Directory) -> tuple[PublicKey, ...]:
    """Every key that ever signed records."""
    spkis = [key.spki for key in directory.keys.values() if key.holder == LOG]
    return tuple(load_public(base64.b64decode(spki)) for spki in spkis)


async def _running(client: Client, queue: str) -> list[Process]:
    """Every running workflow that is, or passes for, one of ours."""
    asked = (
        f"ExecutionStatus = 'Running' AND (WorkflowType = '{WORKFLOW}' OR TaskQueue = '{queue}')"
    )
    return [
        Process(
            each.id,
            each.workflow_type,
            each.task_queue,
            each.typed_search_attributes.get(attributes.SEQUENCE) or 0,
        )
        async for each in client.list_workflows(asked, page_size=1_000)
    ]


async def _settled(scene: Scene, difference: Difference) -> Difference | None:
    """The difference after a closer look; None when it is none after all."""
    if difference.kind == "workflow_missing":
        return await _last_run(scene.client, difference.subject)
    if difference.kind == "workflow_behind":
        handle = scene.client.get_workflow_handle(difference.subject)
        if was_reset([event async for event in handle.fetch_history_events()]):
            return Difference("workflow_reset", difference.subject, difference.detail)
    return difference


async def _last_run(client: Client, name: str) -> Difference | None:
    """What became of the workflow of a task that needs one. The list may be a moment old."""
    try:
        status = (await client.get_workflow_handle(name).describe()).status
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return Difference("workflow_missing", name)
    if status is None or status is WorkflowExecutionStatus.RUNNING:
        return None
    kind = "workflow_terminated" if status in _ENDED else "workflow_missing"
    return Difference(kind, name, status.name.lower())


async def _lost_receipts(scene: Scene, found: _Found) -> list[Difference]:
    """Receipts that workflows hold and the log does not."""
    running = [each.id for each in found.look.running if each.id in found.tasks]
    running.sort(key=lambda name: found.tasks[name].recorded_at, reverse=True)
    search = [partial(_receipts_of, scene.client, n, found.log_keys) for n in running[:HISTORIES]]
    held = {name: entries for name, entries in await _gathered(search) if entries}
    leaves = {leaf_hash(entry) for entries in held.values() for entry in entries}
    known = await asyncio.to_thread(_known, scene.engine, sorted(leaves))
    return [
        Difference("update_without_entry", name, _named(entry))
        for name, entries in held.items()
        for entry in sorted(entries)
        if leaf_hash(entry) not in known
    ]


async def _receipts_of(
    client: Client, name: str, log_keys: Sequence[PublicKey]
) -> tuple[str, set[bytes]]:
    try:
        handle = client.get_workflow_handle(name)
        events = [event async for event in handle.fetch_history_events()]
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return name, set()
    if missing := await opened(events, client.data_converter.payload_codec):
        log.error("receipts_not_searched", task=name, missing_keys=sorted(missing))
    return name, await asyncio.to_thread(receipts, events, log_keys)


def _known(engine: Engine, leaves: Sequence[str]) -> set[str]:
    with engine.connect() as connection:
        return comparing.known_leaves(connection, leaves)


def _named(entry: bytes) -> str:
    seq = open_record(parse_entry(entry).record).predicate["seq"]
    return f"entry {seq}, {leaf_hash(entry)[:12]}"


async def _gathered(work: Sequence[Callable[[], Awaitable[_T | None]]]) -> list[_T]:
    """Ask the server many things, some at a time; what has no answer is left out."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(ask: Callable[[], Awaitable[_T | None]]) -> _T | None:
        async with limit:
            return await ask()

    answers = await asyncio.gather(*map(one, work))
    return [answer for answer in answers if answer is not None]


async def _terminate(client: Client, name: str) -> None:
    try:
        await client.get_workflow_handle(name).terminate("foreign: no task of the log")
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise


def _queue(engine: Engine) -> int:
    with writing(engine) as connection:
        tree.lock(connection)
        return tree.queue_forgotten(connection)
