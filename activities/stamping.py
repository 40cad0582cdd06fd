"""When a command stood at the door: put on it there, and read off it where it is recorded."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from activities.signing import LogKeys
from audit.keys import load_public
from audit.malformed import Malformed
from audit.stamp import check_stamp, sign_stamp
from audit.submission import Submission
from domain.directory import DOOR, Directory
from domain.instants import format_instant, parse_instant
from domain.refusal import Refused

MAX_AHEAD = timedelta(minutes=5)
"""How far a door's watch may be ahead of the recorder's."""

MAX_AGE = timedelta(days=3)
"""So long a stamped command may be on its way: a long weekend without the service."""


class Stamper:
    """Puts the door's stamp on what comes in."""

    def __init__(self, keys: LogKeys, directory: Callable[[], Directory]) -> None:
        self._keys = keys
        self._directory = directory

    def stamped(self, submission: Submission, received_at: datetime) -> Submission:
        """The same with a stamp. One that it has already is left to the recorder to judge; a log
        that was not founded yet knows no door.
        """
        directory = self._directory()
        if submission.stamp is not None or directory.key_of(DOOR) is None:
            return submission
        key = self._keys.named(directory, DOOR)
        at = format_instant(received_at)
        stamp = sign_stamp(self._keys.origin, submission.command, at, key)
        return replace(submission, stamp=stamp)


def stamped_at(
    submission: Submission, origin: str, directory: Directory, now: datetime
) -> datetime:
    """The instant on a submission's stamp (UTC). Raises Refused for one that does not count."""
    stamp, door = submission.stamp, directory.key_of(DOOR)
    if stamp is None or door is None:
        raise Refused("stamp_wrong")
    try:
        check_stamp(stamp, origin, submission.command, load_public(base64.b64decode(door.spki)))
    except Malformed as error:
        raise Refused(error.code) from error
    at = parse_instant(stamp.received_at)
    if at > now + MAX_AHEAD:
        raise Refused("stamp_in_future", stamped=stamp.received_at)
    if at < now - MAX_AGE:
        raise Refused("stamp_too_old", stamped=stamp.received_at, days=MAX_AGE.days)
    return at
