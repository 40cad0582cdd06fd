"""Workers that are down over a deadline make nobody late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import Client

from activities.stamping import Stamper
from audit.entry import open_command, parse_entry
from audit.submission import format_submission
from domain.task import State
from tests.support.clients import connect
from tests.support.histories import assigned
from tests.support.running import SkippingClock, running
from tests.support.temporal import start_server
from tests.support.world import World
from workflows.messages import Submit


async def test_a_command_stamped_in_time_is_in_time_when_the_workers_come_back_after_the_deadline(
    tmp_path: Path,
) -> None:
    """It waits as a signal in Temporal: the only part that is up."""
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}", start=datetime.now(UTC))
    server = start_server(tmp_path / "temporal")
    try:
        await _confirmed_while_down(world, await connect(server.address))
    finally:
        server.kill()
        world.close()


async def _confirmed_while_down(world: World, client: Client) -> None:
    async with running(world, client) as service:
        task = await assigned(service)
        await service.follow(task)
    due = task.clocks["confirm"].due
    world.now = datetime.now(UTC)
    stamper = Stamper(world.keys, world.recorder.known_directory)
    confirm = stamper.stamped(world.submission(task, "confirm", role="officer"), world.now)
    text = format_submission(confirm).decode()
    await client.get_workflow_handle(task.id).signal("submit_signal", Submit(text))
    late = SkippingClock(due - world.now + timedelta(hours=5))
    async with running(world, client, late) as service:
        found = await service.until(task, lambda known: known.state is State.CONFIRMED)
    assert "confirm" not in found.missed
    entries = [parse_entry(row.data) for row in world.rows() if row.chain == task.id]
    events = [open_command(entry.command).predicate["event"] for entry in entries]
    assert events == ["register", "transfer", "confirm"]
