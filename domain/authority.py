"""Who may take which step: one table, for people to read and for every door to judge by.

A step is allowed when a line of `GRANTS` has its event, the role of who acts, and how that
person's agency stands to the task; and when the person may work on tasks as secret as this one.
Whether the person holds the role at all is the directory's to say (`domain.directory`); that no
one checks what they made themselves, `domain.decide` sees to.

The first line of a step is where it usually comes from. Inspectors, leaders and auditors look and
take no step; an operator runs the service and takes none either (Art. 2, 8, 11).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.refusal import Refused
from domain.secrecy import covers
from domain.task import Role, Secrecy, Task


class Relation(StrEnum):
    """How an agency stands to a task. One agency may stand to it in several ways."""

    NEW = "new"
    """There is no task yet."""
    REGISTRAR = "registrar"
    """It registered the task: the Office of the body that assigns."""
    LEAD = "lead"
    COORDINATOR = "coordinator"
    MONITOR = "monitor"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Grant:
    """One line: the step ``event`` by ``role`` of an agency in this ``relation``. ``source`` is
    where the right comes from.
    """

    event: str
    role: Role
    relation: Relation
    source: str


_OFFICE = (Role.OFFICE, Relation.REGISTRAR)
_OFFICER = (Role.OFFICER, Relation.LEAD)
_APPROVER = (Role.APPROVER, Relation.LEAD)
_MONITOR = (Role.MONITOR, Relation.MONITOR)

_LINES: tuple[tuple[str, tuple[Role, Relation], str], ...] = (
    ("register", (Role.OFFICE, Relation.NEW), "Art. 6.1"),
    ("transfer", _OFFICE, "Art. 6.1"),
    ("confirm", _OFFICER, "Art. 6.2a"),
    ("dispute", _OFFICER, "Art. 6.2a"),
    ("keep", _OFFICE, "Art. 6.1b"),
    ("correct", _OFFICE, "Art. 6.1b"),
    ("reassign", _OFFICE, "Art. 6.1b"),
    ("start", _OFFICER, "Art. 6.2b"),
    ("report", _OFFICER, "Art. 6.2b"),
    ("submit", _OFFICER, "Art. 6.2b"),
    ("approve", _APPROVER, "Art. 15.3"),
    ("send_back", _APPROVER, "Art. 15.3"),
    ("endorse", _APPROVER, "Art. 15.3"),
    ("decline", _APPROVER, "Art. 15.3"),
    ("ask_extension", _OFFICER, "directive, 1c"),
    ("ask_withdrawal", _OFFICER, "directive, 1c"),
    ("grant_extension", _OFFICE, "directive, 1c"),
    ("grant_withdrawal", _OFFICE, "directive, 1c"),
    ("refuse", _OFFICE, "directive, 1c"),
    ("explain", _OFFICER, "Art. 15.4"),
    ("evaluate", _MONITOR, "Art. 6.3"),
    ("urge", _MONITOR, "Art. 10"),
    ("urge", _OFFICE, "Art. 10"),
    ("recall", _OFFICE, "Art. 6.1"),
    ("lapse", (Role.CLOCK, Relation.NONE), "Art. 6"),
)

GRANTS = tuple(Grant(event, role, relation, source) for event, (role, relation), source in _LINES)

_ROLES: dict[str, frozenset[Role]] = {
    grant.event: frozenset(g.role for g in GRANTS if g.event == grant.event) for grant in GRANTS
}
_RELATIONS: dict[tuple[str, Role], frozenset[Relation]] = {
    (grant.event, grant.role): frozenset(
        g.relation for g in GRANTS if (g.event, g.role) == (grant.event, grant.role)
    )
    for grant in GRANTS
}


def roles_of(event: str) -> frozenset[Role]:
    """The roles that may take this step at all."""
    return _ROLES[event]


def relations(task: Task | None, agency: str) -> frozenset[Relation]:
    """How ``agency`` stands to the task; None is one that does not exist yet."""
    if task is None:
        return frozenset({Relation.NEW})
    held = {
        Relation.REGISTRAR: agency == task.office,
        Relation.LEAD: agency == task.lead,
        Relation.COORDINATOR: agency in task.coordinators,
        Relation.MONITOR: agency == task.monitor,
    }
    return frozenset(found for found, is_so in held.items() if is_so) or frozenset({Relation.NONE})


def permits(
    event: str, role: Role, held: frozenset[Relation], level: Secrecy, clearance: Secrecy
) -> bool:
    """One cell of the table."""
    wanted = _RELATIONS.get((event, role), frozenset())
    if not wanted & held:
        return False
    return role is Role.CLOCK or covers(clearance, level)


def check(
    event: str, role: Role, agency: str, task: Task | None, level: Secrecy, clearance: Secrecy
) -> None:
    """The same for a step that somebody takes. Raises Refused, naming what is missing."""
    held = relations(task, agency)
    if permits(event, role, held, level, clearance):
        return
    wanted = _RELATIONS.get((event, role))
    if wanted is None:
        raise Refused("role_may_not", event=event, role=role)
    if not wanted & held:
        responsible = ", ".join(_agencies(task, wanted))
        raise Refused("other_agency", agency=agency, responsible=responsible)
    raise Refused("not_cleared", secrecy=level, clearance=clearance)


def _agencies(task: Task | None, wanted: frozenset[Relation]) -> Iterator[str]:
    if task is None:
        return
    named = {
        Relation.REGISTRAR: task.office,
        Relation.LEAD: task.lead,
        Relation.MONITOR: task.monitor,
    }
    yield from (named[relation] for relation in sorted(wanted) if relation in named)
