"""Whatever is in a bundle, the answer is a report; and no byte of it can be changed unnoticed."""

import os
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.bundle import Files as Opened
from audit.bundle import (
    HeadProofs,
    format_head_proofs,
    format_words,
    open_bundle,
    parse_head_proofs,
    parse_words,
)
from audit.checkpoint import parse_checkpoint
from audit.chosen import _Work as Chosen
from audit.chosen import verify_chosen
from audit.commitment import Opening
from audit.founding import Anchors
from audit.heads import HeadProof, HeadsFollower
from audit.malformed import Malformed
from audit.note import parse_note
from audit.offline import BundleReport, Order, verify_bundle
from audit.report import Check
from audit.share import Share
from audit.share import _Work as Work
from audit.tiles import WIDTH
from tests.support.attacking import Files, Scribe, policy_of, small_log, written, zipped
from tests.support.world import FOUNDING, ORIGIN, key_of

SCRIBE = small_log()
WHOLE = SCRIBE.files()
CHOSEN = SCRIBE.chosen("T-1", "T-2", stating=12)
(ENTRIES,) = (name for name in WHOLE if name.startswith("tile/entries/"))
(TILE,) = (name for name in WHOLE if name.startswith("tile/0/"))
SIZE = len(SCRIBE.entries)
POLICY = policy_of()


def audited(path: Path, *, signatures: bool = True) -> BundleReport:
    return verify_bundle(Order(path, POLICY, None, signatures=signatures))


def flips(data: bytes, step: int = 1) -> Iterator[tuple[int, bytes]]:
    """The data with one bit changed in every byte, or every so manieth."""
    for at in range(0, len(data), step):
        yield at, data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def prefixes(data: bytes) -> Iterator[tuple[int, bytes]]:
    return ((size, data[:size]) for size in range(len(data)))


@pytest.fixture(name="whole")
def _whole(tmp_path: Path) -> Path:
    return written(WHOLE, tmp_path / "whole")


@pytest.fixture(name="chosen")
def _chosen(tmp_path: Path) -> Path:
    return written(CHOSEN, tmp_path / "chosen")


def test_untouched_bundles_hold_as_folders_and_as_zip_files(
    whole: Path, chosen: Path, tmp_path: Path
) -> None:
    stored = zipped(WHOLE, tmp_path / "stored.zip")
    deflated = zipped(CHOSEN, tmp_path / "deflated.zip", zipfile.ZIP_DEFLATED)
    for path in (whole, stored):
        found = audited(path)
        assert found.ok, found.report.findings
        assert (found.chosen, found.report.passed[Check.TREE]) == (None, SIZE)
    for path in (chosen, deflated):
        found = audited(path)
        assert found.ok, found.report.findings
        assert (found.chosen, found.report.passed[Check.HEADS]) == (11, 3)


@dataclass
class Memory:
    """Files that lie nowhere: a disk would be most of what these tests wait for."""

    files: Files

    def names(self) -> Iterator[str]:
        return iter(self.files)

    def read(self, name: str, limit: int) -> bytes:
        assert len(self.files[name]) <= limit
        return self.files[name]


@pytest.mark.parametrize("change", [flips, prefixes])
def test_every_byte_of_the_entries_is_guarded_by_their_tile(
    change: Callable[[bytes], Iterator[tuple[int, bytes]]],
) -> None:
    share = Share(Path(), SIZE, None, None)
    for at, data in change(WHOLE[ENTRIES]):
        work = Work(share, Opened(Memory({**WHOLE, ENTRIES: data})))
        try:
            work.take(0)
        except Malformed as error:
            code = error.code
        else:
            (finding,) = work.done().findings
            code = finding.code
        assert code in {"entry_not_of_tile", "bundle_short", "bundle_long"}, at


