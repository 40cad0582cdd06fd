"""Keys that come, change and go while steps are recorded: at the door, and in the verifier."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from activities.recorder import Recorded, Recorder
from activities.signing import CheckpointKeys, LogKeys
from audit.entry import header_digest, parse_entry
from audit.private_keys import PrivateKey
from audit.stored import Check, Report, verify
from domain.instants import format_instant
from domain.refusal import Refused
from domain.replay import Replay
from domain.task import Task
from gateway.composing import Signer, compose, compose_change
from store.ledger import Row
from tests.support.certificates import TRUSTED, certificate_of, certified
from tests.support.forging import audit, audit_with_read_model, forged, position
from tests.support.world import START, World, key_of, person_of, pq_key_of, spki_of

TASK = "D1-1"
RSA = PrivateKey(rsa.generate_private_key(65537, 2048))
P256 = PrivateKey(ec.derive_private_key(0xABCDEF, ec.SECP256R1()))
P384 = PrivateKey(ec.derive_private_key(0xABCDEF, ec.SECP384R1()))


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield world
    world.close()


def code(answer: Recorded | Refused) -> str:
    assert isinstance(answer, Refused), "it was recorded"
    return answer.code


def refused(world: World, event: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(Refused) as found:
        world.change(event, arguments)
    return found.value.code


def enrolled(world: World, person: str, key: PrivateKey, **more: Any) -> Signer:
    """A new officer of snv."""
    if person not in world.recorder.directory().people:
        world.add_people(person_of(person, ("snv", "officer")))
    world.enrol(person, key, **more)
    return Signer(key, "snv", "officer")


def certified_for(days: float, key: PrivateKey, world: World) -> dict[str, Any]:
    """A certificate by an authority that the world trusts from now on."""
    if "test" not in world.recorder.directory().authorities:
        world.change("trust_authority", TRUSTED)
    return certified(certificate_of(key, world.now, timedelta(days=days)))


def handed_in(
    world: World, signer: Signer, task: Task, event: str = "confirm", **given: Any
) -> Recorded | Refused:
    command = compose(
        world.origin, task, event, given, signer, world.now, world.random
    )  # fmt: skip
    return world.hand_in(command)


def first(report: Report) -> tuple[Check, str, int]:
    assert report.first is not None, "nothing was found"
    return report.first.check, report.first.code, report.first.seq


@pytest.mark.parametrize("key", [RSA, P256, P384], ids=["rsa", "p256", "p384"])
def test_a_person_signs_with_whatever_key_an_authority_gave(world: World, key: PrivateKey) -> None:
    signer = enrolled(world, "snv.an", key, **certified_for(30, key, world))
    task = world.assigned(TASK)
    assert isinstance(handed_in(world, signer, task), Recorded)
    assert audit_with_read_model(world).ok


def test_one_public_key_for_two_people_is_refused(world: World) -> None:
    enrolled(world, "snv.an", key_of("an"))
    with pytest.raises(Refused, match="key_in_use"):
        enrolled(world, "snv.binh", key_of("an"))
    world.revoke(key_of("an"))
    with pytest.raises(Refused, match="key_in_use"):
        enrolled(world, "snv.binh", key_of("an"))
    with pytest.raises(Refused, match="key_in_use"):
        world.rotate("vp.office", key_of("an"))


@pytest.mark.parametrize("holder", ["log", "checkpoint", "administrator"])
def test_a_key_of_the_log_itself_signs_no_step(world: World, holder: str) -> None:
    task = world.assigned(TASK)
    signer = Signer(key_of(holder), "snv", "officer")
    assert code(handed_in(world, signer, task)) == "key_of_other_purpose"
    rows = world.rows()
    submission = compose(world.origin, task, "confirm", {}, signer, world.now)
    row = forged(world, rows, submission.command, world.keys.log, person=holder, to="confirmed")
    assert first(audit(world, [*rows, row])) == (
        Check.COMMAND_SIGNATURE, "key_of_other_purpose", row.seq,
    )  # fmt: skip


@pytest.mark.parametrize("holder", ["log", "checkpoint", "clock", "vp.office"])
def test_no_key_but_the_administrators_changes_the_directory(world: World, holder: str) -> None:
    signer = Signer(key_of(holder), "log", "administrator")
    arguments = {"agency": "x", "name_vi": "x", "name_en": "x"}
    submission = compose_change(
        world.origin, world.founding, "add_agency", arguments, signer, world.now, world.random
    )
    assert code(world.hand_in(submission)) == "only_administrator"
    rows = world.rows()
    row = forged(world, rows, submission.command, world.keys.log, **{"from": None})
    assert first(audit(world, [*rows, row]))[:2] == (
        Check.COMMAND_SIGNATURE, "key_of_other_purpose",
    )  # fmt: skip


def test_a_person_signs_no_lapse(world: World) -> None:
    task = world.assigned(TASK)
    world.forward(days=2)
    due = format_instant(task.clocks["confirm"].due)
    arguments = {"clock": "confirm", "due": due}
    signer = world.people["officer"]
    assert code(handed_in(world, signer, task, "lapse", **arguments)) == "key_of_other_purpose"
    command = compose(world.origin, task, "lapse", arguments, signer, world.now).command
    rows = world.rows()
    row = forged(world, rows, command, world.keys.log, person="snv.officer")
    assert first(audit(world, [*rows, row]))[:2] == (
        Check.COMMAND_SIGNATURE, "key_of_other_purpose",
    )  # fmt: skip


def test_the_clock_signs_no_step_of_a_person(world: World) -> None:
    task = world.assigned(TASK)
    signer = Signer(key_of("clock"), "clock", "clock")
    assert code(handed_in(world, signer, task)) == "key_of_other_purpose"


def test_a_person_signs_with_the_new_key_once_it_was_exchanged(world: World) -> None:
    task = world.assigned(TASK)
    world.rotate("snv.officer", P256)
    assert code(handed_in(world, world.people["officer"], task)) == "key_rotated"
    assert isinstance(handed_in(world, Signer(P256, "snv", "officer"), task), Recorded)
    assert audit(world).ok


def test_a_command_signed_before_the_exchange_and_recorded_after_it_is_refused(
    world: World,
) -> None:
    task = world.assigned(TASK)
    submission = world.submission(task, "confirm", role="officer")
    received = world.now
    world.forward(minutes=1)
    world.rotate("snv.officer", P256)
    assert code(world.hand_in(submission, received_at=received)) == "key_rotated"


def test_an_exchange_that_another_process_recorded_counts_at_once(world: World) -> None:
    task = world.assigned(TASK)
    mine, other = world.recorder, world.another_recorder()
    mine.directory()
    world.recorder = other
    world.revoke(key_of("snv.officer"))
    world.recorder = mine
    assert code(handed_in(world, world.people["officer"], task)) == "key_revoked"


def test_a_revoked_key_signs_no_more_and_the_person_gets_a_new_one(world: World) -> None:
    task = world.assigned(TASK)
    world.revoke(key_of("snv.officer"), "lost")
    assert code(handed_in(world, world.people["officer"], task)) == "key_revoked"
    world.enrol("snv.officer", key_of("new"))
    assert isinstance(handed_in(world, Signer(key_of("new"), "snv", "officer"), task), Recorded)
    report = audit_with_read_model(world)
    assert report.ok
    assert report.disputed_entries == 0


def test_a_later_entry_of_a_revoked_key_is_found_by_its_index_though_back_dated(
    world: World,
) -> None:
    task = world.assigned(TASK)
    world.forward(hours=1)
    before = format_instant(world.now)
    submission = world.submission(task, "confirm", role="officer")
    world.forward(days=1)
    world.revoke(key_of("snv.officer"))
    rows = world.rows()
    for why, change in (("key_revoked", rows), ("key_rotated", None)):
        if change is None:
            world.rotate("vp.office", key_of("office 2"))
            rows = world.rows()
            submission = world.submission(task, "recall", {"reason": "x"}, role="office")
        row = forged(
            world, rows, submission.command, world.keys.log,
            person="snv.officer" if change else "vp.office", received_at=before,
            recorded_at=before,
        )  # fmt: skip
        assert first(audit(world, [*rows, row])) == (Check.COMMAND_SIGNATURE, why, row.seq)


def test_a_revocation_moved_behind_what_it_forbids_breaks_the_directory(world: World) -> None:
    task = world.assigned(TASK)
    world.revoke(key_of("snv.officer"))
    world.change(
        "add_agency", {"agency": "new", "name_vi": "Mới", "name_en": "New", "parent": None}
    )
    rows = world.rows()
    revoked = position(rows, "directory", 14)
    submission = world.submission(task, "confirm", role="officer")
    row = forged(world, rows, submission.command, world.keys.log, person="snv.officer")
    moved = [*rows[:revoked], row, *rows[revoked + 1 :], rows[revoked]]
    findings = {(f.chain, f.code) for f in audit(world, moved).findings}
    assert ("directory", "entry_out_of_order") in findings


def test_what_a_compromised_key_signed_since_an_index_is_disputed_and_no_error(
    world: World,
) -> None:
    task = world.in_progress(TASK)  # 13 entries of the directory, 4 steps: indexes 13 to 16
    world.in_progress("D1-2")  # 17 to 20
    rows = world.rows()
    since = position(rows, TASK, 4)
    world.revoke(key_of("snv.officer"), since=since)
    report = audit_with_read_model(world)
    assert report.ok
    assert report.disputed_entries == 3
    assert [(d.index, d.chain, d.seq, d.holder) for d in report.disputed] == [
        (since, TASK, 4, "snv.officer"),
        (position(rows, "D1-2", 3), "D1-2", 3, "snv.officer"),
        (position(rows, "D1-2", 4), "D1-2", 4, "snv.officer"),
    ]
    assert report.disputed[0].leaf == rows[since].leaf
    world.revoke(key_of("snv.officer"), since=0)
    assert audit(world).disputed_entries == 4
    assert world.do(task, "urge", {"channel": "phone"}, role="monitor").seq == 5


def test_records_of_a_compromised_log_key_are_disputed_up_to_its_exchange(world: World) -> None:
    world.assigned(TASK)
    world.rotate("log", key_of("log 2"))
    world.assigned("D1-2")
    since = position(world.rows(), TASK, 2)
    world.revoke(key_of("log"), since=since)
    report = audit_with_read_model(world)
    assert report.ok
    # The second step, and the rotation itself, which the old key recorded.
    assert [(d.chain, d.seq, d.holder) for d in report.disputed] == [
        (TASK, 2, "log"), ("directory", 14, "log"),
    ]  # fmt: skip


def test_disputed_entries_are_listed_up_to_a_limit_and_all_are_counted(world: World) -> None:
    for number in range(60):
        world.registered(f"D1-{number}")
    world.revoke(key_of("vp.office"), since=0)
    report = audit(world)
    assert (len(report.disputed), report.disputed_entries) == (50, 60)


def test_only_the_key_in_force_of_the_log_itself_cannot_be_revoked(world: World) -> None:
    for key in (key_of("log"), key_of("clock"), key_of("administrator"), key_of("checkpoint"),
                pq_key_of("checkpoint_pq")):  # fmt: skip
        with pytest.raises(Refused, match="rotate_first"):
            world.revoke(key)
    with pytest.raises(Refused, match="unknown_key"):
        world.revoke(key_of("stranger"))


def signed_by(row: Row, key: PrivateKey) -> bool:
    return parse_entry(row.data).record.verify(key.public)


def test_the_logs_key_changes_behind_the_entry_that_says_so(world: World) -> None:
    world.assigned(TASK)
    world.rotate("log", key_of("log 2"))
    world.assigned("D1-2")
    rows = world.rows()
    rotation = position(rows, "directory", 14)
    assert all(signed_by(row, key_of("log")) for row in rows[: rotation + 1])
    assert all(signed_by(row, key_of("log 2")) for row in rows[rotation + 1 :])
    assert audit_with_read_model(world).ok


def test_the_logs_new_key_is_found_again_after_a_restart(world: World) -> None:
    world.rotate("log", key_of("log 2"))
    world.rotate("clock", key_of("clock 2"))
    world.recorder = world.another_recorder()
    task = world.assigned(TASK)
    world.forward(days=2)
    task = world.tick(task)
    assert task.state == "assigned"
    lapse = parse_entry(world.chain(TASK)[2].data)
    assert lapse.command.verify(key_of("clock 2").public)
    assert lapse.record.verify(key_of("log 2").public)
    assert audit_with_read_model(world).ok


def test_two_exchanges_and_a_step_in_one_transaction_are_each_signed_with_their_key(
    world: World,
) -> None:
    from activities.recorder import Handed  # noqa: PLC0415 - here only

    task = world.assigned(TASK)
    jobs = []
    for name in ("log 2", "log 3"):
        world.kept[key_of(name).public.id] = key_of(name)
        arguments = {"holder": "log", "spki": spki_of(key_of(name))}
        jobs.append(compose_change(world.origin, world.founding, "rotate", arguments,
                                   world.administrator, world.now, world.random))  # fmt: skip
    jobs.append(world.submission(task, "confirm", role="officer"))
    answers = world.recorder.record([Handed(job, world.now) for job in jobs])
    assert all(isinstance(answer, Recorded) for answer in answers)
    rows = world.rows()[-3:]
    keys = [key_of("log"), key_of("log 2"), key_of("log 3")]
    assert [signed_by(row, key) for row, key in zip(rows, keys, strict=True)] == [True] * 3
    assert audit(world).ok


@pytest.mark.parametrize("holder", ["log", "clock"])
def test_a_key_that_the_service_does_not_hold_is_not_given_to_it(world: World, holder: str) -> None:
    arguments = {"holder": holder, "spki": spki_of(key_of("elsewhere"))}
    assert refused(world, "rotate", arguments) == "key_not_held"


def test_a_service_that_lacks_the_logs_new_key_records_nothing(world: World) -> None:
    task = world.assigned(TASK)
    world.rotate("log", key_of("log 2"))
    poor = LogKeys(world.origin, key_of("log"), key_of("clock"), key_of("door"))
    world.recorder = Recorder(world.engine, poor, world.calendar, lambda: world.now)
    entries = len(world.rows())
    assert code(handed_in(world, world.people["officer"], task)) == "key_not_held"
    assert len(world.rows()) == entries


def test_the_administrator_signs_the_exchange_with_the_old_key_and_then_with_the_new(
    world: World,
) -> None:
    old = world.administrator
    world.rotate("administrator", key_of("administrator 2"))
    world.change(
        "add_agency", {"agency": "new", "name_vi": "Mới", "name_en": "New", "parent": None}
    )
    world.administrator = old
    assert refused(world, "leave", {"person": "snv.officer"}) == "key_rotated"
    assert audit(world).ok


def test_checkpoint_keys_are_exchanged_for_keys_of_their_kind(world: World) -> None:
    world.rotate("checkpoint", key_of("checkpoint 2"))
    world.rotate("checkpoint_pq", pq_key_of("checkpoint 2"))
    for holder, key in (("checkpoint", pq_key_of("x")), ("checkpoint_pq", key_of("x"))):
        with pytest.raises(Refused, match="key_type_unsupported"):
            world.rotate(holder, key)
    directory = world.recorder.directory()
    assert directory.present["checkpoint_pq"] == pq_key_of("checkpoint 2").public.id
    assert audit(world).ok
    assert repr(world.checkpoint_keys) == f"CheckpointKeys(origin='{world.origin}')"
    assert isinstance(world.checkpoint_keys, CheckpointKeys)


def test_a_step_after_the_end_of_a_certificate_is_refused(world: World) -> None:
    signer = enrolled(world, "snv.an", P256, **certified_for(1, P256, world))
    task = world.assigned(TASK)
    end = START + timedelta(days=1)
    world.forward_to(end)
    submission = compose(world.origin, task, "confirm", {}, signer, world.now, world.random)
    world.forward(seconds=5)
    late = compose(world.origin, task, "confirm", {}, signer, world.now, world.random)
    assert code(world.hand_in(late)) == "certificate_expired"
    # What stood at the door in time is recorded, however late that is.
    assert isinstance(world.hand_in(submission, received_at=end), Recorded)
    assert audit(world).ok


def test_a_step_after_the_end_of_a_certificate_is_found_though_the_log_recorded_it(
    world: World,
) -> None:
    signer = enrolled(world, "snv.an", P256, **certified_for(1, P256, world))
    task = world.assigned(TASK)
    world.forward(days=1, seconds=1)
    command = compose(world.origin, task, "confirm", {}, signer, world.now).command
    rows = world.rows()
    row = forged(world, rows, command, world.keys.log, person="snv.an", to="confirmed")
    assert first(audit(world, [*rows, row])) == (
        Check.COMMAND_SIGNATURE, "certificate_expired", row.seq,
    )  # fmt: skip


def test_a_certificate_that_has_ended_or_not_begun_is_not_entered(world: World) -> None:
    ended = certified_for(1, P256, world)
    world.forward(days=2)
    with pytest.raises(Refused, match="certificate_expired"):
        enrolled(world, "snv.an", P256, **ended)
    world.forward(days=2)
    later = certified_for(9, P256, world)
    world.now -= timedelta(days=1)
    with pytest.raises(Refused, match="certificate_not_yet_valid"):
        enrolled(world, "snv.an", P256, **later)


def test_a_renewed_certificate_comes_with_a_new_key(world: World) -> None:
    enrolled(world, "snv.an", P256, **certified_for(1, P256, world))
    task = world.assigned(TASK)
    world.forward(hours=2)
    arguments = {"holder": "snv.an", "spki": spki_of(P384), "proof": world.proof("snv.an", P384),
                 **certified_for(300, P384, world)}  # fmt: skip
    world.change("rotate", arguments)
    world.forward(days=100)
    signer = Signer(P384, "snv", "officer")
    assert isinstance(handed_in(world, signer, task), Recorded)
    assert audit(world).ok


def verified(world: World, rows: list[Row] | None = None, **trusted: Any) -> Report:
    return verify(
        world.rows() if rows is None else rows,
        origin=world.origin,
        openings=lambda _leaf: {},
        judge=Replay(),
        **{"log_key": None, **trusted},
    )


def test_the_digest_of_the_founding_is_enough_to_verify_a_log(world: World) -> None:
    world.assigned(TASK)
    world.rotate("log", key_of("log 2"))
    world.assigned("D1-2")
    digest = header_digest(world.founding)
    assert verified(world, founding=digest).ok
    assert verified(world, founding=digest, log_key=key_of("log").public).ok
    with pytest.raises(ValueError, match="nothing is trusted"):
        verified(world)


def test_a_log_with_another_founding_is_another_log(world: World) -> None:
    world.assigned(TASK)
    other = header_digest({**world.founding, "clock": spki_of(key_of("other"))})
    report = verified(world, founding=other)
    assert first(report)[1] == "founding_differs"
    assert report.heads == {}
    both = verified(world, founding=other, log_key=key_of("log").public)
    assert first(both)[1] == "founding_differs"


def test_the_founding_must_name_the_key_that_recorded_it(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'other.sqlite'}")
    rows = world.rows()
    entry = parse_entry(rows[0].data)
    founding = {**world.founding, "log": spki_of(key_of("another log"))}
    submission = compose_change(
        world.origin, None, "found", founding, world.administrator, world.now
    )
    # An operator founds it anew, and signs the record with the key that auditors know.
    row = forged(
        world, rows, submission.command, world.keys.log, seq=1, prev="0" * 64, **{"from": None}
    )
    report = verified(world, [replace(row, prev="0" * 64)], log_key=key_of("log").public)
    assert first(report)[1] == "log_key_differs"
    unknown = verified(world, [row], founding=header_digest(founding))
    assert first(unknown)[:2] == (Check.RECORD_SIGNATURE, "record_signature_wrong")
    assert entry.record.verify(key_of("log").public)
    world.close()


def test_without_its_founding_a_log_known_by_its_digest_is_not_believed(world: World) -> None:
    world.assigned(TASK)
    digest = header_digest(world.founding)
    report = verified(world, world.rows()[1:], founding=digest)
    assert first(report)[1] == "log_not_founded"
    assert report.heads == {}


def test_keys_change_alike_on_either_database(database_url: str) -> None:
    world = World(database_url)
    try:
        task = world.assigned(TASK)
        other = world.another_recorder()
        world.rotate("log", key_of("log 2"))
        world.rotate("clock", key_of("clock 2"))
        world.revoke(key_of("snv.officer"), since=0)
        # Another process knew the directory as it was before.
        world.recorder = other
        assert code(handed_in(world, world.people["officer"], task)) == "key_revoked"
        world.forward(days=2)
        world.tick(task)
        assert signed_by(world.chain(TASK)[-1], key_of("log 2"))
        assert audit_with_read_model(world).ok
    finally:
        world.close()
