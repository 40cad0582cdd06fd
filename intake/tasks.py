"""The task part of a row."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from domain.task import Priority, Secrecy
from intake.agencies import Agencies
from intake.cells import read_day, read_number, read_priority, read_text
from intake.documents import Document, take_open_text
from intake.identity import item_of_key, task_id
from intake.raw import Cell, Desk, is_blank
from intake.recurrence import read_updates
from intake.words import same


@dataclass(frozen=True, slots=True)
class RowTask:
    """What a row orders, for each of ``leads`` on its own.

    ``fields`` are the arguments of ``register`` without the document's and without the lead.
    """

    desk: Desk
    document: Document
    item: str | None
    leads: tuple[str, ...]
    shared: bool
    fields: dict[str, Any]

    def task_id(self, item: str, lead: str) -> str:
        return task_id(self.document.id, item, lead if self.shared else None)

    def sameness(self, lead: str) -> tuple[str, ...]:
        """What two rows have in common when they are the same task, however they are spelt."""
        words = (same(self.fields.get(name, "")) for name in ("title", "content"))
        terms = (str(self.fields.get(name)) for name in ("due_on", "updates"))
        return (self.document.id, lead, *words, *terms)


def read_task(desk: Desk, document: Document | None, agencies: Agencies) -> RowTask | None:
    """The task of a row, or None when it can't be said which; what is wrong was noted."""
    secrecy = document.secrecy if document else None
    item = desk.take("key", _read_key)
    fields = _texts(desk, secrecy)
    leads, shared = _leads(desk, agencies)
    coordinators = desk.take("coordinators", partial(agencies.several, "coordinators")) or []
    if set(leads) & set(coordinators):
        desk.note("coordinators", "agency_twice")
    due_on = desk.take("due_on", read_day)
    fields |= {
        "coordinators": coordinators,
        "monitor": desk.take("monitor", partial(agencies.one, "monitor"), required=True),
        "priority": str(desk.take("priority", read_priority) or Priority.REGULAR),
        "due_on": due_on.isoformat() if due_on else None,
        "updates": desk.take("updates", read_updates),
    }
    if document is None:
        return None
    given = {name: value for name, value in fields.items() if value is not None}
    return RowTask(desk, document, item, leads, shared, given)


def _texts(desk: Desk, secrecy: Secrecy | None) -> dict[str, Any]:
    return {
        "title": desk.take("title", partial(read_text, "title"), required=True),
        "content": take_open_text(desk, "content", secrecy),
        "products": take_open_text(desk, "products", secrecy),
    }


def _leads(desk: Desk, agencies: Agencies) -> tuple[tuple[str, ...], bool]:
    """The agencies in charge, and whether each has a task of its own."""
    lead = desk.take("lead", partial(agencies.one, "lead"))
    each = desk.take("each", partial(agencies.several, "each")) or []
    given = [name for name in ("lead", "each") if not is_blank(desk.row.cells.get(name))]
    if len(given) != 1:
        desk.note("lead", "lead_or_each")
    if each:
        return tuple(each), True
    return ((lead,) if lead else ()), False


def _read_key(cell: Cell) -> str | None:
    key = read_number("key", cell)
    return None if key is None else item_of_key(key)
