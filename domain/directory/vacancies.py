"""What leavers and vacancies leave behind, so that somebody is found who takes it on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.directory.state import Directory
from domain.task import Role, Task

VACANT = "vacant"
ENTERED_BY_LEAVER = "entered_by_leaver"
NEEDED = (Role.OFFICER, Role.APPROVER)
"""Whom every leading agency needs: one who enters, and one who approves (Art. 15.3)."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """``what`` is `VACANT`: nobody holds ``role`` at the agency that leads the task; or
    `ENTERED_BY_LEAVER`: the ``item`` that waits was entered by a ``person`` who has left.
    """

    task: str
    agency: str
    what: str
    role: str | None = None
    item: str | None = None
    person: str | None = None


def open_items(directory: Directory, tasks: Iterable[Task], at: datetime) -> Iterator[OpenItem]:
    """What is left behind at that instant, task by task."""
    held = {post for person in directory.people.values() for post in person.roles_at(at)}
    for task in tasks:
        if task.is_open:
            for role in NEEDED:
                if (task.lead, role) not in held:
                    yield OpenItem(task.id, task.lead, VACANT, role=str(role))
        for item, pending in sorted(task.pending.items()):
            person = directory.people.get(pending.by)
            if person is not None and person.left is not None:
                who = person.id
                yield OpenItem(task.id, task.lead, ENTERED_BY_LEAVER, item=item, person=who)
