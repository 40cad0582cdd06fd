"""Attacks with keys: forged, exchanged, stolen and expired. `docs/attacks.md` lists them."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from audit.dsse import Envelope
from audit.entry import (
    open_record,
    parse_entry,
)
from audit.note import parse_note
from audit.report import Check
from domain.instants import format_instant
from domain.refusal import Refused
from gateway.composing import Signer
from store.ledger import Row
from tests.support.attacking import (
    Operator,
    changed_by_operator,
    first,
    resigned,
    with_command,
)
from tests.support.certificates import TRUSTED, certificate_of, certified
from tests.support.forging import (
    chained_again,
    forged,
    position,
    record_again,
    with_bytes,
)
from tests.support.world import World, key_of, person_of, spki_of

TASK, OTHER = "D1-1", "D1-2"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture(scope="module", name="operator")
def _operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Two tasks; the first let its confirmation lapse, and was urged afterwards."""
    place = tmp_path_factory.mktemp("log")
    world = World(f"sqlite:///{place / 'log.sqlite'}")
    task = world.assigned(TASK)
    world.in_progress(OTHER)
    world.forward(hours=7)
    task = world.tick(task)
    task = world.do(task, "urge", {"channel": "phone"}, role="monitor")
    world.do(task, "confirm", role="officer")
    yield Operator(world, place)
    world.close()


@pytest.fixture(name="rows")
def _rows(operator: Operator) -> list[Row]:
    return operator.world.rows()


def test_a_command_forged_in_a_persons_name_is_named(operator: Operator, rows: list[Row]) -> None:
    index = position(rows, TASK, 2)
    named = parse_entry(rows[index].data).command.keyid
    mine = resigned(rows[index], operator, key_of("stranger"))
    command = parse_entry(mine.data).command._replace(keyid=named)
    rows[index] = with_command(rows[index], operator, command)
    assert first(operator.verdict(rows)) == (
        Check.COMMAND_SIGNATURE, "command_signature_wrong", TASK, 2, index,
    )  # fmt: skip


@pytest.mark.parametrize("purpose", ["log", "checkpoint", "clock", "administrator"])
def test_a_command_signed_by_a_key_of_the_service_is_named(
    operator: Operator, rows: list[Row], purpose: str
) -> None:
    index = position(rows, TASK, 2)
    rows[index] = resigned(rows[index], operator, key_of(purpose))
    assert first(operator.verdict(rows)) == (
        Check.COMMAND_SIGNATURE, "key_of_other_purpose", TASK, 2, index,
    )  # fmt: skip


def spoiled_signatures(command: Envelope) -> dict[str, Envelope]:
    """The command with signatures that a careless verifier would take for good ones."""
    half, scalar = command.signature[:32], int.from_bytes(command.signature[32:], "little")
    return {
        "S+L": command._replace(signature=half + (scalar + ED25519_ORDER).to_bytes(32, "little")),
        "suffix": command._replace(signature=command.signature + b"\0"),
        "zero": command._replace(signature=bytes(64)),
        "keyid": command._replace(keyid=key_of("snv.officer").public.id),
    }


@pytest.mark.parametrize("kind", ["S+L", "suffix", "zero", "keyid"])
def test_a_second_form_of_a_signature_is_named(
    operator: Operator, rows: list[Row], kind: str
) -> None:
    index = position(rows, TASK, 2)
    command = spoiled_signatures(parse_entry(rows[index].data).command)[kind]
    rows[index] = with_command(rows[index], operator, command)
    assert first(operator.verdict(rows)) == (
        Check.COMMAND_SIGNATURE, "command_signature_wrong", TASK, 2, index,
    )  # fmt: skip


def test_a_changed_payload_type_is_named(operator: Operator, rows: list[Row]) -> None:
    index = position(rows, TASK, 2)
    rows[index] = with_bytes(
        rows[index], rows[index].data.replace(b"vnd.in-toto+json", b"vnd.in-toto+text", 1)
    )
    assert first(operator.verdict(rows))[1:] == ("envelope_payload_type", TASK, 0, index)


