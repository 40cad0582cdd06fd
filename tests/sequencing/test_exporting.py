"""Bundles out of a log: complete, the same each time, and of chosen tasks nothing but these."""

import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from activities.recorder import Handed
from audit.bundle import open_bundle
from audit.offline import BundleReport, Order, verify_bundle
from domain.refusal import Refused
from domain.replay import Replay
from sequencing.exporting import Exported, Source, export_log, export_tasks, open_source
from tests.support.publishing import Published, published
from tests.support.world import FOUNDED, HEADER, World


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Iterator[Published]:
    """Three tasks, whose ends the log has stated."""
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    log = published(world, tmp_path / "tree")
    world.in_progress("T-1")
    world.assigned("T-2")
    world.assigned("T-3")
    log.publish()
    log.state_heads()
    yield log
    world.close()


def quiet(_done: int, _of: int) -> None:
    pass


def exported(
    log: Published, target: Path, *tasks: str, words: bool = False, policy: bytes | None = None
) -> Exported:
    with log.world.engine.connect() as connection:
        source = open_source(connection, log.files)
        if tasks:
            return export_tasks(source, target, tasks, words=words, policy=policy, progress=quiet)
        return export_log(source, target, words=words, policy=policy, progress=quiet)


def refused(log: Published, target: Path, *tasks: str) -> Refused:
    with pytest.raises(Refused) as raised:
        exported(log, target, *tasks)
    assert not list(target.parent.glob("*.zip*"))
    return raised.value


def verified(log: Published, bundle: Path, processes: int = 1) -> BundleReport:
    report = verify_bundle(Order(bundle, log.policy, None, judge=Replay, processes=processes))
    assert report.ok, report.report.findings
    return report


def grow(world: World, count: int, name: str = "M") -> None:
    for at in range(0, count, 500):
        world.recorder.record([
            Handed(world.submission(f"{name}-{n}", "register", HEADER, role="office"), world.now)
            for n in range(at, min(at + 500, count))
        ])  # fmt: skip


def names(bundle: Path) -> list[str]:
    with zipfile.ZipFile(bundle) as archive:
        return archive.namelist()


def test_the_whole_log_verifies_with_words_and_without(log: Published, tmp_path: Path) -> None:
    size = len(log.world.rows())
    for words in (False, True):
        target = tmp_path / "log.zip"
        assert exported(log, target, words=words) == Exported(size, size)
        report = verified(log, target).report
        assert report.entries == size
        assert (report.opened > 0, report.erased == 0) == (words, words)
        shutil.unpack_archive(target, tmp_path / f"unpacked {words}")
        assert verified(log, tmp_path / f"unpacked {words}").report.opened == report.opened


def test_chosen_tasks_bring_their_own_histories_and_words_and_nothing_of_others(
    log: Published, tmp_path: Path
) -> None:
    target = tmp_path / "chosen.zip"
    done = exported(log, target, "T-1", "T-2", "T-1", words=True)
    rows = log.world.rows()
    assert done == Exported(FOUNDED + 4 + 2 + 1, len(rows) - 1)
    report = verified(log, target)
    assert report.chosen == done.entries
    assert report.report.heads.keys() == {"directory", "T-1", "T-2"}
    assert report.report.opened > 0
    whole = target.read_bytes()
    for row in log.world.chain("T-3"):
        assert row.data not in whole
        assert row.leaf.encode() not in whole
    assert exported(log, target, "T-1").later == 0
    assert not [name for name in names(target) if name.startswith(("words", "tile/entries"))]


def test_redacted_words_are_in_no_bundle_and_the_rest_still_verifies(
    log: Published, tmp_path: Path
) -> None:
    exported(log, tmp_path / "before.zip", "T-1", words=True)
    before = verified(log, tmp_path / "before.zip").report
    log.world.erase("T-1", 1, "title")
    log.publish()
    for name, tasks in (("all.zip", ()), ("one.zip", ("T-1",))):
        exported(log, tmp_path / name, *tasks, words=True)
        assert str(HEADER["title"]).encode() not in _of_chain(tmp_path / name, log, "T-1")
    after = verified(log, tmp_path / "one.zip").report
    assert (after.opened, after.erased) == (before.opened - 1, before.erased + 1)


def _of_chain(bundle: Path, log: Published, chain: str) -> bytes:
    """All words that the bundle has of a task's entries."""
    leaves = {row.leaf for row in log.world.chain(chain)}
    with open_bundle(bundle) as files:
        found = files.words(0)
    return "".join(
        opening.value for leaf in leaves for opening in found.get(leaf, {}).values()
    ).encode()


def test_equal_logs_give_equal_files_and_policy_and_stamp_come_along(
    log: Published, tmp_path: Path
) -> None:
    for tasks in ((), ("T-1", "T-3")):
        exported(log, tmp_path / "one.zip", *tasks, words=True, policy=b"quorum none\n")
        exported(log, tmp_path / "two.zip", *tasks, words=True, policy=b"quorum none\n")
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        assert names(tmp_path / "one.zip")[:3] == ["README.txt", "checkpoint", "policy"]
        verified(log, tmp_path / "one.zip")


