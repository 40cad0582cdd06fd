"""A full disk, `kill -9` and huge files: real ones, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evidence.folder import Folder
from evidence.staging import Unavailable
from evidence.stores import put
from tests.support.documents import PDF

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20
LIMIT = 50 * MEBIBYTE


def now() -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC)


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Python in a process of its own, with ``folder`` a store in the first argument."""
    begin = (
        "import sys, json\nfrom pathlib import Path\nfrom datetime import UTC, datetime\n"
        "from evidence.folder import Folder\nfrom evidence.stores import put\n"
        "from evidence.staging import Unavailable\n"
        "folder = Folder(Path(sys.argv[1]), lambda: datetime(2026, 3, 2, tzinfo=UTC))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", begin + code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> object:
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return json.loads(said)


def files_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name != "lock")


@pytest.mark.parametrize("point", ["written", "flushed", "renamed"])
def test_a_put_that_is_killed_leaves_the_file_or_a_part_that_is_swept(
    tmp_path: Path, point: str
) -> None:
    root = tmp_path / "evidence"
    process = start(
        "import os, signal\n"
        f"point, PDF = {point!r}, {PDF!r}\n"
        "def die(*_a, **_k): print('dying', flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "real = os.fsync\n"
        "def fsync(fd):\n"
        "    real(fd)\n"
        "    import stat\n"
        "    if stat.S_ISREG(os.fstat(fd).st_mode):\n"
        "        if point == 'flushed': die()\n"
        "    elif renamed and point == 'renamed': die()\n"
        "renamed, replace = [], os.replace\n"
        "def noted(*a, **k): replace(*a, **k); renamed.append(1)\n"
        "os.fsync, os.replace = fsync, noted\n"
        "with folder.staging(1 << 20) as staged:\n"
        "    staged.write(PDF)\n"
        "    staged.file.flush()\n"
        "    if point == 'written': die()\n"
        "    folder.adopt(staged)\n",
        str(root),
    )
    said, _ = process.communicate(timeout=60)
    assert said == "dying\n"
    assert process.returncode == -signal.SIGKILL
    folder = Folder(root, now)
    (left,) = files_in(root)
    if point == "renamed":
        assert [b"".join(folder.open(kept.digest)) for kept in folder.iterate()] == [PDF]
        assert folder.sweep() == 0
    else:
        assert left.endswith(".part")
        assert list(folder.iterate()) == []
        assert folder.sweep() == 1
        assert files_in(root) == []
    assert b"".join(folder.open(put(folder, [PDF], LIMIT))) == PDF


def test_a_sweep_leaves_alone_what_is_still_coming_in(tmp_path: Path) -> None:
    """From another process, too: what protects a part is not in this one's memory."""
    folder = Folder(tmp_path / "evidence", now)
    with folder.staging(LIMIT) as staged:
        staged.write(PDF)
        swept = start("print(folder.sweep())", str(tmp_path / "evidence"))
        assert result_of(swept) == 0
        assert folder.sweep() == 0
        assert b"".join(folder.open(folder.adopt(staged))) == PDF


def test_a_file_that_the_system_cuts_off_is_not_kept(tmp_path: Path) -> None:
    """The largest file that this process may write is 1 MiB: as on a full disk, but for anybody."""
    process = start(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        "    put(folder, [b'x' * 65536] * 64, 50 << 20)\n"
        "except Unavailable as error:\n"
        "    print(json.dumps(str(error)))\n",
        str(tmp_path / "evidence"),
    )
    assert result_of(process) == "File too large"
    assert files_in(tmp_path / "evidence") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no mounting here")
    try:
        folder = Folder(disk / "evidence", now)
        digest = put(folder, [PDF], LIMIT)
        with pytest.raises(Unavailable, match="No space left"):
            put(folder, [b"%PDF-" + b"x" * MEBIBYTE] * 4, LIMIT)
        assert b"".join(folder.open(digest)) == PDF
        assert files_in(disk) == [digest.removeprefix("sha256:")]
        assert put(folder, [b"%PDF-small"], LIMIT), "there is room again"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_quarter_of_a_gigabyte_goes_through_in_constant_memory(tmp_path: Path) -> None:
    """In and out again; the bytes are zeros of a file that takes no room itself."""
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 28)
    process = start(
        "import resource\n"
        "def chunks():\n"
        "    with open(sys.argv[2], 'rb') as file:\n"
        "        while chunk := file.read(1 << 20):\n"
        "            yield chunk\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "put(folder, [b'warm'], 1 << 20)\n"
        "before = peak()\n"
        "digest = put(folder, chunks(), 1 << 31)\n"
        "size = sum(len(chunk) for chunk in folder.open(digest))\n"
        "folder.delete(digest)\n"
        "print(json.dumps([size, peak() - before]))\n",
        str(tmp_path / "evidence"),
        str(sparse),
    )
    result = result_of(process)
    assert isinstance(result, list)
    assert result[0] == 1 << 28
    assert result[1] < 16 * 1024, "KiB"
