"""Which days and hours are worked: a value with a version, and a digest that proves it.

`Calendar` answers questions about one local day at a time. Days are dates at ``zone``; instants are
aware datetimes in UTC. Between ``settled_from`` and ``settled_until`` the published rows are
complete, except where a row itself says otherwise. Outside that range nothing has been announced
yet: plain weeks apply, less the public holidays whose date the law fixes (Labour Code 2019,
Art. 112.1), and every day there counts as unsettled.

The digest is SHA-256 over the UTF-8 bytes of `Calendar.text`: JSON with sorted keys, no spaces, no
escapes beyond JSON's own, rows in order of day, all text in Unicode NFC.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from hashlib import sha256
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, get_args
from unicodedata import normalize
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.refusal import Refused

Kind = Literal["off", "make_up", "undecided"]
Span = tuple[datetime, datetime]

_LAW = "Labour Code 2019, Art. 112.1"
_FIXED = {
    (1, 1): ("Tết Dương lịch", "New Year's Day"),
    (4, 30): ("Ngày Chiến thắng", "Reunification Day"),
    (5, 1): ("Ngày Quốc tế lao động", "International Labour Day"),
    (9, 2): ("Quốc khánh", "National Day"),
}


@dataclass(frozen=True, slots=True)
class Hours:
    """An agency's week: weekdays (Monday is 0) and the local spans worked on each working day.

    A span includes its first instant and excludes its last. Raises Refused("hours_malformed") for
    an empty week, or spans that are empty, out of order, touching, or not on whole minutes.
    """

    weekdays: frozenset[int] = frozenset(range(5))
    spans: tuple[tuple[time, time], ...] = (
        (time(7, 30), time(11, 30)),
        (time(13, 30), time(17, 30)),
    )

    def __post_init__(self) -> None:
        if not self.weekdays or not self.weekdays <= set(range(7)):
            raise Refused("hours_malformed", field="weekdays")
        edges = [edge for span in self.spans for edge in span]
        whole = all(not (edge.second or edge.microsecond or edge.tzinfo) for edge in edges)
        # Touching spans are one span: written as two, they would show a lunch of no length.
        if not edges or not whole or any(a >= b for a, b in pairwise(edges)):
            raise Refused("hours_malformed", field="spans")


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A day that differs, or may yet differ, from the plain week.

    ``off``: not worked. ``make_up``: worked in exchange for another day. ``undecided``: a day off
    is expected, or is one of several choices, but has not been decided: the plain week applies.
    ``source`` cites who decided. Not ``settled``: the row may still change.
    """

    day: date
    kind: Kind
    name_vi: str
    name_en: str
    source: str
    settled: bool = True

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or (self.kind == "undecided" and self.settled):
            raise Refused("special_day_malformed", day=self.day.isoformat())
        for name in ("name_vi", "name_en", "source"):
            object.__setattr__(self, name, normalize("NFC", getattr(self, name)))


@dataclass(frozen=True, slots=True)
class DayOff:
    """Why a day is not worked: it is a weekly rest day, or the special day named here."""

    reason: Literal["weekend", "holiday"]
    special: SpecialDay | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One published version. Equal values have equal digests; ``with_hours`` fits it to an agency.

    Raises Refused("calendar_malformed") when the range is reversed, a row is filed under another
    day, or the system's time zone data does not know ``zone``.
    """

    version: str
    zone: str = "Asia/Ho_Chi_Minh"
    hours: Hours = field(default_factory=Hours)
    special: Mapping[date, SpecialDay] = field(hash=False)
    settled_from: date
    settled_until: date
    timezone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.settled_from > self.settled_until:
            raise Refused("calendar_malformed", field="settled_until")
        if any(day != row.day for day, row in self.special.items()):
            raise Refused("calendar_malformed", field="special")
        object.__setattr__(self, "version", normalize("NFC", self.version))
        object.__setattr__(self, "special", MappingProxyType(dict(self.special)))
        try:
            object.__setattr__(self, "timezone", ZoneInfo(self.zone))
        # A bad key can also look like a folder of the database, or like a path out of it.
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Refused("calendar_malformed", field="zone") from error

    def with_hours(self, hours: Hours) -> "Calendar":
        """The same days off under an agency's own week: the version stays, the digest differs."""
        return replace(self, hours=hours)

    def local_day(self, instant: datetime) -> date:
        """The date at ``zone``. Raises ValueError when the instant has no time zone."""
        if instant.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return instant.astimezone(self.timezone).date()

    def instant(self, day: date, at: time = time.min) -> datetime:
        """The UTC instant of a local time on a local day; unless said, of the day's beginning."""
        return datetime.combine(day, at, self.timezone).astimezone(UTC)

    def special_on(self, day: date) -> SpecialDay | None:
        """The row of ``day`` or, outside the settled range, its fixed-date holiday if it is one."""
        row = self.special.get(day)
        if row is not None or self.settled_from <= day <= self.settled_until:
            return row
        names = _FIXED.get((day.month, day.day))
        return None if names is None else SpecialDay(day, "off", *names, _LAW, settled=False)

    def is_settled(self, day: date) -> bool:
        """Whether the status of ``day`` is officially fixed."""
        row = self.special.get(day)
        return self.settled_from <= day <= self.settled_until and (row is None or row.settled)

    def is_working_day(self, day: date) -> bool:
        return self.why_not_working(day) is None

    def why_not_working(self, day: date) -> DayOff | None:
        """None on a working day. A holiday that falls on a weekend is named as the holiday."""
        row = self.special_on(day)
        if row is not None and row.kind != "undecided":
            return DayOff("holiday", row) if row.kind == "off" else None
        return None if day.weekday() in self.hours.weekdays else DayOff("weekend")

    def spans(self, day: date) -> tuple[Span, ...]:
        """The worked spans of a local day in order, as UTC instants; none when it is not worked."""
        edges = self.hours.spans if self.is_working_day(day) else ()
        return tuple((self.instant(day, a), self.instant(day, b)) for a, b in edges)

    def text(self) -> str:
        """The canonical text that `digest` is taken over."""
        value = {
            "version": self.version,
            "zone": self.zone,
            "hours": {
                "weekdays": sorted(self.hours.weekdays),
                "spans": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in self.hours.spans],
            },
            "special": [
                {
                    "day": row.day.isoformat(),
                    "kind": row.kind,
                    "name_vi": row.name_vi,
                    "name_en": row.name_en,
                    "source": row.source,
                    "settled": row.settled,
                }
                for _, row in sorted(self.special.items())
            ],
            "settled_from": self.settled_from.isoformat(),
            "settled_until": self.settled_until.isoformat(),
        }
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical text, 64 lower-case hex digits."""
        return sha256(self.text().encode()).hexdigest()
