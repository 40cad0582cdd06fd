"""Finding the task that a person means by the first characters of its id."""

from sqlalchemy import Connection

from domain.refusal import Refused
from domain.task import Task
from store import queries

_SHOWN = 10


def find_task(connection: Connection, prefix: str) -> Task:
    """The one task whose id is, or begins with, ``prefix``. Raises Refused."""
    known = prefix.isascii() and prefix != ""  # ids are ASCII; anything else is somebody's slip
    found = queries.find_tasks(connection, prefix, _SHOWN) if known else []
    # The shortest comes first: an id that another one begins with still names its own task.
    if not found or (len(found) > 1 and found[0] != prefix):
        if found:
            more = ", …" if len(found) == _SHOWN else ""
            raise Refused("ambiguous_task", task=prefix[:80], found=", ".join(found) + more)
        raise Refused("unknown_task", task=prefix[:80])
    task = queries.get_task(connection, found[0])
    if task is None:
        raise Refused("unknown_task", task=prefix[:80])
    return task
