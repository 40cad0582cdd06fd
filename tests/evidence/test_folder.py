"""The folder of files: whole or not at all, never another file, nobody else's to read."""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.refusal import Refused
from evidence.folder import Folder
from evidence.staging import Unavailable
from evidence.stores import CHUNK, put
from tests.support.documents import PDF, cut_off

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
NOWHERE = "sha256:" + "0" * 64
LIMIT = 50 << 20


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> Folder:
    return Folder(tmp_path / "evidence", clock)


def path_of(root: Path, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return root / "evidence" / name[:2] / name[2:4] / name


def kept(folder: Folder, content: bytes = PDF) -> str:
    return put(folder, [content], LIMIT)


def files_in(root: Path) -> list[Path]:
    return [path for path in (root / "evidence").rglob("*") if path.is_file()]


def code_of(folder: Folder, digest: str) -> str:
    with pytest.raises(Refused) as refused:
        b"".join(folder.open(digest))
    return refused.value.code


def test_a_file_comes_back_as_it_was_put_in(folder: Folder) -> None:
    chunks = [b"a" * CHUNK, b"b" * CHUNK, b"", b"c"]
    digest = put(folder, chunks, LIMIT)
    assert digest == "sha256:" + hashlib.sha256(b"".join(chunks)).hexdigest()
    assert b"".join(folder.open(digest)) == b"".join(chunks)
    assert folder.size(digest) == 2 * CHUNK + 1
    assert [(k.digest, k.size, k.since) for k in folder.iterate()] == [(digest, 2 * CHUNK + 1, NOW)]


def test_what_was_never_put_in_is_not_there(folder: Folder) -> None:
    assert not folder.has(NOWHERE)
    assert folder.size(NOWHERE) is None
    assert not folder.claim(NOWHERE)
    assert not folder.delete(NOWHERE)
    assert list(folder.iterate()) == []
    assert folder.sweep() == 0
    assert code_of(folder, NOWHERE) == "evidence_missing"


def test_only_the_owner_reads_whatever_the_umask(tmp_path: Path, folder: Folder) -> None:
    before = os.umask(0)
    try:
        digest = kept(folder)
    finally:
        os.umask(before)
    path = path_of(tmp_path, digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for above in list(path.parents)[:3]:
        assert stat.S_IMODE(above.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "evidence/incoming").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "evidence/lock").stat().st_mode) == 0o600


def test_a_strict_umask_takes_nothing_from_the_owner(folder: Folder) -> None:
    before = os.umask(0o777)
    try:
        digest = kept(folder)
        assert kept(folder, b"%PDF-other") != digest
    finally:
        os.umask(before)
    assert b"".join(folder.open(digest)) == PDF


def test_the_same_file_twice_is_kept_once(tmp_path: Path, folder: Folder) -> None:
    assert kept(folder) == kept(folder)
    assert set(files_in(tmp_path)) == {
        path_of(tmp_path, kept(folder)),
        tmp_path / "evidence/lock",
    }


def test_the_same_file_many_times_at_once_is_kept_once(tmp_path: Path, folder: Folder) -> None:
    together = threading.Barrier(8)

    def one(_number: int) -> str:
        together.wait()
        return put(folder, [PDF[:9], PDF[9:]], LIMIT)

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(one, range(8)))
    (digest,) = digests
    assert b"".join(folder.open(digest)) == PDF
    assert len(files_in(tmp_path)) == 2, "the file and the lock"


@pytest.mark.parametrize(
    "changed",
    [PDF[:-1], PDF + b" ", PDF.replace(b"1.7", b"1.4"), b"", b"x" * (2 * CHUNK + 5)],
)
def test_an_altered_file_is_never_given_out_whole(
    tmp_path: Path, folder: Folder, changed: bytes
) -> None:
    digest = kept(folder)
    path_of(tmp_path, digest).write_bytes(changed)
    given, code = cut_off(folder.open(digest))
    assert code == "evidence_altered"
    assert len(given) < max(len(changed), 1)


