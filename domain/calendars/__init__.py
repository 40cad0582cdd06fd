"""The calendars this release carries, each under the version it was published as."""

from collections.abc import Callable

from domain.calendar import Calendar
from domain.calendars import vietnam
from domain.refusal import Refused

_PUBLISHED: dict[str, Callable[[], Calendar]] = {vietnam.VERSION: vietnam.build}
_LOADED: dict[str, Calendar] = {}

LATEST = vietnam.VERSION


def load(version: str = LATEST) -> Calendar:
    """The calendar of ``version``, with the default hours; the same object each time.

    Raises Refused("unknown_calendar") for a version this release does not carry.
    """
    if version not in _PUBLISHED:
        raise Refused("unknown_calendar", version=version)
    if version not in _LOADED:
        _LOADED[version] = _PUBLISHED[version]()
    return _LOADED[version]
