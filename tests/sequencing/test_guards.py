"""What the database itself refuses, whoever asks: to its owner by triggers, to a service's role by
rights.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from activities.rebuilding import rebuild, rebuild_agencies, rebuild_tasks
from domain.refusal import Refused
from sequencing.files import TreeFiles
from store import ledger, roles, tree
from store.engine import open_engine, writing
from store.ledger import Row
from store.schema import metadata
from tests.support.copying import as_role, execute_as_superuser
from tests.support.publishing import Published, published
from tests.support.soundness import check_sound
from tests.support.world import World

APPEND_ONLY = ("entry", "leaf", "checkpoint", "cosignature", "timestamp")
COLUMNS = {
    "entry": ("data", "leaf"),
    "leaf": ("idx", "idx"),
    "checkpoint": ("note", "size"),
    "cosignature": ("lines", "size"),
    "timestamp": ("token", "size"),
}
"""Per table a column to change, and one to find a row by."""
REFUSED = "the log is append-only"


@pytest.fixture(name="world")
def _world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.close()


@pytest.fixture(name="log")
def _log(world: World, tmp_path: Path) -> Published:
    """Published, with something in every table."""
    log = published(world, tmp_path / "tree")
    world.assigned("D1-1")
    size = log.publish().checkpoint.size
    with writing(world.engine) as connection:
        tree.add_cosignature(connection, size, "north", b"lines")
        tree.add_timestamp(connection, size, b"token")
    return log


def refused(world: World, statement: str, match: str = REFUSED) -> None:
    with pytest.raises(DBAPIError, match=match), writing(world.engine) as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_row_of_the_log_can_be_changed_or_taken_away(log: Published, table: str) -> None:
    world, (column, key) = log.world, COLUMNS[table]
    refused(world, f"UPDATE {table} SET {column} = {column}")
    refused(world, f"DELETE FROM {table}")
    refused(world, f"DELETE FROM {table} WHERE {key} IN (SELECT max({key}) FROM {table})")
    if world.engine.dialect.name == "postgresql":
        refused(world, f"TRUNCATE {table} CASCADE")
    check_sound(log)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_row_of_the_log_can_be_replaced_by_inserting_it(log: Published, table: str) -> None:
    world, (column, _) = log.world, COLUMNS[table]
    if world.engine.dialect.name == "sqlite":
        refused(world, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        refused(world, f"REPLACE INTO {table} SELECT * FROM {table}")
        upsert = f"INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT DO UPDATE"
    else:
        key = "idx" if table == "leaf" else "id" if table == "entry" else "size"
        key = f"{key}, witness" if table == "cosignature" else key
        upsert = f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE"
    refused(world, f"{upsert} SET {column} = excluded.{column}")
    check_sound(log)


def test_words_can_be_erased_but_not_exchanged(log: Published) -> None:
    world = log.world
    refused(world, "UPDATE opening SET value = 'other words'")
    if world.engine.dialect.name == "postgresql":
        refused(world, "TRUNCATE opening")
    with writing(world.engine) as connection:
        assert connection.execute(text("DELETE FROM opening")).rowcount == 2
    check_sound(log)


def test_two_checkpoints_never_follow_on_the_same_one(log: Published) -> None:
    insert = "INSERT INTO checkpoint (size, after, note) SELECT size {}, note FROM checkpoint"
    with pytest.raises(IntegrityError), writing(log.world.engine) as connection:
        connection.execute(text(insert.format("+ 1, after")))
    with pytest.raises(IntegrityError), writing(log.world.engine) as connection:
        connection.execute(text(insert.format(", after + 1")))
    with pytest.raises(IntegrityError), writing(log.world.engine) as connection:
        connection.execute(text(insert.format("+ 5, size + 6")))


def test_a_checkpoint_is_persisted_only_behind_the_last_and_over_what_is_there(
    log: Published,
) -> None:
    log.world.registered("D1-2")
    sequencer = log.sequencer()
    sequencer.place()
    for size, after in ((16, 14), (16, 0), (17, 15), (16, 16)):
        with pytest.raises(tree.Outrun), writing(log.world.engine) as connection:
            tree.persist(connection, size, after, b"note")
    with pytest.raises(DBAPIError), writing(log.world.engine) as connection:
        tree.persist(connection, 15, 15, b"note")
    log.publish()
    check_sound(log)


def test_no_place_is_given_twice_and_no_entry_has_two(log: Published) -> None:
    for values in ("(3, 9999)", "(99, (SELECT min(id) FROM entry))", "(99, 9999)"):
        with pytest.raises(IntegrityError), writing(log.world.engine) as connection:
            connection.execute(text(f"INSERT INTO leaf (idx, entry) VALUES {values}"))


def row(number: int, chain: str = "X") -> Row:
    return Row(
        f"{chain}-{number}", 1, f"{number:064x}", uuid4().hex, f"{chain}-{number}", b"data"
    )  # fmt: skip


def waiting(connection: Connection) -> list[str]:
    query = text(
        "SELECT e.chain FROM unsequenced AS u JOIN entry AS e ON e.id = u.entry ORDER BY 1"
    )
    return list(connection.execute(query).scalars())


def test_the_database_itself_notes_every_entry_whichever_way_it_comes(log: Published) -> None:
    copy = (
        "INSERT INTO entry (chain, seq, prev, leaf, command, data)"
        " SELECT 'S-' || id, seq, prev, 's' || leaf, 's' || command, data FROM entry WHERE id < 4"
    )
    with writing(log.world.engine) as connection:
        ledger.append(connection, [row(1)], {})
        ledger.append(connection, [row(2), row(3)], {})
        connection.execute(text(copy))
        assert waiting(connection) == ["S-1", "S-2", "S-3", "X-1", "X-2", "X-3"]


def test_entries_that_come_by_copy_are_noted(postgres_url: str) -> None:
    world = World(postgres_url)
    with writing(world.engine) as connection:
        cursor = connection.connection.cursor()
        columns = "chain, seq, prev, leaf, command, data"
        with cursor.copy(f"COPY entry ({columns}) FROM STDIN") as copy:
            copy.write_row(("X-1", 1, "", "leaf", "command", b"data"))
        assert "X-1" in waiting(connection)
    world.close()


def test_an_entry_whose_note_was_deleted_is_found_at_the_next_start(log: Published) -> None:
    log.world.assigned("D1-2")
    with writing(log.world.engine) as connection:
        connection.execute(text("DELETE FROM unsequenced"))
    assert log.sequencer().turn() is not None
    log.world.assigned("D1-3")
    log.publish()
    check_sound(log)


def test_queueing_what_was_forgotten_counts_it(log: Published) -> None:
    log.world.assigned("D1-2")
    with writing(log.world.engine) as connection:
        assert not tree.has_forgotten(connection)
        assert tree.queue_forgotten(connection) == 0
        connection.execute(text("DELETE FROM unsequenced"))
        assert tree.has_forgotten(connection)
        assert tree.queue_forgotten(connection) == 2
        assert not tree.has_forgotten(connection)


def test_a_note_of_an_entry_that_has_its_place_is_struck_at_the_start(log: Published) -> None:
    """Tables filled from a copy by hand have the trigger's notes of all entries."""
    with writing(log.world.engine) as connection:
        connection.execute(text("INSERT INTO unsequenced (entry) SELECT id FROM entry"))
    log.world.assigned("D1-2")
    log.publish()
    check_sound(log)


