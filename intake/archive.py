"""A look into a workbook before it is opened: is it as small as it seems, and what it hides.

An .xlsx is a zip of XML parts. Three things have to be known before the reading library sees it:

1. how large the parts unpack (20 MB may become 20 GB): what really comes out is counted, whatever
   the zip's own table claims;
2. how far out its cells lie: one cell at XFD1048576 makes a dense table of 17 thousand million;
3. which cells hold an error (#N/A) or a formula without a value: the library shows both as empty,
   and a deadline would silently become none.
"""

import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from xml.parsers import expat

from domain.refusal import Refused
from intake.limits import MAX_COLUMNS, MAX_TASKS, MAX_UNPACKED_BYTES


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a workbook may be: ``rows`` with something in them, ``unpacked`` bytes."""

    rows: int = MAX_TASKS
    unpacked: int = MAX_UNPACKED_BYTES

    @property
    def last_row(self) -> int:
        """The last row that a cell may stand in: empty rows in between are allowed."""
        return 2 * self.rows


TASKS = Bounds()

_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_LOCAL_HEADER = 30
_XML = (b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_WINDOW = 1 << 20
_ODD = (ValueError, LookupError, NotImplementedError)
"""What the libraries raise besides for a number, an encoding, a version that they can't take."""


@dataclass
class Finding:
    """``faulty``: references of cells (B7) with an error, or a formula without a value.
    ``faulty_in``: the same for each part of the workbook that has such cells.
    """

    bounds: Bounds = TASKS
    faulty: list[str] = field(default_factory=list)
    faulty_in: dict[str, list[str]] = field(default_factory=dict)


def inspect(data: bytes, bounds: Bounds | None = None) -> Finding:
    """Look through all parts. Raises Refused when the file is broken, or larger than it may be."""
    bounds = bounds or TASKS
    finding = Finding(bounds)
    left = bounds.unpacked
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
        for part in parts:
            content = _unpack(data, part, left, bounds)
            left -= len(content)
            if part.filename.endswith(".xml") or content.lstrip().startswith(_XML):
                known = len(finding.faulty)
                _scan(content, finding)
                if found := finding.faulty[known:]:
                    finding.faulty_in[part.filename] = found
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, *_ODD):
        raise Refused("workbook_broken") from None
    if "xl/workbook.xml" not in {part.filename for part in parts}:
        raise Refused("workbook_broken")
    return finding


def _unpack(data: bytes, part: zipfile.ZipInfo, left: int, bounds: Bounds) -> bytes:
    """What a part unpacks to, by its bytes and not by its declared size."""
    if part.flag_bits & 1:
        raise Refused("password_protected")
    header = data[part.header_offset : part.header_offset + _LOCAL_HEADER]
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = part.header_offset + _LOCAL_HEADER + names
    packed = data[start : start + part.compress_size]
    if part.compress_type == zipfile.ZIP_STORED:
        content = packed
    elif part.compress_type == zipfile.ZIP_DEFLATED:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, left + 1)
    else:
        raise Refused("workbook_broken")
    if len(content) > left:
        raise Refused("workbook_too_large", limit_mb=bounds.unpacked >> 20)
    return content


class _Scanner:
    """Follows the cells of one part."""

    def __init__(self, finding: Finding) -> None:
        self._finding = finding
        self._reference = ""
        self._formula = self._value = False
        self._row = self._column = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(":")[2]:
            case "c":
                self._start_cell(attributes)
            case "row":
                self._start_row(attributes.get("r", ""))
            case "f":
                self._formula = True
            case "v":
                self._value = True

    def end(self, name: str) -> None:
        if name.rpartition(":")[2] == "c" and self._formula and not self._value:
            self._finding.faulty.append(self._reference)

    def doctype(self, *_: object) -> None:
        raise Refused("workbook_broken")

    def _start_row(self, number: str) -> None:
        """A row, or a cell, that doesn't say where it stands is the next one."""
        self._row = int(number) if number.isdigit() else self._row + 1
        self._column = 0
        self._check_place()

    def _start_cell(self, attributes: dict[str, str]) -> None:
        self._formula = self._value = False
        self._reference = attributes.get("r", "")
        match = _REFERENCE.fullmatch(self._reference)
        self._column = _place(match[1]) if match else self._column + 1
        if match:
            self._row = int(match[2])
        self._check_place()
        if attributes.get("t") == "e":
            self._finding.faulty.append(self._reference)

    def _check_place(self) -> None:
        if self._column > MAX_COLUMNS:
            raise Refused("too_many_columns", limit=MAX_COLUMNS)
        if self._row > self._finding.bounds.last_row:
            raise Refused("too_many_rows", limit=self._finding.bounds.rows)


def _place(letters: str) -> int:
    place = 0
    for character in letters:
        place = place * 26 + ord(character) - ord("A") + 1
    return place


def _scan(content: bytes, finding: Finding) -> None:
    scanner = _Scanner(finding)
    parser = expat.ParserCreate()
    parser.StartElementHandler = scanner.start
    parser.EndElementHandler = scanner.end
    parser.StartDoctypeDeclHandler = scanner.doctype
    for begin in range(0, len(content), _WINDOW):
        parser.Parse(content[begin : begin + _WINDOW], False)
    parser.Parse(b"", True)
