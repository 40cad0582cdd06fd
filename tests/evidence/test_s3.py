"""S3-compatible storage, against a real server that checks every signature."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from domain.refusal import Refused
from evidence.s3 import S3, Bucket
from evidence.sigv4 import Call, Credentials, signed, target
from evidence.staging import Unavailable
from evidence.stores import CHUNK, put
from tests.support.documents import PDF, cut_off
from tests.support.patience import PATIENCE
from tests.support.s3 import Hindrance, S3Server, s3_server

LIMIT = 50 << 20
BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NO_CONDITIONS = b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SOMEBODY_ELSE = b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n%PDF"
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as started:
        yield started


def credentials_of(server: S3Server) -> Credentials:
    return Credentials(server.access_key, server.secret_key)


class Opened:
    """A store with a prefix of this test's own, and what it slept."""

    def __init__(self, server: S3Server, tmp_path: Path, endpoint: str | None = None) -> None:
        self.slept: list[float] = []
        self.ahead = timedelta()
        self.prefix = f"log of {tmp_path.name}/"
        self.server = server
        self.path = tmp_path
        self.store = self.at(endpoint or server.endpoint, credentials_of(server))

    def at(self, endpoint: str, credentials: Credentials, bucket: str = "files") -> S3:
        return S3(
            Bucket(httpx.URL(endpoint), bucket, self.prefix),
            credentials,
            self.path / "incoming",
            lambda: datetime.now(UTC) + self.ahead,
            self.slept.append,
        )

    def overwrite(self, digest: str, content: bytes) -> None:
        """What somebody with the bucket's keys can do."""
        name = digest.removeprefix("sha256:")
        path = f"/files/{self.prefix}{name[:2]}/{name[2:4]}/{name}"
        call = Call("PUT", httpx.URL(self.server.endpoint).netloc.decode(), path)
        headers = signed(call, credentials_of(self.server), datetime.now(UTC))
        url = self.server.endpoint + target(call)
        httpx.put(url, headers=headers, content=content, timeout=PATIENCE).raise_for_status()


@pytest.fixture
def opened(server: S3Server, tmp_path: Path) -> Opened:
    return Opened(server, tmp_path)


@pytest.fixture
def hindrance(server: S3Server) -> Iterator[Hindrance]:
    made = Hindrance(server.endpoint)
    yield made
    made.close()


