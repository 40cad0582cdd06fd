"""The one written form of an instant: UTC, microseconds, fixed width. Text order is time order."""

from datetime import UTC, datetime


def format_instant(instant: datetime) -> str:
    """``2026-02-13T09:30:00.000000Z``. Raises ValueError when the time zone is missing."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """The instant written as `format_instant` writes it. Raises ValueError on any other form."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None or format_instant(instant) != text:
        raise ValueError(f"not a fixed-width UTC time: {text!r}")
    return instant
