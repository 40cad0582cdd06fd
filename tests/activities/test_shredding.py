"""What is sealed can be erased for good, a field or a whole task at once, and never changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.rebuilding import rebuild
from activities.recorder import Recorded
from activities.words import Reader, Words
from domain.refusal import Refused
from store import sealed
from store.engine import writing
from tests.support.sealing import CANARY, SECRET_WORDS, counted, read, shown, shred, verified
from tests.support.world import World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def test_one_field_is_erased_and_the_rest_still_opens(world: World) -> None:
    world.registered("S-1", **SECRET_WORDS)
    assert verified(world) == (2, 0, 0)
    assert verified(world, Reader()) == (0, 0, 2)
    world.erase("S-1", 1, "title")
    assert set(read(world, "S-1").opened) == {"document_title"}
    assert verified(world) == (1, 1, 0)
    assert shown(world)["S-1"] == "12/CT-UBND"
    world.erase("S-1", 1, "document_title")
    assert (counted(world, "sealed"), counted(world, "data_key")) == (0, 0)
    with pytest.raises(Refused, match="nothing_to_erase"):
        world.erase("S-1", 1, "title")
    assert verified(world) == (0, 2, 0)


def test_all_words_of_a_task_go_at_once_with_the_keys_to_them(world: World, tmp_path: Path) -> None:
    task = world.assigned("S-1", **SECRET_WORDS)
    task = world.do(task, "dispute", {"reason": CANARY}, role="officer")
    world.registered("S-2", **SECRET_WORDS)
    with world.engine.connect() as connection:
        boxes = [
            box
            for row in world.chain("S-1")
            for box in sealed.read(connection, row.leaf).boxes.values()
        ]
    assert isinstance(shred(world, "S-1", task.seq), Recorded)
    assert [read(world, "S-1", seq) for seq in (1, 3)] == [Words(), Words()]
    assert len(read(world, "S-2").opened) == 2
    assert (counted(world, "sealed"), counted(world, "data_key")) == (2, 1)
    assert verified(world) == (2, 3, 0)
    if world.engine.dialect.name == "sqlite":
        held = b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite*"))
        assert boxes
        assert not any(box[-32:] in held for box in boxes)
    # The task goes on, and what is said from now on rests sealed again.
    world.do(task, "keep", {"reason": CANARY}, role="office")
    assert set(read(world, "S-1", 4).opened) == {"reason"}
    rebuild(world.engine)
    assert shown(world)["S-1"] == "12/CT-UBND"


def test_words_in_clear_go_the_same_way(world: World) -> None:
    task = world.assigned("N-1", title=CANARY)
    assert isinstance(shred(world, "N-1", task.seq), Recorded)
    assert counted(world, "opening") == 0
    assert shown(world)["N-1"] == ""
    assert verified(world) == (0, 2, 0)


def test_only_what_is_there_is_shredded_and_only_by_the_administrator(world: World) -> None:
    task = world.registered("S-1", **SECRET_WORDS)
    for name, through in (("S-1", task.seq + 1), ("S-9", 1), ("directory", 3)):
        answer = shred(world, name, through)
        assert isinstance(answer, Refused)
        assert answer.code == "nothing_to_shred"
    for arguments in (
        {"task": "S-1", "through": 0, "reason": "secrecy"},
        {"task": "S-1", "through": 1, "reason": "because"},
        {"task": "S-1", "through": True, "reason": "secrecy"},
    ):
        answer = world.hand_in(world.attestation("shred", arguments))
        assert isinstance(answer, Refused)
        assert answer.code == "bad_argument"
    arguments = {"task": "S-1", "through": 1, "reason": "secrecy"}
    answer = world.hand_in(world.attestation("shred", arguments, world.people["office"]))
    assert isinstance(answer, Refused)
    assert answer.code == "key_of_other_purpose"
    assert len(read(world, "S-1").opened) == 2
    assert isinstance(shred(world, "S-1", task.seq), Recorded)
    answer = shred(world, "S-1", task.seq)
    assert isinstance(answer, Refused)
    assert answer.code == "nothing_to_shred"


@pytest.mark.parametrize("table", ["sealed", "data_key"])
def test_what_is_sealed_may_go_but_never_change(world: World, table: str) -> None:
    world.registered("S-1", **SECRET_WORDS)
    column = {"sealed": "box", "data_key": "wrapped"}[table]
    with pytest.raises(DBAPIError, match="append-only"), writing(world.engine) as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = {column}"))
    if world.engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="append-only"), writing(world.engine) as connection:
            connection.execute(text(f"TRUNCATE {table}"))


@pytest.mark.parametrize("table", ["sealed", "data_key"])
def test_an_exchanged_box_or_key_opens_nothing_and_the_verifier_names_it(
    world: World, table: str
) -> None:
    """Two tasks' rows are exchanged by somebody who got past the guards."""
    world.registered("S-1", **SECRET_WORDS)
    world.registered("S-2", **SECRET_WORDS)
    one, two = (world.chain(name)[0].leaf for name in ("S-1", "S-2"))
    with writing(world.engine) as connection:
        rows = connection.execute(text(f"SELECT * FROM {table}")).all()
        connection.execute(text(f"DELETE FROM {table}"))
        for leaf, name, data in rows:
            connection.execute(
                text(f"INSERT INTO {table} VALUES (:leaf, :name, :data)"),
                {"leaf": two if leaf == one else one, "name": name, "data": bytes(data)},
            )
    assert read(world, "S-1").damaged == {"title", "document_title"}
    with pytest.raises(AssertionError, match="opening_wrong"):
        verified(world)


def test_errors_of_the_database_name_no_words(world: World) -> None:
    world.registered("N-1")
    leaf = world.chain("N-1")[0].leaf
    statement = text("INSERT INTO opening (leaf, field, salt, value) VALUES (:l, 'title', :s, :v)")
    with pytest.raises(DBAPIError) as raised, writing(world.engine) as connection:
        connection.execute(statement, {"l": leaf, "s": b"", "v": CANARY})
    assert CANARY not in str(raised.value)
