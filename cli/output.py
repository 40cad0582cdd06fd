"""What a command prints: lines and tables for people, one JSON document for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from messages import Texts
from messages.plain import plain
from messages.sentences import sentence

if TYPE_CHECKING:
    from rich.console import Console


class ReaderGone(Exception):
    """Whoever read our output has stopped reading, as `head` does."""


_NARROW = 110
_WHOLE = frozenset({"column_task", "column_due", "column_day", "column_person", "column_event"})
"""Columns whose values are copied or compared by eye: never broken over lines."""
_WIDE = 200
"""Columns where there is no terminal: a table in a file or a pipe is not cut at 80."""


class Output:
    """Prints in one language, to stdout; warnings and progress go to stderr."""

    def __init__(self, texts: Texts, *, as_json: bool) -> None:
        self.as_json = as_json
        self._texts = texts

    @cached_property
    def console(self) -> "Console":
        return _console(sys.stdout.isatty())

    @cached_property
    def aside(self) -> "Console":
        """For what is not the answer: progress, questions, warnings."""
        return _console(sys.stderr.isatty(), stderr=True)

    @property
    def is_narrow(self) -> bool:
        """Whether a table had better leave something out."""
        return self.console.width < _NARROW

    def line(self, text: str = "", style: str | None = None) -> None:
        """One line for people; nothing with --json. Texts are never read as markup."""
        if not self.as_json:
            self.console.print(
                plain(text), style=style, markup=False, highlight=False, soft_wrap=True
            )

    def file(self, content: str) -> None:
        """Exactly this text, for redirecting into a file; nothing with --json."""
        if not self.as_json:
            sys.stdout.write(content)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table for people, whose headings are texts by code; nothing with --json."""
        if self.as_json:
            return
        from rich.table import Table  # noqa: PLC0415 - only when there is a table
        from rich.text import Text  # noqa: PLC0415 - likewise

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(self._texts(column), overflow="fold", no_wrap=column in _WHOLE)
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        self.console.print(table, highlight=False)

    def document(self, value: object) -> None:
        """The answer as one JSON document; nothing without --json."""
        if self.as_json:
            sys.stdout.write(_utf8(json.dumps(value, ensure_ascii=False, indent=2)) + "\n")

    def error(self, code: str, facts: Mapping[str, Any], text: str | None = None) -> None:
        """Why the command did not do what was asked: on stderr, or as the JSON document."""
        said = _utf8(text or sentence(self._texts, code, facts))
        if self.as_json:
            self.document({"refused": code, "facts": dict(facts), "text": said})
        else:
            self.aside.print(
                plain(said), style="red", markup=False, highlight=False, soft_wrap=True
            )

    def progress(self, text: str) -> None:
        """A line that says how far a long work has come; only where somebody watches."""
        if not self.as_json and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def end_progress(self) -> None:
        self.progress("")


def _utf8(text: str) -> str:
    """The text without what UTF-8 can't write: an error may quote a broken command line."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _console(on_terminal: bool, *, stderr: bool = False) -> "Console":  # noqa: FBT001 - one caller
    from rich.console import Console  # noqa: PLC0415 - not for --json

    # A title may hold :key: or the like, and means just that.
    return Console(stderr=stderr, width=None if on_terminal else _WIDE, emoji=False)
