"""What Temporal keeps of a task, read as Temporal keeps it: on a real server, without the codec."""

import asyncio
import base64
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHistory,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

from activities.recorder import Probe, no_probe
from audit.submission import format_submission
from domain.task import Task
from gateway.reconciling import Scene, reconcile
from payloads.codec import ENCODING, ENCRYPTED, KEY_ID
from payloads.converter import encrypting_converter
from payloads.keys import PayloadKey, Unreadable
from payloads.ring import KeyMissing, Ring
from tests.support.clients import payload_key
from tests.support.histories import assigned
from tests.support.running import Running, running
from tests.support.scanning import found_in
from tests.support.temporal import TemporalServer
from tests.support.world import World
from worker import workflow_runner
from workflows.messages import TASK_QUEUE, Submit
from workflows.task import TaskWorkflow

FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
ONE, TWO = payload_key("one"), payload_key("two")
REASON, SUMMARY, BROKEN = "Không đúng thẩm quyền", "Đã bàn giao mặt bằng", "Ổ đĩa hỏng rồi"


@dataclass
class Stage:
    """A log, a server, and keys that a test may change; each service has its own ring of them."""

    world: World
    address: str
    keys: list[PayloadKey]
    broken: bool = False

    @asynccontextmanager
    async def serving(self, cached: int = 1_000, probe: Probe = no_probe) -> AsyncIterator[Running]:
        client, takeover = await self.client(), timedelta(seconds=1)
        async with running(
            self.world, client, probe=probe, max_cached_workflows=cached, takeover=takeover
        ) as service:
            yield service

    async def client(self) -> Client:
        # Every question is a second after the last: keys are read again each time.
        seconds = iter(range(1_000_000_000))
        ring = Ring(lambda: self.keys, lambda: float(next(seconds)))
        converter = encrypting_converter(ring, secrets.token_bytes)
        return await Client.connect(self.address, data_converter=converter)

    async def stored(self, task: str) -> WorkflowHistory:
        """The history as the server has it."""
        plain = await Client.connect(self.address)
        return await plain.get_workflow_handle(task).fetch_history()

    def probe(self, point: str) -> None:
        """A recorder that breaks, with words in what it says."""
        if self.broken and point == "prepared":
            raise ValueError(BROKEN)


@pytest.fixture
async def stage(temporal_server: TemporalServer, tmp_path: Path) -> AsyncIterator[Stage]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    made = Stage(world, temporal_server.address, [ONE])
    yield made
    # The server is shared: what is left running would be taken for ours by the next test.
    client = await made.client()
    async for each in client.list_workflows("ExecutionStatus = 'Running'"):
        await client.get_workflow_handle(each.id).terminate("end of the test")
    world.close()


def name() -> str:
    return f"E-{secrets.token_hex(6)}"


def submit(service: Running, task: Task, event: str, words: str, *, role: str) -> Submit:
    service.world.now = service.clock()
    key = "reason" if event == "dispute" else "summary"
    submission = service.world.submission(task, event, {key: words}, role=role)
    return Submit(format_submission(submission).decode())


def keys_named(history: WorkflowHistory) -> set[str]:
    """The payload keys that a history names, anywhere."""
    whole = b"".join(event.SerializeToString() for event in history.events)
    return {key.id for key in (ONE, TWO) if found_in(whole, [key.id])}


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)


async def failed_task(stage: Stage, task: str, seconds: float = 30) -> Failure:
    """Why a workflow task failed; waited for."""
    async with asyncio.timeout(seconds):
        while True:
            for event in (await stage.stored(task)).events:
                if event.event_type == FAILED:
                    return event.workflow_task_failed_event_attributes.failure
            await asyncio.sleep(0.1)


async def opened(history: WorkflowHistory, client: Client) -> bytes:
    """All that a history says to whoever has the keys."""
    converter = client.data_converter
    codec = converter.payload_codec
    assert codec is not None
    whole = []
    for event in history.events:
        for payload in payloads_of(event):
            payload.CopyFrom((await codec.decode([payload]))[0])
        whole.append(event.SerializeToString())
    return b"".join(whole)


