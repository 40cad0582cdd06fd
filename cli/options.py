"""Options that several commands share, and reading their values. Help is given by code."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from cli.completing import complete_person, complete_task
from cli.session import Session

_DAY_FIRST = 3
"""Parts of a day written as dd/mm/yyyy."""

TaskId = Annotated[str, typer.Argument(metavar="ID", help="opt_task", autocompletion=complete_task)]
As = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="PERSON", help="opt_as", envvar="DONDOC_AS", autocompletion=complete_person
    ),
]
KeyFile = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="opt_key")]


def read_day(session: Session, text: str, option: str) -> str:
    """A day, given as dd/mm/yyyy or yyyy-mm-dd, as the log writes it. Raises BadParameter."""
    parts = text.strip().split("/")
    try:
        if len(parts) == _DAY_FIRST:
            day, month, year = map(int, parts)
            return date(year, month, day).isoformat()
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError as error:
        reason = session.texts("misuse_day", value=text[:40])
        raise typer.BadParameter(reason, param_hint=option) from error


def check_choice(session: Session, value: str, choices: tuple[str, ...], option: str) -> str:
    """``value`` when it is one of ``choices``. Raises BadParameter."""
    if value not in choices:
        reason = session.texts("misuse_choice", value=value[:40], choices=", ".join(choices))
        raise typer.BadParameter(reason, param_hint=option)
    return value
