"""Files are told by their bytes; whoever names a program report.pdf gains nothing."""

import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusal import Refused
from evidence.kinds import FileKind, recognise
from tests.support import documents


def kind_of(content: bytes) -> FileKind:
    return recognise(io.BytesIO(content))


def refusal_of(content: bytes) -> str:
    with pytest.raises(Refused) as refused:
        kind_of(content)
    return refused.value.code


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (documents.PDF, "pdf"),
        (documents.PNG, "png"),
        (documents.JPEG, "jpeg"),
        (documents.DOCX, "ooxml"),
        (documents.XLSX, "ooxml"),
        (documents.ODT, "odf"),
        (documents.ZIP, "zip"),
        (documents.TEXT, "text"),
        (documents.CSV, "csv"),
        (b"a;b\n1;2\n", "csv"),
        (b"Dear all, thanks.\nBest\n", "text"),
        (b"one line, with a comma\n", "text"),
        ("Đ".encode() * 70_000, "text"),
        (b"a,b\n" * 70_000, "csv"),
    ],
)
def test_what_is_taken_is_recognised(content: bytes, kind: str) -> None:
    assert kind_of(content) == kind


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\0",
        b"\x7fELF\x02\x01",
        b"#!/bin/sh\nrm -rf /\n",
        b"\xef\xbb\xbf#!/bin/sh\n",
        b"\xca\xfe\xba\xbe\0\0",
        b"\0asm\x01\0\0\0",
        documents.DOCM,
        documents.ODT_WITH_MACROS,
        documents.JAR,
    ],
)
def test_what_a_machine_would_run_is_refused(content: bytes) -> None:
    assert refusal_of(content) == "evidence_executable"


@pytest.mark.parametrize(
    "content",
    [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"GIF89a\x01\0\x01\0",
        b"text with a \0 in it",
        b"text with an escape \x1b[2J",
        "chữ".encode("utf-16"),
        "chữ".encode("cp1258", "replace") + b"\xff",
        "Đ".encode()[:1],
        b"PK\x03\x04" + b"not an archive" * 9,
        documents.DOCX[:-30],
    ],
)
def test_what_nobody_knows_is_refused(content: bytes) -> None:
    assert refusal_of(content) == "evidence_type_unknown"


def test_nothing_is_no_file() -> None:
    assert refusal_of(b"") == "evidence_empty"


def test_an_archive_with_an_endless_list_of_members_is_not_read() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for number in range(20_000):
            file.writestr(f"{number:05}/a/name/that/is/long/enough/to/count.txt", b"")
    assert refusal_of(made.getvalue()) == "evidence_type_unknown"


def test_an_archive_that_lies_about_its_list_is_not_believed() -> None:
    content = bytearray(documents.DOCX)
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = (0x7FFFFFFF).to_bytes(4, "little")
    assert refusal_of(bytes(content)) == "evidence_type_unknown"
    content = bytearray(documents.DOCX)
    content[at:at] = b"PK\x06\x07" + bytes(16)
    assert refusal_of(bytes(content)) == "evidence_type_unknown"


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", documents.ODT, b"a,b\n"]))
def test_no_bytes_make_it_stumble(noise: bytes, start: bytes) -> None:
    with suppress(Refused):
        assert kind_of(start + noise) in FileKind


@given(st.data())
def test_no_broken_archive_makes_it_stumble(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([documents.ODT, documents.DOCX])))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Refused):
        assert kind_of(bytes(content)) in FileKind
