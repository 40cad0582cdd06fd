"""CSV files: one sheet each. Which one it is, its headings tell."""

from domain.refusal import Refused
from intake.csv_file import read_records
from intake.encoding import decode
from intake.people.columns import COLUMNS, SHEETS, recognise
from intake.people.listing import AGENCIES, PEOPLE
from intake.people.sheets import MAX_ROWS, Sheet, read_sheet


def read_text_table(data: bytes) -> Sheet:
    """The sheet of a CSV file. Raises Refused when it can't be read, or is neither of the two."""
    text = decode(data)
    records = read_records(text, _is_heading, MAX_ROWS)
    first = next((record for record in records if any(cell.strip() for cell in record)), [])
    known = {kind: sum(recognise(kind, cell) is not None for cell in first) for kind in COLUMNS}
    if not any(known.values()):
        raise Refused("sheet_unknown", agencies=SHEETS[AGENCIES][0], people=SHEETS[PEOPLE][0])
    # "Mã cơ quan" stands in both; the one of which more is there is meant.
    return read_sheet(max(known, key=lambda kind: known[kind]), records)


def _is_heading(text: str) -> bool:
    return any(recognise(kind, text) is not None for kind in COLUMNS)
