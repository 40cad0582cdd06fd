"""The order of the log: nothing is lost or signed twice, whoever else is at it; and its cost."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, TextClause, event, text

from activities.recorder import Handed
from audit.checkpoint import parse_checkpoint
from audit.note import parse_note
from domain.refusal import Refused
from sequencing.files import TreeFiles
from sequencing.sequencer import Sequencer
from store import ledger, tree
from store.engine import open_engine, writing
from store.ledger import Row
from store.upgrade import upgrade
from tests.support.patience import PATIENCE
from tests.support.publishing import Published, published
from tests.support.soundness import check_same_line, check_sound
from tests.support.turning import Plan, Running
from tests.support.world import FOUNDED, HEADER, World


@pytest.fixture(name="world")
def _world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.close()


@pytest.fixture(name="log")
def _log(world: World, tmp_path: Path) -> Published:
    return published(world, tmp_path / "tree")


def url_of(log: Published) -> str:
    return log.world.engine.url.render_as_string(hide_password=False)


def size_of(note: bytes | None) -> int:
    return parse_checkpoint(parse_note(note).text).size if note else 0


def elsewhere(log: Published) -> Published:
    """The same log, published in a folder of its own."""
    return replace(log, files=TreeFiles(log.files.root.with_name("elsewhere")))


def record_from_two_sides(log: Published, batches: int, size: int, names: str = "AB") -> None:
    """Two recorders add tasks at once, each batch in a transaction."""

    def work(name: str) -> None:
        recorder = log.world.another_recorder()
        for batch in range(batches):
            submissions = [
                log.world.submission(f"{name}-{batch}-{n}", "register", HEADER, role="office")
                for n in range(size)
            ]
            answers = recorder.record([Handed(each, log.world.now) for each in submissions])
            assert not any(isinstance(answer, Refused) for answer in answers)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(work, name) for name in names]:
            done.result()


def wait_for_a_checkpoint_beyond(log: Published, size: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with log.world.engine.connect() as connection:
            last = tree.last_checkpoint(connection)
        if last is not None and last.size > size:
            return
        assert time.monotonic() < end
        time.sleep(0.02)


# --- turns ---------------------------------------------------------------------------------------


def test_a_turn_places_writes_signs_and_persists_all_there_is(log: Published) -> None:
    sequencer = log.sequencer()
    signed = sequencer.turn()
    assert signed is not None
    assert signed.checkpoint.size == FOUNDED
    assert log.files.published() is None
    assert sequencer.publish(signed.note)
    assert sequencer.turn() is None
    check_sound(log)


def test_the_next_turn_finishes_what_another_sequencer_only_placed(log: Published) -> None:
    sequencer = log.sequencer()
    log.sequencer().place()
    assert sequencer.turn() is not None


def test_a_checkpoint_is_never_exchanged_for_an_older_one(log: Published) -> None:
    """Two sequencers publish in one folder; the one whose witnesses took longer comes late."""
    slow = log.sequencer()
    first = slow.turn()
    assert first is not None
    log.world.assigned("D1-1")
    fast = log.sequencer()
    second = fast.turn()
    assert second is not None
    assert fast.publish(second.note)
    assert not slow.publish(first.note)
    assert size_of(log.files.published()) == FOUNDED + 2
    check_sound(log)


def test_partial_files_that_others_outgrew_are_not_left_behind(log: Published) -> None:
    slow, fast = log.sequencer(), log.sequencer()
    fast.turn()
    record_from_two_sides(log, 1, 120)
    slow.place()
    with log.world.engine.connect() as connection:
        grown, files = slow._state.edge.extended(
            [row.data for row in tree.read_leaves(connection, 0, FOUNDED + 100)]
        )
    record_from_two_sides(replace(log, world=renamed(log.world)), 1, 30)
    signed = fast.turn()
    assert signed is not None
    assert grown.size < 256 < signed.checkpoint.size
    fast.publish(signed.note)
    log.files.write(files)
    assert not (log.files.root / "tile/0/000.p").exists()
    check_sound(log)


def renamed(world: World) -> World:
    """The same world, whose recorders name new tasks."""
    submission = world.submission

    def named(target: Any, *rest: Any, **named: Any) -> Any:
        return submission(f"N-{target}", *rest, **named)

    world.submission = named  # type: ignore[method-assign]
    return world


def test_a_sequencer_that_was_outrun_shows_the_others_checkpoint_and_goes_on(
    log: Published,
) -> None:
    """In a folder of its own it would else show an old one for ever."""
    one, other = log.sequencer(), elsewhere(log).sequencer()
    first = one.turn()
    assert first is not None
    one.publish(first.note)
    assert other.turn() == first
    other.publish(first.note)
    check_sound(elsewhere(log))
    log.world.assigned("D1-1")
    second = other.turn()
    assert second is not None
    assert second.checkpoint.size == FOUNDED + 2
    other.publish(second.note)
    check_sound(elsewhere(log))


# --- two at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_two_processes_on_one_log_sign_one_line_of_checkpoints(
    log: Published, tmp_path: Path, *, shared: bool
) -> None:
    other = log if shared else elsewhere(log)
    until = tmp_path / "until"
    processes = [
        Running(Plan(url_of(log), str(each.files.root), until=str(until))) for each in (log, other)
    ]
    for process in processes:
        process.wait_until_ready()
    record_from_two_sides(log, 15, 5)
    wait_for_a_checkpoint_beyond(log, FOUNDED)  # so that there is more than one in the end
    record_from_two_sides(log, 15, 5, "CD")
    until.touch()
    assert sum(process.finished() for process in processes) > 1
    line = check_sound(log)
    assert line.checkpoints[-1].size == FOUNDED + 300
    if not shared:
        check_same_line(log, other.files.root)
        check_sound(other)


@pytest.mark.parametrize("shared", [True, False])
def test_two_threads_on_one_log_sign_one_line_of_checkpoints(
    log: Published, *, shared: bool
) -> None:
    other = log if shared else elsewhere(log)
    done = threading.Event()

    def work(each: Published) -> None:
        sequencer = each.sequencer()
        while True:
            is_last = done.is_set()
            if signed := sequencer.turn():
                sequencer.publish(signed.note)
            elif is_last:
                return

    with ThreadPoolExecutor() as pool:
        turning = [pool.submit(work, each) for each in (log, other)]
        record_from_two_sides(log, 20, 5)
        done.set()
        for each in turning:
            each.result()
    assert check_sound(log).checkpoints[-1].size == FOUNDED + 200
    check_sound(other)


@pytest.mark.parametrize("point", ["placed", "written", "signed"])
def test_whatever_one_does_between_two_steps_of_the_other_there_is_one_line(
    log: Published, point: str
) -> None:
    other = elsewhere(log).sequencer()
    interfered = False

    def interfere(reached: str) -> None:
        nonlocal interfered
        if reached != point or interfered:
            return
        interfered = True
        # While a signature is being made the log's lock is held: nobody else can be at it.
        if point != "signed":
            log.world.registered("D1-1")
            signed = other.turn()
            assert signed is not None
            other.publish(signed.note)

    sequencer = log.sequencer(interfere)
    while signed := sequencer.turn():
        sequencer.publish(signed.note)
    assert interfered
    check_sound(log)
    if point != "signed":
        check_sound(elsewhere(log))


# --- the order -----------------------------------------------------------------------------------


def row(chain: str, seq: int) -> Row:
    return Row(chain, seq, f"{chain} {seq}", f"leaf of {chain} {seq}", f"{chain} {seq}", b"")


def test_an_id_that_commits_late_gets_its_place_all_the_same(postgres_url: str) -> None:
    """A takes an id, B the next one and commits, the sequencer runs; then A commits."""
    engine = open_engine(postgres_url)
    upgrade(engine)
    with engine.connect() as late:
        ledger.lock(late, ["A"])
        ledger.append(late, [row("A", 1), row("A", 2)], {})
        with writing(engine) as early:
            ledger.lock(early, ["B"])
            ledger.append(early, [row("B", 1)], {})
        assert placed(engine) == ["B 1"]
        late.commit()
    assert placed(engine) == ["B 1", "A 1", "A 2"]
    with writing(engine) as connection:
        ids = connection.execute(text("SELECT entry FROM leaf ORDER BY idx")).scalars().all()
    assert ids == [3, 1, 2]
    engine.dispose()


def placed(engine: Engine) -> list[str]:
    """What has a place after a turn's first step, in order."""
    with writing(engine) as connection:
        tree.lock(connection)
        while tree.sequence(connection, 2):
            pass
        size = tree.tree_size(connection)
        return [found.command for found in tree.read_leaves(connection, 0, size)]


