"""The one written form of an instant: UTC, microseconds, fixed width. Text order is time order."""

import re
from datetime import UTC, datetime

_written = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
).fullmatch
_LOCAL = len("2026-02-13T09:30:00.000000")


def format_instant(instant: datetime) -> str:
    """``2026-02-13T09:30:00.000000Z``. Raises ValueError when the time zone is missing."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:_LOCAL] + "Z"


def parse_instant(text: str) -> datetime:
    """The instant written as `format_instant` writes it. Raises ValueError on any other form."""
    if not _written(text):
        raise ValueError(f"not a fixed-width UTC time: {text!r}")
    return datetime.fromisoformat(text)
