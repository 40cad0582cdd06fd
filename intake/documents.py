"""The document part of a row: which document orders the task, judged once for all its rows."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from domain.task import Secrecy
from intake.cells import read_day, read_line, read_number, read_secrecy, read_text
from intake.columns import DOCUMENT_FIELDS
from intake.identity import document_id
from intake.raw import Desk

EXAMPLE_NUMBER = "VÍ DỤ"
"""The number of the document in the template's example row, which nobody may import."""


@dataclass(frozen=True, slots=True)
class Document:
    """``fields`` are the arguments of ``register`` that all its tasks share."""

    id: str
    row: int
    secrecy: Secrecy
    fields: dict[str, Any]


class Documents:
    """The documents of one file. The rows of one document must agree about it."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._seen: dict[str, Document] = {}

    def read(self, desk: Desk) -> Document | None:
        """The document of a row, or None: something is wrong with it, and was noted."""
        number = desk.take("number", partial(read_number, "number"), required=True)
        if number == EXAMPLE_NUMBER:
            desk.note("number", "example_row")
            return None
        symbol = desk.take("symbol", partial(read_line, "symbol"), required=True)
        issuer = desk.take("issuer", partial(read_line, "issuer"), required=True)
        secrecy = desk.take("secrecy", read_secrecy, required=True)
        texts = self._texts(desk, secrecy)
        issued_on = desk.take("issued_on", read_day, required=True)
        if issued_on and issued_on > self._today:
            desk.note("issued_on", "document_from_future", issued_on=issued_on.isoformat())
        if not (number and symbol and issuer and secrecy and issued_on):
            return None
        fields = {
            "document": document_id(issuer, number, symbol, issued_on),
            "number": number,
            "symbol": symbol,
            "issued_on": issued_on.isoformat(),
            "issuer": issuer,
            "secrecy": str(secrecy),
        } | texts
        return self._known(desk, Document(fields["document"], desk.row.row, secrecy, fields))

    def _texts(self, desk: Desk, secrecy: Secrecy | None) -> dict[str, str]:
        """A protected document has a title and a signatory, but no summary (Art. 5)."""
        texts = {
            "document_title": desk.take(
                "document_title", partial(read_text, "document_title"), required=True
            ),
            "signatory": desk.take("signatory", partial(read_text, "signatory")),
            "summary": take_open_text(desk, "summary", secrecy),
        }
        return {name: text for name, text in texts.items() if text is not None}

    def _known(self, desk: Desk, document: Document) -> Document:
        first = self._seen.setdefault(document.id, document)
        for name in DOCUMENT_FIELDS:
            if first.fields.get(name) != document.fields.get(name):
                desk.note(name, "document_differs", first=first.row)
        return first


def take_open_text(desk: Desk, name: str, secrecy: Secrecy | None) -> str | None:
    """A text that only a document of normal secrecy may have (Art. 5)."""
    text = desk.take(name, partial(read_text, name))
    if text is not None and secrecy not in {None, Secrecy.NORMAL}:
        code = "protected_products" if name == "products" else "protected_content"
        desk.note(name, code, secrecy=str(secrecy))
    return text
