"""The one written form of an instant: UTC, microseconds, fixed width. Text order is time order."""

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def format_instant(instant: datetime) -> str:
    """``2026-02-13T09:30:00.000000Z``. Raises ValueError when the time zone is missing."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    utc = instant.astimezone(UTC)
    return f"{utc.year:04d}-{utc:%m-%dT%H:%M:%S.%f}Z"


def parse_instant(text: str) -> datetime:
    """The instant written as `format_instant` writes it. Raises ValueError on any other form."""
    instant = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    if format_instant(instant) != text:
        raise ValueError(f"not a fixed-width UTC time: {text!r}")
    return instant
