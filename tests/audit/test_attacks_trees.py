"""Attacks on what a log says about itself: trees, checkpoints, heads, witnesses, databases.

`docs/attacks.md` lists them.
"""

import shutil
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from audit.bundle import HeadProofs, format_head_proofs, parse_head_proofs
from audit.entry import leaf_hash
from audit.malformed import Malformed
from audit.merkle import check_inclusion, node_hash
from audit.merkle import leaf_hash as hash_of_leaf
from audit.note import Note, format_note, parse_note
from audit.offline import BundleReport, Order, verify_bundle
from audit.policy import Group, Policy, Witness, parse_policy
from audit.report import Check
from audit.saying import Speaker
from audit.share import Whole
from audit.signers import Ed25519Cosigner
from audit.trust_file import format_policy
from audit.verify import as_document, lines
from domain.refusal import Refused
from tests.support.attacking import (
    SIGNED_AT,
    Files,
    Scribe,
    first,
    note_of,
    policy_of,
    published,
    signers_of,
    small_log,
    written,
)
from tests.support.publishing import published as publishing
from tests.support.witnessing import Log, make_witness, post, served
from tests.support.world import ORIGIN, World, key_of

DAY = 86_400


def audited(
    files: Files, folder: Path, *known: bytes, policy: Policy | None = None, now: int | None = None
) -> BundleReport:
    return verify_bundle(Order(written(files, folder), policy or policy_of(), now, known=known))


def said(found: BundleReport) -> tuple[Check, str]:
    return first(found)[:2]


def test_a_log_cut_below_a_known_checkpoint_is_found(tmp_path: Path) -> None:
    scribe = small_log()
    known = note_of(scribe.entries, scribe.signers)
    shorter = published(scribe.entries[:-1], scribe.signers, scribe.words)
    assert audited(shorter, tmp_path / "a").ok, "by itself it holds"
    found = audited(shorter, tmp_path / "b", known)
    assert said(found) == (Check.CHECKPOINT, "log_behind_checkpoint")
    assert found.report.findings[0].detail == "16 entries, 17 were signed"


@pytest.mark.parametrize("grown", [0, 3])
def test_a_split_view_shows_both_signed_heads(tmp_path: Path, grown: int) -> None:
    scribe = small_log()
    known = note_of(scribe.entries, scribe.signers)
    liar = small_log()
    liar.entries.pop()
    liar.heads["T-4"] = (2, leaf_hash(liar.entries[-4]))
    liar.step("T-5", "register", "an")
    for task in ("T-6", "T-7", "T-8")[:grown]:
        liar.step(task, "register", "an")
    found = audited(liar.files(), tmp_path, known)
    assert said(found) == (Check.CHECKPOINT, "log_forked")
    (fork,) = found.forks
    assert fork.known == known
    assert parse_note(fork.found).text.startswith(f"{ORIGIN}\n{17 + grown}\n")
    assert found.report.findings[0].detail == "another tree of 17 entries was signed"


def test_a_witness_does_not_sign_a_second_tree(tmp_path: Path) -> None:
    log = Log().grown(5)
    home = make_witness(tmp_path, log)
    with served(home) as url:
        assert post(url, log.request(0)).status_code == HTTPStatus.OK
        assert post(url, log.branch(5).request(5)).status_code == HTTPStatus.CONFLICT
        assert (
            post(url, log.branch(5).grown(7).request(5)).status_code
            == HTTPStatus.UNPROCESSABLE_ENTITY
        )


def test_a_history_whose_end_was_cut_is_found_by_its_stated_head(tmp_path: Path) -> None:
    scribe = small_log()
    files = scribe.chosen("T-1", stating=12)
    assert audited(files, tmp_path / "whole").ok
    del files["entry/11"]
    found = audited(files, tmp_path / "cut")
    assert any(
        (f.check, f.code, f.detail) == (Check.HEADS, "chain_not_whole", "T-1: 2 entries of 3")
        for f in found.report.findings
    )


