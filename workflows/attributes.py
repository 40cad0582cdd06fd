"""What operators can search workflows by: identifiers, codes and times, never names or content."""

from datetime import UTC, datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.task import Task

STATE = SearchAttributeKey.for_keyword("DondocState")
AGENCY = SearchAttributeKey.for_keyword("DondocAgency")
NEXT_DEADLINE = SearchAttributeKey.for_datetime("DondocNextDeadline")
OVERDUE = SearchAttributeKey.for_bool("DondocOverdue")
SEQUENCE = SearchAttributeKey.for_int("DondocSequence")

TYPES = {
    STATE.name: "Keyword",
    AGENCY.name: "Keyword",
    NEXT_DEADLINE.name: "Datetime",
    OVERDUE.name: "Bool",
    SEQUENCE.name: "Int",
}
"""As Temporal's own commands write the types."""

_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


def values(task: Task) -> dict[SearchAttributeKey[Any], Any]:
    """The attributes of a task. One without a deadline sorts behind all others."""
    nearest = task.next_clock
    return {
        STATE: str(task.state),
        AGENCY: task.lead,
        NEXT_DEADLINE: nearest[1].due if nearest else _NEVER,
        OVERDUE: task.overdue,
        SEQUENCE: task.seq,
    }


def typed(task: Task) -> TypedSearchAttributes:
    """The attributes in the form that starting a workflow takes."""
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in values(task).items()]
    )
