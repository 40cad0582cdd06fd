"""The door as a small HTTP service on loopback.

POST /commands   a submission (`audit.submission`) → 200 and the entry, which is the receipt
409 and {"refused", "facts"} when the rules do not allow it
503 and {"refused", "facts", "stamped"} when it could not be tried: handing in ``stamped``, the
    same submission with the door's stamp on it, is safe and counts as received now
GET  /health     200 {"log": origin}
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import structlog
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from audit.submission import MAX_SUBMISSION_BYTES, format_submission
from domain.refusal import Refused
from gateway.door import Door, NotRecorded

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"


def make_app(door: Door, origin: str) -> FastAPI:
    """The application; it keeps nothing of its own."""
    app = FastAPI(
        title="dondoc", docs_url=None, redoc_url=None, openapi_url=None,
        dependencies=[Depends(_from_no_page)],
    )  # fmt: skip

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"log": origin}

    @app.post("/commands")
    async def commands(request: Request) -> Response:
        try:
            data = await _read_limited(request)
            if data is None:
                too_large = Refused("submission_too_large", limit=MAX_SUBMISSION_BYTES)
                await door.turn_away(too_large)
            recorded = await door.submit_bytes(data)
        except Refused as refusal:
            body: dict[str, Any] = {"refused": refusal.code, "facts": dict(refusal.facts)}
            return JSONResponse(body, status_code=409)
        except NotRecorded as error:
            stamped = format_submission(error.submission).decode()
            body = {"refused": "service_unavailable", "facts": {}, "stamped": stamped}
            return JSONResponse(body, status_code=503)
        except Exception as error:  # noqa: BLE001 - whatever it was, the giver gets an answer
            # Its words might be those of a person: only its kind is written down.
            log.warning("command_failed", error=type(error).__name__)
            return JSONResponse({"refused": "door_failed", "facts": {"status": 500}}, 500)
        return Response(recorded.entry, media_type="application/json")

    return app


def _from_no_page(request: Request) -> None:
    """Programs on this machine come in; pages of any site do not, under whatever name they have
    this machine's address.
    """
    # The header itself: where it is malformed, the request's URL falls back to our own address.
    name = request.headers.get("host", LOOPBACK).partition(":")[0].lower()
    if "origin" in request.headers or name not in {LOOPBACK, "localhost"}:
        raise HTTPException(HTTPStatus.FORBIDDEN)


async def _read_limited(request: Request) -> bytes | None:
    """The body; None when it is more than a submission may have, and then it is not read on."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_SUBMISSION_BYTES:
            return None
    return bytes(data)


class _Server(uvicorn.Server):
    """Signals belong to the process that serves, not to the door."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[int]:
    """Serve on loopback while the context lasts; yields the port (0 asks for any free one).

    Raises Refused when the port is taken: two services that start at once find the same one free.
    """
    config = uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning", access_log=False)
    server = _Server(config)
    try:
        listener = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise Refused("port_in_use", port=port) from error
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
