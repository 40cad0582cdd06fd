"""The order of the log, its checkpoints, and who else signed them: as append-only as the log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_APPEND_ONLY = ("leaf", "checkpoint", "cosignature", "timestamp")


def upgrade() -> None:
    """Create the tables, queue the entries that are there already, and lay the guards."""
    _create_tree()
    op.execute("INSERT INTO unsequenced (entry) SELECT id FROM entry")
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _create_tree() -> None:
    op.create_table(
        "unsequenced",
        sa.Column(
            "entry", _BIG_ID, sa.ForeignKey("entry.id"), primary_key=True, autoincrement=False
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "leaf",
        sa.Column("idx", _BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("entry", _BIG_ID, sa.ForeignKey("entry.id"), nullable=False, unique=True),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", _BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("after", _BIG_ID, nullable=False, unique=True),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("size > after"),
        sqlite_strict=True,
    )
    op.create_table("cosignature", _checkpoint_size(), _witness(), _bytes("lines"))
    op.create_table("timestamp", _checkpoint_size(), _bytes("token"))


def _checkpoint_size() -> sa.Column[int]:
    key = sa.ForeignKey("checkpoint.size")
    return sa.Column("size", _BIG_ID, key, primary_key=True, autoincrement=False)


def _witness() -> sa.Column[str]:
    return sa.Column("witness", sa.Text, primary_key=True)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _guard_sqlite() -> None:
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            _refuse_in_sqlite(table, verb)
    # Words may be erased (the row goes), never exchanged.
    _refuse_in_sqlite("opening", "UPDATE")
    op.execute(
        "CREATE TRIGGER entry_to_sequence AFTER INSERT ON entry"
        " BEGIN INSERT INTO unsequenced (entry) VALUES (new.id); END"
    )


def _refuse_in_sqlite(table: str, verb: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
        " BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
    )


def _guard_postgresql() -> None:
    for table in _APPEND_ONLY:
        _refuse_in_postgresql(table, "UPDATE OR DELETE OR TRUNCATE")
    _refuse_in_postgresql("opening", "UPDATE OR TRUNCATE")
    op.execute(
        "CREATE FUNCTION note_unsequenced() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN INSERT INTO unsequenced (entry) SELECT id FROM appended; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER entry_to_sequence AFTER INSERT ON entry"
        " REFERENCING NEW TABLE AS appended"
        " FOR EACH STATEMENT EXECUTE FUNCTION note_unsequenced()"
    )


def _refuse_in_postgresql(table: str, verbs: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE {verbs} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
