"""What a file is, told by its bytes and never by its name.

A recogniser of our own: libraries guess among hundreds of kinds by a few bytes at the start, which
lets through what this room must tell apart (a document with macros from one without, an archive
from a document, text from anything), and would be one more parser of strangers' bytes. Of an
archive only the list of its members is read, and of no more than `_MAX_DIRECTORY` bytes; nothing
is unpacked but the few bytes in which an ODF file says what it is.

Whoever passes has not been found harmless: a PDF may do things to its reader. The point is that
nothing is taken that a machine would *run*.
"""

import codecs
import csv
import os
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import BinaryIO

from domain.refusal import Refused


class FileKind(StrEnum):
    PDF = "pdf"
    OOXML = "ooxml"
    ODF = "odf"
    PNG = "png"
    JPEG = "jpeg"
    TEXT = "text"
    CSV = "csv"
    ZIP = "zip"


USUAL = frozenset(FileKind) - {FileKind.ZIP}
"""What is taken unless something else is configured: an archive may hold anything."""

_MAGIC = {
    b"%PDF-": FileKind.PDF,
    b"\x89PNG\r\n\x1a\n": FileKind.PNG,
    b"\xff\xd8\xff": FileKind.JPEG,
}
_PROGRAMS = (
    b"MZ",  # Windows, also an archive that unpacks itself
    b"\x7fELF",
    b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",  # macOS
    b"\xca\xfe\xba\xbe",  # macOS for several processors; Java
    b"#!", b"\xef\xbb\xbf#!",
    b"\0asm",
    b"dex\n",
    b"L\0\0\0\x01\x14\x02\0",  # a Windows shortcut
)  # fmt: skip
_ARCHIVE = b"PK\x03\x04"
_OOXML_PARTS = ("word/", "xl/", "ppt/")
_ODF_PREFIX = b"application/vnd.oasis.opendocument."
_MAX_DIRECTORY = 1 << 20
"""Bytes of an archive's list of members: some ten thousand names."""

_END = struct.Struct("<4s4H2LH")
_LONGEST_END = _END.size + 0xFFFF
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_64_SIZE = 20
_UNREADABLE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, struct.error,
)  # fmt: skip
_BLOCK = 1 << 16
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_ROWS = 100


def recognise(file: BinaryIO) -> FileKind:
    """The kind of a file that can be read from any place. Raises Refused when it is empty, a
    program or the like, or of no kind that we know.
    """
    file.seek(0)
    start = file.read(16)
    if not start:
        raise Refused("evidence_empty")
    if start.startswith(_PROGRAMS):
        raise Refused("evidence_executable")
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    if start.startswith(_ARCHIVE):
        return _archive(file)
    return _text(file)


def _archive(file: BinaryIO) -> FileKind:
    """What an archive is by the names in it."""
    _check_end(file)
    try:
        with zipfile.ZipFile(file) as archive:
            names = frozenset(archive.namelist())
            _check_members(names)
            if "mimetype" in names and _says_odf(archive):
                return FileKind.ODF
    except _UNREADABLE as error:
        raise Refused("evidence_type_unknown") from error
    if "[Content_Types].xml" in names and any(n.startswith(_OOXML_PARTS) for n in names):
        return FileKind.OOXML
    return FileKind.ZIP


def _check_end(file: BinaryIO) -> None:
    """Bound what listing the members costs: zipfile reads as much as the end claims."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_END - _LOCATOR_64_SIZE))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + _END.size:
        raise Refused("evidence_type_unknown")
    directory = _END.unpack_from(tail, at)[5]
    is_long = tail[max(0, at - _LOCATOR_64_SIZE) :].startswith(_LOCATOR_64)
    if directory > _MAX_DIRECTORY or is_long:
        raise Refused("evidence_type_unknown")


def _check_members(names: Iterable[str]) -> None:
    """Java programs, and documents with macros, run when they are opened."""
    for name in names:
        last = name.rpartition("/")[2]
        if (
            last.startswith("vbaProject")
            or name in {"META-INF/MANIFEST.MF", "AndroidManifest.xml"}
            or name.startswith(("Basic/", "Scripts/"))
        ):
            raise Refused("evidence_executable")


def _says_odf(archive: zipfile.ZipFile) -> bool:
    member = archive.getinfo("mimetype")
    if member.header_offset or member.compress_type != zipfile.ZIP_STORED:
        return False
    with archive.open(member) as said:
        return said.read(len(_ODF_PREFIX)) == _ODF_PREFIX


def _text(file: BinaryIO) -> FileKind:
    """Plain UTF-8, all of it. Raises Refused when it is anything else."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(_BLOCK):
            decoder.decode(block)
            if _CONTROL.search(block):
                raise Refused("evidence_type_unknown")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Refused("evidence_type_unknown") from error
    return FileKind.CSV if _is_table(file) else FileKind.TEXT


def _is_table(file: BinaryIO) -> bool:
    """Whether the first lines have equally many columns, and more than one. A guess, which only
    counts where one of text and CSV is not taken.
    """
    file.seek(0)
    block = file.read(_BLOCK)
    lines = block.decode("utf-8-sig", "ignore").splitlines()
    if len(block) == _BLOCK:
        lines.pop()  # the block may end within the line
    return any(_columns(lines, separator) for separator in ",;\t")


def _columns(lines: list[str], separator: str) -> bool:
    rows: Iterator[list[str]] = csv.reader(lines, delimiter=separator)
    try:
        widths = [len(row) for row in islice(rows, _ROWS) if row]
    except csv.Error:
        return False
    return len(widths) > 1 and len(set(widths)) == 1 and widths[0] > 1
