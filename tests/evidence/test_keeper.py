"""What comes into a store, and what is remembered of it."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.refusal import Refused
from evidence.folder import Folder
from evidence.keeper import Keeper, Limits
from evidence.opening import open_keeper
from evidence.s3 import S3
from tests.support import documents
from tests.support.documents import PDF

NOWHERE = "sha256:" + "0" * 64


class Clock:
    now = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(tmp_path: Path, clock: Clock) -> Keeper:
    return Keeper(Folder(tmp_path, clock), clock)


def test_a_file_is_found_once_it_was_put_in(keeper: Keeper) -> None:
    digest = keeper.put([PDF])
    assert keeper.missing([NOWHERE, digest]) == [NOWHERE]


def test_what_is_missing_is_looked_up_each_time(keeper: Keeper) -> None:
    digest = f"sha256:{hashlib.sha256(PDF).hexdigest()}"
    assert keeper.missing([digest]) == [digest]
    assert keeper.put([PDF]) == digest
    assert keeper.missing([digest]) == []


def test_what_was_found_is_not_looked_up_again_for_a_minute(keeper: Keeper, clock: Clock) -> None:
    digest = keeper.put([PDF])
    assert keeper.missing([digest]) == []
    keeper.store.delete(digest)
    clock.now += timedelta(seconds=59)
    assert keeper.missing([digest]) == []
    clock.now += timedelta(seconds=1)
    assert keeper.missing([digest]) == [digest]


def test_a_file_that_a_step_is_about_to_name_survives_a_sweep(keeper: Keeper, clock: Clock) -> None:
    """Put in two days ago, and named just now by a step that isn't committed yet."""
    digest, other = keeper.put([PDF]), keeper.put([PDF, b"other"])
    clock.now += timedelta(days=2)
    assert keeper.missing([digest]) == []
    before = clock.now - timedelta(days=1)
    removed = [k.digest for k in keeper.store.iterate() if keeper.store.delete(k.digest, before)]
    assert removed == [other]


def test_an_archive_is_refused_unless_it_is_asked_for(tmp_path: Path, clock: Clock) -> None:
    keeper = open_keeper(tmp_path, {}, clock)
    with pytest.raises(Refused, match="evidence_type_refused"):
        keeper.put([documents.ZIP])
    open_keeper(tmp_path, {"DONDOC_EVIDENCE_TYPES": "pdf, zip"}, clock).put([documents.ZIP])


def test_the_usual_limit_is_50_mebibytes(tmp_path: Path, clock: Clock) -> None:
    keeper = open_keeper(tmp_path, {}, clock)
    assert keeper.limits == Limits()
    keeper.store.delete(keeper.put([b"x" * (1 << 20)] * 50))
    with pytest.raises(Refused, match="evidence_too_large"):
        keeper.put([b"x" * (1 << 20)] * 50 + [b"x"])
    small = open_keeper(tmp_path, {"DONDOC_EVIDENCE_MAX_MIB": "1"}, clock)
    with pytest.raises(Refused, match=str(1 << 20)):
        small.put([b"x" * (1 << 20), b"x"])


def test_the_environment_names_a_bucket(tmp_path: Path, clock: Clock) -> None:
    environ = {
        "DONDOC_EVIDENCE_S3_ENDPOINT": "https://s3.example:9000",
        "DONDOC_EVIDENCE_S3_BUCKET": "files",
        "DONDOC_EVIDENCE_S3_REGION": "vn-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }
    store = open_keeper(tmp_path, environ, clock).store
    assert isinstance(store, S3)
    assert store._credentials.region == "vn-1"
    assert store._credentials.token == "token"
    assert store._host == "s3.example:9000"
