"""What the service may do to its database on PostgreSQL, when its role is not the owner's.

The owner migrates; the service runs as a role that owns nothing and may only add to the log. It
can't lay the guards aside then: that takes the owner.

It may delete from tables that belong to the log: words, sealed ones with the keys to them, which
can be erased, and the notes of entries that wait for their places. Who deleted such a note would
keep an entry from being sequenced, until the next start finds it (`tree.queue_forgotten`); no
entry is lost by that.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from domain.refusal import Refused

_APPEND = "SELECT, INSERT"
_APPEND_AND_STRIKE = "SELECT, INSERT, DELETE"
_ALL = "SELECT, INSERT, UPDATE, DELETE"

TABLES: Mapping[str, str] = {
    "agency": _ALL,
    "alembic_version": "SELECT",
    "checkpoint": _APPEND,
    "cosignature": _APPEND,
    "data_key": _APPEND_AND_STRIKE,
    "entry": _APPEND,
    "leaf": _APPEND,
    "opening": _APPEND_AND_STRIKE,
    "outbox": _ALL,
    "sealed": _APPEND_AND_STRIKE,
    "task": _ALL,
    "timestamp": _APPEND,
    "unsequenced": _APPEND_AND_STRIKE,
}
SEQUENCES = ("entry_id_seq",)

_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
# A superuser is a member of every role; the schema's owner may drop what is in it.
_RULES = text(
    "SELECT EXISTS (SELECT 1 FROM pg_class AS c"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relname = ANY(CAST(:names AS text[]))"
    " AND (pg_has_role(:role, c.relowner, 'MEMBER') OR pg_has_role(:role, n.nspowner, 'MEMBER')))"
)
_SCHEMA = text("SELECT current_schema()")


def grant(connection: Connection, role: str) -> None:
    """Give this role what the service needs of the database, and take from it all else.

    To be called by the owner, after each migration. Raises Refused for SQLite, for a role that
    there isn't, and for one that owns the log or may become its owner.
    """
    if connection.dialect.name != "postgresql":
        raise Refused("database_without_roles")
    if connection.scalar(_EXISTS, {"role": role}) is None:
        raise Refused("role_unknown", role=role)
    if connection.scalar(_RULES, {"role": role, "names": sorted(TABLES)}):
        raise Refused("role_owns_log", role=role)
    quote = connection.dialect.identifier_preparer.quote_identifier
    to, schema = quote(role), quote(str(connection.scalar(_SCHEMA)))
    statements = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {to}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {to}",
        f"REVOKE ALL ON SCHEMA {schema} FROM {to}",
        f"GRANT USAGE ON SCHEMA {schema} TO {to}",
        *(f"GRANT {rights} ON {quote(table)} TO {to}" for table, rights in TABLES.items()),
        *(f"GRANT USAGE ON SEQUENCE {quote(sequence)} TO {to}" for sequence in SEQUENCES),
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)
