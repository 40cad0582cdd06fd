"""Once an epoch the log states how long its chains are, when there is something new to state."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from activities.queue import RecorderQueue
from activities.recorder import Attest, Recorded
from audit.entry import open_command, parse_entry
from domain import attestation
from sequencing import attesting
from sequencing.attesting import heads_due, keep_attesting
from store import tree
from store.engine import writing
from tests.support.heads import tree_of
from tests.support.patience import PATIENCE
from tests.support.world import World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def signed(world: World) -> int:
    """Give every entry its place, and keep a checkpoint over all of them: its size."""
    with writing(world.engine) as connection:
        tree.lock(connection)
        tree.sequence(connection, 1_000)
        size = tree.tree_size(connection)
        last = tree.last_checkpoint(connection)
        tree.persist(connection, size, last.size if last else 0, b"a note of the tests")
    return size


def due(world: World) -> Attest | None:
    return heads_due(world.engine, lambda: world.now)


def record(world: World, job: Attest) -> None:
    assert isinstance(world.recorder.record([job])[0], Recorded)


def test_a_log_without_a_checkpoint_states_nothing(world: World) -> None:
    world.assigned("T-1")
    assert due(world) is None


def test_the_heads_are_those_under_the_newest_checkpoint(world: World) -> None:
    world.assigned("T-1")
    world.assigned("T-2")
    size = signed(world)
    rows = world.rows()
    world.do(world.recorder.task("T-1") or "", "confirm", role="officer")
    stated = due(world)
    assert stated is not None
    heads = tree_of({row.chain: (row.seq, row.leaf) for row in rows})
    root = heads.root()
    assert stated == Attest("heads", {"chains": 3, "root": root.hex(), "size": size}, world.now)
    heads.prove("T-2").check(3, root)


def test_nothing_new_means_nothing_to_state(world: World) -> None:
    world.assigned("T-1")
    signed(world)
    stated = due(world)
    assert stated is not None
    record(world, stated)
    assert due(world) is None
    # The statement itself is in the tree now, and alone is no news.
    signed(world)
    assert due(world) is None
    world.do(world.recorder.task("T-1") or "", "confirm", role="officer")
    assert due(world) is None
    size = signed(world)
    again = due(world)
    assert again is not None
    assert again.arguments["size"] == size
    record(world, again)
    # The chain of statements is itself one of the chains that are stated.
    assert again.arguments["chains"] == 3


def test_nothing_is_stated_from_so_far_behind_that_no_verifier_would_reach_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sequencer stood still while very many steps were taken."""
    monkeypatch.setattr(attesting, "FAR", 3)
    world.assigned("T-1")
    signed(world)
    world.assigned("T-2")
    assert due(world) is not None
    with writing(world.engine) as connection:
        tree.lock(connection)
        tree.sequence(connection, 1)
    world.assigned("T-3")
    assert due(world) is None
    signed(world)
    assert due(world) is not None


def test_refusals_alone_are_nothing_to_state(world: World) -> None:
    task = world.assigned("T-1")
    signed(world)
    first = due(world)
    assert first is not None
    record(world, first)
    world.hand_in(world.submission(task, "approve", role="approver"))
    signed(world)
    assert due(world) is None


async def test_it_is_done_once_an_epoch_by_itself(world: World) -> None:
    world.assigned("T-1")
    signed(world)
    queue = RecorderQueue(world.recorder, lambda _recorded, _asker: None)
    services = [
        asyncio.create_task(
            keep_attesting(world.engine, queue, lambda: world.now, timedelta(seconds=0.05))
        )
        for _ in range(2)
    ]
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(0.3)
            if world.chain("attestations"):
                break
    for service in services:
        service.cancel()
    await asyncio.gather(*services, return_exceptions=True)
    await asyncio.to_thread(queue.stop)
    (row,) = world.chain("attestations")
    assert open_command(parse_entry(row.data).command).predicate["event"] == "heads"


def test_the_chain_of_statements_is_read_from_its_end(world: World) -> None:
    places = []
    for number in range(20):
        world.assigned(f"T-{number}")
        places.append(signed(world))
        job = due(world)
        assert job is not None
        record(world, job)
    size = signed(world)
    with world.engine.connect() as connection:
        found = []
        for index, _data in tree.newest_first(connection, attestation.CHAIN, size - 1):
            found.append(index)
            # Something else is asked while there is more to read.
            assert tree.index_of(connection, "0" * 64) is None
    assert found == places[-2::-1]
