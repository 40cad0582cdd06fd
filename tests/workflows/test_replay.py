"""Old histories still replay, and every scenario survives a worker that remembers nothing."""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.support.clients import TEST_CONVERTER
from tests.support.histories import DIRECTORY, SCENARIOS, play
from worker import workflow_runner
from workflows.task import TaskWorkflow

RECORDED = sorted(DIRECTORY.glob("*.json"))


def test_every_scenario_has_a_recorded_history() -> None:
    assert {file.name.partition(".")[0] for file in RECORDED} == set(SCENARIOS)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    recorded = await asyncio.to_thread(file.read_text, encoding="utf-8")
    history = WorkflowHistory.from_json("T-1", recorded)
    replayer = Replayer(
        workflows=[TaskWorkflow], workflow_runner=workflow_runner(), data_converter=TEST_CONVERTER
    )
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_plays_with_a_worker_that_replays_at_every_task(name: str) -> None:
    await play(name, cached=0)
