"""One piece of a computation as one line: when, and what it counts for."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.working_time import Segment
from messages import Texts


def describe(texts: Texts, segment: Segment, zone: ZoneInfo, *, backwards: bool = False) -> str:
    """``Thứ Sáu 13/02/2026 16:30–17:30  +1 giờ``. ``backwards``: counted from the due day."""
    text = f"{_when(texts, segment, zone)}  {_what(texts, segment, backwards=backwards)}"
    return f"{text} {texts('segment_unsettled')}" if segment.unsettled else text


def _when(texts: Texts, segment: Segment, zone: ZoneInfo) -> str:
    start, end = segment.start.astimezone(zone), segment.end.astimezone(zone)
    last = end - timedelta(microseconds=1)
    whole = start.time() == time.min and end.time() == time.min
    if whole:
        first = _day(texts, start)
        return first if start.date() == last.date() else f"{first} – {_day(texts, last)}"
    closes = "24:00" if end.time() == time.min else f"{end:%H:%M}"
    opens = f"{_day(texts, start)} {start:%H:%M}"
    if start.date() == last.date():
        return f"{opens}–{closes}"
    return f"{opens} – {_day(texts, last)} {closes}"


def _day(texts: Texts, local: datetime) -> str:
    return f"{texts.name('weekday', str(local.weekday()))} {local:%d/%m/%Y}"


def _what(texts: Texts, segment: Segment, *, backwards: bool) -> str:
    special = segment.special
    name = "" if special is None else texts.special_day(special.name_vi, special.name_en)
    source = f" [{special.source}]" if special is not None else ""
    if segment.counted:
        counted = texts("segment_counted", length=_length(texts, segment.counted))
        return f"{counted} ({name}{source})" if name else counted
    reason = texts.name("reason", segment.reason)
    if segment.reason == "term":
        return texts("segment_term", days=segment.day)
    if segment.day:
        code = "segment_day_before" if backwards else "segment_day"
        counted = texts(code, day=segment.day)
        return f"{counted} ({name}{source})" if name else counted
    return f"{reason}: {name}{source}" if name else reason


def _length(texts: Texts, length: timedelta) -> str:
    """Exact: an auditor adds these up."""
    minutes, seconds = divmod(length.total_seconds(), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = []
    if hours:
        parts.append(texts("unit_hours", number=hours))
    if minutes:
        parts.append(texts("unit_minutes", number=minutes))
    if seconds:
        parts.append(texts("unit_seconds", number=f"{seconds:.6f}".rstrip("0").rstrip(".")))
    return " ".join(parts)
