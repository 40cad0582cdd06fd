"""Bringing workflows back: those that should run and don't, and those that lag behind the log.

Termination, deletion and resets run no code of ours, and Temporal's store may be lost altogether.
So the log's tasks are compared with the server's list, at the start and from time to time, and
whoever is missing or behind is driven.
"""

import asyncio
from dataclasses import dataclass

from sqlalchemy import Engine
from temporalio.client import Client

from gateway.driver import Driver
from store import queries
from workflows import attributes
from workflows.messages import WORKFLOW

_RUNNING = f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus = 'Running'"


@dataclass(frozen=True, slots=True)
class Rehydrated:
    """How many tasks need a workflow, and whose was missing or behind."""

    needed: int
    missing: tuple[str, ...]
    behind: tuple[str, ...]


async def rehydrate(client: Client, engine: Engine, driver: Driver) -> Rehydrated:
    """Compare and repair. What the server lists may be a moment old: a task driven for nothing
    hears what it knows.
    """
    needed = await asyncio.to_thread(_needed, engine)
    running = await _running(client)
    missing = tuple(sorted(needed.keys() - running.keys()))
    behind = tuple(sorted(t for t, seq in needed.items() if running.get(t, seq) != seq))
    await driver.drive([*missing, *behind])
    return Rehydrated(len(needed), missing, behind)


def _needed(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return queries.driven(connection)


async def _running(client: Client) -> dict[str, int]:
    """The last entry that each running workflow knows, by task id."""
    known: dict[str, int] = {}
    async for execution in client.list_workflows(_RUNNING, page_size=1_000):
        known[execution.id] = execution.typed_search_attributes.get(attributes.SEQUENCE) or 0
    return known
