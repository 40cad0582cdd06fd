"""Small files of every kind that may be handed in as evidence, or may not."""

import io
import zipfile
from collections.abc import Iterable, Mapping

from domain.refusal import Refused


def cut_off(chunks: Iterable[bytes]) -> tuple[bytes, str | None]:
    """What comes before a refusal, and its code; None when everything comes."""
    given = b""
    try:
        for chunk in chunks:
            given += chunk
    except Refused as refusal:
        return given, refusal.code
    return given, None


PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
TEXT = "Biên bản họp ngày 27/02/2026\nĐã thống nhất.\n".encode()
CSV = "\ufeffMã,Tên,Hạn\nD1-1,Lập phương án,2026-06-15\n".encode()


def archive(members: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return made.getvalue()


DOCX = archive({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<document/>"})
XLSX = archive({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
ODT = archive(
    {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<content/>"}
)
ZIP = archive({"a.txt": b"a"})
DOCM = archive(
    {"[Content_Types].xml": b"", "word/document.xml": b"", "word/vbaProject.bin": b"\xd0\xcf"}
)
ODT_WITH_MACROS = archive(
    {"mimetype": b"application/vnd.oasis.opendocument.text", "Basic/Standard/x.xml": b""}
)
JAR = archive({"META-INF/MANIFEST.MF": b"Main-Class: X", "X.class": b"\xca\xfe\xba\xbe"})
