"""From what was typed to the arguments of a step, field by field as `domain.command` declares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from cli.options import check_choice, read_day
from cli.session import Session
from domain.command import FIELDS, Field, Kind
from domain.refusal import Refused

_FROM_FILE = "@"
_PERCENT = 100


def read_arguments(
    session: Session, event: str, typed: Mapping[str, Any]
) -> dict[str, str | int | list[str]]:
    """The arguments of ``event``. Raises BadParameter for a value of the wrong form, or Refused."""
    arguments = {}
    for name, field in FIELDS[event].items():
        value = typed.get(name)
        if value is not None and value != []:
            arguments[name] = _read(session, field, value, option_of(name))
    return arguments


def option_of(name: str) -> str:
    """The option that gives a field."""
    return f"--{name.replace('_', '-')}"


def _read(
    session: Session,
    field: Field,
    value: Any,  # noqa: ANN401 - text, number or list, by the field's kind
    option: str,
) -> str | int | list[str]:
    match field.kind:
        case Kind.DATE:
            return read_day(session, value, option)
        case Kind.CODE:
            return check_choice(session, value, field.codes, option)
        case Kind.TEXT:
            return _text(value)
        case Kind.PERCENT if not 0 <= value <= _PERCENT:
            reason = session.texts("misuse_percent", value=value)
            raise typer.BadParameter(reason, param_hint=option)
    typed: str | int | list[str] = value
    return typed


def _text(value: str) -> str:
    """Words as typed, or those of a file: ``@report.txt``; ``@@`` begins a text with an @."""
    if not value.startswith(_FROM_FILE):
        return value
    if value.startswith(_FROM_FILE * 2):
        return value[1:]
    path = Path(value[1:])
    try:
        # utf-8-sig: Windows' editors put a mark in front that belongs to nobody's text.
        return path.read_text(encoding="utf-8-sig").rstrip("\n")
    except FileNotFoundError as error:
        raise Refused("text_file_missing", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise Refused("text_not_utf8", path=str(path)) from error
