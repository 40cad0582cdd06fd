"""Text tables: what Excel writes as "CSV UTF-8", with commas, semicolons or tabs between cells."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager

from domain.refusal import Refused
from intake.assembling import Setting, assemble
from intake.columns import recognise
from intake.drafts import Intake
from intake.encoding import decode
from intake.limits import MAX_FILE_BYTES, MAX_TASKS
from intake.table import read_table

_DELIMITERS = ",;\t"


def read_csv(data: bytes, setting: Setting) -> Intake:
    """The drafts or the errors of a CSV file. Raises Refused when it can't be read at all."""
    text = decode(data)
    if "\0" in text:
        raise Refused("csv_broken", line=text[: text.index("\0")].count("\n") + 1)
    table = read_table(_records(text, _delimiter(text)))
    return assemble(table.rows, setting, table.errors)


def _delimiter(text: str) -> str:
    """The one under which most headings are known."""
    head = text.lstrip().partition("\n")[0][:10_000]
    return max(_DELIMITERS, key=lambda mark: sum(map(_is_heading, head.split(mark))))


def _is_heading(text: str) -> bool:
    return recognise(text.strip().strip('"')) is not None


def _records(text: str, delimiter: str) -> list[list[str]]:
    with _long_cells():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        records: list[list[str]] = []
        try:
            for record in reader:
                records.append(record)
                if len(records) > 2 * MAX_TASKS:
                    raise Refused("too_many_rows", limit=MAX_TASKS)
        except csv.Error:
            raise Refused("csv_broken", line=reader.line_num) from None
    return records


@contextmanager
def _long_cells() -> Iterator[None]:
    """A cell that is far too long is reported with its place, not as a broken file."""
    before = csv.field_size_limit(MAX_FILE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)