def test_a_changed_byte_of_an_entry_is_found_end_to_end_at_its_index(whole: Path) -> None:
    start = 0
    for index, entry in enumerate(SCRIBE.entries):
        at = start + 2 + len(entry) // 2
        data = bytearray(WHOLE[ENTRIES])
        data[at] ^= 2
        (whole / ENTRIES).write_bytes(data)
        finding = audited(whole).report.findings[0]
        assert (finding.check, finding.code) == (Check.TREE, "entry_not_of_tile")
        assert finding.index == index
        start += 2 + len(entry)


@pytest.mark.parametrize("change", [flips, prefixes])
@pytest.mark.parametrize("name", [TILE, "checkpoint"])
def test_every_byte_of_tiles_and_checkpoint_is_guarded(
    whole: Path, name: str, change: Callable[[bytes], Iterator[tuple[int, bytes]]]
) -> None:
    for at, data in change(WHOLE[name]):
        (whole / name).write_bytes(data)
        found = audited(whole, signatures=False)
        assert not found.ok, at
        assert found.report.findings[0].check in {Check.TREE, Check.CHECKPOINT}


@pytest.mark.parametrize("change", [flips, prefixes])
def test_every_byte_of_the_words_is_guarded(
    whole: Path, change: Callable[[bytes], Iterator[tuple[int, bytes]]]
) -> None:
    for at, data in change(WHOLE["words/0"]):
        (whole / "words/0").write_bytes(data)
        found = audited(whole)
        assert not found.ok, at
        assert {finding.check for finding in found.report.findings} == {Check.OPENINGS}


def test_words_that_were_removed_are_counted_as_erased(whole: Path, chosen: Path) -> None:
    for path in (whole, chosen):
        (path / "words/0").unlink()
        found = audited(path)
        assert found.ok
        assert (found.report.opened, found.report.erased) == (0, 2)


@pytest.mark.parametrize("change", [flips, prefixes])
def test_every_byte_of_the_proofs_of_heads_is_guarded(
    chosen: Path, change: Callable[[bytes], Iterator[tuple[int, bytes]]]
) -> None:
    for at, data in change(CHOSEN["heads"]):
        (chosen / "heads").write_bytes(data)
        assert not audited(chosen).ok, at


def test_every_byte_of_a_chosen_entry_is_guarded_by_the_tree() -> None:
    root = parse_checkpoint(parse_note(CHOSEN["checkpoint"]).text).root
    share = Share(Path(), SIZE, Anchors(POLICY.origin, None, POLICY.founding), None)
    memory = Memory(dict(CHOSEN))
    work = Chosen(share, Opened(memory), root, [])
    for name in (name for name in CHOSEN if name.startswith("entry/")):
        index, data = int(name.removeprefix("entry/")), CHOSEN[name]
        for at, changed in (*flips(data), *prefixes(data)):
            memory.files[name] = changed
            work._findings.clear()
            work.take(index)
            (finding,) = work._findings
            assert (finding.code, finding.index) == ("inclusion_wrong", index), at


