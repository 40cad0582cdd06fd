"""Recorded histories of the workflow: what old runs did must still be what the code does.

    python -m tests.support.histories          records every scenario that has no file yet

A release keeps its files; a change that breaks one of them needs `workflow.patched`.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import WorkflowEnvironment

from audit.submission import format_submission
from domain.task import Task
from tests.support.running import Running, running
from tests.support.temporal import time_skipping_environment
from tests.support.world import HEADER, World, key_of
from workflows.messages import Submit

DIRECTORY = Path(__file__).parents[1] / "workflows" / "histories"
Scenario = Callable[[Running, WorkflowEnvironment], Awaitable[None]]


async def assigned(service: Running, task: str = "T-1", **header: Any) -> Task:
    """A task that was issued yesterday and is due in twenty days, unless said."""
    today = service.clock().date()
    usual = {
        **HEADER,
        "issued_on": (today - timedelta(days=1)).isoformat(),
        "due_on": (today + timedelta(days=20)).isoformat(),
    }
    registered = await service.do(task, "register", {**usual, **header}, role="office")
    return await service.do(registered, "transfer", role="office")


async def begun(service: Running, **header: Any) -> Task:
    """The same, confirmed and started, and its workflow knows it."""
    task = await assigned(service, **header)
    for event in ("confirm", "start"):
        task = await service.do(task, event, role="officer")
        await service.follow(task)
    return task


async def past(service: Running, environment: WorkflowEnvironment, task: Task, clock: str) -> Task:
    """Let the time of one of the task's clocks come and go."""
    await service.follow(task)
    wait = task.clocks[clock].due - service.clock() + timedelta(minutes=1)
    await service.forward(environment, task, wait)
    return await service.until(task, lambda now: clock not in now.clocks)


async def on_time(service: Running, _environment: WorkflowEnvironment) -> None:
    task = await begun(service)
    task = await service.do(task, "report", {"summary": "Một nửa"}, role="officer")
    task = await service.do(task, "endorse", {"item": "report"}, role="approver")
    task = await service.do(task, "submit", {"summary": "Xong"}, role="officer")
    task = await service.do(task, "approve", role="approver")
    await service.follow(task)
    for _ in range(2):
        task = await service.do(task, "evaluate", {"rating": "met"}, role="monitor")
    await service.handle(task).result()


async def late(service: Running, environment: WorkflowEnvironment) -> None:
    task = await past(service, environment, await begun(service), "due")
    task = await service.do(task, "submit", {"summary": "Xong, chậm"}, role="officer")
    task = await service.do(task, "approve", role="approver")
    await past(service, environment, task, f"evaluate:{task.seq}")
    await service.handle(task).result()


async def reassigned(service: Running, _environment: WorkflowEnvironment) -> None:
    task = await assigned(service)
    task = await service.do(task, "dispute", {"reason": "Không đúng"}, role="officer")
    await service.follow(task)
    task = await service.do(task, "reassign", {"reason": "Đúng", "lead": "sxd"}, role="office")
    await service.follow(task)
    task = await service.do(task, "recall", {"reason": "Thôi"}, role="office")
    await service.handle(task).result()


async def straight_through_temporal(service: Running, _environment: WorkflowEnvironment) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    submission = service.world.submission(task, "confirm", role="officer")
    submit = Submit(format_submission(submission).decode())
    await service.handle(task).execute_update("submit", submit)
    await service.handle(task).signal("submit_signal", submit)
    await service.handle(task).terminate("recorded")


async def behind_the_log(service: Running, _environment: WorkflowEnvironment) -> None:
    task = await assigned(service)
    await service.follow(task)
    service.world.now = service.clock()
    task = service.world.do(task, "confirm", role="officer")
    task = await service.do(task, "start", role="officer")
    await service.follow(task)
    await service.handle(task).terminate("recorded")


async def rotated(service: Running, environment: WorkflowEnvironment) -> None:
    """The log gets another key under way, and a third one; in between a deadline is missed."""
    task = await assigned(service)
    await service.follow(task)
    service.rotate(key_of("log 2"))
    task = await service.do(task, "confirm", role="officer")
    await service.follow(task)
    task = await past(service, environment, task, "due")
    await service.follow(task)
    service.rotate(key_of("log 3"))
    task = await service.do(task, "start", role="officer")
    await service.follow(task)
    await service.handle(task).terminate("recorded")


async def standing(service: Running, environment: WorkflowEnvironment) -> None:
    """Three periods of a monthly duty, the second of them missed."""
    task = await begun(service, due_on=None, updates={"every": "month", "before_day": 10})
    for month in range(3):
        if month != 1:
            task = await service.do(task, "report", {"summary": "Báo cáo"}, role="officer")
            task = await service.do(task, "endorse", {"item": "report"}, role="approver")
            await service.follow(task)
        due = task.clocks["update"].due
        await service.forward(environment, task, due - service.clock() + timedelta(hours=1))
        task = await service.until(
            task,
            lambda now, passed=due: now.clocks["update"].due > passed,  # type: ignore[misc]
        )
        await service.follow(task)
    await service.handle(task).terminate("recorded")


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        on_time, late, reassigned, straight_through_temporal, behind_the_log, rotated,
        standing,
    )
}  # fmt: skip


async def play(name: str, cached: int = 1_000) -> str:
    """Play a scenario on servers of its own; its history as JSON."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(f"sqlite:///{directory}/log.sqlite", start=datetime.now(UTC))
        async with (
            time_skipping_environment() as environment,
            running(world, environment.client, max_cached_workflows=cached) as service,
        ):
            await SCENARIOS[name](service, environment)
            history = await service.handle("T-1").fetch_history()
        world.close()
    # Which machine and process played it is nobody's business.
    return re.sub(r"\d+@[\w.-]+", "worker", history.to_json())


async def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name in SCENARIOS:
        file = DIRECTORY / f"{name}.0.1.json"
        if not file.exists():
            file.write_text(await play(name) + "\n", encoding="utf-8")
            sys.stdout.write(f"{file.name}\n")


if __name__ == "__main__":
    asyncio.run(main())
