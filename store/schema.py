"""The tables. `entry` and `opening` are the log; everything else can be rebuilt from them.

Instants are the fixed-width text of `domain.instants`, so that both databases sort them alike.
Columns of the log never change; guards against UPDATE and DELETE are laid by the migrations.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

_BIG_ID = BigInteger().with_variant(Integer, "sqlite")

entry = Table(
    "entry",
    metadata,
    Column("id", _BIG_ID, primary_key=True, autoincrement=True),
    Column("chain", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("prev", Text, nullable=False),
    Column("leaf", Text, nullable=False, unique=True),
    Column("command", Text, nullable=False, unique=True),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("chain", "seq"),
    UniqueConstraint("chain", "prev"),
)

opening = Table(
    "opening",
    metadata,
    Column("leaf", Text, ForeignKey("entry.leaf"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("task", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
)
"""Tasks whose workflow may not have heard of their entries up to ``seq`` yet."""

task = Table(
    "task",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False, index=True),
    Column("lead", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("overdue", Boolean, nullable=False),
    Column("timeliness", Text),
    Column("due_on", Text),
    Column("next_clock", Text),
    Column("next_due", Text),
    Column("seq", Integer, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("title", Text, nullable=False),
    Index("task_by_agency", "lead", "state"),
    Index("task_by_deadline", "next_due"),
)

agency = Table(
    "agency",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name_vi", Text, nullable=False),
    Column("name_en", Text, nullable=False),
)

READ_MODEL = (task, agency)
"""What `rebuild` empties and fills again."""
