"""A command that comes straight through Temporal meets the same check of its files."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from audit.submission import format_submission
from evidence.folder import Folder
from evidence.keeper import Keeper
from tests.support.documents import PDF
from tests.support.histories import begun
from tests.support.patience import PATIENCE
from tests.support.running import Running, running
from tests.support.world import World
from workflows.messages import Answer, Submit


async def test_a_command_through_temporal_needs_its_files_too(
    time_skipping: WorkflowEnvironment, tmp_path: Path
) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    now = lambda: datetime.now(UTC)  # noqa: E731 - a clock
    keeper = Keeper(Folder(tmp_path / "evidence", now), now)
    (tmp_path / "evidence/incoming").mkdir(parents=True)
    (tmp_path / "evidence/incoming/dead.part").touch()
    async with running(world, time_skipping.client, evidence=keeper) as service:
        assert list((tmp_path / "evidence/incoming").iterdir()) == []
        task = await begun(service)
        await service.follow(task)
        world.now = service.clock()
        digest = f"sha256:{hashlib.sha256(PDF).hexdigest()}"
        arguments = {"summary": "Xong", "evidence": [digest]}
        submission = world.submission(task, "submit", arguments, role="officer")
        submit = Submit(format_submission(submission).decode())
        with pytest.raises(WorkflowUpdateFailedError) as failure:
            await service.handle(task).execute_update("submit", submit)
        assert isinstance(failure.value.cause, ApplicationError)
        assert failure.value.cause.message == "evidence_missing"
        assert await hand_in(service, task.id) == digest
        recorded = await service.handle(task).execute_update("submit", submit, result_type=Answer)
        assert recorded.snapshot is not None
        assert recorded.snapshot["state"] == "in_review"
    world.close()


async def hand_in(service: Running, task: str) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE) as person:
        answer = await person.post(
            f"http://127.0.0.1:{service.service.door_port}/evidence",
            params={"task": task},
            content=PDF,
            headers={"Content-Type": "application/octet-stream"},
        )
    return str(answer.json()["digest"])
