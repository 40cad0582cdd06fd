"""What a person has after each step is enough, alone, to show later that it was recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from activities.recorder import Handed
from audit.bundle import open_bundle
from audit.canonical import canonical
from audit.dsse import Envelope
from audit.entry import Entry, format_entry, parse_entry
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.note import ED25519, MLDSA44_BYTES, Note, format_note, parse_note
from audit.policy import Policy, Witness
from audit.proof import parse_proof
from audit.receipt import GRACE, Answer, Kept, check_proof, look_up, read_receipt
from audit.signers import Ed25519Cosigner
from sequencing.exporting import export_log, export_tasks, open_source, prove_entry
from tests.support.attacking import policy_of, signers_of, small_log, written
from tests.support.attacking import published as published_files
from tests.support.copying import copied
from tests.support.publishing import Published, published
from tests.support.world import HEADER, ORIGIN, World, key_of, pq_key_of


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield world
    world.close()


@pytest.fixture(name="log")
def _log(world: World, tmp_path: Path) -> Published:
    """Published with one task of two entries."""
    log = published(world, tmp_path / "tree")
    world.assigned("T-1")
    log.publish()
    return log


def step(world: World, event: str = "confirm", task: str = "T-1") -> bytes:
    """One more step of the task: its receipt."""
    known = world.recorder.task(task)
    assert known is not None
    world.do(known, event, role="officer")
    return world.chain(task)[-1].data


def asked(data: bytes, bundle: Path, policy: Policy, *log_keys: PublicKey) -> Answer:
    with open_bundle(bundle) as files:
        return look_up(read_receipt(data, ORIGIN), files, policy, log_keys)


def kept(data: bytes, log: Published, *log_keys: PublicKey) -> Kept:
    return asked(data, log.files.root, log.policy, *log_keys).kept


def refusal_of(data: bytes, bundle: Path, policy: Policy) -> str:
    with pytest.raises(Malformed) as raised:
        asked(data, bundle, policy)
    return raised.value.code


@contextmanager
def restored(log: Published, folder: Path) -> Iterator[Published]:
    """Yesterday's copy of the database, to be gone on with under the log's own keys."""
    url = log.world.engine.url.render_as_string(hide_password=False)
    log.world.engine.dispose()
    with copied(url, folder) as copy:
        world = World(copy, start=log.world.now)
        world.kept.update(log.world.kept)
        yield published(world, folder / "other tree")
        world.close()


def test_an_entry_that_stands_in_the_log_is_recorded(log: Published) -> None:
    rows = log.world.rows()
    for index, row in enumerate(rows):
        answer = asked(row.data, log.files.root, log.policy)
        assert (answer.kept, answer.index) == (Kept.RECORDED, index)
        assert answer.opened.checkpoint.size == len(rows)


def test_it_is_found_behind_full_tiles_too(log: Published) -> None:
    world = log.world
    world.recorder.record([
        Handed(world.submission(f"M-{number}", "register", HEADER, role="office"), world.now)
        for number in range(300)
    ])  # fmt: skip
    log.publish()
    rows = world.rows()
    for index in (0, 255, 256, len(rows) - 1):
        assert asked(rows[index].data, log.files.root, log.policy).index == index


def test_a_checkpoint_older_than_the_receipt_says_nothing_yet(log: Published) -> None:
    log.world.forward(hours=1)
    receipt = step(log.world)
    assert kept(receipt, log) is Kept.NOT_YET
    log.publish()
    assert kept(receipt, log) is Kept.RECORDED


def test_a_log_cut_back_and_signed_again_is_convicted_once_its_checkpoint_is_later(
    log: Published, tmp_path: Path
) -> None:
    with restored(log, tmp_path) as cut:
        receipt = step(log.world)
        log.publish()
        assert kept(receipt, log) is Kept.RECORDED
        cut.world.forward_to(log.world.now + GRACE - timedelta(seconds=1))
        cut.world.assigned("T-2")
        cut.publish()
        assert kept(receipt, cut) is Kept.NOT_YET
        cut.world.forward(seconds=1)
        cut.world.assigned("T-3")
        cut.publish()
        answer = asked(receipt, cut.files.root, cut.policy)
        assert (answer.kept, answer.index) == (Kept.MISSING, None)
        assert answer.opened.checkpoint.size == len(cut.world.rows())


def test_another_entry_in_its_place_convicts_the_log_at_once(
    log: Published, tmp_path: Path
) -> None:
    with restored(log, tmp_path) as cut:
        receipt = step(log.world)
        cut.world.random = bytes
        assert step(cut.world) != receipt
        cut.publish()
        assert kept(receipt, cut) is Kept.MISSING


def test_a_checkpoint_without_a_true_time_is_dated_by_its_newest_entry(
    log: Published, tmp_path: Path
) -> None:
    undated = replace(log.policy, logs=log.policy.logs[:1])
    assert undated.log_keys[0].type == ED25519
    with restored(log, tmp_path) as cut:
        receipt = step(log.world)
        cut.world.assigned("T-2")
        cut.publish()
        assert asked(receipt, cut.files.root, undated).kept is Kept.NOT_YET
        cut.world.forward(hours=1)
        cut.world.assigned("T-3")
        cut.publish()
        assert asked(receipt, cut.files.root, undated).kept is Kept.MISSING
        lying = published_files([row.data for row in cut.world.rows()], signers_of(), time=1)
        folder = written(lying, tmp_path / "lying")
        assert asked(receipt, folder, cut.policy).kept is Kept.MISSING


def test_a_fresh_cosignature_on_an_old_checkpoint_convicts_nobody(log: Published) -> None:
    """Anybody may ask a witness for one, as long as it has not heard of a newer checkpoint."""
    key = key_of("witness").unwrapped
    assert isinstance(key, Ed25519PrivateKey)
    witness = Ed25519Cosigner("witness.example", key)
    policy = replace(
        log.policy, witnesses=(Witness("witness", witness.verifier),), quorum="witness"
    )
    receipt = step(log.world)
    later = int((log.world.now + timedelta(hours=1)).timestamp())
    path = log.files.root / "checkpoint"
    note = parse_note(path.read_bytes())
    path.write_bytes(format_note(Note(note.text, (*note.lines, witness.sign(note.text, later)))))
    answer = asked(receipt, log.files.root, policy)
    assert answer.opened.times[witness.verifier] == later
    assert answer.kept is Kept.NOT_YET


def test_a_receipt_of_another_log_is_told_apart(log: Published, tmp_path: Path) -> None:
    other = World(f"sqlite:///{tmp_path / 'other.sqlite'}", origin="other.example/log")
    other.assigned("T-1")
    assert refusal_of(other.chain("T-1")[0].data, log.files.root, log.policy) == (
        "receipt_of_other_log"
    )
    other.close()


def resealed(data: bytes, **changes: Envelope) -> bytes:
    entry = parse_entry(data)
    return format_entry(
        Entry(changes.get("command", entry.command), changes.get("record", entry.record))
    )


def with_signature(envelope: Envelope, signature: bytes) -> Envelope:
    return Envelope(envelope.payload, envelope.keyid, signature)


def test_a_forged_receipt_convicts_nobody(log: Published) -> None:
    receipt = step(log.world)
    entry = parse_entry(receipt)
    forged = with_signature(entry.record, bytes(64))
    root, policy = log.files.root, log.policy
    assert refusal_of(resealed(receipt, record=forged), root, policy) == "receipt_forged"
    other = parse_entry(log.world.chain("T-1")[0].data)
    swapped = resealed(receipt, command=other.command)
    assert refusal_of(swapped, root, policy) == "receipt_forged"
    for junk in (b"", b"{}", receipt[:-1], receipt + b" ", canonical({"v": 1})):
        with pytest.raises(Malformed):
            read_receipt(junk, ORIGIN)


def test_who_signs_a_command_twice_gets_no_evidence_out_of_it(log: Published) -> None:
    """The record names the command, not the bytes of its signature."""
    receipt = step(log.world)
    log.publish()
    log.world.forward(days=1)
    log.world.assigned("T-2")
    log.publish()
    entry = parse_entry(receipt)
    altered = resealed(receipt, command=with_signature(entry.command, bytes(64)))
    assert refusal_of(altered, log.files.root, log.policy) == "receipt_altered"


def test_the_keys_for_records_are_those_that_the_log_has_named(
    log: Published, tmp_path: Path
) -> None:
    world = log.world
    early = world.chain("T-1")[-1].data
    with restored(log, tmp_path) as cut:
        world.rotate("log", key_of("the log's second key"))
        receipt = step(world)
        assert refusal_of(receipt, log.files.root, log.policy) == "receipt_forged"
        assert kept(receipt, log, key_of("the log's second key").public) is Kept.NOT_YET
        log.publish()
        assert (kept(early, log), kept(receipt, log)) == (Kept.RECORDED, Kept.RECORDED)
        # The rotation itself was cut off with the rest: whoever has the key can still convict.
        cut.world.forward(hours=1)
        cut.world.assigned("T-2")
        cut.publish()
        assert refusal_of(receipt, cut.files.root, cut.policy) == "receipt_forged"
        assert kept(receipt, cut, key_of("the log's second key").public) is Kept.MISSING


def test_an_old_trust_file_is_enough_after_the_checkpoint_keys_changed(log: Published) -> None:
    world, policy = log.world, log.policy
    receipt = step(world)
    new, new_pq = key_of("new"), pq_key_of("new")
    world.rotate("checkpoint", new)
    world.rotate("checkpoint_pq", new_pq)
    assert isinstance(new.unwrapped, Ed25519PrivateKey)
    assert isinstance(new_pq.unwrapped, MLDSA44PrivateKey)
    world.checkpoint_keys = replace(
        world.checkpoint_keys, ed25519=new.unwrapped, mldsa=new_pq.unwrapped
    )
    log.publish()
    assert asked(receipt, log.files.root, policy).kept is Kept.RECORDED


def test_a_proof_file_is_enough_alone(log: Published) -> None:
    receipt = step(log.world)
    log.publish()
    with log.world.engine.connect() as connection:
        source = open_source(connection, log.files)
        proof = parse_proof(prove_entry(source, log.world.chain("T-1")[-1].leaf))
        other = parse_proof(prove_entry(source, log.world.chain("T-1")[0].leaf))
    held = read_receipt(receipt, ORIGIN)
    answer = check_proof(held, proof, log.policy)
    assert (answer.kept, answer.index) == (Kept.RECORDED, len(log.world.rows()) - 1)
    for wrong in (other, replace(proof, index=proof.index - 1), replace(proof, hashes=())):
        with pytest.raises(Malformed):
            check_proof(held, wrong, log.policy)
    with pytest.raises(Malformed, match="checkpoint_signature_missing"):
        check_proof(held, proof, policy_of([signers_of(key_of("somebody"))[0].verifier]))


def test_a_small_proof_is_enough_for_who_trusts_the_ed25519_key_alone(log: Published) -> None:
    receipt = step(log.world)
    log.publish()
    with log.world.engine.connect() as connection:
        source = open_source(connection, log.files)
        leaf = log.world.chain("T-1")[-1].leaf
        whole, small = prove_entry(source, leaf), prove_entry(source, leaf, small=True)
    assert len(small) < len(whole) - MLDSA44_BYTES
    held, proof = read_receipt(receipt, ORIGIN), parse_proof(small)
    with pytest.raises(Malformed, match=r"checkpoint_signature_missing.*ML-DSA-44"):
        check_proof(held, proof, log.policy)
    alone = replace(
        log.policy, logs=tuple(each for each in log.policy.logs if each.key.type == ED25519)
    )
    assert check_proof(held, proof, alone).kept is Kept.RECORDED


def quiet(_done: int, _of: int) -> None:
    pass


def bundles(log: Published, folder: Path) -> tuple[Path, Path]:
    """The whole log, and the task T-1 alone."""
    whole, chosen = folder / "whole.zip", folder / "chosen.zip"
    with log.world.engine.connect() as connection:
        source = open_source(connection, log.files)
        export_log(source, whole, words=False, policy=None, progress=quiet)
        export_tasks(source, chosen, ["T-1"], words=False, policy=None, progress=quiet)
    return whole, chosen


def test_bundles_tell_the_same_as_the_published_folder(log: Published, tmp_path: Path) -> None:
    world = log.world
    log.state_heads()
    whole, chosen = bundles(log, tmp_path)
    for data in (world.chain("T-1")[-1].data, world.chain("directory")[3].data):
        expected = asked(data, log.files.root, log.policy)
        assert asked(data, whole, log.policy).index == expected.index
        assert asked(data, chosen, log.policy).index == expected.index
    statement = world.chain("attestations")[0].data
    assert asked(statement, chosen, log.policy).kept is Kept.RECORDED
    other = world.assigned("T-2")
    receipt = world.chain(other.id)[-1].data
    assert asked(receipt, whole, log.policy).kept is Kept.NOT_YET
    assert refusal_of(receipt, chosen, log.policy) == "receipt_needs_whole_log"


def test_published_files_that_do_not_give_the_signed_root_prove_nothing(log: Published) -> None:
    size = len(log.world.rows())
    tile = log.files.root / f"tile/0/000.p/{size}"
    entries = log.files.root / f"tile/entries/000.p/{size}"
    receipt = log.world.chain("T-1")[-1].data
    sound = tile.read_bytes()
    tile.write_bytes(sound[32:] + sound[:32])
    assert refusal_of(receipt, log.files.root, log.policy) == "entry_not_of_tile"
    tile.write_bytes(sound[:-32] + bytes(32))
    assert refusal_of(receipt, log.files.root, log.policy) == "entry_not_of_tile"
    tile.unlink()
    assert refusal_of(receipt, log.files.root, log.policy) == "bundle_file_missing"
    tile.write_bytes(sound)
    entries.write_bytes(entries.read_bytes() + b"\x00")
    assert refusal_of(receipt, log.files.root, log.policy) == "bundle_long"
    (log.files.root / "checkpoint").unlink()
    assert refusal_of(receipt, log.files.root, log.policy) == "bundle_file_missing"


def test_a_tree_that_fits_together_is_still_not_the_one_that_was_signed(tmp_path: Path) -> None:
    honest, other = small_log(), small_log()
    honest.step("T-1", "approve", "binh")
    other.step("T-2", "approve", "binh")
    folder = written(
        {**other.files(), "checkpoint": honest.files()["checkpoint"]}, tmp_path / "other"
    )
    for data in (honest.entries[-1], other.entries[-1], other.entries[0]):
        assert refusal_of(data, folder, policy_of()) == "root_differs"


def test_a_log_of_another_founding_gives_no_keys(log: Published) -> None:
    receipt = step(log.world)
    assert refusal_of(receipt, log.files.root, replace(log.policy, founding="0" * 64)) == (
        "founding_differs"
    )
    # Without a founding only the keys that one brings along are believed.
    blind = replace(log.policy, founding=None)
    assert refusal_of(receipt, log.files.root, blind) == "receipt_forged"
    assert asked(receipt, log.files.root, blind, key_of("log").public).kept is Kept.NOT_YET


def test_a_checkpoint_dated_behind_all_calendars_is_late_enough_to_convict(tmp_path: Path) -> None:
    """The log's own keys may write any time; whoever asks about a promise must not stumble."""
    honest, cut = small_log(), small_log()
    honest.step("T-9", "register", "an")
    for time in (2**40, 2**62):
        folder = written(cut.files(time=time), tmp_path / str(time))
        assert asked(honest.entries[-1], folder, policy_of()).kept is Kept.MISSING