def payloads_of(message: object) -> list[Payload]:
    """Every payload of a message, wherever it stands in it."""
    if isinstance(message, Payload):
        return [message]
    found: list[Payload] = []
    for descriptor, value in message.ListFields():  # type: ignore[attr-defined]  # any message
        if descriptor.message_type is None:
            continue
        if descriptor.message_type.GetOptions().map_entry:
            nested = [each for each in value.values() if hasattr(each, "ListFields")]
        else:
            nested = list(value) if isinstance(value, list) or hasattr(value, "add") else [value]
        for each in nested:
            found += payloads_of(each)
    return found


async def test_nothing_that_people_write_lies_in_clear_in_a_history(stage: Stage) -> None:
    task_id = name()
    async with stage.serving(probe=stage.probe) as service:
        task = await assigned(service, task_id)
        await service.follow(task)
        handle = service.handle(task)
        # A command through the workflow, and one that is refused: its command is void by now.
        disputing = submit(service, task, "dispute", REASON, role="officer")
        await handle.execute_update("submit", disputing)
        task = await service.until(task, lambda now: now.seq == task.seq + 1)
        late = submit(service, task, "submit", SUMMARY, role="officer")
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("submit", late)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "refused"
        # The recorder fails for good: an activity's failure, and the update's.
        stage.broken = True
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await handle.execute_update("submit", late)
        assert BROKEN in str(failed.value.cause)
        stage.broken = False
        await handle.signal("submit_signal", late)
        known = await service.known(task)
        assert known == task
        history = await stage.stored(task_id)
        words = [
            REASON, SUMMARY, BROKEN, "log_key", "recorder.py", "snapshot",
            base64.b64encode(stage.world.keys.log.public.spki).decode(),
        ]  # fmt: skip
        whole = b"".join(event.SerializeToString() for event in history.events)
        assert found_in(whole, words) == set()
        # The very same scan finds them all once the payloads are opened.
        assert found_in(await opened(history, service.service.client), words) == set(words)
        assert await stored_answers(stage, task_id) == (3, b"")


async def stored_answers(stage: Stage, task: str) -> tuple[int, bytes]:
    """How many queries are answered with something encrypted, as the server passes it on, and what
    they, and one that fails, say in clear.
    """
    plain = await Client.connect(stage.address)
    encrypted, rest = 0, b""
    for query in ("task", "__stack_trace", "__temporal_workflow_metadata", "no such query"):
        request = QueryWorkflowRequest(
            namespace=plain.namespace,
            execution=WorkflowExecution(workflow_id=task),
            query=WorkflowQuery(query_type=query),
        )
        try:
            answer = await plain.workflow_service.query_workflow(request)
        except Exception as error:  # noqa: BLE001 - what the failed query says is what counts
            rest += b"" if "Encoded failure" in str(error) else str(error).encode()
            continue
        for payload in answer.query_result.payloads:
            if payload.metadata[ENCODING] == ENCRYPTED:
                encrypted += 1
            else:
                rest += payload.SerializeToString()
    return encrypted, rest