def test_putting_an_altered_file_in_again_makes_it_whole(tmp_path: Path, folder: Folder) -> None:
    digest = kept(folder)
    path_of(tmp_path, digest).write_bytes(b"%PDF-forged")
    assert code_of(folder, digest) == "evidence_altered"
    kept(folder)
    assert b"".join(folder.open(digest)) == PDF


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../../etc/passwd",
        "sha256:" + "../" * 21 + "x",
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 63 + "\n",
        "sha256:" + "0" * 64 + "\n",
        "sha512:" + "0" * 64,
        "0" * 64,
        "",
        "sha256:" + "٠" * 64,
        "sha256:" + "0" * 31 + "/" + "0" * 32,
    ],
)
def test_no_path_is_smuggled_in_as_a_digest(folder: Folder, digest: str) -> None:
    kept(folder)
    for ask in (folder.has, folder.size, folder.claim, folder.delete):
        with pytest.raises(Refused, match="evidence_digest_malformed"):
            ask(digest)
    assert code_of(folder, digest) == "evidence_digest_malformed"


def test_a_symlink_in_a_files_place_is_not_followed(tmp_path: Path, folder: Folder) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(PDF)
    digest = kept(folder)
    path = path_of(tmp_path, digest)
    path.unlink()
    path.symlink_to(secret)
    assert not folder.has(digest)
    assert not folder.claim(digest)
    assert not folder.delete(digest)
    assert list(folder.iterate()) == []
    assert code_of(folder, digest) == "evidence_missing"
    assert kept(folder) == digest
    assert not path.is_symlink()
    assert secret.read_bytes() == PDF


@pytest.mark.parametrize("depth", [0, 1])
def test_a_symlink_in_a_folders_place_is_not_followed(
    tmp_path: Path, folder: Folder, depth: int
) -> None:
    digest = kept(folder)
    place = path_of(tmp_path, digest).parents[depth]
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    assert not folder.has(digest)
    assert list(folder.iterate()) == []
    with pytest.raises(Unavailable):
        kept(folder)
    assert files_in(tmp_path) == [tmp_path / "evidence/lock"], "and nothing is left half done"


def test_a_pipe_and_a_folder_in_a_files_place_are_no_files(tmp_path: Path, folder: Folder) -> None:
    digest = kept(folder)
    path = path_of(tmp_path, digest)
    path.unlink()
    os.mkfifo(path)
    assert not folder.has(digest)
    path.unlink()
    path.mkdir()
    assert not folder.has(digest)
    assert code_of(folder, digest) == "evidence_missing"


def test_a_file_in_the_wrong_folder_is_none_of_ours(tmp_path: Path, folder: Folder) -> None:
    digest = kept(folder)
    path = path_of(tmp_path, digest)
    wrong = tmp_path / "evidence/ff/ff"
    wrong.mkdir(parents=True)
    path.rename(wrong / path.name)
    (wrong / "note.txt").write_text("left here by somebody")
    assert list(folder.iterate()) == []


def test_what_is_old_is_deleted_and_what_was_claimed_since_is_not(
    folder: Folder, clock: Clock
) -> None:
    digest, other = kept(folder), kept(folder, b"%PDF-other")
    clock.now += timedelta(days=2)
    before = clock.now - timedelta(days=1)
    assert folder.claim(digest)
    assert not folder.delete(digest, before)
    assert folder.delete(other, before)
    assert folder.has(digest)
    assert not folder.has(other)
    assert folder.delete(digest)
    assert not folder.has(digest)


def test_putting_in_again_makes_a_file_young(folder: Folder, clock: Clock) -> None:
    digest = kept(folder)
    clock.now += timedelta(days=2)
    kept(folder)
    assert not folder.delete(digest, clock.now - timedelta(days=1))
    assert [found.since for found in folder.iterate()] == [clock.now]


def test_a_file_grows_too_large_and_is_gone(tmp_path: Path, folder: Folder) -> None:
    with pytest.raises(Refused, match="evidence_too_large"):
        put(folder, [b"x" * 1_000] * 12, 10_000)
    assert files_in(tmp_path) == []
    assert put(folder, [b"x" * 10_000], 10_000)


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path, folder: Folder) -> None:
    def breaking() -> Iterator[bytes]:
        yield PDF
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        put(folder, breaking(), LIMIT)
    assert files_in(tmp_path) == []