# --- a role of its own on PostgreSQL -------------------------------------------------------------


@pytest.fixture(name="role")
def _role(postgres_url: str) -> Iterator[str]:
    """One that may log in, with a name that wants quoting. Roles are the whole server's."""
    role = f'dienst "{uuid4().hex[:8]}" 100% :x'
    quoted = '"' + role.replace('"', '""') + '"'
    execute_as_superuser(postgres_url, f"CREATE ROLE {quoted} LOGIN")
    yield role
    execute_as_superuser(postgres_url, f"DROP OWNED BY {quoted}", f"DROP ROLE {quoted}")


@pytest.fixture(name="served")
def _served(postgres_url: str, role: str) -> Iterator[World]:
    """A world that works as this role; its tables were made by their owner."""
    owner = World(postgres_url)
    owner.close()
    engine = open_engine(postgres_url)
    with writing(engine) as connection:
        roles.grant(connection, role)
        # Once more, as after a migration.
        roles.grant(connection, role)
    engine.dispose()
    world = World(as_role(postgres_url, role))
    with world.engine.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == role
    yield world
    world.close()


def test_the_whole_service_works_as_a_role_that_owns_nothing(served: World, tmp_path: Path) -> None:
    log = published(served, tmp_path / "tree")
    log.publish()
    served.done("D1-1")
    task = served.assigned("D1-2")
    served.forward(hours=7)
    served.tick(task)
    size = log.publish().checkpoint.size
    with writing(served.engine) as connection:
        tree.add_cosignature(connection, size, "north", b"lines")
        tree.add_timestamp(connection, size, b"token")
        ledger.erase(connection, served.chain("D1-1")[0].leaf, "title")
        connection.execute(text("DELETE FROM outbox"))
    rebuilt = rebuild(served.engine)
    assert rebuilt.tasks == 2
    rebuild_tasks(served.engine, ["D1-1"])
    rebuild_agencies(served.engine)
    with writing(served.engine) as connection:
        connection.execute(text("DELETE FROM unsequenced"))
    log.sequencer()
    check_sound(log)


