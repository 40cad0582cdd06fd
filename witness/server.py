"""The witness as a small HTTP service on loopback; what lets the world in stands before it.

POST /add-checkpoint       `audit.witnessing` has request and answers
GET  /checkpoint?origin=…  ours, not C2SP's: the checkpoint that it cosigned last, for auditors
GET  /health               200 {"witness": name}
413, 408                   a body that is too large, or doesn't come
503                        the store or the file ``logs`` can't be used now: ask again
"""

import asyncio
import logging
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from threading import Lock

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from audit.malformed import Malformed
from audit.witnessing import MAX_REQUEST_BYTES, PATH
from witness import evidence
from witness.cosigning import Answer, Cosigning
from witness.home import Home, read_logs, read_signers
from witness.refused import Refused
from witness.store import Store

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_BODY_SECONDS = 10
_AT_ONCE = 64
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _TooLarge(Exception):
    pass


def make_app(cosigning: Cosigning, now: Callable[[], float] = time.time) -> FastAPI:
    """The application; it keeps nothing of its own."""
    app = FastAPI(title="dondoc witness", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"witness": cosigning.name}

    @app.post(PATH)
    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                data = await _read_limited(request)
        except _TooLarge:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except (TimeoutError, ClientDisconnect):
            # Who hangs up reads no answer, and leaves no traceback in the operator's log.
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
        return await _answered(lambda: cosigning.add_checkpoint(data, int(now())))

    @app.get("/checkpoint")
    async def checkpoint(request: Request) -> Response:
        origin = request.query_params.get("origin", "")
        return await _answered(lambda: cosigning.latest(origin))

    return app


def open_witness(home: Home, store: Store) -> Cosigning:
    """The witness of a directory. Raises Refused and Malformed when it can't be trusted to work."""
    signers = read_signers(home)
    read_logs(home)

    turn = Lock()

    def write() -> None:
        try:
            with turn:
                evidence.write_reports(home.forks, store.kept(), signers.name)
        except OSError:
            # The store has it; the files are written at the next occasion, or by `forks`.
            log.exception("reports could not be written")

    write()
    return Cosigning(signers, store, lambda: read_logs(home), write)


def run(home: Home, port: int, ready: Callable[[str], None]) -> None:
    """Serve until a signal comes. ``ready`` is told the address. Raises Refused."""
    asyncio.run(_run(home, port, ready))


@asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[int]:
    """Serve on loopback while the context lasts; yields the port (0 asks for any free one).

    Raises Refused when the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=LOOPBACK,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=_BODY_SECONDS,
    )
    server = _Server(config)
    with _listening(port) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


class _Server(uvicorn.Server):
    """Signals belong to the process that serves, not to the service."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(home: Home, port: int, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    store = Store(home.store)
    try:
        app = make_app(open_witness(home, store))
        async with serving(app, port) as taken:
            ready(f"http://{LOOPBACK}:{taken}")
            await stop.wait()
    finally:
        store.close()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise Refused("port_in_use", port=port) from error


async def _read_limited(request: Request) -> bytes:
    """The body, but never more of it than a request may have."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_REQUEST_BYTES:
            raise _TooLarge
    return bytes(data)


async def _answered(act: Callable[[], Answer]) -> Response:
    try:
        answer = await run_in_threadpool(act)
    except (sqlite3.Error, OSError, Malformed) as error:
        # Malformed: the file ``logs``, edited by hand. Malformed requests have been answered.
        log.warning("not answered: %s", error)
        return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
    return Response(
        answer.body,
        status_code=answer.status,
        # As a header: a media_type of text/… would be given a charset, which the size has not.
        headers={"Content-Type": answer.media_type, "X-Content-Type-Options": "nosniff"},
    )
