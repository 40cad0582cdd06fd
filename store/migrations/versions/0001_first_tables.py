"""The log, the outbox and the read model, and the guards that keep the log append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    _create_log()
    _create_read_model()
    _guard_log()


def _create_log() -> None:
    op.create_table(
        "entry",
        sa.Column("id", _BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("prev", sa.Text, nullable=False),
        sa.Column("leaf", sa.Text, nullable=False, unique=True),
        sa.Column("command", sa.Text, nullable=False, unique=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("chain", "seq"),
        sa.UniqueConstraint("chain", "prev"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "opening",
        sa.Column("leaf", sa.Text, sa.ForeignKey("entry.leaf"), primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
    )


def _create_read_model() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False, index=True),
        sa.Column("lead", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("overdue", sa.Boolean, nullable=False),
        sa.Column("timeliness", sa.Text),
        sa.Column("due_on", sa.Text),
        sa.Column("next_clock", sa.Text),
        sa.Column("next_due", sa.Text),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
    )
    op.create_index("task_by_agency", "task", ["lead", "state"])
    op.create_index("task_by_deadline", "task", ["next_due"])
    op.create_table(
        "agency",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name_vi", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text, nullable=False),
    )


def _guard_log() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER entry_no_{verb.lower()} BEFORE {verb} ON entry"
                " BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION 'the log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