FORBIDDEN = [
    *(
        statement.format(table=table, column=COLUMNS[table][0])
        for table in APPEND_ONLY
        for statement in (
            "UPDATE {table} SET {column} = {column}",
            "DELETE FROM {table}",
            "TRUNCATE {table}",
            "ALTER TABLE {table} DISABLE TRIGGER {table}_append_only",
            "ALTER TABLE {table} DISABLE TRIGGER ALL",
            "ALTER TABLE {table} DROP COLUMN {column}",
            "DROP TRIGGER {table}_append_only ON {table}",
            "DROP TABLE {table} CASCADE",
            (
                "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION"
                " suppress_redundant_updates_trigger()"
            ),
            "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
            "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
        )
    ),
    "UPDATE opening SET value = ''",
    "TRUNCATE opening",
    "UPDATE unsequenced SET entry = 1",
    "DROP TRIGGER entry_to_sequence ON entry",
    "DROP FUNCTION refuse_change() CASCADE",
    (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NULL; END $$"
    ),
    "CREATE TABLE mine (id int)",
    "SELECT setval('entry_id_seq', 1)",
    "UPDATE alembic_version SET version_num = '0001'",
    "SET session_replication_role = replica",
    "DROP SCHEMA public CASCADE",
]


def test_that_role_can_lay_no_hand_on_the_log_or_its_guards(served: World, tmp_path: Path) -> None:
    log = published(served, tmp_path / "tree")
    served.assigned("D1-1")
    log.publish()
    for statement in FORBIDDEN:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            execute(served, statement)
    check_sound(log)


def execute(world: World, statement: str) -> None:
    with writing(world.engine) as connection:
        connection.execute(text(statement))


def test_that_role_has_no_right_that_is_not_listed(served: World, role: str) -> None:
    query = text(
        "SELECT table_name, string_agg(privilege_type, ', ' ORDER BY privilege_type)"
        " FROM information_schema.role_table_grants WHERE grantee = :role GROUP BY table_name"
    )
    with served.engine.connect() as connection:
        found = {name: set(rights.split(", ")) for name, rights in
                 connection.execute(query, {"role": role})}  # fmt: skip
    assert found == {name: set(rights.split(", ")) for name, rights in roles.TABLES.items()}


def test_every_table_of_the_schema_is_granted() -> None:
    assert set(roles.TABLES) == {*metadata.tables, "alembic_version"}


def test_what_a_role_had_before_is_taken_from_it(
    served: World, role: str, postgres_url: str
) -> None:
    quoted = '"' + role.replace('"', '""') + '"'
    execute_as_superuser(postgres_url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {quoted}")
    engine = open_engine(postgres_url)
    with writing(engine) as connection:
        roles.grant(connection, role)
    engine.dispose()
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute(served, "TRUNCATE leaf")


def test_the_owner_whoever_may_become_it_and_nobody_at_all_are_no_role_for_a_service(
    postgres_url: str, role: str
) -> None:
    world = World(postgres_url)
    quoted = '"' + role.replace('"', '""') + '"'

    def refusal(name: str) -> Refused:
        with pytest.raises(Refused) as raised, writing(world.engine) as connection:
            roles.grant(connection, name)
        return raised.value

    assert refusal("nobody there").code == "role_unknown"
    owner = str(world.engine.url.username)
    assert refusal(owner).code == "role_owns_log"
    execute_as_superuser(postgres_url, f"GRANT {owner} TO {quoted}")
    assert refusal(role).code == "role_owns_log"
    assert refusal(role).facts == {"role": role}
    world.close()


def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    with pytest.raises(Refused) as raised, writing(world.engine) as connection:
        roles.grant(connection, "anybody")
    assert raised.value.code == "database_without_roles"
    assert TreeFiles(tmp_path).published() is None
    world.close()
