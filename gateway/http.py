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
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from audit.submission import MAX_SUBMISSION_BYTES, format_submission
from domain.refusal import Refused
from gateway.door import Door, NotRecorded

LOOPBACK = "127.0.0.1"


def make_app(door: Door, origin: str) -> FastAPI:
    """The application; it keeps nothing of its own."""
    app = FastAPI(title="dondoc", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"log": origin}

    @app.post("/commands")
    async def commands(request: Request) -> Response:
        try:
            data = await _read_limited(request)
            recorded = await door.submit_bytes(data)
        except Refused as refusal:
            body: dict[str, Any] = {"refused": refusal.code, "facts": dict(refusal.facts)}
            return JSONResponse(body, status_code=409)
        except NotRecorded as error:
            stamped = format_submission(error.submission).decode()
            body = {"refused": "service_unavailable", "facts": {}, "stamped": stamped}
            return JSONResponse(body, status_code=503)
        return Response(recorded.entry, media_type="application/json")

    return app


async def _read_limited(request: Request) -> bytes:
    """The body, but never more of it than a submission may have."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_SUBMISSION_BYTES:
            raise Refused("submission_too_large", limit=MAX_SUBMISSION_BYTES)
    return bytes(data)


class _Server(uvicorn.Server):
    """Signals belong to the process that serves, not to the door."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[int]:
    """Serve on loopback while the context lasts; yields the port (0 asks for any free one).

    Raises OSError when the port is taken.
    """
    config = uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning", access_log=False)
    server = _Server(config)
    listener = socket.create_server((LOOPBACK, port))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