def test_a_changed_byte_of_a_chosen_bundle_is_found_end_to_end(chosen: Path) -> None:
    for name, whole in CHOSEN.items():
        for at, data in flips(whole, 1 + len(whole) // 20):
            (chosen / name).write_bytes(data)
            assert not audited(chosen).ok, (name, at)
        (chosen / name).write_bytes(whole)
    assert audited(chosen).ok


@pytest.mark.parametrize("files", [WHOLE, CHOSEN], ids=["whole", "chosen"])
def test_a_file_that_is_missing_empty_or_another_is_found(files: Files, tmp_path: Path) -> None:
    folder = written(files, tmp_path / "bundle")
    # Words may have been erased, and what came after the stated heads nobody has counted.
    free = {"words/0", *(f"entry/{index}" for index in (13, 14))}
    for name, data in files.items():
        (folder / name).write_bytes(b"")
        assert not audited(folder).ok, name
        (folder / name).unlink()
        assert audited(folder).ok == (name in free), name
        (folder / name).write_bytes(data)
        for other in files.keys() - {name}:
            (folder / name).write_bytes(files[other])
            assert not audited(folder).ok, (name, other)
        (folder / name).write_bytes(data)
    assert audited(folder).ok


def test_each_byte_of_a_zip_file_is_the_same_bundle_or_is_refused(tmp_path: Path) -> None:
    path = zipped(WHOLE, tmp_path / "bundle.zip")
    whole = path.read_bytes()
    frame = [at for at in range(len(whole)) if at % 211 == 0 or whole[at : at + 1] in b"PK\x01\x02"]
    start = whole.index(b"PK\x01\x02")
    for at in [*frame[:150], *range(start, len(whole))]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        found = audited(path, signatures=False)
        if found.ok:
            assert (found.report.entries, found.checkpoint) == (SIZE, audited_checkpoint())
    for size in range(0, len(whole), 53):
        path.write_bytes(whole[:size])
        assert audited(path, signatures=False).report.findings[0].code == "bundle_unreadable"


def audited_checkpoint() -> object:
    return parse_checkpoint(parse_note(WHOLE["checkpoint"]).text)


def refused(path: Path) -> str:
    """Why the whole bundle is refused, which no check of its contents says."""
    report = audited(path).report
    assert report.findings[0].check is Check.FORM
    assert len(report.findings) == 1
    return report.findings[0].code


@pytest.mark.parametrize(
    "name",
    ["../x", "/checkpoint", "C:/x", "tile/0/000/../001", "./checkpoint", "entry/07", "entry/-1",
     "entry/" + "9" * 20, "words/x", "tile/0/x000/001", "tile/100/000", "tile/", "keys", "\x1b[2J",
     "checkpoint\\..\\x", "tile/0/000.p/256", "tile/0/000.p/0", "ｅntry/1"],
)  # fmt: skip
def test_a_zip_file_with_another_name_in_it_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped({**WHOLE, name: b"x"}, tmp_path / "bundle.zip")
    assert refused(path) == "bundle_name"


def test_a_name_that_ends_at_a_nul_is_refused(tmp_path: Path) -> None:
    path = zipped({**WHOLE, "policy-": b"x"}, tmp_path / "bundle.zip")
    path.write_bytes(path.read_bytes().replace(b"policy-", b"policy\0"))
    assert refused(path) == "bundle_name"


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = zipped({**WHOLE, "policy": b"x", "polici": b"y"}, tmp_path / "bundle.zip")
    path.write_bytes(path.read_bytes().replace(b"polici", b"policy"))
    assert refused(path) == "bundle_name_twice"


def test_an_encrypted_or_unusually_packed_zip_file_is_refused(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = zipped(WHOLE, tmp_path / f"{method}.zip", method)
        assert refused(path) == "bundle_compression"
    path = zipped(WHOLE, tmp_path / "encrypted.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refused(path) == "bundle_compression"


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("checkpoint", "w", force_zip64=True) as file,
    ):
        for _ in range(256):
            file.write(bytes(1 << 20))
    assert refused(path) == "bundle_file_too_large"
    # It may also lie about how large it becomes.
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    lying = data[: start + 24] + (1000).to_bytes(4, "little") + data[start + 28 :]
    path.write_bytes(lying)
    assert audited(path).report.findings[0].code in {"bundle_unreadable", "note_control_character"}


def test_many_files_are_only_listed(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(20_000):
            archive.writestr(zipfile.ZipInfo(f"words/{index}"), b"")
    assert audited(path).report.findings[0].detail == "checkpoint"


def test_a_zip_file_behind_other_bytes_says_what_it_said(tmp_path: Path) -> None:
    path = zipped(WHOLE, tmp_path / "bundle.zip")
    path.write_bytes(b"#!/bin/sh\nrm -rf /\n" + path.read_bytes())
    assert audited(path).ok


def test_links_in_bundles_lead_nowhere(whole: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret\n\nsecret\n")
    (whole / "checkpoint").unlink()
    (whole / "checkpoint").symlink_to(secret)
    finding = audited(whole).report.findings[0]
    assert (finding.code, finding.detail) == ("bundle_link", "checkpoint")
    info = zipfile.ZipInfo("checkpoint")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, str(secret))
    finding = audited(tmp_path / "link.zip").report.findings[0]
    assert (finding.check, finding.code) == (Check.CHECKPOINT, "note_blank_line")


def test_a_folder_that_is_a_link_leads_nowhere_either(whole: Path, tmp_path: Path) -> None:
    """Even to the very tiles that were there."""
    (whole / "tile").rename(tmp_path / "elsewhere")
    (whole / "tile").symlink_to(tmp_path / "elsewhere")
    codes = {finding.code for finding in audited(whole).report.findings}
    assert codes == {"bundle_link"}


def test_what_is_no_file_is_missing(whole: Path) -> None:
    (whole / "checkpoint").unlink()
    (whole / "checkpoint").mkdir()
    assert audited(whole).report.findings[0].code == "bundle_file_missing"
    (whole / "checkpoint").rmdir()
    os.mkfifo(whole / "checkpoint")
    assert audited(whole).report.findings[0].code == "bundle_file_missing"
    (whole / "checkpoint").unlink()
    (whole / "checkpoint").write_bytes(WHOLE["checkpoint"])
    (whole / TILE).unlink()
    (whole / TILE).parent.rmdir()
    (whole / TILE).parent.write_bytes(b"")
    assert audited(whole).report.findings[0].code == "bundle_file_missing"


@pytest.mark.parametrize("index", [SIZE, 10**18, 2**63])
def test_an_entry_outside_the_tree_is_refused(chosen: Path, index: int) -> None:
    (chosen / f"entry/{index}").write_bytes(CHOSEN["entry/3"])
    findings = audited(chosen).report.findings
    assert [(each.code, each.index) for each in findings] == [("proof_index", index)]


@pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1, 2**40, 2**63 - 1])
def test_a_checkpoint_that_nobody_signed_may_claim_any_size(whole: Path, size: int) -> None:
    note = WHOLE["checkpoint"].replace(b"\n17\n", b"\n%d\n" % size, 1)
    (whole / "checkpoint").write_bytes(note)
    assert not audited(whole).ok


def test_a_full_tile_stands_for_its_parts(tmp_path: Path) -> None:
    """As in the folder of a log that has just grown: the checkpoint comes last."""
    scribe = small_log()
    scribe.entries += [SCRIBE.entries[0]] * (256 - SIZE)
    grown = scribe.files()
    assert "tile/0/000" in grown
    folder = written({**grown, "checkpoint": WHOLE["checkpoint"]}, tmp_path)
    (folder / "words/0").write_bytes(WHOLE["words/0"])
    assert audited(folder).ok


@given(st.binary(max_size=200) | st.sampled_from(sorted(WHOLE)).map(WHOLE.__getitem__))
def test_any_bytes_are_words_and_proofs_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        assert format_words(parse_words(data)) == data
    with suppress(Malformed):
        assert format_head_proofs(parse_head_proofs(data)) == data


@given(st.data())
def test_changed_words_and_proofs_are_read_as_written_or_malformed(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["words/0", "heads"]))
    whole = CHOSEN[name]
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    inserted = data.draw(st.sampled_from([b"", b"1", b"true", b"null", b'"', b"{}", b"-1", b"1e9"]))
    changed = whole[:start] + inserted + whole[end:]
    with suppress(Malformed):
        if name == "heads":
            assert format_head_proofs(parse_head_proofs(changed)) == changed
        else:
            assert format_words(parse_words(changed)) == changed


