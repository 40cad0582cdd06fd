"""Files at the door.

POST /evidence?task=ID    the bytes of one file that a step of this task is going to name, as
                          application/octet-stream → 200 and {"digest", "size"}
GET  /evidence/<digest>   the bytes, checked; 404 when they are not there

409, 404, 500 and 503 have the same {"refused", "facts"} as for commands. The task says whether its
files may be taken at all; nothing else about it is kept with the file, and no name. A download is
cut off before its end when the file turns out to be altered.

Like the rest of the door it is for loopback and asks nobody who they are. A page of another site
that is open in somebody's browser can't put files in: that content type makes a browser ask first,
and nobody answers. No browser shows or runs what it gets here.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from activities.evidence import check_taken
from domain.refusal import Refused
from domain.task import Task
from evidence.digests import PREFIX, hex_of
from evidence.keeper import Keeper
from evidence.staging import Staging, Unavailable

log = structlog.get_logger(__name__)

Find = Callable[[str], Task | None]

_AT_ONCE = 8
_PATIENCE_SECONDS = 600.0
_DRAINED = 256 << 20
"""Bytes of a refused file that are read and thrown away: many clients listen only afterwards."""

_OCTETS = "application/octet-stream"
_STATUSES = {"evidence_missing": 404, "evidence_digest_malformed": 404, "evidence_altered": 500}
_CONFLICT, _UNAVAILABLE, _TIMEOUT = 409, 503, 408
_NEVER_RUN = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def add_evidence(app: FastAPI, keeper: Keeper, find: Find) -> None:
    """Let the application take and give files; ``find`` gives a task as the log has it."""
    room = asyncio.Semaphore(_AT_ONCE)

    @app.post("/evidence")
    async def take(request: Request, task: str = "") -> Response:
        try:
            await asyncio.to_thread(_check, request.headers.get("content-type"), task, find)
            async with room, asyncio.timeout(_PATIENCE_SECONDS):
                return await _taken(request, keeper)
        except Refused as refusal:
            return _refused(refusal)
        except Unavailable as error:
            return _unavailable(error)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=_TIMEOUT)

    @app.get("/evidence/{digest}")
    async def give(digest: str) -> Response:
        try:
            return await asyncio.to_thread(_given, digest, keeper)
        except Refused as refusal:
            if refusal.code == "evidence_altered":
                log.error("evidence_altered", digest=digest)  # noqa: TRY400 - no bug of ours
            return _refused(refusal)
        except Unavailable as error:
            return _unavailable(error)


def _check(media_type: str | None, name: str, find: Find) -> None:
    if media_type != _OCTETS:
        raise Refused("evidence_media_type", wanted=_OCTETS)
    task = find(name)
    if task is None:
        raise Refused("unknown_task", task=name[:80])
    check_taken(task.id, task.secrecy)


async def _taken(request: Request, keeper: Keeper) -> Response:
    staged = await asyncio.to_thread(keeper.staging)
    try:
        await _fill(staged, request)
        digest = await asyncio.to_thread(keeper.keep, staged)
    finally:
        staged.discard()
    return JSONResponse({"digest": digest, "size": staged.size})


async def _fill(staged: Staging, request: Request) -> None:
    refusal: Refused | None = None
    async for chunk in request.stream():
        if refusal is None:
            try:
                await asyncio.to_thread(staged.write, chunk)
            except Refused as error:
                refusal = error
        else:
            staged.size += len(chunk)
            if staged.size > _DRAINED:
                break
    if refusal is not None:
        raise refusal


def _given(digest: str, keeper: Keeper) -> Response:
    size = keeper.store.size(digest)
    if size is None:
        raise Refused("evidence_missing", digests=digest)
    chunks = keeper.store.open(digest)
    # What fails at once still gets an answer of its own.
    first = next(chunks, b"")
    name = f"{PREFIX.rstrip(':')}-{hex_of(digest)}"
    headers = {
        **_NEVER_RUN,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(size),
    }
    return StreamingResponse(_told(digest, first, chunks), headers=headers, media_type=_OCTETS)


def _told(digest: str, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chain([first], rest)
    except (Refused, Unavailable) as error:
        # Raised on: too little was sent, and the connection ends.
        log.error("evidence_cut_off", digest=digest, reason=str(error))  # noqa: TRY400 - no bug
        raise


def _refused(refusal: Refused) -> Response:
    body = {"refused": refusal.code, "facts": dict(refusal.facts)}
    return JSONResponse(body, status_code=_STATUSES.get(refusal.code, _CONFLICT))


def _unavailable(error: Unavailable) -> Response:
    log.warning("evidence_unavailable", reason=str(error))
    body = {"refused": "evidence_unavailable", "facts": {}}
    return JSONResponse(body, status_code=_UNAVAILABLE)
