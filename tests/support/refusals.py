"""What a test's log says of refused commands, and what else it says about itself."""

from typing import Any

from audit.entry import open_command, parse_entry
from domain.refused import REFUSED, SUMMED
from store.ledger import Row
from tests.support.world import World


def event_of(row: Row) -> str:
    return str(open_command(parse_entry(row.data).command).predicate["event"])


def arguments_of(row: Row) -> dict[str, Any]:
    arguments: dict[str, Any] = open_command(parse_entry(row.data).command).predicate["arguments"]
    return arguments


def stated(world: World, event: str) -> list[dict[str, Any]]:
    """The arguments of the log's attestations of this kind, in order."""
    return [arguments_of(row) for row in world.chain("attestations") if event_of(row) == event]


def refused(world: World) -> list[dict[str, Any]]:
    """What the log says of each refused command."""
    return stated(world, REFUSED)


def codes(world: World) -> list[str]:
    return [each["code"] for each in refused(world)]


def other_statements(world: World) -> list[Row]:
    """Attestations that are not about refusals."""
    return [row for row in world.chain("attestations") if event_of(row) not in {REFUSED, SUMMED}]
