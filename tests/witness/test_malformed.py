"""Whatever comes in, the answer is a refusal; and both sides read one format, in one form."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.malformed import Malformed
from audit.note import Note, parse_note
from audit.witnessing import (
    Request,
    format_cosignatures,
    format_request,
    format_size,
    parse_cosignatures,
    parse_request,
    parse_size,
)
from tests.support.witnessing import NOW, Log, make_witness, post
from witness.cosigning import Cosigning
from witness.home import Home, read_logs
from witness.server import open_witness
from witness.store import Store

HASHES = st.binary(min_size=32, max_size=32)
KEPT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory, log: Log) -> Iterator[Cosigning]:
    home = make_witness(tmp_path_factory.mktemp("malformed") / "w", log)
    store = Store(home.store)
    yield open_witness(home, store)
    store.close()


@given(data=st.binary())
@KEPT
def test_any_bytes_are_malformed(witness: Cosigning, data: bytes) -> None:
    assert witness.add_checkpoint(data, NOW).status == 400


@given(at=st.integers(0), new=st.integers(0, 255))
@KEPT
def test_one_other_byte_is_never_cosigned(witness: Cosigning, log: Log, at: int, new: int) -> None:
    sound = log.request(0)
    place = at % len(sound)
    changed = sound[:place] + bytes([new]) + sound[place + 1 :]
    if changed != sound:
        answer = witness.add_checkpoint(changed, NOW)
        assert 400 <= answer.status < 500


@given(at=st.integers(0))
@KEPT
def test_a_beginning_is_never_cosigned(witness: Cosigning, log: Log, at: int) -> None:
    sound = log.request(0)
    answer = witness.add_checkpoint(sound[: at % len(sound)], NOW)
    # Cut behind the first of two lines, it is a note that the second key didn't sign.
    assert answer.status in {400, 403}


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"old\n",
        b"old \n",
        b"old  0\n",
        b"old 00\n",
        b"old +0\n",
        b"old -1\n",
        b"old 0 \n",
        b"old 0x1\n",
        "old ٣\n".encode(),
        b"Old 0\n",
        b"old 0\r\n",
        b"old 9223372036854775808\n",
        b"old " + b"9" * 5000 + b"\n",
        b"old 0\nAAAA\n",
        b"old 0\n" + b"A" * 44 + b"\n",
        b"old 0\n" + b"A" * 43 + b"= \n",
        b"old 0\n" + b"A" * 42 + b"B=\n",
        b"old 0\n" + b"A" * 43 + b"=\r\n",
        b"\nold 0\n",
    ],
)
def test_a_request_has_one_form(witness: Cosigning, log: Log, head: bytes) -> None:
    assert witness.add_checkpoint(head + b"\n" + log.note(), NOW).status == 400


def test_a_request_without_a_note_is_malformed(witness: Cosigning) -> None:
    for data in (b"old 0\n", b"old 0\n\n", b"old 0\n\n\n", b"old 0\n\nx\n\n"):
        assert witness.add_checkpoint(data, NOW).status == 400


@given(
    old=st.integers(0, 2**63 - 1), proof=st.lists(HASHES, max_size=63), note=st.binary(max_size=99)
)
def test_what_one_formats_the_other_parses(old: int, proof: list[bytes], note: bytes) -> None:
    request = Request(old, tuple(proof), note)
    assert parse_request(format_request(request)) == request


@given(data=st.binary() | st.binary().map(lambda tail: b"old 5\n\n" + tail))
def test_what_parses_is_the_one_form(data: bytes) -> None:
    try:
        request = parse_request(data)
    except Malformed:
        return
    assert format_request(request) == data


def test_what_would_not_be_read_back_is_not_formatted() -> None:
    for request in (
        Request(-1, (), b""),
        Request(0, (b"short",), b""),
        Request(0, (bytes(32),) * 64, b""),
    ):
        with pytest.raises(ValueError, match="not a request"):
            format_request(request)


@given(size=st.integers(0, 2**63 - 1))
def test_a_size_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"8", b"08\n", b"8\n\n", b"8 \n", b"-1\n", b"\xd9\xa3\n", b"9" * 99 + b"\n"],
)
def test_a_size_has_one_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_size(data)


def test_lines_of_an_answer_cannot_move_the_end_of_the_text(log: Log) -> None:
    note: Note = parse_note(log.note())
    lines = format_cosignatures(note.text, note.lines)
    assert parse_cosignatures(note.text, lines) == note.lines
    for data in (b"", b"\n" + lines, b"x\n\n" + lines, lines + b"\n", lines[:-1], lines * 51):
        with pytest.raises(Malformed):
            parse_cosignatures(note.text, data)


def test_a_malformed_request_gets_a_status_over_http_too(url: str, home: Home, log: Log) -> None:
    for data in (b"", b"\xff" * 100, b"old 0\n\n" + log.note()[:-1]):
        answer = post(url, data)
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/plain")
    assert read_logs(home)
    assert Path(home.store).exists()
