"""`dondoc up`: everything on this machine, in the foreground, until it is told to stop.

Ctrl-C, SIGTERM and a closed terminal mean the same: stop taking commands, finish what was accepted,
stop the worker, then Temporal, and give the directory free.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from google.protobuf.duration_pb2 import Duration
from rich.console import Console
from rich.live import Live
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from domain.calendars import load
from domain.refusal import Refused
from embedded import board, founding, keyring, publishing
from embedded.codec import Endpoint, codec_endpoint
from embedded.connecting import connect
from embedded.home import Home, Running
from embedded.logging import log_to
from embedded.temporal import LOOPBACK, Ports, choose_ports, temporal_server
from evidence.opening import open_keeper
from messages import Texts
from worker import Service, Settings, service, utc_now

log = structlog.get_logger(__name__)

RETENTION = timedelta(days=90)
"""How long Temporal shows closed workflows. The log keeps everything for ever."""

_REFRESH_SECONDS = 1.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `dondoc up` was told. ``encode``: the codec endpoint encrypts, too."""

    port: int | None
    texts: Texts
    show_board: bool
    sample: bool
    encode: bool


def run(home: Home, wishes: Wishes) -> int:
    """Run until a signal comes; 0 then. Raises Refused when it can't start."""
    return asyncio.run(_run(home, wishes))


def run_worker(home: Home, texts: Texts, *, sequence: bool, endpoint: Endpoint | None) -> int:
    """Run the service beside a Temporal that runs elsewhere, until a signal comes; 0 then.

    Temporal is found by its own variables and files (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS …).
    ``sequence``: publish the log as well; ``endpoint``: serve one. Raises Refused when the
    directory was never founded or Temporal doesn't answer.
    """
    return asyncio.run(_run_worker(home, texts, sequence=sequence, endpoint=endpoint))


def run_sequencer(home: Home) -> int:
    """Give entries their places and publish the log, until a signal comes; 0 then.

    Raises Refused when the directory was never founded, or the log is not the one that was signed.
    """
    return asyncio.run(_run_sequencer(home))


async def _run_sequencer(home: Home) -> int:
    stop = stop_event()
    os.umask(0o077)
    log_to(None)
    publisher = await asyncio.to_thread(publishing.publisher, home)
    log.info("ready", published=str(home.published))
    await publishing.publish_until(stop, publisher)
    log.info("stopping")
    return 0


async def _run_worker(
    home: Home, texts: Texts, *, sequence: bool, endpoint: Endpoint | None
) -> int:
    stop = stop_event()
    os.umask(0o077)
    keys = keyring.read_log_keys(home)
    log_to(None)
    config = ClientConfig.load_client_connect_config()
    address = config.get("target_host", "localhost:7233")
    try:
        client = await connect(home, address, **config)
    except RuntimeError as error:
        raise Refused("temporal_unreachable", address=address) from error
    settings = Settings(
        home.database_url,
        keys,
        sequencing=publishing.sequencing(home) if sequence else None,
        evidence=open_keeper(home.evidence, os.environ, utc_now),
    )
    async with AsyncExitStack() as stack:
        if endpoint is not None:
            await stack.enter_async_context(codec_endpoint(home, client, endpoint, texts))
        running = await stack.enter_async_context(service(settings, client))
        log.info("ready", door=_door(running.door_port))
        await stop.wait()
        log.info("stopping")
    return 0


async def _run(home: Home, wishes: Wishes) -> int:
    stop = stop_event()
    # Whatever is written from here on is for the owner's eyes.
    os.umask(0o077)
    home.prepare()
    with home.locked():
        founding.make_keys(home)
        ports = choose_ports(wishes.port)
        on_board = wishes.show_board and sys.stdout.isatty()
        log_to(home.path / "dondoc.log" if on_board else None)
        async with _everything(home, ports, wishes) as running:
            if wishes.sample and not stop.is_set():
                await founding.settle_sample(home, running, utc_now)
            where = f"Temporal {_web(ports)}"
            log.info("ready", web=_web(ports), door=_door(running.door_port))
            if on_board:
                await show_board(running.engine, wishes.texts, where, stop)
            else:
                await stop.wait()
            log.info("stopping")
        home.running.unlink(missing_ok=True)
    return 0


def stop_event() -> asyncio.Event:
    """An event that the signals to stop set; they do nothing else from now on."""
    stop = asyncio.Event()
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@asynccontextmanager
async def _everything(home: Home, ports: Ports, wishes: Wishes) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        output = home.path / "temporal.log"
        address = await stack.enter_async_context(
            temporal_server(home.temporal_store, ports, output)
        )
        client = await connect(home, address)
        await _retain(client)
        endpoint = Endpoint(ports.codec, _web(ports), wishes.encode)
        await stack.enter_async_context(codec_endpoint(home, client, endpoint, wishes.texts))
        settings = Settings(
            home.database_url,
            keyring.read_log_keys(home),
            door_port=ports.door,
            sequencing=publishing.sequencing(home),
            evidence=open_keeper(home.evidence, os.environ, utc_now),
        )
        running = await stack.enter_async_context(service(settings, client))
        await founding.found(home, running, utc_now)
        home.write_running(_addresses(ports, address, running))
        yield running


async def show_board(engine: Engine, texts: Texts, where: str, stop: asyncio.Event) -> None:
    """Draw the board until ``stop``, again and again. ``where``: what is reached at which port."""
    zone = load().timezone
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not stop.is_set():
            try:
                view = await asyncio.to_thread(board.read, engine)
            except SQLAlchemyError as error:
                # The service goes on without it, and so does the board a moment later.
                log.warning("board_hindered", error=type(error).__name__)
            else:
                frame = board.Frame(texts, zone, console.width, console.height, where)
                live.update(board.render(view, frame, utc_now()), refresh=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _REFRESH_SECONDS)


async def _retain(client: Client) -> None:
    """The dev server would forget closed workflows after a day."""
    period = Duration()
    period.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=period),
        )
    )


def _addresses(ports: Ports, address: str, running: Service) -> Running:
    door, endpoint = _door(running.door_port), _door(ports.codec)
    return Running(os.getpid(), door, address, _web(ports), endpoint)


def _web(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports.web}"


def _door(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"
