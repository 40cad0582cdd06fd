"""A `World` whose log is driven by the real service: worker, driver and door on a real Temporal.

    async with running(world, environment.client) as service:
        task = await service.do(task, "confirm", role="officer")
        await service.follow(task)                    # until the workflow knows it too

Time is the machine's, plus what the test has skipped: Temporal gives each workflow a clock of its
own, and `Running.forward` moves the recorder's by as much.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.recorder import Probe, no_probe
from audit.private_keys import PrivateKey
from domain.snapshot import parse_task
from domain.task import Task
from tests.support.patience import PATIENCE
from tests.support.world import World
from worker import Service, Settings, service


@dataclass
class SkippingClock:
    """The time now, some way ahead of the machine's."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Running:
    """The service at work, and a test's hands on it."""

    world: World
    service: Service
    clock: Callable[[], datetime]

    def handle(self, task: Task | str) -> WorkflowHandle[Any, Any]:
        return self.service.client.get_workflow_handle(task if isinstance(task, str) else task.id)

    async def do(
        self,
        target: Task | str,
        event: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        role: str,
    ) -> Task:
        """One step through the door. Raises Refused."""
        self.world.now = self.clock()
        submission = self.world.submission(target, event, arguments, role=role)
        recorded = await self.service.door.submit(submission)
        assert recorded.task is not None
        return recorded.task

    def rotate(self, key: PrivateKey) -> None:
        """Let the log sign its records with another key from now on."""
        self.world.now = self.clock()
        self.world.rotate("log", key)

    async def known(self, task: Task | str) -> Task:
        """The task as its workflow knows it."""
        return parse_task(await self.handle(task).query("task"))

    async def follow(self, task: Task, seconds: float = PATIENCE) -> Task:
        """Wait until the workflow knows the task's last step."""
        async with asyncio.timeout(seconds):
            while True:
                await self.service.driver.drained()
                known = await self.known(task)
                if known.seq >= task.seq:
                    return known
                await asyncio.sleep(0.02)

    async def until(
        self, task: Task | str, holds: Callable[[Task], bool], seconds: float = PATIENCE
    ) -> Task:
        """Wait until something holds of the task in the log."""
        name = task if isinstance(task, str) else task.id
        async with asyncio.timeout(seconds):
            while True:
                found = self.service.recorder.task(name)
                if found is not None and holds(found):
                    return found
                await asyncio.sleep(0.02)

    async def forward(self, environment: WorkflowEnvironment, task: Task, delta: timedelta) -> None:
        """Let ``delta`` pass for this task's workflow and for the recorder."""
        assert isinstance(self.clock, SkippingClock)
        self.clock.ahead += delta
        await environment.fast_forward(self.handle(task), delta)


@asynccontextmanager
async def running(
    world: World,
    client: Client,
    clock: Callable[[], datetime] | None = None,
    probe: Probe = no_probe,
    **settings: Any,
) -> AsyncIterator[Running]:
    """Run the service on the world's log while the context lasts."""
    clock = clock or SkippingClock()
    url = world.engine.url.render_as_string(hide_password=False)
    async with service(Settings(url, world.keys, **settings), client, clock, probe) as started:
        yield Running(world, started, clock)