async def test_a_key_is_rotated_in_the_middle_of_a_workflows_life(stage: Stage) -> None:
    task_id = name()
    async with stage.serving(cached=0) as service:
        task = await assigned(service, task_id)
        await service.follow(task)
        assert keys_named(await stage.stored(task_id)) == {ONE.id}
        stage.keys.insert(0, TWO)
        task = await service.do(task, "confirm", role="officer")
        await service.follow(task)
        assert keys_named(await stage.stored(task_id)) == {ONE.id, TWO.id}
        task = await service.do(task, "start", role="officer")
        assert (await service.follow(task)).seq == task.seq
        history = await stage.stored(task_id)
        converter = service.service.client.data_converter
    replayer = Replayer(
        workflows=[TaskWorkflow], workflow_runner=workflow_runner(), data_converter=converter
    )
    assert (await replayer.replay_workflow(history)).replay_failure is None
    stage.keys.remove(ONE)
    replayer = Replayer(
        workflows=[TaskWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=(await stage.client()).data_converter,
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert ONE.id in str(result.replay_failure)


async def test_a_worker_without_the_key_names_it_and_goes_on_when_it_comes(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = name()
    async with stage.serving() as service:
        task = await assigned(service, task_id)
        await service.follow(task)
    stage.keys[:] = [TWO]
    with caplog.at_level(logging.ERROR):
        async with stage.serving() as service:
            task = await service.do(task, "confirm", role="officer")
            missing = str(KeyMissing(ONE.id))
            await until(lambda: missing in caplog.text)
            failure = await failed_task(stage, task_id)
            assert failure.message == missing
            assert failure.stack_trace == ""
            described = await service.handle(task).describe()
            assert described.status is WorkflowExecutionStatus.RUNNING
            # Another task, whose keys are all here, is not held up by it.
            other = await assigned(service, name())
            assert (await service.follow(other)).seq == other.seq
            stage.keys.append(ONE)
            assert (await service.follow(task, seconds=90)).seq == task.seq


async def test_when_a_key_is_lost_for_good_workflows_begin_anew_from_the_log(
    stage: Stage,
) -> None:
    task_id = name()
    async with stage.serving() as service:
        task = await assigned(service, task_id)
        await service.follow(task)
    stage.keys[:] = [TWO]
    async with stage.serving() as service:
        await failed_task(stage, (await service.do(task, "confirm", role="officer")).id)
        await service.handle(task).terminate("its key is lost")
        await service.service.driver.drive([task_id])
        assert (await service.known(task)).seq == task.seq + 1
        assert keys_named(await stage.stored(task_id)) == {TWO.id}


async def test_reconciling_says_whose_histories_it_could_not_search(stage: Stage) -> None:
    task_id = name()
    async with stage.serving() as service:
        task = await assigned(service, task_id)
        await service.follow(task)
        inside = service.service
        scene = Scene(inside.client, inside.engine, TASK_QUEUE, service.clock, pause=0.1)
        with capture_logs() as lines:
            await reconcile(scene)
        assert not [line for line in lines if line["event"] == "receipts_not_searched"]
        stage.keys[:] = [TWO]
        with capture_logs() as lines:
            await reconcile(replace(scene, client=await stage.client()))
        said = next(line for line in lines if line["event"] == "receipts_not_searched")
        assert (said["task"], said["missing_keys"]) == (task_id, [ONE.id])


async def test_a_forged_payload_is_dropped_and_the_workflow_goes_on(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = name()
    stranger = await Client.connect(stage.address)
    metadata = {ENCODING: ENCRYPTED, KEY_ID: ONE.id.encode()}
    forged = RawValue(Payload(metadata=metadata, data=secrets.token_bytes(99)))
    async with stage.serving(cached=0) as service:
        task = await assigned(service, task_id)
        await service.follow(task)
        handle = stranger.get_workflow_handle(task_id)
        with caplog.at_level(logging.WARNING):
            for signal in ("follow", "submit_signal"):
                await handle.signal(signal, forged)
            # It is refused, and whoever has no key can't even read why.
            with pytest.raises(KeyError, match="binary/encrypted"):
                await handle.execute_update("submit", forged)
            assert str(Unreadable(ONE.id)) in caplog.text
        for event in ("confirm", "start"):
            task = await service.do(task, event, role="officer")
            assert (await service.follow(task)).seq == task.seq
        history = await stage.stored(task_id)
        assert not any(event.event_type == FAILED for event in history.events)


async def test_a_command_in_clear_by_temporals_own_means_is_recorded(stage: Stage) -> None:
    stranger = await Client.connect(stage.address)
    async with stage.serving() as service:
        task = await assigned(service, name())
        await service.follow(task)
        disputing = submit(service, task, "dispute", REASON, role="officer")
        await stranger.get_workflow_handle(task.id).signal("submit_signal", disputing)
        after = await service.until(task, lambda now: now.seq > task.seq)
        assert str(after.state) == "disputed"
        assert (await service.follow(after)).seq == after.seq
