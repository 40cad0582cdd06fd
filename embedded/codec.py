"""The codec endpoint of a service: its token, and the page on which a person gives it.

The token lies in ``codec.token``, for the owner of the data directory only. It opens nothing on
disk: who has it may ask the running service what a payload says.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape

from temporalio.client import Client

from embedded.home import Home, write_private
from gateway.codec import Access, make_codec_app
from gateway.http import serving
from messages import Texts
from payloads.codec import EncryptingCodec

_SHORTEST_TOKEN = 32


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where it is served, for the Web UI of which origin; and whether it encrypts, too."""

    port: int
    web: str
    encode: bool


def read_token(home: Home) -> str:
    """The token; made when there is none yet, or one that could be guessed."""
    try:
        token = home.codec_token.read_text().strip()
    except FileNotFoundError:
        token = ""
    if len(token) < _SHORTEST_TOKEN:
        token = secrets.token_urlsafe(32)
        write_private(home.codec_token, token.encode())
    return token


@asynccontextmanager
async def codec_endpoint(
    home: Home, client: Client, endpoint: Endpoint, texts: Texts
) -> AsyncIterator[None]:
    """Serve on loopback while the context lasts. Raises OSError when the port is taken."""
    codec = client.data_converter.payload_codec
    if not isinstance(codec, EncryptingCodec):
        raise TypeError("the client was made without encryption")
    access = Access(read_token(home), endpoint.web, signin_page(home, texts))
    async with serving(make_codec_app(codec, access, encode=endpoint.encode), endpoint.port):
        yield


def signin_page(home: Home, texts: Texts) -> str:
    """A form that asks for the token. It needs no script."""
    title, button = escape(texts("codec_signin_title")), escape(texts("codec_signin_button"))
    where = escape(texts("codec_signin_where", path=home.codec_token.resolve()))
    return (
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title>"
        "<body style='font-family:sans-serif;max-width:36em;margin:4em auto;padding:0 1em'>"
        f"<h1>{title}</h1><p>{where}</p>"
        "<form method=post action=/signin>"
        f"<input type=password name=token required autofocus size=44 aria-label='{title}'> "
        f"<button>{button}</button></form>"
    )
