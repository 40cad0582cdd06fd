"""`dondoc`: where the command starts and where it ends."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli import status
from cli.app import build
from cli.failing import report
from cli.session import Session
from domain.secrecy import refuse_highest
from messages import Texts, language_of


def run() -> NoReturn:
    """The console script."""
    _speak_utf8()
    _leave(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Carry out one command line; the exit status. Raises SystemExit for shell completion only."""
    texts = Texts(language_of(arguments, os.environ))
    session = Session(texts, as_json="--json" in arguments)
    try:
        _refuse_highest(arguments)
        answer = build(session, arguments).main(
            args=list(arguments), prog_name="dondoc", standalone_mode=False
        )
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - each becomes a sentence and a status
        return report(session, error)
    finally:
        session.close()
    return answer if isinstance(answer, int) else status.DONE


def _refuse_highest(arguments: Sequence[str]) -> None:
    """Before any of the words is read: what is said of a wrong option quotes it."""
    for word in arguments:
        refuse_highest([word, word.partition("=")[2]])


def _speak_utf8() -> None:
    """Vietnamese goes out in UTF-8 whatever the locale claims: a pipe or a file must not fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def _leave(code: int) -> NoReturn:
    """End the process.

    Temporal's native threads may still run when the interpreter tears itself down, and on Python
    3.11 that aborts the process (status 134) after all work was done and all output written. So a
    process that has loaded them flushes, and leaves without a teardown: everything worth closing
    (databases, servers, locks) was closed by its own context before.
    """
    if "temporalio" not in sys.modules:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads any more
            code = code or status.BROKEN_PIPE
    os._exit(code)