def test_the_signature_is_that_of_the_published_example() -> None:
    """AWS, "Signature calculations for the authorization header", example GET object."""
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    call = Call("GET", "examplebucket.s3.amazonaws.com", "/test.txt", {}, {"Range": "bytes=0-9"})
    headers = signed(call, credentials, datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        " SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        " Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_credentials_show_no_secret() -> None:
    assert "hidden" not in repr(Credentials("key", "hidden", token="hidden too"))


def test_a_file_comes_back_as_it_was_put_in(opened: Opened) -> None:
    store, content = opened.store, PDF + b"x" * (2 * CHUNK)
    digest = put(store, [content[:7], content[7:]], LIMIT)
    assert b"".join(store.open(digest)) == content
    assert store.size(digest) == len(content)
    (kept,) = store.iterate()
    assert (kept.digest, kept.size) == (digest, len(content))
    assert abs(kept.since - datetime.now(UTC)) < timedelta(minutes=1)
    assert list((opened.path / "incoming").iterdir()) == []


def test_what_was_never_put_in_is_not_there(opened: Opened) -> None:
    assert not opened.store.has(NOWHERE)
    assert not opened.store.claim(NOWHERE)
    assert not opened.store.delete(NOWHERE)
    assert list(opened.store.iterate()) == []
    with pytest.raises(Refused, match="evidence_missing"):
        next(opened.store.open(NOWHERE))


def test_the_same_file_twice_is_kept_once(opened: Opened) -> None:
    first = put(opened.store, [PDF], LIMIT)
    assert put(opened.store, [PDF], LIMIT) == first
    assert len(list(opened.store.iterate())) == 1


@pytest.mark.parametrize("changed", [PDF[:-1], PDF + b"!", PDF.replace(b"1.7", b"1.4"), b""])
def test_an_altered_object_is_never_given_out_whole(opened: Opened, changed: bytes) -> None:
    digest = put(opened.store, [PDF], LIMIT)
    opened.overwrite(digest, changed)
    assert cut_off(opened.store.open(digest)) == (b"", "evidence_altered")


def test_an_object_of_another_length_is_made_whole_by_putting_it_in_again(opened: Opened) -> None:
    digest = put(opened.store, [PDF], LIMIT)
    opened.overwrite(digest, b"%PDF-short")
    put(opened.store, [PDF], LIMIT)
    assert b"".join(opened.store.open(digest)) == PDF


def test_more_objects_than_one_page_of_a_listing(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = sorted(put(opened.store, [PDF, bytes([65 + n])], LIMIT) for n in range(5))
    ask = opened.store._ask

    def small_pages(call: Call, body: None = None) -> httpx.Response:
        query = {**call.query, "max-keys": "2"} if call.query else call.query
        return ask(Call(call.method, call.host, call.path, query, call.headers, call.body), body)

    monkeypatch.setattr(opened.store, "_ask", small_pages)
    assert [kept.digest for kept in opened.store.iterate()] == digests


def test_what_is_old_is_deleted_and_what_was_claimed_since_is_not(opened: Opened) -> None:
    digest = put(opened.store, [PDF], LIMIT)
    before = datetime.now(UTC) - timedelta(seconds=30)
    assert not opened.store.delete(digest, before)
    assert opened.store.delete(digest, datetime.now(UTC) + timedelta(days=1))
    assert not opened.store.has(digest)


def test_an_old_object_that_is_claimed_becomes_young(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = put(opened.store, [PDF], LIMIT)
    (first,) = opened.store.iterate()
    opened.ahead = timedelta(minutes=14)
    assert opened.store.claim(digest)
    (second,) = opened.store.iterate()
    assert second.since == first.since, "young enough: nothing is copied"
    # The server's clock can't be moved, and a signature counts for a quarter of an hour only: so
    # everything is old here.
    opened.ahead = timedelta()
    monkeypatch.setattr("evidence.s3._FRESH", timedelta(seconds=-30))
    time.sleep(1.1)  # instants of a listing are whole seconds
    assert opened.store.claim(digest)
    (third,) = opened.store.iterate()
    assert third.since > first.since
    assert b"".join(opened.store.open(digest)) == PDF


def test_a_wrong_secret_is_refused_by_the_storage(opened: Opened) -> None:
    wrong = Credentials(opened.server.access_key, "not the secret")
    store = opened.at(opened.server.endpoint, wrong)
    for ask in (store.has, store.claim, store.delete, lambda d: next(store.open(d))):
        with pytest.raises(Unavailable, match="403"):
            ask(NOWHERE)
    with pytest.raises(Unavailable, match="403"):
        put(store, [PDF], LIMIT)
    assert opened.slept == [], "a refusal is not tried again"


def test_a_bucket_that_is_not_there_is_no_empty_one(opened: Opened) -> None:
    store = opened.at(opened.server.endpoint, credentials_of(opened.server), "nowhere")
    with pytest.raises(Unavailable):
        list(store.iterate())
    with pytest.raises(Unavailable):
        put(store, [PDF], LIMIT)


@pytest.mark.parametrize("answer", [BUSY, b""])
def test_storage_that_is_busy_or_hangs_up_is_asked_again(
    server: S3Server, tmp_path: Path, hindrance: Hindrance, answer: bytes
) -> None:
    opened = Opened(server, tmp_path)
    digest = put(opened.store, [PDF], LIMIT)
    opened.store = opened.at(hindrance.endpoint, credentials_of(server))
    hindrance.answers = [answer] * 3
    assert b"".join(opened.store.open(digest)) == PDF
    assert opened.slept == [0.25, 1.0, 4.0]


def test_a_put_that_failed_half_way_is_sent_again_from_the_start(
    server: S3Server, tmp_path: Path, hindrance: Hindrance
) -> None:
    opened = Opened(server, tmp_path, hindrance.endpoint)
    hindrance.answers = [BUSY, b""]
    digest = put(opened.store, [PDF], LIMIT)
    assert b"".join(opened.store.open(digest)) == PDF


def test_storage_that_stays_away_is_given_up(
    server: S3Server, tmp_path: Path, hindrance: Hindrance
) -> None:
    opened = Opened(server, tmp_path, hindrance.endpoint)
    hindrance.answers = [BUSY] * 8
    with pytest.raises(Unavailable, match="503"):
        opened.store.has(NOWHERE)
    assert hindrance.asked == 4
    hindrance.answers = [b""] * 8
    with pytest.raises(Unavailable):
        opened.store.has(NOWHERE)


@pytest.mark.parametrize("answer", [NO_CONDITIONS, SOMEBODY_ELSE])
def test_storage_without_conditions_is_written_without_them(
    server: S3Server, tmp_path: Path, hindrance: Hindrance, answer: bytes
) -> None:
    opened = Opened(server, tmp_path, hindrance.endpoint)
    hindrance.answers = [answer]
    digest = put(opened.store, [PDF], LIMIT)
    assert b"".join(opened.store.open(digest)) == PDF


def test_a_download_that_breaks_off_is_no_file(
    server: S3Server, tmp_path: Path, hindrance: Hindrance
) -> None:
    opened = Opened(server, tmp_path, hindrance.endpoint)
    digest = put(opened.store, [PDF], LIMIT)
    hindrance.answers = [SHORT]
    opened.store = opened.at(hindrance.endpoint, credentials_of(server))
    with pytest.raises(Unavailable):
        b"".join(opened.store.open(digest))