def test_an_old_statement_of_heads_is_told_by_its_age(tmp_path: Path) -> None:
    """It is as true as the newest one, and says nothing of what came since."""
    scribe = Scribe().found("an")
    scribe.step("T-1", "register", "an")
    old = scribe.state_heads()
    scribe.step("T-1", "confirm", "an")
    revoked = {"key": key_of("an").public.id, "reason": "compromised", "since": None}
    taken_back = scribe.write("directory", "revoke", revoked)
    stolen = scribe.step("T-1", "approve", "an")
    assert said(audited(scribe.files(), tmp_path / "all")) == (
        Check.COMMAND_SIGNATURE,
        "key_revoked",
    )
    files = scribe.chosen("T-1", stating=old)
    del files[f"entry/{taken_back}"]
    found = audited(files, tmp_path / "chosen")
    assert found.ok, "nobody can see what was left out"
    assert found.whole == Whole(old, "2026-03-02T02:00:03.000000Z", later=2)
    assert stolen > old
    policy = policy_of()
    shown = lines(found, Order(tmp_path, policy, None), Speaker("en"), 1.0)
    assert f"  They are whole within {old} of the log's 7 entries" in "\n".join(shown)
    assert any(line.startswith("  2 of their entries came later.") for line in shown)
    assert as_document(found)["whole_up_to"] == old


def test_heads_of_entries_that_are_yet_to_come_prove_nothing(tmp_path: Path) -> None:
    """The clock's key may state them; then the history would seem whole for ever."""
    scribe = Scribe().found("an")
    scribe.step("T-1", "register", "an")
    stating = scribe.state_heads(size=1_000)
    found = audited(scribe.chosen("T-1", stating=stating), tmp_path)
    assert said(found) == (Check.HEADS, "heads_out_of_reach")
    assert found.whole is None


def test_a_task_left_out_of_the_log_contradicts_its_stated_heads(tmp_path: Path) -> None:
    scribe = Scribe().found("an")
    scribe.step("T-1", "register", "an")
    scribe.step("T-2", "register", "an")
    index = scribe.state_heads()
    liar = Scribe().found("an")
    liar.step("T-1", "register", "an")
    without = published([*liar.entries, scribe.entries[index]], scribe.signers)
    found = audited(without, tmp_path / "shorter")
    assert first(found) == (Check.HEADS, "heads_out_of_reach", "attestations", 0, index - 1)
    liar.step("T-3", "register", "an")
    without = published([*liar.entries, scribe.entries[index]], scribe.signers)
    found = audited(without, tmp_path / "exchanged")
    assert first(found) == (Check.HEADS, "heads_differ", "attestations", 0, index)


def test_heads_that_a_person_stated_prove_nothing(tmp_path: Path) -> None:
    scribe = Scribe().found("an")
    scribe.step("T-1", "register", "an")
    heads = {"chains": 2, "root": "0" * 64, "size": 3}
    index = scribe.write("T-9", "heads", heads, by=key_of("an"), person="an")
    files = scribe.chosen("T-1", stating=index)
    found = audited(files, tmp_path)
    assert said(found) == (Check.HEADS, "heads_missing")


def test_a_database_restored_from_a_backup_does_not_start(tmp_path: Path) -> None:
    path, backup = tmp_path / "log.sqlite", tmp_path / "backup.sqlite"
    world = World(f"sqlite:///{path}")
    publishing(world, tmp_path / "log").publish()
    world.close()
    shutil.copy(path, backup)
    world = World(f"sqlite:///{path}")
    world.assigned("D1-1")
    publishing(world, tmp_path / "log").publish()
    world.close()
    restored = World(f"sqlite:///{backup}")
    with pytest.raises(Refused) as refused:
        publishing(restored, tmp_path / "log").reopen()
    assert refused.value.code == "log_behind_checkpoint"
    assert refused.value.facts["known"] == 15
    restored.close()


def test_a_checkpoint_without_its_ml_dsa_line_is_refused(tmp_path: Path) -> None:
    scribe = small_log()
    stripped = scribe.files(scribe.signers[:1])
    assert said(audited(stripped, tmp_path / "a")) == (
        Check.CHECKPOINT, "checkpoint_signature_missing",
    )  # fmt: skip
    only = policy_of([scribe.signers[0].verifier])
    assert audited(stripped, tmp_path / "b", policy=only).ok, "the trust file names what it wants"


def test_a_frozen_checkpoint_grows_too_old(tmp_path: Path) -> None:
    files = small_log().files(time=SIGNED_AT)
    policy = policy_of(max_age=DAY)
    assert audited(files, tmp_path, policy=policy, now=SIGNED_AT + DAY).ok
    found = audited(files, tmp_path, policy=policy, now=SIGNED_AT + DAY + 1)
    assert said(found) == (Check.CHECKPOINT, "checkpoint_too_old")
    early = audited(files, tmp_path, now=SIGNED_AT - DAY)
    assert said(early) == (Check.CHECKPOINT, "checkpoint_from_the_future")


