"""What the shell offers after Tab. Quick, and silent whatever goes wrong."""

import os
from pathlib import Path

from typer import Context

from domain.directory import SERVICE
from embedded.home import DATA_VARIABLE, DATABASE_VARIABLE, DEFAULT_DATA, Home

_OFFERED = 50


def complete_task(ctx: Context, incomplete: str) -> list[str]:
    """Ids of tasks that begin so. Asks SQLite directly: loading SQLAlchemy would be felt."""
    file = _home(ctx).path / "dondoc.sqlite"
    if os.environ.get(DATABASE_VARIABLE) or not file.is_file():
        return []
    import sqlite3  # noqa: PLC0415 - for Tab only

    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=0.5)
    except sqlite3.Error:
        return []
    try:
        rows = connection.execute(
            "SELECT id FROM task WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?",
            (len(incomplete), incomplete, _OFFERED),
        )
        return [task for (task,) in rows]
    except sqlite3.Error:
        return []
    finally:
        connection.close()


def complete_person(ctx: Context, incomplete: str) -> list[str]:
    """People whose keys lie in the data directory."""
    people = _home(ctx).people.glob("*.pem")
    return sorted(file.stem for file in people if file.stem.startswith(incomplete))


def complete_holder(ctx: Context, incomplete: str) -> list[str]:
    """Holders of keys: the log's own, and those people."""
    own = [name for name in SERVICE if name.startswith(incomplete)]
    return [*own, *complete_person(ctx, incomplete)]


def _home(ctx: Context) -> Home:
    given = next((c.params.get("data_") for c in (ctx, ctx.find_root())), None)
    return Home(Path(given or os.environ.get(DATA_VARIABLE) or DEFAULT_DATA))
