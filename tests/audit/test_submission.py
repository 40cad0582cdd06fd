"""What comes through the door as bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import canonical, parse
from audit.commitment import Opening
from audit.malformed import Malformed
from audit.private_keys import private_key
from audit.signing import seal
from audit.stamp import Stamp
from audit.submission import (
    MAX_SUBMISSION_BYTES,
    Submission,
    format_submission,
    parse_submission,
)

INSTANT = "2026-03-02T02:00:00.000000Z"
SIGNATURE = "A" * 86 + "=="
SUBMISSION = Submission(
    seal(b"{}", private_key(bytes(32))),
    (Opening("summary", "Đã xong", bytes(32)), Opening("title", "Việc", bytes(32))),
    Stamp(INSTANT, bytes(64)),
)
BYTES = format_submission(SUBMISSION)


def changed(**fields: Any) -> bytes:
    value = parse(BYTES)
    assert isinstance(value, dict)
    return canonical({**value, **fields})


def test_a_submission_is_read_as_it_was_written() -> None:
    for submission in (SUBMISSION, Submission(SUBMISSION.command, SUBMISSION.openings)):
        assert parse_submission(format_submission(submission)) == submission


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        changed(v=2),
        changed(v=True),
        changed(v="1"),
        changed(more=1),
        changed(openings=[]),
        changed(openings={"title": "Việc"}),
        changed(command=None),
        changed(stamp=[]),
        changed(stamp="now"),
        changed(stamp={"received_at": INSTANT}),
        changed(stamp={"received_at": "yesterday", "sig": SIGNATURE}),
        changed(stamp={"received_at": "2026-02-30T02:00:00.000000Z", "sig": SIGNATURE}),
        changed(stamp={"received_at": INSTANT, "sig": "AA=="}),
        changed(stamp={"received_at": INSTANT, "sig": SIGNATURE, "more": 1}),
        BYTES + b"\n",
    ],
)
def test_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_submission(data)


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(Malformed, match="submission_too_large"):
        parse_submission(b"[" * (MAX_SUBMISSION_BYTES + 1))


def test_every_prefix_is_refused() -> None:
    for size in range(len(BYTES)):
        with pytest.raises(Malformed):
            parse_submission(BYTES[:size])


@given(st.data())
def test_a_changed_byte_is_refused_or_changes_what_is_read(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BYTES) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != BYTES[place]))
    try:
        found = parse_submission(BYTES[:place] + bytes([byte]) + BYTES[place + 1 :])
    except Malformed:
        return
    assert found != SUBMISSION