def test_places_are_given_in_steps_and_in_the_order_of_ids(database_url: str) -> None:
    engine = open_engine(database_url)
    upgrade(engine)
    with writing(engine) as connection:
        ledger.append(connection, [row(f"C{n % 3}", n // 3 + 1) for n in range(11)], {})
        steps = [tree.sequence(connection, 4) for _ in range(4)]
        found = [each.seq for each in tree.read_leaves(connection, 0, 11)]
    assert steps == [4, 4, 3, 0]
    assert found == [n // 3 + 1 for n in range(11)]
    engine.dispose()


# --- the clock -----------------------------------------------------------------------------------


def times_after(log: Published, *moves: timedelta) -> tuple[list[int], int]:
    """The times that checkpoints give, the clock moved before each of them but the first.

    And the time of the clock at the beginning.
    """
    began = int(log.world.now.timestamp())
    log.publish()
    for number, move in enumerate(moves):
        log.world.registered(f"D1-{number}", due_on=None)
        log.world.now += move
        log.publish()
    return list(check_sound(log).times), began


def test_a_clock_set_back_a_day_does_not_make_the_log_say_so(log: Published) -> None:
    day = timedelta(days=1)
    times, began = times_after(log, -day, timedelta(hours=1), day)
    assert times == [began, began, began, began + 3600]


def test_a_clock_set_forward_a_year_and_back_does_not_either(log: Published) -> None:
    year = timedelta(days=365)
    times, began = times_after(log, year, -year, timedelta(hours=1))
    ahead = began + int(year.total_seconds())
    assert times == [began, ahead, ahead, ahead]


def test_a_running_sequencer_keeps_its_time_as_one_that_starts_does(log: Published) -> None:
    began = int(log.world.now.timestamp())
    sequencer = log.sequencer()
    for days in (0, -1, 2):
        log.world.registered(f"D{days + 1}-1")
        log.world.now += timedelta(days=days)
        signed = sequencer.turn()
        assert signed is not None
        sequencer.publish(signed.note)
    assert list(check_sound(log).times) == [began, began, began + 86_400]


# --- what it costs -------------------------------------------------------------------------------

MANY = 30_000


def fill(engine: Engine) -> None:
    """Many entries with places, as many checkpoints, and a few that wait."""
    data = "X'00'" if engine.dialect.name == "sqlite" else "'\\x00'::bytea"
    entries = (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY + 50})"
        " INSERT INTO entry (chain, seq, prev, leaf, command, data)"
        f" SELECT 'C' || i, 1, '', 'l' || i, 'c' || i, {data} FROM n"
    )
    places = f"INSERT INTO leaf (idx, entry) SELECT id - 1, id FROM entry WHERE id <= {MANY}"
    notes = f"DELETE FROM unsequenced WHERE entry <= {MANY}"
    checkpoints = (
        "INSERT INTO checkpoint (size, after, note)"
        f" SELECT id, id - 1, {data} FROM entry WHERE id < {MANY}"
    )
    with writing(engine) as connection:
        for statement in (entries, places, notes, checkpoints):
            connection.execute(text(statement.replace("::", "\\:\\:")))
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))


