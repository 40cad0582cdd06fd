"""The codec endpoint over HTTP: who gets an answer, and what it says."""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from embedded.codec import read_token, signin_page
from embedded.home import Home
from gateway import codec as endpoint
from gateway.codec import Access, make_codec_app
from gateway.http import serving
from messages import LANGUAGES, Texts
from payloads.codec import ENCODING, ENCRYPTED, KEY_ID, EncryptingCodec
from payloads.ring import Ring, fixed
from tests.support.clients import payload_key
from tests.support.patience import PATIENCE

TOKEN, WEB = "the token of the tests", "http://127.0.0.1:8233"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
KEY = payload_key("endpoint")
CODEC = EncryptingCodec(Ring(fixed(KEY), lambda: 0.0), lambda size: b"n" * size)
PLAIN = Payload(metadata={ENCODING: b"json/plain"}, data=b'"words"')


@asynccontextmanager
async def served(*, encode: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    app = make_codec_app(CODEC, Access(TOKEN, WEB, "<form>page</form>"), encode=encode)
    async with (
        serving(app, 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture(name="client")
async def _client() -> AsyncIterator[httpx.AsyncClient]:
    async with served() as client:
        yield client


async def asked(*payloads: Payload) -> Any:
    """The question for what these payloads are, encrypted."""
    encoded = Payloads(payloads=await CODEC.encode(payloads))
    return json.loads(json_format.MessageToJson(encoded))


async def test_what_is_encrypted_is_opened_for_the_token(client: httpx.AsyncClient) -> None:
    question = await asked(PLAIN, Payload())
    # The Web UI asks with a parameter that says nothing to us.
    answer = await client.post("/decode?preserveStorageRefs=true", json=question, headers=BEARER)
    assert answer.status_code == 200
    assert json_format.Parse(answer.text, Payloads()) == Payloads(payloads=[PLAIN, Payload()])
    assert answer.headers["cache-control"] == "no-store"


async def test_what_does_not_open_stays_as_it_is_beside_what_does(
    client: httpx.AsyncClient,
) -> None:
    unknown = Payload(metadata={ENCODING: ENCRYPTED, KEY_ID: b"0" * 16}, data=b"x" * 40)
    forged = Payload(metadata={ENCODING: ENCRYPTED, KEY_ID: KEY.id.encode()}, data=b"x" * 40)
    sealed = await CODEC.encode([PLAIN])
    body = json_format.MessageToJson(Payloads(payloads=[unknown, forged, PLAIN, *sealed]))
    answer = await client.post("/decode", content=body, headers=BEARER)
    expected = Payloads(payloads=[unknown, forged, PLAIN, PLAIN])
    assert json_format.Parse(answer.text, Payloads()) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {base64.b64encode(TOKEN.encode()).decode()}"},
        {"Authorization": TOKEN},
        {"Cookie": "dondoc_codec=wrong"},
        {"Cookie": f"other={TOKEN}"},
    ],
)
async def test_without_the_token_nothing_is_opened(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/decode", json=await asked(PLAIN), headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == "Bearer"
    # The UI may read the status, and tell its user.
    assert answer.headers["access-control-allow-origin"] == WEB


async def test_a_token_is_no_matter_of_its_bytes(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/decode", content=b"{}", headers=[(b"authorization", b"Bearer \xff")]
    )
    assert answer.status_code == 401


async def test_only_pages_of_the_web_ui_may_ask(client: httpx.AsyncClient) -> None:
    preflight = {
        "Origin": WEB,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }
    allowed = await client.options("/decode", headers=preflight)
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == WEB
    assert allowed.headers["access-control-allow-credentials"] == "true"
    for header in ("authorization", "content-type", "x-namespace"):
        assert header in allowed.headers["access-control-allow-headers"]
    question = await asked(PLAIN)
    answer = await client.post("/decode", json=question, headers={**BEARER, "Origin": WEB})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == WEB
    for origin in ("http://127.0.0.1:9999", "https://127.0.0.1:8233", "null", f"{WEB}.evil.vn"):
        refused = await client.options("/decode", headers={**preflight, "Origin": origin})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
        answer = await client.post("/decode", json=question, headers={**BEARER, "Origin": origin})
        assert (answer.status_code, answer.content) == (403, b"")
        assert answer.headers.get("access-control-allow-origin") == WEB


async def test_encryption_is_for_those_who_switched_it_on(client: httpx.AsyncClient) -> None:
    question = json.loads(json_format.MessageToJson(Payloads(payloads=[PLAIN])))
    assert (await client.post("/encode", json=question, headers=BEARER)).status_code == 404
    async with served(encode=True) as both:
        assert (await both.post("/encode", json=question)).status_code == 401
        answer = await both.post("/encode", json=question, headers=BEARER)
        encoded = json_format.Parse(answer.text, Payloads()).payloads
        assert encoded[0].metadata[KEY_ID] == KEY.id.encode()
        assert await CODEC.decode(encoded) == [PLAIN]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"\xff", b'{"payloads": 1}', b'{"payloads": [{"data": 1}]}']
)
async def test_what_is_no_list_of_payloads_is_turned_away(
    client: httpx.AsyncClient, body: bytes
) -> None:
    assert (await client.post("/decode", content=body, headers=BEARER)).status_code == 400


async def test_a_body_without_end_is_not_read_to_its_end(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MAX_BODY_BYTES", 1_000)
    answer = await client.post("/decode", content=b" " * 1_001, headers=BEARER)
    assert answer.status_code == 413


async def test_a_person_signs_in_and_the_ui_gets_its_answers(client: httpx.AsyncClient) -> None:
    page = await client.get("/signin")
    assert "<form>page</form>" in page.text
    refused = await client.post("/signin", data={"token": "wrong"})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers
    foreign = {"Origin": "http://127.0.0.1:9999"}
    answer = await client.post("/signin", data={"token": TOKEN}, headers=foreign)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    answer = await client.post("/signin", data={"token": f" {TOKEN}\n"})
    assert (answer.status_code, answer.headers["location"]) == (303, WEB)
    for cookie in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert re.search(r"Path=/(de|en)code", cookie)
    answer = await client.post("/decode", json=await asked(PLAIN), headers={"Origin": WEB})
    assert answer.status_code == 200


def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "data")
    home.prepare()
    token = read_token(home)
    assert len(token) >= 43
    assert read_token(home) == token
    assert home.codec_token.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_where_the_token_is_and_not_which(language: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "<data>")
    home.prepare()
    token = read_token(home)
    page = signin_page(home, Texts(language))
    assert "&lt;data&gt;/codec.token" in page
    assert "codec_signin" not in page
    assert token not in page
