"""What went wrong, as a sentence and an exit status. No traceback for what can be expected."""

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from typer import Abort, BadParameter, TyperException

from audit.malformed import Malformed
from cli import status
from cli.output import ReaderGone
from domain.refusal import Refused

if TYPE_CHECKING:
    from cli.session import Session

_MISUSE = "misuse"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""A write that fails for these often names no file."""


def report(session: "Session", error: BaseException) -> int:
    """Tell what is wrong; the exit status."""
    session.out.end_progress()
    match error:
        case Refused():
            session.out.error(error.code, error.facts)
        case Malformed():
            session.out.error(error.code, {"detail": error.detail})
        case TyperException():
            return _misuse(session, error)
        case KeyboardInterrupt() | Abort():
            session.out.error("interrupted", {})
            return status.INTERRUPTED
        case ReaderGone() | BrokenPipeError():
            # Nothing more can be said to them, nor by the interpreter when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return status.BROKEN_PIPE
        case UnicodeEncodeError():
            # Bytes of the command line that are no UTF-8 reach Python as lone surrogates.
            session.out.error("text_with_surrogates", {})
        case OSError() if error.errno in _NO_ROOM:
            session.out.error("no_room", {"data": str(session.home.path)})
        case OSError() if error.filename is not None:
            facts = {"path": str(error.filename), "reason": error.strerror or str(error)}
            session.out.error("file_failed", facts)
        case _ if reason := _database_reason(error):
            session.out.error("database_failed", {"reason": reason})
        case _:
            return _fault(session, error)
    return status.REFUSED


def _misuse(session: "Session", error: TyperException) -> int:
    texts = session.texts
    name = type(error).__name__
    if name == "NoArgsIsHelpError":  # its help page has been printed
        return status.MISUSE
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dondoc"
    said = f"{_what(session, name, error)}\n{texts('misuse_help', command=command)}"
    session.out.error(_MISUSE, {"command": command}, said)
    return status.MISUSE


def _what(session: "Session", name: str, error: TyperException) -> str:
    """The sentence for one of the mistakes that Typer finds."""
    texts = session.texts
    parameter = getattr(error, "param", None)
    hint = getattr(error, "param_hint", None) or (_hint(parameter) if parameter else "")
    match name:
        case "MissingParameter":
            return texts("misuse_missing", parameter=hint)
        case "NoSuchOption":
            return texts("misuse_no_such_option", option=getattr(error, "option_name", ""))
        case _ if isinstance(error, BadParameter) and not hint:
            return error.message
        case _ if isinstance(error, BadParameter):
            reason = _range(session, parameter) or error.message
            return texts("misuse_value", parameter=hint, reason=reason)
        case _ if error.message.startswith("No such command"):
            return texts("misuse_no_such_command", reason=error.message.split("'")[1])
        case _:
            return texts("misuse_other", reason=error.format_message())


def _range(session: "Session", parameter: Any) -> str:  # noqa: ANN401 - likewise
    """What a number must be. Typer says it in English only; empty for what is no number of its."""
    descriptor = getattr(parameter, "type_descriptor", None)
    if descriptor is None or descriptor.annotation is not int:
        return ""
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is None:
        return session.texts("misuse_number")
    if most is None:
        return session.texts("misuse_number_from", least=least)
    return session.texts("misuse_number_between", least=least, most=most)


def _hint(parameter: Any) -> str:  # noqa: ANN401 - Typer has no public name for its type
    options = [name for name in parameter.opts if name.startswith("--")]
    return options[0] if options else str(parameter.metavar or parameter.name).upper()


def _database_reason(error: BaseException) -> str | None:
    """What a database's error says in its first line; None when it is none."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - loaded already, or no database was used

    if not isinstance(error, DBAPIError):
        return None
    return str(error.orig).strip().splitlines()[0][:200]


def _fault(session: "Session", error: BaseException) -> int:
    session.out.error("unexpected_error", {"detail": type(error).__name__})
    traceback.print_exception(error, file=sys.stderr)
    return status.FAULT
