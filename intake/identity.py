"""The ids of documents and tasks: they follow from the file, so a second import finds the first.

    document   base32(SHA-256(JCS({"issued_on", "issuer", "number", "symbol"})))[:8]
    task       <document>-<item>            item: the row's key, or its place in the document
    task       <document>-<item>-<agency>   for each agency of a row: base32(SHA-256(its id))[:6]

Nothing of a task's content goes into them: an id is shown where the content may not be.
"""

import base64
import hashlib
import json
import re
from datetime import date

from intake.raw import Fault

_DOCUMENT_CHARACTERS = 8
_AGENCY_CHARACTERS = 6
# A clause of the document, like 3 or 1c. Words would tell of the content.
_KEY = re.compile(r"0*([0-9]{1,4})([a-z]?)", re.IGNORECASE)


def document_id(issuer: str, number: str, symbol: str, issued_on: date) -> str:
    fields = {
        "issued_on": issued_on.isoformat(),
        "issuer": issuer,
        "number": number,
        "symbol": symbol,
    }
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _base32(text)[:_DOCUMENT_CHARACTERS]


def task_id(document: str, item: str, agency: str | None = None) -> str:
    """``agency``: the id of the one this task is for, when each of several has its own."""
    parts = [document, item]
    if agency is not None:
        parts.append(_base32(agency)[:_AGENCY_CHARACTERS])
    return "-".join(parts)


def item_of_key(key: str) -> str:
    """How a clerk's key stands in the id: "1" and "01" are the same item. Raises Fault."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise Fault("bad_key")
    return match[1].zfill(2) + match[2].lower()


def item_of_place(place: int) -> str:
    """The item of a row without a key: ``place`` counts from 1 within its document."""
    return f"{place:02d}"


def _base32(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()
