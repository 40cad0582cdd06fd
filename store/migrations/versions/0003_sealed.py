"""Sealed words of protected tasks and the keys to them; the level of secrecy in listings."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("sealed", "data_key")
_LEVELS_IN_SQLITE = "UPDATE task SET secrecy = json_extract(snapshot, '$.secrecy')"
_LEVELS_IN_POSTGRESQL = "UPDATE task SET secrecy = CAST(snapshot AS json)->>'secrecy'"


def upgrade() -> None:
    """Create the tables, tell the level of the tasks there are, and lay the guards."""
    op.create_table("sealed", _leaf(), _name("field"), _bytes("box"), sqlite_strict=True)
    op.create_table("data_key", _leaf(), _name("recipient"), _bytes("wrapped"), sqlite_strict=True)
    level = sa.Column("secrecy", sa.Text, nullable=False, server_default="normal")
    op.add_column("task", level)
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(_LEVELS_IN_SQLITE if is_sqlite else _LEVELS_IN_POSTGRESQL)
    for table in _TABLES:
        # Words may be erased (the row goes), never exchanged.
        if is_sqlite:
            op.execute(
                f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}"
                " BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
            )
        else:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )


def _leaf() -> sa.Column[str]:
    return sa.Column("leaf", sa.Text, sa.ForeignKey("entry.leaf"), primary_key=True)


def _name(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)
