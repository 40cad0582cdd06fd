"""The codec endpoint: opens encrypted payloads for those who look at workflows, on loopback.

Temporal's Web UI and `temporal --codec-endpoint` speak its protocol (remote codec):

POST /decode   {"payloads": […]} → 200 and the same, opened; what does not open stays as it is
POST /encode   the same the other way round; 404 unless it was switched on
GET  /signin   a page that asks for the token; POST sets it as a cookie, and goes on to the UI

400 what is no list of payloads, 413 too large, 401 without the token, 403 from a page of another
origin than the Web UI.

The token comes as ``Authorization: Bearer …``, as the command line sends it; or as a cookie, since
the UI sends a token only to HTTPS and only one of its own login. The cookie is for `/decode` and
`/encode` alone, and neither scripts nor pages of other sites get it. It goes to the same paths on
every port of this host: browsers don't tell ports apart.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from payloads.codec import EncryptingCodec

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A page of a history has at most 4 MiB; as JSON it is larger by a third, and more."""

_COOKIE = "dondoc_codec"
_MAX_FORM_BYTES = 1_024
_PATHS = {"decode": "/decode", "encode": "/encode"}
_ALLOWED_HEADERS = "authorization, authorization-extras, content-type, x-namespace"
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; style-src 'unsafe-inline'"
    ),
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: whoever has the token, and in a browser only pages of ``web``, the Web UI's
    origin. ``page`` is the HTML that asks for the token.
    """

    token: str
    web: str
    page: str


class _Turned(Exception):
    """A request that is turned away."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


def make_codec_app(codec: EncryptingCodec, access: Access, *, encode: bool = False) -> FastAPI:
    """The application; it keeps nothing of its own."""
    app = FastAPI(title="dondoc codec", docs_url=None, redoc_url=None, openapi_url=None)
    work: dict[str, Callable[[Sequence[Payload]], Awaitable[list[Payload]]]]
    work = {"decode": codec.decode_known}
    if encode:
        work["encode"] = codec.encode
    for name, convert in work.items():
        _add(app, _PATHS[name], convert, access)
    _add_signin(app, access)
    return app


def _add(
    app: FastAPI,
    path: str,
    convert: Callable[[Sequence[Payload]], Awaitable[list[Payload]]],
    access: Access,
) -> None:
    @app.options(path)
    async def asked(request: Request) -> Response:
        try:
            _check_origin(request, access.web)
        except _Turned as turned:
            return Response(status_code=turned.status)
        allowed = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        }
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={**_cors(access), **allowed})

    @app.post(path)
    async def converted(request: Request) -> Response:
        try:
            _check_origin(request, access.web)
            _check_token(request, access.token)
            payloads = _read(await _body(request, MAX_BODY_BYTES))
        except _Turned as turned:
            headers = _cors(access)
            if turned.status is HTTPStatus.UNAUTHORIZED:
                headers["WWW-Authenticate"] = "Bearer"
            return Response(status_code=turned.status, headers=headers)
        answer = Payloads(payloads=await convert(payloads.payloads))
        return Response(
            json_format.MessageToJson(answer, indent=None),
            media_type="application/json",
            headers={**_cors(access), "Cache-Control": "no-store"},
        )


def _add_signin(app: FastAPI, access: Access) -> None:
    @app.get("/signin")
    async def page() -> Response:
        return HTMLResponse(access.page, headers=_PAGE_HEADERS)

    @app.post("/signin")
    async def signin(request: Request) -> Response:
        try:
            _check_origin(request, str(request.base_url).rstrip("/"))
            form = parse_qs((await _body(request, _MAX_FORM_BYTES)).decode("ascii", "replace"))
            _check(form.get("token", [""])[0].strip(), access.token)
        except _Turned as turned:
            return HTMLResponse(access.page, turned.status, _PAGE_HEADERS)
        answer = RedirectResponse(access.web, HTTPStatus.SEE_OTHER)
        for path in _PATHS.values():
            answer.set_cookie(_COOKIE, access.token, path=path, httponly=True, samesite="strict")
        return answer


def _cors(access: Access) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": access.web,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def _check_origin(request: Request, allowed: str) -> None:
    """A browser names the page that asks; a program on this machine names none."""
    if request.headers.get("origin", allowed) != allowed:
        raise _Turned(HTTPStatus.FORBIDDEN)


def _check_token(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = request.cookies.get(_COOKIE, "")
    _check(given.strip(), token)


def _check(given: str, token: str) -> None:
    """In a time that tells nothing of how much was right."""
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise _Turned(HTTPStatus.UNAUTHORIZED)


async def _body(request: Request, limit: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise _Turned(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(data)


def _read(body: bytes) -> Payloads:
    try:
        return json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise _Turned(HTTPStatus.BAD_REQUEST) from error
