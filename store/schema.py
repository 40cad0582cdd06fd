"""The tables. `entry`, `opening` and what is `sealed` are the log, `leaf` its one order,
`checkpoint` what was signed of it; everything else can be rebuilt from them.

Instants are the fixed-width text of `domain.instants`, so that both databases sort them alike.
Columns of the log never change; guards against UPDATE and DELETE are laid by the migrations.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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

sealed = Table(
    "sealed",
    metadata,
    Column("leaf", Text, ForeignKey("entry.leaf"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("box", LargeBinary, nullable=False),
)
"""Openings of protected tasks, encrypted (`vault.sealing`). They never stand in `opening`."""

data_key = Table(
    "data_key",
    metadata,
    Column("leaf", Text, ForeignKey("entry.leaf"), primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
"""The key to the boxes of an entry, wrapped for each who may open them, by the id of their key."""

unsequenced = Table(
    "unsequenced",
    metadata,
    Column("entry", _BIG_ID, ForeignKey("entry.id"), primary_key=True, autoincrement=False),
)
"""Entries that have no place in the tree yet. The database itself notes each new entry here."""

leaf = Table(
    "leaf",
    metadata,
    Column("idx", _BIG_ID, primary_key=True, autoincrement=False),
    Column("entry", _BIG_ID, ForeignKey("entry.id"), nullable=False, unique=True),
)
"""The place of each entry in the tree, from 0 without gaps."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", _BIG_ID, primary_key=True, autoincrement=False),
    # The size of the checkpoint before: two that follow on the same one would be a fork.
    Column("after", _BIG_ID, nullable=False, unique=True),
    Column("note", LargeBinary, nullable=False),
    CheckConstraint("size > after"),
)
"""Each checkpoint as the log signed it, before anybody else saw it."""

cosignature = Table(
    "cosignature",
    metadata,
    Column("size", _BIG_ID, ForeignKey("checkpoint.size"), primary_key=True, autoincrement=False),
    Column("witness", Text, primary_key=True),
    Column("lines", LargeBinary, nullable=False),
)
"""What witnesses signed of a checkpoint: signature lines of its note."""

timestamp = Table(
    "timestamp",
    metadata,
    Column("size", _BIG_ID, ForeignKey("checkpoint.size"), primary_key=True, autoincrement=False),
    Column("token", LargeBinary, nullable=False),
)
"""RFC 3161 answers of a time-stamping authority about a checkpoint."""

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
    Column("secrecy", Text, nullable=False, server_default="normal"),
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