def cosigners(*names: str) -> list[Ed25519Cosigner]:
    keys = [key_of(name).unwrapped for name in names]
    return [Ed25519Cosigner(f"{name}.example", key) for name, key in zip(names, keys, strict=True)]  # type: ignore[arg-type]


def watched(count: int, *names: str) -> Policy:
    """The quorum is ``count`` of these witnesses."""
    witnesses = tuple(Witness(each.name, each.verifier) for each in cosigners(*names))
    members = tuple(each.name for each in witnesses)
    return policy_of(witnesses=witnesses, groups=(Group("g", count, members),), quorum="g")


def test_one_witness_is_not_counted_twice(tmp_path: Path) -> None:
    scribe, (north,) = small_log(), cosigners("north")
    policy = watched(2, "north", "south")
    files = scribe.files()
    note = parse_note(files["checkpoint"])
    lines = [north.sign(note.text, SIGNED_AT), north.sign(note.text, SIGNED_AT + 1)]
    files["checkpoint"] = format_note(Note(note.text, (*note.lines, lines[0])))
    assert said(audited(files, tmp_path, policy=policy)) == (Check.CHECKPOINT, "quorum_not_met")
    files["checkpoint"] = format_note(Note(note.text, (*note.lines, *lines)))
    assert said(audited(files, tmp_path, policy=policy)) == (
        Check.CHECKPOINT, "note_signature_twice",
    )  # fmt: skip
    again = Ed25519Cosigner("second.example", north.key)
    both = replace(policy, witnesses=(Witness("n", north.verifier), Witness("s", again.verifier)),
                   groups=(Group("g", 2, ("n", "s")),))  # fmt: skip
    with pytest.raises(ValueError, match="not a policy") as refused:
        format_policy(both)
    assert isinstance(refused.value.__cause__, Malformed)
    assert refused.value.__cause__.code == "policy_key_twice"


def test_the_log_is_not_its_own_witness() -> None:
    own = signers_of()[0]
    vkey = Ed25519Cosigner(ORIGIN, key_of("another").unwrapped).verifier.vkey  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="policy_log_as_witness"):
        parse_policy(f"log {own.verifier.vkey}\nwitness w {vkey}\nquorum w\n".encode())


def test_a_checkpoint_of_another_log_is_refused(tmp_path: Path) -> None:
    files = Scribe().found("an").files()
    other = Scribe(origin="other.example/log").found("an")
    files["checkpoint"] = other.files()["checkpoint"]
    found = audited(files, tmp_path)
    assert ("checkpoint_other_log", "other.example/log") in [
        (f.code, f.detail) for f in found.report.findings
    ]


def test_a_log_of_another_founding_is_refused(tmp_path: Path) -> None:
    found = audited(small_log().files(), tmp_path, policy=policy_of(founding="0" * 64))
    assert first(found) == (Check.COMMAND_SIGNATURE, "founding_differs", "directory", 1, 0)


def test_an_empty_log_is_none(tmp_path: Path) -> None:
    files = published([], signers_of())
    assert "log_empty" in [f.code for f in audited(files, tmp_path).report.findings]


def test_a_node_of_the_tree_does_not_pass_for_an_entry() -> None:
    left, right = hash_of_leaf(b"a"), hash_of_leaf(b"b")
    root = node_hash(node_hash(left, right), hash_of_leaf(b"c"))
    with pytest.raises(Malformed, match="inclusion_wrong"):
        check_inclusion([hash_of_leaf(b"c")], 0, 2, hash_of_leaf(left + right), root)


@pytest.mark.parametrize(
    ("index", "change", "code"),
    [
        (17, (), "proof_index"),
        (-1, (), "proof_index"),
        (0, (bytes(32),), "proof_length"),
        (0, (bytes(31),), "proof_hash_length"),
    ],
)
def test_a_proof_of_another_length_or_place_is_refused(
    index: int, change: tuple[bytes, ...], code: str
) -> None:
    proof = [bytes(32)] * 5
    with pytest.raises(Malformed, match=code):
        check_inclusion([*proof, *change], index, 17, bytes(32), bytes(32))


def test_a_head_proof_of_another_length_is_refused(tmp_path: Path) -> None:
    files = small_log().chosen("T-1", stating=12)
    proofs = parse_head_proofs(files["heads"])
    longer = tuple(replace(each, hashes=(*each.hashes, bytes(32))) for each in proofs.proofs)
    files["heads"] = format_head_proofs(HeadProofs(proofs.index, longer))
    found = audited(files, tmp_path)
    assert said(found) == (Check.HEADS, "proof_length")
    assert "head of T-1" in found.report.findings[0].detail
