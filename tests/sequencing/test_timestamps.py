"""An authority over HTTP: what it gives is checked, and no trouble with it is ours."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread

import pytest
from structlog.testing import capture_logs

from audit.timestamp import MAX_TOKEN_BYTES, check_token
from sequencing.timestamps import Authority
from tests.support.authority import (
    Answer,
    Holder,
    Openssl,
    authority_of,
    certify,
    key,
    served,
)
from tests.support.patience import GROWING, PATIENCE

DATA = b"example.com/log\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
ROOT = certify("Root", key("rsa2048"), extensions=authority_of())
TSA = {kind: certify("TSA", key(kind, 1), ROOT) for kind in ("rsa2048", "p256")}


@pytest.fixture(name="openssl", params=["rsa2048", "p256"])
def _openssl(request: pytest.FixtureRequest, tmp_path: Path) -> Openssl:
    return Openssl(tmp_path, TSA[request.param])


def stamp(url: str, root: Holder = ROOT, timeout: float = PATIENCE) -> tuple[bytes | None, str]:
    """What comes of one request, and what the log says of it."""
    authority = Authority(url, [root.certificate], timeout)
    try:
        with capture_logs() as logs:
            token = authority.stamp(DATA, 12345)
    finally:
        authority.close()
    (line,) = logs
    said = line["event"], line.get("code", line.get("reason", ""))
    return token, " ".join(said).strip()


def test_a_token_is_asked_for_checked_and_returned(openssl: Openssl) -> None:
    asked = []

    def answer(body: bytes, request: BaseHTTPRequestHandler) -> Answer:
        asked.append((request.path, request.headers["content-type"]))
        return Answer([openssl.reply(body)])

    with served(answer) as url:
        token, said = stamp(url)
    assert said == "timestamp_taken"
    assert asked == [("/tsa", "application/timestamp-query")]
    assert token is not None
    assert check_token(token, DATA, [ROOT.certificate], 12345).authority == "CN=TSA,C=VN"


def test_a_token_that_the_verifier_would_refuse_is_not_returned(tmp_path: Path) -> None:
    openssl = Openssl(tmp_path, TSA["p256"])
    other = certify("Root", key("p256", 5), extensions=authority_of())
    kept = openssl.reply(openssl.query(DATA, "sha256"))
    for reply, root, code in (
        (openssl.reply, other, "timestamp_authority_unknown"),
        (lambda _: kept, ROOT, "timestamp_nonce_differs"),
        (lambda _: openssl.reply(openssl.query(DATA, "md5")), ROOT, "timestamp_refused"),
        (lambda _: openssl.reply(openssl.query(b"", "sha256")), ROOT, "timestamp_other_digest"),
        (lambda _: b"", ROOT, "timestamp_malformed"),
        (lambda _: b"<html>", ROOT, "timestamp_malformed"),
    ):
        with served(answering(reply)) as url:
            assert stamp(url, root) == (None, f"timestamp_unusable {code}")


def answering(
    reply: Callable[[bytes], bytes],
) -> Callable[[bytes, BaseHTTPRequestHandler], Answer]:
    return lambda body, _: Answer([reply(body)])


REPLY = ("content-type", "application/timestamp-reply")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer([b""], status=500), "status_500"),
        (Answer([b""], status=204), "status_204"),
        (Answer([b"<html>"], headers=[("content-type", "text/html")]), "not_a_timestamp_reply"),
        (Answer([b"x"], headers=[]), "not_a_timestamp_reply"),
        (Answer([bytes(1024)] * (MAX_TOKEN_BYTES // 1024 + 2)), "answer_too_long"),
        (Answer([b"x"], headers=[REPLY, ("content-length", "9")]), "RemoteProtocolError"),
        (Answer([b"x"], status=302, headers=[REPLY, ("location", "/other")]), "status_302"),
    ],
)
def test_what_is_no_answer_is_logged_and_gives_no_token(answer: Answer, reason: str) -> None:
    asked = []

    def once(_: bytes, request: BaseHTTPRequestHandler) -> Answer:
        asked.append(request.path)
        return answer

    with served(once) as url:
        assert stamp(url) == (None, f"timestamp_not_given {reason}")
    assert asked == ["/tsa"]


def test_an_answer_that_is_packed_is_not_unpacked() -> None:
    packed = Answer([b"\x1f\x8b"], headers=[REPLY, ("content-encoding", "gzip")])
    with served(lambda *_: packed) as url:
        assert stamp(url) == (None, "timestamp_unusable timestamp_malformed")


@pytest.mark.parametrize("pause", [0.05, 30.0])
def test_an_authority_that_dribbles_or_says_nothing_is_left_in_time(pause: float) -> None:
    with served(lambda *_: Answer([b"x"] * 1000, pause=pause)) as url:
        start = time.monotonic()
        assert stamp(url, timeout=0.4) == (None, "timestamp_not_given timeout")
        # To wait for its answer would take half a minute and more.
        assert time.monotonic() - start < 20


def test_an_authority_that_dribbles_its_headers_is_left_in_time_and_asked_once() -> None:
    reasons: list[str] = []
    for seconds in GROWING:
        reasons = asked_twice_while_it_dribbles(seconds)
        # Unless it was the machine that dribbled too slowly.
        if reasons[1] == "still_answering":
            break
    assert reasons == ["timeout", "still_answering"]


def asked_twice_while_it_dribbles(seconds: float) -> list[str]:
    """Why nothing came of it, twice."""
    ending = Event()

    def dribble(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not ending.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=dribble, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        authority = Authority(url, [ROOT.certificate], seconds)
        with capture_logs() as logs:
            for nonce in (1, 2):
                start = time.monotonic()
                assert authority.stamp(DATA, nonce) is None
                assert time.monotonic() - start < PATIENCE
        ending.set()
        thread.join()
        authority.close()
    return [line["reason"] for line in logs]


def test_an_authority_that_is_not_there_gives_no_token() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # nobody listens here, and nobody else can meanwhile
        for url, reason in (
            (f"http://127.0.0.1:{unheard.getsockname()[1]}/", "ConnectError"),
            ("http://name.invalid/", "ConnectError"),
            ("ftp://127.0.0.1/", "UnsupportedProtocol"),
            ("http://127.0.0.1:x/", "InvalidURL"),
            ("", "UnsupportedProtocol"),
        ):
            assert stamp(url) == (None, f"timestamp_not_given {reason}")


def test_one_request_after_another(tmp_path: Path) -> None:
    openssl = Openssl(tmp_path, TSA["p256"])
    with served(answering(openssl.reply)) as url:
        authority = Authority(url, [ROOT.certificate])
        tokens = [authority.stamp(DATA, nonce) for nonce in (1, 2, 3)]
        authority.close()
    assert len(set(tokens)) == 3
    assert None not in tokens


def test_an_authority_without_roots_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="root"):
        Authority("http://127.0.0.1/", [])