def test_a_key_of_small_order_is_refused_and_named(operator: Operator, rows: list[Row]) -> None:
    spki = spki_of(key_of("x"))
    low = base64.b64encode(base64.b64decode(spki)[:12] + bytes([1]) + bytes(31)).decode()
    enrol = {"person": "x", "spki": low, "proof": operator.world.proof("x", key_of("x"))}
    with pytest.raises(Refused, match="public_key_of_small_order"):
        operator.world.change("enrol", enrol)
    assert first(operator.verdict([*rows, changed_by_operator(operator, rows, "enrol", enrol)]))[
        :3
    ] == (Check.COMMAND_SIGNATURE, "public_key_of_small_order", "directory")


def test_one_key_for_two_people_is_refused_and_named(operator: Operator, rows: list[Row]) -> None:
    taken = key_of("snv.officer")
    operator.world.add_people(person_of("x"))
    rows = operator.world.rows()
    enrol = {"person": "x", "spki": spki_of(taken), "proof": operator.world.proof("x", taken)}
    with pytest.raises(Refused, match="key_in_use"):
        operator.world.change("enrol", enrol)
    row = changed_by_operator(operator, rows, "enrol", enrol)
    assert first(operator.verdict([*rows, row])) == (
        Check.COMMAND_SIGNATURE, "key_in_use", "directory", row.seq, len(rows),
    )  # fmt: skip


def test_a_clock_set_back_does_not_move_what_was_recorded(operator: Operator) -> None:
    world = operator.world
    before = world.now
    task = world.assigned("D1-4")
    world.now = before - timedelta(hours=2)
    try:
        world.do(task, "confirm", role="officer", received_at=world.now)
    finally:
        world.now = before
    rows = world.rows()
    records = [open_record(parse_entry(row.data).record) for row in rows if row.chain == "D1-4"]
    times = [record.text("recorded_at") for record in records]
    assert times == sorted(times)
    last = rows[-1]
    back = record_again(last, world.keys.log, recorded_at=format_instant(before - timedelta(1)))
    found = operator.verdict([*rows[:-1], back])
    assert found.report.findings[0].check is Check.CHAIN
    assert found.report.findings[0].index == len(rows) - 1


@pytest.mark.parametrize(("hours", "code"), [(-25, "issued_too_long_ago"), (1, "issued_in_future")])
def test_a_command_dated_back_or_ahead_is_refused_and_named(
    operator: Operator, hours: int, code: str
) -> None:
    world, rows = operator.world, operator.world.rows()
    task = world.recorder.task(OTHER)
    assert task is not None
    issued = world.now + timedelta(hours=hours)
    submission = world.submission(task, "urge", {"channel": "phone"}, role="monitor",
                                  issued_at=issued)  # fmt: skip
    refused = world.hand_in(submission)
    assert isinstance(refused, Refused)
    assert refused.code == code
    row = forged(world, rows, submission.command, world.keys.log, person="ttt.monitor")
    assert first(operator.verdict([*rows, row])) == (
        Check.RULES, code, OTHER, row.seq, len(rows),
    )  # fmt: skip


def test_a_revoked_key_is_refused_and_named_wherever_its_clock_stands(tmp_path: Path) -> None:
    operator = Operator(world := World(f"sqlite:///{tmp_path / 'log.sqlite'}"), tmp_path)
    task = world.assigned(TASK)
    before = world.now
    world.forward(minutes=10)
    world.revoke(key_of("snv.officer"))
    rows = world.rows()
    late = world.submission(task, "confirm", role="officer", issued_at=before)
    refused = world.hand_in(late)
    assert isinstance(refused, Refused)
    assert refused.code == "key_revoked"
    # The operator says that it was received before the revocation: its place in the log tells.
    row = forged(world, rows, late.command, world.keys.log, person="snv.officer",
                 received_at=format_instant(before), to="confirmed")  # fmt: skip
    assert first(operator.verdict([*rows, row])) == (
        Check.COMMAND_SIGNATURE, "key_revoked", TASK, 3, len(rows),
    )  # fmt: skip
    world.close()


def test_a_key_that_its_owner_did_not_bring_is_refused_and_named(
    operator: Operator, rows: list[Row]
) -> None:
    """Not one proved for another name, nor one proved by another key."""
    world, key = operator.world, key_of("new")
    rotate = {"holder": "snv.officer", "spki": spki_of(key)}
    for proof in (world.proof("snv.approver", key), world.proof("snv.officer", key_of("other"))):
        change = {**rotate, "proof": proof}
        with pytest.raises(Refused, match="enrolment_not_proved"):
            world.change("rotate", change)
        row = changed_by_operator(operator, rows, "rotate", change)
        assert first(operator.verdict([*rows, row])) == (
            Check.COMMAND_SIGNATURE, "enrolment_not_proved", "directory", row.seq, len(rows),
        )  # fmt: skip