def test_truth_is_no_number_and_a_chain_ends_once() -> None:
    proofs = parse_head_proofs(CHOSEN["heads"])
    with pytest.raises(Malformed, match="head_proofs_twice"):
        parse_head_proofs(
            format_head_proofs(HeadProofs(proofs.index, (*proofs.proofs, proofs.proofs[0])))
        )
    for old, new in ((b'"index":12', b'"index":true'), (b'"count":3', b'"count":true')):
        changed = CHOSEN["heads"].replace(old, new, 1)
        assert changed != CHOSEN["heads"]
        with pytest.raises(Malformed, match="head_proofs_form"):
            parse_head_proofs(changed)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_zip_file_or_refused(data: bytes) -> None:
    path = Path(tempfile.gettempdir()) / f"dondoc-fuzz-{os.getpid()}.zip"
    path.write_bytes(data)
    try:
        assert not audited(path).ok
    finally:
        path.unlink()


def test_entries_far_apart_are_looked_up_without_walking_through_all_of_them(
    tmp_path: Path,
) -> None:
    """Who makes a bundle may choose one entry out of each of a hundred thousand tiles."""
    scribe = Scribe().found("an")
    for number in range(3 * WIDTH):
        scribe.step(f"T-{number % WIDTH}", "step", "an")
    files = scribe.chosen("T-7", stating=scribe.state_heads())
    walks = 0

    class Walked(list[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal walks
            walks += 1
            return super().__iter__()

    path = written(files, tmp_path)
    share = Share(path, len(scribe.entries), Anchors(ORIGIN, None, POLICY.founding), None)
    with open_bundle(path) as opened:
        root = parse_checkpoint(parse_note(files["checkpoint"]).text).root
        chosen = Walked(opened.chosen())
        done = verify_chosen(share, opened, root, chosen, lambda _done, _of: None)
    assert (done.hashed, done.report.ok, walks) == (len(chosen), True, 1)


@pytest.mark.parametrize("filling", [b"[[],[]", b"[{},{}", b'{"a":{},"b":{}'])
@pytest.mark.parametrize("read", [parse_words, parse_head_proofs])
def test_a_large_file_of_nothing_is_not_unfolded_in_memory(
    read: Callable[[bytes], object], filling: bytes
) -> None:
    """64 MiB of empty lists fit into 64 KiB of a zip file, and took two gigabytes and a minute."""
    opening, item = filling[:1], filling[1:].partition(b",")[0]
    closing = b"]" if opening == b"[" else b"}"
    data = opening + b",".join([item] * (4_000_000 // len(item))) + closing
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_large_files_of_words_and_proofs_are_read_as_they_were_written() -> None:
    words = {
        f"{leaf:064x}": {
            field: Opening(field, 'Tết "\\\n\x7f' * 1_000, bytes([leaf] * 32))
            for field in ("title", "reason")
        }
        for leaf in range(100)
    }
    data = format_words(words)
    assert len(data) > 2 << 20
    assert parse_words(data) == words
    hashes = tuple(bytes([number]) * 32 for number in range(20))
    proofs = tuple(
        HeadProof(f'T-{number} ệ"', number + 1, "0" * 64, number, hashes[: number % 20])
        for number in range(3_000)
    )
    found = HeadProofs(2**53 - 1, proofs)
    data = format_head_proofs(found)
    assert len(data) > 1 << 20
    assert parse_head_proofs(data) == found


def test_statements_that_the_log_never_signed_cost_no_look_at_all_chains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte by anybody, with ten thousand of them, would keep a verifier busy for hours."""
    looks = 0

    def stated(_heads: HeadsFollower, _size: int) -> tuple[int, bytes]:
        nonlocal looks
        looks += 1
        return 0, b""

    monkeypatch.setattr(HeadsFollower, "stated", stated)
    scribe = Scribe().found("an")
    for _ in range(3):
        scribe.state_heads()
    assert not audited(written(scribe.files(), tmp_path / "signed")).ok
    assert looks == 3
    forger = Scribe(keys={**FOUNDING, "clock": key_of("nobody")}).found("an")
    for _ in range(3):
        forger.state_heads()
    assert not audited(written(forger.files(), tmp_path / "forged")).ok
    assert looks == 3
