"""What comes through the door as bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import canonical, parse
from audit.commitment import Opening
from audit.dsse import seal
from audit.keys import private_key
from audit.malformed import Malformed
from audit.submission import (
    MAX_SUBMISSION_BYTES,
    Submission,
    format_submission,
    parse_submission,
)

SUBMISSION = Submission(
    seal(b"{}", private_key(bytes(32))),
    (Opening("summary", "Đã xong", bytes(32)), Opening("title", "Việc", bytes(32))),
)
BYTES = format_submission(SUBMISSION)


def changed(**fields: Any) -> bytes:
    value = parse(BYTES)
    assert isinstance(value, dict)
    return canonical({**value, **fields})


def test_a_submission_is_read_as_it_was_written() -> None:
    assert parse_submission(BYTES) == SUBMISSION


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