def test_a_key_for_somebody_who_left_is_refused_and_named(tmp_path: Path) -> None:
    operator = Operator(world := World(f"sqlite:///{tmp_path / 'log.sqlite'}"), tmp_path)
    world.change("leave", {"person": "snv.officer"})
    key = key_of("back again")
    proof = world.proof("snv.officer", key)
    enrol = {"person": "snv.officer", "spki": spki_of(key), "proof": proof}
    with pytest.raises(Refused, match="person_left"):
        world.change("enrol", enrol)
    rows = world.rows()
    row = changed_by_operator(operator, rows, "enrol", enrol)
    assert first(operator.verdict([*rows, row])) == (
        Check.COMMAND_SIGNATURE, "holder_left", "directory", row.seq, len(rows),
    )  # fmt: skip
    world.close()


def test_an_expired_certificate_is_refused_and_named(tmp_path: Path) -> None:
    operator = Operator(world := World(f"sqlite:///{tmp_path / 'log.sqlite'}"), tmp_path)
    task = world.assigned(TASK)
    key = key_of("renewed")
    world.change("trust_authority", TRUSTED)
    world.change("rotate", {
        "holder": "snv.officer", "spki": spki_of(key), "proof": world.proof("snv.officer", key),
        **certified(certificate_of(key, world.now, timedelta(days=1))),
    })  # fmt: skip
    world.people["officer"] = Signer(key, "snv", "officer")
    world.forward(days=2)
    task = world.tick(task)
    late = world.submission(task, "confirm", role="officer")
    refused = world.hand_in(late)
    assert isinstance(refused, Refused)
    assert refused.code == "certificate_expired"
    rows = world.rows()
    row = forged(world, rows, late.command, world.keys.log, person="snv.officer", to="confirmed")
    assert first(operator.verdict([*rows, row])) == (
        Check.COMMAND_SIGNATURE, "certificate_expired", TASK, row.seq, len(rows),
    )  # fmt: skip
    world.close()


def test_what_a_compromised_key_signed_is_flagged_and_not_erased(tmp_path: Path) -> None:
    operator = Operator(world := World(f"sqlite:///{tmp_path / 'log.sqlite'}"), tmp_path)
    world.in_progress(TASK)
    stolen = world.people["officer"].key
    since = position(world.rows(), TASK, 4)
    world.revoke(stolen, "compromised", since)
    rows = world.rows()
    found = operator.verdict(rows)
    assert found.ok
    assert [(each.index, each.chain, each.seq, each.holder) for each in found.report.disputed] == [
        (since, TASK, 4, "snv.officer")
    ]
    assert (found.report.disputed_entries, found.report.entries) == (1, len(rows))
    world.close()


def test_a_history_rewritten_with_invented_keys_shows_both_signed_heads(tmp_path: Path) -> None:
    """With the keys of administrator and log an operator can found, enrol and record all anew."""
    operator = Operator(world := World(f"sqlite:///{tmp_path / 'log.sqlite'}"), tmp_path)
    world.in_progress(TASK)
    remembered = operator.note(world.rows())
    invented = World(f"sqlite:///{tmp_path / 'invented.sqlite'}", origin=world.origin)
    invented.people["officer"] = Signer(key_of("invented"), "snv", "officer")
    invented.rotate("snv.officer", key_of("invented"))
    invented.in_progress(TASK)
    lie = Operator(invented, tmp_path)
    assert lie.verdict(invented.rows()).ok, "by itself it holds: nobody saw the other one"
    found = lie.verdict(invented.rows(), remembered)
    assert first(found)[:2] == (Check.CHECKPOINT, "log_forked")
    (fork,) = found.forks
    assert fork.known == remembered
    assert parse_note(fork.found).text == parse_note(lie.note(invented.rows())).text
    world.close()
    invented.close()


def test_a_history_rewritten_without_the_peoples_keys_is_named(
    operator: Operator, rows: list[Row]
) -> None:
    log_key = operator.world.keys.log
    index = position(rows, OTHER, 3)
    rows[index] = resigned(rows[index], operator, key_of("stranger"))
    found = operator.verdict(chained_again(rows, OTHER, log_key))
    assert first(found) == (Check.COMMAND_SIGNATURE, "key_not_enrolled", OTHER, 3, index)
