"""The composition root: wires the rooms and runs the service.

One service is the recorder, the worker of the workflows, the driver and the door. Any number of
them may share a database and a Temporal namespace.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Engine
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.evidence import Missing, nothing_missing
from activities.queue import RecorderQueue
from activities.recorder import Probe, Recorder, no_probe
from activities.signing import LogKeys
from activities.stamping import Stamper
from activities.steps import StepActivities
from domain.calendars import load
from domain.directory import CLOCK, LOG
from domain.refusal import Refused
from evidence.keeper import Keeper
from gateway.door import Door
from gateway.driver import Driver
from gateway.evidence import add_evidence
from gateway.http import make_app, serving
from gateway.reconciling import Scene
from gateway.rehydration import rehydrate
from gateway.watching import keep_reconciled
from sequencing.attesting import keep_attesting
from sequencing.publisher import (
    Publisher,
    Sequencing,
    keep_publishing,
    open_publisher,
    publish_last,
)
from store.engine import forget_erased, open_engine
from store.upgrade import upgrade
from workflows import attributes
from workflows.messages import TASK_QUEUE
from workflows.task import TaskWorkflow

log = structlog.get_logger(__name__)

REHYDRATE_SECONDS = 60.0
_DRAIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Settings:
    """What a service is told. ``door_port`` 0 asks for any free port.

    ``takeover``: how long Temporal waits for the worker that knows a task before it asks another.
    Once an ``epoch`` the log states how long its chains are; ``reconcile_every`` so often it is
    compared with the screens and the workflows. Without ``sequencing`` another process, of
    `dondoc sequencer`, gives the entries their places in the tree. Without ``evidence`` files are
    neither taken nor looked for.
    """

    database_url: str
    keys: LogKeys
    task_queue: str = TASK_QUEUE
    door_port: int = 0
    max_cached_workflows: int = 1_000
    takeover: timedelta = timedelta(seconds=5)
    epoch: timedelta = timedelta(minutes=10)
    reconcile_every: timedelta = timedelta(hours=1)
    sequencing: Sequencing | None = None
    evidence: Keeper | None = None


@dataclass(frozen=True)
class Service:
    """A running service, for those who compose it further."""

    engine: Engine
    client: Client
    recorder: Recorder
    door: Door
    driver: Driver
    door_port: int


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def service(
    settings: Settings,
    client: Client,
    now: Callable[[], datetime] = utc_now,
    probe: Probe = no_probe,
) -> AsyncIterator[Service]:
    """Run the service while the context lasts; leaving it drains what was accepted.

    Raises the database's own errors when it can't be reached or brought up to date, Refused when
    the log in it was founded with other keys, and ValueError for a client that doesn't encrypt.
    """
    if client.data_converter.payload_codec is None:
        raise ValueError("without a payload codec Temporal would store words in clear")
    engine = open_engine(settings.database_url)
    try:
        await asyncio.to_thread(upgrade, engine)
        # A service that was killed right after an erasure could not do it any more.
        await asyncio.to_thread(forget_erased, engine)
        await add_search_attributes(client)
        missing: Missing = nothing_missing
        if settings.evidence is not None:
            missing = settings.evidence.missing
            await asyncio.to_thread(settings.evidence.clear_up)
        recorder = Recorder(engine, settings.keys, load(), now, probe, missing)
        await asyncio.to_thread(_check_keys, recorder, settings.keys)
        publisher = await asyncio.to_thread(_publisher, settings, engine, now, probe)
        driver = Driver(client, engine, recorder.directory, settings.task_queue, probe)
        queue = RecorderQueue(recorder, driver.hear)
        try:
            stamper = Stamper(settings.keys, recorder.known_directory)
            door = Door(queue, stamper, now, probe, missing)
            app = make_app(door, settings.keys.origin)
            if settings.evidence is not None:
                add_evidence(app, settings.evidence, recorder.task)
            activities = StepActivities(recorder, queue, now)
            scene = Scene(client, engine, settings.task_queue, now)
            async with (
                _worker(client, settings, activities),
                _background(driver.run),
                _background(partial(_keep_rehydrated, client, engine, driver)),
                _sequencing(publisher),
                _background(queue.keep_summed),
                _background(partial(keep_attesting, engine, queue, now, settings.epoch)),
                _background(partial(keep_reconciled, scene, queue, settings.reconcile_every)),
                serving(app, settings.door_port) as port,
            ):
                yield Service(engine, client, recorder, door, driver, port)
        finally:
            await asyncio.to_thread(queue.stop)
    finally:
        engine.dispose()


async def add_search_attributes(client: Client) -> None:
    """Create the search attributes that the server lacks. Safe to repeat."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    wanted = {
        name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}")
        for name, kind in attributes.TYPES.items()
        if name not in listed.custom_attributes
    }
    if not wanted:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


def _check_keys(recorder: Recorder, keys: LogKeys) -> None:
    """A service with other keys than the log's own would write what no auditor accepts."""
    directory = recorder.directory()
    if directory.seq == 0:
        return
    try:
        for holder in (CLOCK, LOG):
            keys.named(directory, holder)
    except Refused as refusal:
        raise Refused("keys_of_another_log", log=keys.origin) from refusal


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox, without loading the pure rooms anew for each run."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "audit",
            "domain",
            "transitions",
            "workflows.attributes",
            "workflows.details",
            "workflows.fitness",
            "workflows.following",
            "workflows.messages",
        )
    )


def _worker(client: Client, settings: Settings, activities: StepActivities) -> Worker:
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[TaskWorkflow],
        activities=activities.all(),
        workflow_runner=workflow_runner(),
        graceful_shutdown_timeout=_DRAIN,
        max_cached_workflows=settings.max_cached_workflows,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=settings.takeover,
    )


@asynccontextmanager
async def _background(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run something beside the context, again when it fails, and end it with the context."""
    task = asyncio.create_task(_for_ever(work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _publisher(
    settings: Settings, engine: Engine, now: Callable[[], datetime], probe: Probe
) -> Publisher | None:
    if settings.sequencing is None:
        return None
    return open_publisher(settings.sequencing, engine, now, probe)


@asynccontextmanager
async def _sequencing(publisher: Publisher | None) -> AsyncIterator[None]:
    """Sequence beside the context, and once more in the end: what was accepted is published."""
    if publisher is None:
        yield
        return
    async with _background(partial(keep_publishing, publisher)):
        yield
    await asyncio.to_thread(publish_last, publisher)


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("background_work_failed")
        await asyncio.sleep(1)


async def _keep_rehydrated(client: Client, engine: Engine, driver: Driver) -> None:
    while True:
        try:
            result = await rehydrate(client, engine, driver)
            if result.missing or result.behind:
                log.info("rehydrated", missing=len(result.missing), behind=len(result.behind))
        except Exception as error:  # noqa: BLE001 - tried again in a minute
            log.warning("rehydration_hindered", error=str(error))
        await asyncio.sleep(REHYDRATE_SECONDS)
