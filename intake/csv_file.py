"""Text tables: what Excel writes as "CSV UTF-8", with commas, semicolons or tabs between cells."""

import csv
import io
from collections.abc import Callable, Iterator
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
    table = read_table(read_records(decode(data), _is_heading, MAX_TASKS))
    return assemble(table.rows, setting, table.errors)


def read_records(text: str, is_heading: Callable[[str], bool], most: int) -> list[list[str]]:
    """The cells of a CSV text, of at most ``most`` rows that have something in them. Between them
    stands what makes most headings known. Raises Refused when it is broken or too long.
    """
    if "\0" in text:
        raise Refused("csv_broken", line=text[: text.index("\0")].count("\n") + 1)
    head = text.lstrip().partition("\n")[0][:10_000]
    delimiter = max(
        _DELIMITERS,
        key=lambda mark: sum(is_heading(cell.strip().strip('"')) for cell in head.split(mark)),
    )
    return _records(text, delimiter, most)


def _is_heading(text: str) -> bool:
    return recognise(text) is not None


def _records(text: str, delimiter: str, most: int) -> list[list[str]]:
    with _long_cells():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        records: list[list[str]] = []
        try:
            for record in reader:
                records.append(record)
                if len(records) > 2 * most:
                    raise Refused("too_many_rows", limit=most)
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
