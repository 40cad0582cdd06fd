"""`dondoc database upgrade|grant`: for whoever owns the tables, which the service need not."""

from typing import Annotated

import typer

from cli.session import Session


def upgrade(session: Session) -> None:
    """Bring the tables to the present schema, as their owner."""
    from store.engine import open_engine  # noqa: PLC0415 - not for --help
    from store.upgrade import upgrade as bring_up  # noqa: PLC0415 - likewise

    engine = open_engine(session.home.database_url)
    try:
        bring_up(engine)
    finally:
        engine.dispose()
    session.out.document({"upgraded": True})
    session.out.line(session.texts("database_upgraded"), "green")


def grant(
    session: Session,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="opt_database_role")],
) -> None:
    """Give a role of PostgreSQL what the service needs: of the log, reading and appending."""
    from store.engine import writing  # noqa: PLC0415 - not for --help
    from store.roles import grant as give  # noqa: PLC0415 - likewise

    with writing(session.engine) as connection:
        give(connection, role)
    session.out.document({"granted": role})
    session.out.line(session.texts("database_granted", role=role), "green")