def test_words_are_for_the_owner_of_the_file_only(log: Published, tmp_path: Path) -> None:
    exported(log, tmp_path / "words.zip", words=True)
    assert (tmp_path / "words.zip").stat().st_mode & 0o077 == 0


def test_what_is_not_published_or_not_stated_yet_is_refused(log: Published, tmp_path: Path) -> None:
    target = tmp_path / "out" / "t.zip"
    target.parent.mkdir()
    assert refused(log, target, "T-9").code == "task_not_published"
    log.world.assigned("T-4")
    assert refused(log, target, "T-1", "T-4").facts == {"task": "T-4"}
    stated = len(log.world.rows()) - 3
    log.publish()
    refusal = refused(log, target, "T-4")
    assert (refusal.code, refusal.facts) == ("task_not_stated", {"task": "T-4", "size": stated})
    log.state_heads()
    assert exported(log, target, "T-4").later == 0
    verified(log, target)


def test_what_came_after_the_last_statement_is_counted(log: Published, tmp_path: Path) -> None:
    task = log.world.recorder.task("T-2")
    assert task is not None
    log.world.do(task, "confirm", role="officer")
    log.publish()
    done = exported(log, tmp_path / "t.zip", "T-2")
    assert (done.later, done.stated) == (1, len(log.world.rows()) - 2)
    verified(log, tmp_path / "t.zip")
    assert exported(log, tmp_path / "t.zip", "T-1").later == 0


def test_a_log_without_statements_or_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    log = published(world, tmp_path / "tree")
    world.assigned("T-1")
    assert refused(log, tmp_path / "t.zip").code == "nothing_published"
    log.publish()
    assert refused(log, tmp_path / "t.zip", "T-1").code == "no_heads_yet"
    exported(log, tmp_path / "log.zip")
    verified(log, tmp_path / "log.zip")
    world.close()


def test_a_file_is_replaced_only_when_the_new_one_is_whole(log: Published, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    target = folder / "log.zip"
    with pytest.raises(FileNotFoundError) as raised:
        exported(log, target)
    assert raised.value.filename == str(target)
    folder.mkdir()
    with pytest.raises(IsADirectoryError) as raised_:
        exported(log, folder)
    assert raised_.value.filename == str(folder)
    target.write_bytes(b"what was there before")
    size = len(log.world.rows())
    bundle = log.files.root / f"tile/entries/000.p/{size}"
    sound = bundle.read_bytes()
    bundle.unlink()
    with pytest.raises(FileNotFoundError) as missing:
        exported(log, target)
    assert str(missing.value.filename).startswith(str(bundle.parent.parent))
    assert target.read_bytes() == b"what was there before"
    bundle.write_bytes(sound)
    exported(log, target)
    verified(log, target)
    assert [path.name for path in folder.iterdir()] == ["log.zip"]


def test_full_tiles_stand_for_the_partial_ones_that_they_replaced_meanwhile(
    log: Published, tmp_path: Path
) -> None:
    with log.world.engine.connect() as connection:
        source = open_source(connection, log.files)
        before = source.size
        grow(log.world, 300)
        log.publish()
        assert not (log.files.root / "tile/0/000.p").exists()
        assert not (log.files.root / "tile/entries/000.p").exists()
        for tasks in ((), ("T-1",)):
            _again(source, tmp_path / "old.zip", tasks)
            report = verified(log, tmp_path / "old.zip")
            assert report.checkpoint is not None
            assert report.checkpoint.size == before


def _again(source: Source, target: Path, tasks: tuple[str, ...]) -> None:
    if tasks:
        export_tasks(source, target, tasks, words=True, policy=None, progress=quiet)
    else:
        export_log(source, target, words=True, policy=None, progress=quiet)


def test_a_log_that_grows_in_parallel_gives_whole_bundles(log: Published, tmp_path: Path) -> None:
    stop = Event()

    def growing() -> None:
        number = 0
        while not stop.is_set():
            grow(log.world, 25, f"P{number}")
            log.publish()
            number += 1

    def exporting(number: int) -> int:
        target = tmp_path / f"{number}.zip"
        exported(log, target, *(("T-1",) if number % 2 else ()), words=True)
        checkpoint = verified(log, target).checkpoint
        assert checkpoint is not None
        return checkpoint.size

    with ThreadPoolExecutor(max_workers=1) as pool:
        grown = pool.submit(growing)
        try:
            sizes = [exporting(number) for number in range(6)]
            while sizes[-1] == sizes[0] and not grown.done():  # a busy machine may take its time
                sizes.append(exporting(len(sizes)))
        finally:
            stop.set()
        grown.result()
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_three_thousand_entries_are_exported_and_verify(log: Published, tmp_path: Path) -> None:
    grow(log.world, 3_000)
    log.publish()
    log.state_heads()
    target = tmp_path / "log.zip"
    done = exported(log, target)
    assert done.entries == len(log.world.rows())
    assert f"tile/entries/{done.entries // 256 - 1:03}" in names(target)
    assert f"tile/1/000.p/{done.entries // 256}" in names(target)
    report = verify_bundle(Order(target, log.policy, None, signatures=False))
    assert report.ok, report.report.findings
    exported(log, tmp_path / "one.zip", "M-2999", words=True)
    verified(log, tmp_path / "one.zip")
