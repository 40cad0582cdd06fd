"""A log verified offline: by one process or several, with rotated keys, witnesses and disputes."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import dealing
from audit.chains import DIRECTORY
from audit.entry import parse_entry
from audit.founding import Anchors
from audit.malformed import Malformed
from audit.note import Note, format_note, parse_note
from audit.offline import BundleReport, Order, verify_bundle
from audit.policy import Group, Policy, Witness
from audit.report import Check
from audit.share import Share, verify_share
from audit.signers import Ed25519Cosigner
from tests.support.attacking import (
    SIGNED_AT,
    Files,
    Scribe,
    first,
    note_of,
    policy_of,
    signers_of,
    small_log,
    written,
    zipped,
)
from tests.support.world import FOUNDING, key_of, pq_key_of

ROOT = Path(__file__).resolve().parents[2]


def audited(
    files: Files, folder: Path, *known: bytes, policy: Policy | None = None, **order: object
) -> BundleReport:
    made = Order(written(files, folder), policy or policy_of(), None, known=known)
    return verify_bundle(replace(made, **order))  # type: ignore[arg-type]


def long_log(steps: int = 560) -> Scribe:
    """More entries than two tiles hold, of a dozen chains."""
    scribe = Scribe().found("an", "binh")
    for number in range(steps):
        scribe.step(f"T-{number % 10}", "step", "an", title="Tết" if number % 50 == 0 else None)
    scribe.state_heads()
    return scribe


def repeated(scribe: Scribe) -> None:
    """The same command of a task once more, and one of the directory."""
    scribe.write("T-3", "step", {}, by=key_of("an"), person="an", identity="7" * 32)
    scribe.step("T-4", "step", "an")
    scribe.write("T-3", "step", {}, by=key_of("an"), person="an", identity="7" * 32)
    for _ in range(2):
        scribe.write(DIRECTORY, "add_agency", {"agency": "x"}, identity="8" * 32)
    for task in ("T-5", "T-6"):
        scribe.write(task, "step", {}, by=key_of("an"), person="an", identity="9" * 32)


def broken_twice(scribe: Scribe) -> None:
    for index in (400, 101, 250):
        scribe.entries[index] = scribe.entries[index][:-40] + scribe.entries[index + 1][-40:]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda _: None, []),
        (repeated, ["command_repeated"] * 2),
        (broken_twice, None),
        (lambda scribe: scribe.entries.pop(300), None),
        (lambda scribe: scribe.entries.pop(2), None),
        (lambda scribe: scribe.entries.pop(0), None),
        (lambda scribe: scribe.state_heads(root="0" * 64), ["heads_differ"]),
        (lambda scribe: scribe.entries.insert(9, scribe.entries[7]), None),
    ],
)
def test_one_process_and_two_find_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Scribe], object],
    codes: list[str] | None,
) -> None:
    monkeypatch.setattr(dealing, "_WORTH_A_PROCESS", 1, raising=False)
    scribe = long_log()
    change(scribe)
    one = audited(scribe.files(), tmp_path, processes=1)
    two = audited(scribe.files(), tmp_path, processes=2)
    assert one.report == two.report
    assert one.checkpoint is not None
    assert one.report.entries == len(scribe.entries)
    if codes is None:
        assert not one.ok
    else:
        assert [finding.code for finding in one.report.findings] == codes


def test_a_tile_or_entry_changed_far_behind_is_found_by_either_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dealing, "_WORTH_A_PROCESS", 1, raising=False)
    files = long_log().files()
    for name, code in (("tile/0/001", "tile_differs"), ("tile/entries/001", "bundle_short")):
        changed = {**files, name: files[name][:-1] + b"!"}
        if name.startswith("tile/entries"):
            changed[name] = files[name][:-1]
        for processes in (1, 2):
            found = audited(changed, tmp_path, processes=processes)
            assert not found.ok
            assert any(
                f.code in {code, "entry_not_of_tile"} and f.check is Check.TREE
                for f in found.report.findings
            )


def test_a_repeated_command_is_named_by_its_later_index(tmp_path: Path) -> None:
    scribe = small_log()
    scribe.write("T-1", "a", {}, by=key_of("an"), person="an", identity="7" * 32)
    index = scribe.write("T-1", "a", {}, by=key_of("an"), person="an", identity="7" * 32)
    found = audited(scribe.files(), tmp_path)
    assert first(found) == (Check.ONCE, "command_repeated", "T-1", 6, index)
    assert found.report.passed[Check.ONCE] == len(scribe.entries) - 1


def test_disputed_entries_are_listed_from_whole_logs_and_from_chosen_tasks(tmp_path: Path) -> None:
    scribe = small_log()
    key = key_of("binh").public.id
    revoke = {"key": key, "reason": "compromised", "since": 5}
    scribe.write(DIRECTORY, "revoke", revoke)
    index = scribe.state_heads()
    whole = audited(scribe.files(), tmp_path / "whole")
    assert whole.ok
    assert [(each.index, each.chain, each.holder) for each in whole.report.disputed] == [
        (6, "T-2", "binh"), (8, "T-3", "binh"), (10, "T-4", "binh"), (11, "T-1", "binh"),
    ]  # fmt: skip
    chosen = audited(scribe.chosen("T-1", stating=index), tmp_path / "chosen")
    assert chosen.ok, chosen.report.findings
    assert [each.index for each in chosen.report.disputed] == [11]


def rotated() -> tuple[Scribe, bytes]:
    """A log whose keys for checkpoints were exchanged, and its checkpoint from before."""
    scribe = small_log()
    known = note_of(scribe.entries, scribe.signers)
    scribe.rotate("checkpoint", key_of("second"))
    scribe.rotate("checkpoint_pq", pq_key_of("second_pq"))
    scribe.step("T-9", "register", "an")
    return scribe, known


def test_a_trust_file_follows_the_logs_own_rotations(tmp_path: Path) -> None:
    scribe, known = rotated()
    found = audited(scribe.files(), tmp_path / "a", known)
    assert found.ok, found.report.findings
    assert {key.public for key in found.times} == {
        signer.verifier.public for signer in scribe.signers
    }
    assert found.report.passed[Check.CHECKPOINT] == 2
    newer = policy_of([signer.verifier for signer in scribe.signers])
    assert audited(scribe.files(), tmp_path / "b", known, policy=newer).ok
    stale = scribe.files(signers_of())
    assert first(audited(stale, tmp_path / "c"))[:2] == (
        Check.CHECKPOINT, "checkpoint_signature_missing",
    )  # fmt: skip


def test_a_fork_from_before_a_rotation_is_shown(tmp_path: Path) -> None:
    scribe, _known = rotated()
    liar = small_log()
    liar.entries[-1] = liar.entries[-2]
    known = note_of(liar.entries, signers_of())
    found = audited(scribe.files(), tmp_path, known)
    assert [finding.code for finding in found.report.findings] == ["log_forked"]
    assert [fork.known for fork in found.forks] == [known]


def test_damage_to_a_bundle_is_no_fork_of_the_log(tmp_path: Path) -> None:
    scribe = small_log()
    older = note_of(scribe.entries[:9], scribe.signers)
    same = note_of(scribe.entries, scribe.signers)
    files = scribe.files()
    damaged = {**files, "tile/0/000.p/17": bytes(32) + files["tile/0/000.p/17"][32:]}
    found = audited(damaged, tmp_path / "a", older, same)
    assert "root_differs" in [each.code for each in found.report.findings]
    assert not found.forks
    invented = {**files, "checkpoint": note_of(scribe.entries[1:], signers_of(key_of("x")))}
    found = audited(invented, tmp_path / "b", note_of(scribe.entries[:16], scribe.signers))
    assert not found.ok
    assert not found.forks, "nobody of the log signed that head"


def test_a_log_behind_one_that_rotated_is_found_by_either_key(tmp_path: Path) -> None:
    scribe, _known = rotated()
    newest = note_of(scribe.entries, scribe.signers)
    policy = policy_of([signer.verifier for signer in scribe.signers])
    behind = small_log().files()
    codes = [f.code for f in audited(behind, tmp_path, newest, policy=policy).report.findings]
    assert codes == ["checkpoint_key_foreign", "log_behind_checkpoint"]


def test_a_key_that_the_directory_never_named_is_foreign(tmp_path: Path) -> None:
    stranger = signers_of(key_of("stranger"))
    policy = policy_of([signer.verifier for signer in stranger])
    found = audited(small_log().files(stranger), tmp_path, policy=policy)
    assert first(found)[:2] == (Check.CHECKPOINT, "checkpoint_key_foreign")


def test_without_a_founding_only_the_tree_can_be_checked(tmp_path: Path) -> None:
    policy = replace(policy_of(), founding=None)
    files = small_log().files()
    with pytest.raises(Malformed, match="policy_founding_missing"):
        audited(files, tmp_path, policy=policy)
    found = audited(files, tmp_path, policy=policy, signatures=False)
    assert found.ok
    assert (found.report.entries, found.report.passed[Check.TREE]) == (17, 17)


def test_chosen_tasks_are_nothing_without_signatures(tmp_path: Path) -> None:
    found = audited(small_log().chosen("T-1", stating=12), tmp_path, signatures=False)
    assert first(found)[:2] == (Check.TREE, "chosen_without_signatures")


@pytest.mark.parametrize("signed", range(4))
def test_a_quorum_of_two_in_three_stands_with_two(tmp_path: Path, signed: int) -> None:
    witnesses = [
        Ed25519Cosigner(f"w{n}.example", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))
        for n in range(3)
    ]
    names = tuple(f"w{n}" for n in range(3))
    policy = policy_of(
        witnesses=tuple(
            Witness(name, each.verifier) for name, each in zip(names, witnesses, strict=True)
        ),
        groups=(Group("g", 2, names),),
        quorum="g",
        max_age=60,
    )
    files = small_log().files()
    note = parse_note(files["checkpoint"])
    lines = tuple(each.sign(note.text, SIGNED_AT + 100) for each in witnesses[:signed])
    files["checkpoint"] = format_note(Note(note.text, (*note.lines, *lines)))
    found = audited(files, tmp_path, policy=policy, now=SIGNED_AT + 120)
    if signed >= 2:
        assert found.ok
        assert len(found.times) == 2 + signed
    else:
        assert first(found)[:2] == (Check.CHECKPOINT, "quorum_not_met")
    late = audited(files, tmp_path, policy=policy, now=SIGNED_AT + 200)
    assert not late.ok, "the witnesses' own times count"


def test_progress_is_heard_to_the_end(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    path = zipped(long_log().files(), tmp_path / "log.zip")
    report = verify_bundle(Order(path, policy_of(), None), lambda *seen: heard.append(seen))
    assert report.ok
    assert heard[-1] == (564, 564)


def test_memory_is_for_chains_and_keys_and_not_for_entries(tmp_path: Path) -> None:
    def peak(steps: int) -> int:
        scribe = long_log(steps)
        folder = written(scribe.files(), tmp_path / str(steps))
        policy = policy_of()
        share = Share(
            folder, len(scribe.entries), Anchors(policy.origin, None, policy.founding), None
        )
        del scribe
        tracemalloc.start()
        assert not verify_share(share, lambda _: None).report.findings
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(300)
    small, large = peak(600), peak(2_400)
    # Ids of commands, and the heads of the last 65,536 entries: less than 600 bytes for each.
    assert large - small < 1_800 * 600


def test_a_bundle_that_is_not_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify_bundle(Order(tmp_path / "nothing", policy_of(), None))


def test_the_log_key_may_be_rotated_and_records_go_on(tmp_path: Path) -> None:
    scribe = small_log()
    scribe.rotate("log", key_of("second log"))
    scribe.step("T-1", "go", "an")
    assert parse_entry(scribe.entries[-1]).record.keyid == key_of("second log").public.id
    assert audited(scribe.files(), tmp_path / "a").ok
    scribe.keys["log"] = FOUNDING["log"]
    index = scribe.step("T-1", "go", "an")
    assert first(audited(scribe.files(), tmp_path / "b")) == (
        Check.RECORD_SIGNATURE, "record_signature_wrong", "T-1", 0, index,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is kept to some cores")
def test_no_more_processes_are_started_than_there_are_cores_to_use() -> None:
    script = (
        "import os; from audit.dealing import cores; all = cores();"
        "os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); print(all, cores())"
    )
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(len(os.sched_getaffinity(0))), "1"]
