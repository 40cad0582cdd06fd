"""Sentences for people, in Vietnamese and English, by code.

A text is one line of ``messages/vi/*.toml`` and of the same file under ``messages/en``:

    wrong_state = "Nhiệm vụ đang ở trạng thái “{state}” …"

Keys are flat; ``{name}`` is filled with a fact of that name. Where a language has a singular, a
count brings its word along: ``{entries:entry|entries}`` gives "1 entry" and "2 entries". The core
raises codes and facts, and only here do they become language, so an interface can be translated
without reading the rules.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

LANGUAGES = ("vi", "en")
DEFAULT = "vi"
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_ROOM = Path(__file__).parent
_ISO_DAY = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def language_of(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """The language to speak: ``--lang`` wins, then the locale; Vietnamese unless English is asked.

    A locale of C or POSIX says nothing about the reader, and so means Vietnamese.
    """
    for number, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name != "--lang":
            continue
        asked = value if equals else "".join(argv[number + 1 : number + 2])
        if asked in LANGUAGES:
            return asked
    locale = next((environ[name] for name in _VARIABLES if environ.get(name)), "")
    return "en" if locale.lower().startswith("en") else DEFAULT


class _Counting(Formatter):
    """Fills sentences in; behind a count stands the word for one or that for many."""

    def format_field(self, value: object, format_spec: str) -> str:
        one, bar, many = format_spec.partition("|")
        if not bar:
            return str(super().format_field(value, format_spec))
        # Facts of a refusal come as text.
        return f"{value} {one if str(value) == '1' else many}"


def filled(template: str, facts: Mapping[str, object]) -> str:
    """The sentence with its facts. Raises KeyError for one that is missing."""
    return _Counting().vformat(template, (), facts)


@lru_cache
def load(language: str, first: str = "") -> Mapping[str, str]:
    """Every text of a language, by code; where two files have a code, that of ``first`` counts."""
    texts: dict[str, str] = {}
    for file in sorted((_ROOM / language).glob("*.toml"), key=lambda f: (f.stem == first, f.name)):
        texts |= tomllib.loads(file.read_text(encoding="utf-8"))
    return texts


class Texts:
    """The texts of one language. A call gives one: ``texts("wrong_state", state="…", …)``."""

    def __init__(self, language: str = DEFAULT, first: str = "") -> None:
        """``first`` names a file whose sentences count where another one has the same code."""
        self.language = language if language in LANGUAGES else DEFAULT
        self._texts = load(self.language, first)

    def __contains__(self, code: str) -> bool:
        return code in self._texts

    def __call__(self, code: str, /, **facts: object) -> str:
        """The sentence of ``code``; one that we lack shows code and facts, better than nothing."""
        template = self._texts.get(code)
        if template is not None:
            try:
                return filled(template, facts)
            except (KeyError, IndexError, ValueError, AttributeError):
                pass
        shown = ", ".join(f"{name}={value}" for name, value in facts.items())
        return f"{code} ({shown})" if shown else code

    text = __call__

    def template(self, code: str) -> str:
        """The sentence before its facts are filled in; empty when there is none."""
        return self._texts.get(code, "")

    def name(self, kind: str, code: str) -> str:
        """What people call a state, event, role, clock …; the code itself when we lack a name."""
        key = f"{kind}_{code}"
        return self._texts.get(key, code)

    def clock(self, name: str) -> str:
        """A clock's name may carry the step that it belongs to: ``evaluate:1f0c…``."""
        return self.name("clock", name.partition(":")[0])

    def instant(self, instant: datetime, zone: ZoneInfo) -> str:
        """Local time, ``dd/mm/yyyy HH:MM``; midnight is the end of the day before, 24:00."""
        local = instant.astimezone(zone)
        if (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0):
            return f"{local - timedelta(days=1):%d/%m/%Y} 24:00"
        return f"{local:%d/%m/%Y %H:%M}"

    def moment(self, instant: datetime, zone: ZoneInfo) -> str:
        """Local time with seconds, for what has happened; midnight begins a day here."""
        return f"{instant.astimezone(zone):%d/%m/%Y %H:%M:%S}"

    def special_day(self, vietnamese: str, english: str) -> str:
        """What the calendar calls a day. It writes other days as data does; people don't."""
        name = english if self.language == "en" else vietnamese
        return _ISO_DAY.sub(r"\3/\2/\1", name)

    def until(self, instant: datetime, zone: ZoneInfo) -> str:
        """The end of a period: with seconds, unless it is the end of a day."""
        local = instant.astimezone(zone)
        is_midnight = (local.hour, local.minute, local.second) == (0, 0, 0)
        return self.instant(instant, zone) if is_midnight else self.moment(instant, zone)

    def weekday(self, instant: datetime, zone: ZoneInfo) -> str:
        """The weekday that `instant` shows."""
        local = instant.astimezone(zone) - timedelta(microseconds=1)
        return self.name("weekday", str(local.weekday()))

    def time_left(self, left: timedelta) -> str:
        """The two largest units until a deadline, or since."""
        seconds = int(abs(left).total_seconds())
        days, rest = divmod(seconds, _DAY)
        hours, rest = divmod(rest, _HOUR)
        minutes = rest // _MINUTE
        if days:
            length = self("length_days", days=days, hours=hours)
        elif hours:
            length = self("length_hours", hours=hours, minutes=minutes)
        else:
            length = self("length_minutes", minutes=minutes)
        return self("time_left" if left >= timedelta(0) else "time_past", length=length)
