"""Attacks by bytes that are read in two ways, or that are too much. `docs/attacks.md` lists them.

Here even the giver of the command plays along, so all signatures are good.
"""

import zipfile
from pathlib import Path

import pytest

from audit.dsse import Envelope
from audit.entry import Entry, command_digest, format_entry, open_command, open_record, parse_entry
from audit.malformed import Malformed
from audit.offline import BundleReport, Order, verify_bundle
from audit.report import Check
from audit.signing import seal, sign_record
from audit.trust_file import format_policy
from tests.support.attacking import (
    Files,
    Scribe,
    first,
    policy_of,
    published,
    signers_of,
    small_log,
    written,
    zipped,
)
from tests.support.world import FOUNDING, key_of

INDEX = 3


def audited(files: Files, folder: Path) -> BundleReport:
    return verify_bundle(Order(written(files, folder), policy_of(), None))


def payload_said(folder: Path, payload: bytes) -> tuple[Check, str, str, int, int | None]:
    """What is found when ``payload`` is what was signed as the command of entry 3."""
    scribe = small_log()
    entry = parse_entry(scribe.entries[INDEX])
    assert entry.command.payload != payload, "nothing was changed"
    command = seal(payload, key_of("an"))
    record = open_record(entry.record)
    predicate = {**record.predicate, "command": command_digest(command)}
    signed = sign_record(record.subject, predicate, FOUNDING["log"])
    scribe.entries[INDEX] = format_entry(Entry(command, signed))
    return first(audited(published(scribe.entries, scribe.signers, scribe.words), folder))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"event":"register"', b'"event":"register","event":"register"', "duplicate_key"),
        (b'"event":"register"', b'"event":9007199254740992', "integer_too_large"),
        (b'"event":"register"', b'"event":NaN', "float"),
        (b'"event":"register"', b'"event":1.0', "float"),
        (b'"event":"register"', '"event":"e\u0302"'.encode(), "text_not_nfc"),
        (b'"event":"register"', '"event":"\u202eretsiger"'.encode(), "text_with_invisible_marks"),
        (b'"event":"register"', b'"event":"\\u0072egister"', "not_canonical"),
        (b'"event":"register"', b'"event": "register"', "not_canonical"),
        (b'"seen":null', b'"seen":null,"more":1', "not_canonical"),
        (b'"event":"register"', b'"event":true', "malformed_command"),
        (b'{"title":', b'{"a":' + b"[" * 20 + b"]" * 20 + b',"title":', "too_deep"),
        (b'{"title":', b'{"a":' + b"[" * 9_000 + b"]" * 9_000 + b',"title":', "not_json"),
        (b"}", b"} ", "not_json"),
    ],
)
def test_json_that_may_be_read_in_two_ways_is_named(
    tmp_path: Path, old: bytes, new: bytes, code: str
) -> None:
    payload = parse_entry(small_log().entries[INDEX]).command.payload
    assert old in payload
    found = payload_said(tmp_path, payload.replace(old, new, 1))
    assert found[2:] == ("T-1", 1, INDEX)
    assert found[0] is Check.FORM
    assert found[1] == code or (code == "not_json" and found[1] in {"not_canonical", "too_deep"})


def test_base64_in_another_form_is_named(tmp_path: Path) -> None:
    scribe = small_log()
    data = scribe.entries[INDEX]
    at = data.index(b'"}]},"record"') - 3
    assert data[at : at + 3].endswith(b"==")
    loose = data[:at] + bytes([data[at] + 1]) + data[at + 1 :]
    scribe.entries[INDEX] = loose
    found = first(audited(published(scribe.entries, scribe.signers, scribe.words), tmp_path))
    assert found == (Check.FORM, "base64_not_canonical", "T-1", 0, INDEX)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"\n", b"\r\n", "note_control_character"),
        (b"\n\n", b"\n\n\n", "checkpoint_extension"),
        (b"\n\n", b"\n", "note_blank_line"),
        (b"dondoc.example/log\n", b"another.example/log\n", "checkpoint_other_log"),
        (b"=\n\n", b"\n\n", "base64"),
        (b"17\n", b"017\n", "checkpoint_size"),
        (b"17\n", b"18446744073709551616\n", "checkpoint_size"),
        (b"=\n\n", b"=\nextension\n\n", "checkpoint_extension"),
    ],
)
def test_a_checkpoint_in_another_form_is_refused(
    tmp_path: Path, old: bytes, new: bytes, code: str
) -> None:
    files = small_log().files()
    assert old in files["checkpoint"]
    files["checkpoint"] = files["checkpoint"].replace(old, new, 1)
    found = audited(files, tmp_path)
    assert (Check.CHECKPOINT, code) in [(f.check, f.code) for f in found.report.findings]


def test_a_checkpoint_with_too_many_signatures_is_refused(tmp_path: Path) -> None:
    files = small_log().files()
    line = files["checkpoint"].splitlines(keepends=True)[-2]
    many = line.replace("— dondoc".encode(), "— stranger".encode())
    files["checkpoint"] += many * 98
    assert audited(files, tmp_path / "a").ok, "strangers' lines say nothing"
    files["checkpoint"] += many
    found = first(audited(files, tmp_path / "b"))
    assert found[:2] == (Check.CHECKPOINT, "note_too_many_signatures")


def test_an_oversized_entry_is_neither_written_nor_read() -> None:
    scribe = Scribe().found("an")
    with pytest.raises(Malformed, match="entry_too_large"):
        scribe.write("T-1", "register", {"x": "x" * 60_000}, by=key_of("an"), person="an")
    envelope = Envelope(b"x" * 49_000, "0" * 64, bytes(64))
    with pytest.raises(Malformed, match="entry_too_large"):
        format_entry(Entry(envelope, envelope))


@pytest.mark.parametrize("name", ["../checkpoint", "/etc/passwd", "tile/../../x", "entry/../x"])
def test_a_bundle_that_would_write_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped({**small_log().files(), name: b"x"}, tmp_path / "bundle.zip")
    found = verify_bundle(Order(path, policy_of(), None))
    assert first(found)[:2] == (Check.FORM, "bundle_name")
    assert not [each for each in tmp_path.rglob("*") if each != path]


def test_keys_inside_a_bundle_are_not_believed(tmp_path: Path) -> None:
    stranger = Scribe(keys={**FOUNDING, "log": key_of("stranger")}).found("an")
    own = policy_of([signer.verifier for signer in signers_of()])
    files = {**stranger.files(), "policy": format_policy(own)}
    signers = signers_of(key_of("stranger"))
    files["checkpoint"] = published(stranger.entries, signers)["checkpoint"]
    files["policy"] = format_policy(policy_of([signer.verifier for signer in signers]))
    path = zipped(files, tmp_path / "bundle.zip", zipfile.ZIP_DEFLATED)
    found = verify_bundle(Order(path, policy_of(), None))
    assert "checkpoint_signature_missing" in [f.code for f in found.report.findings]
    assert not found.times


def test_a_forger_cannot_write_on_the_readers_screen(tmp_path: Path) -> None:
    scribe = Scribe().found("an")
    steer = "\x1b[2K\r\x1b[32mholds\u202e"
    entry = parse_entry(small_log().entries[INDEX])
    payload = entry.command.payload.replace(b"task:T-1", f"task:{steer}".encode())
    assert open_command(entry.command).subject.name == "task:T-1"
    scribe.entries.append(format_entry(Entry(seal(payload, key_of("an")), entry.record)))
    found = audited(published(scribe.entries, scribe.signers), tmp_path)
    assert steer in found.report.findings[0].chain
    assert all(str(finding).isprintable() for finding in found.report.findings)