STATEMENTS: list[tuple[str, TextClause, dict[str, Any]]] = [
    ("tree_size", tree._SIZE, {}),
    ("sequence", tree._SEQUENCE, {"size": MANY, "limit": 1_000}),
    ("strike", tree._STRIKE, {"size": MANY - 50}),
    ("read_leaves", tree._LEAVES, {"start": MANY - 100, "end": MANY}),
    ("persist", tree._PERSIST, {"size": MANY, "after": MANY - 1, "note": b"n"}),
    ("last_checkpoint", tree._LAST, {}),
]


def scanned(connection: Connection, statement: TextClause, parameters: dict[str, Any]) -> set[str]:
    """The tables that the database would read from end to end for this statement."""
    if connection.dialect.name == "sqlite":
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement.text}"), parameters)
        steps = [str(step[3]).split() for step in plan]
        # It also calls a scan what follows an index backwards, up to the first row.
        last = "LIMIT 1" in statement.text and not any("TEMP" in words for words in steps)
        return {words[1] for words in steps if words[0] == "SCAN" and not last}
    plan = connection.execute(text(f"EXPLAIN (FORMAT JSON) {statement.text}"), parameters)
    found = plan.scalar()
    return sequential(json.loads(found) if isinstance(found, str) else found)


def sequential(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for each in node for name in sequential(each)}
    if not isinstance(node, dict):
        return set()
    own = {node["Relation Name"]} if node.get("Node Type") == "Seq Scan" else set()
    return own | {name for each in node.values() for name in sequential(each)}


def test_no_statement_of_a_turn_reads_a_table_of_the_log_from_end_to_end(
    database_url: str,
) -> None:
    engine = open_engine(database_url)
    upgrade(engine)
    fill(engine)
    log_tables = {"entry", "e", "leaf", "checkpoint"}
    with engine.connect() as connection:
        found = {
            name: scanned(connection, statement, parameters) & log_tables
            for name, statement, parameters in STATEMENTS
        }
        # The question is one that can be answered with yes.
        everything = scanned(connection, text("SELECT sum(length(data)) FROM entry"), {})
    engine.dispose()
    assert found == {name: set() for name, _, _ in STATEMENTS}
    assert everything == {"entry"}


def test_a_turn_asks_the_database_as_much_of_a_large_log_as_of_a_small_one(
    log: Published,
) -> None:
    sequencer = log.sequencer()
    few = statements_of_a_turn(log, sequencer, 0)
    record_from_two_sides(log, 2, 200)
    sequencer.turn()
    assert statements_of_a_turn(log, sequencer, 1) == few


def statements_of_a_turn(log: Published, sequencer: Sequencer, number: int) -> list[str]:
    sequencer.turn()
    log.world.registered(f"D1-{number}")
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(log.world.engine, "before_cursor_execute", note)
    assert sequencer.turn() is not None
    event.remove(log.world.engine, "before_cursor_execute", note)
    return asked
