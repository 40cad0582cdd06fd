"""The way in: a file to drafts, or to everything that is wrong with it."""

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import date
from pathlib import Path, PurePath

from domain.directory import Agency
from domain.refusal import Refused
from intake.assembling import Setting
from intake.csv_file import read_csv
from intake.drafts import Intake
from intake.limits import MAX_FILE_BYTES
from intake.workbook import read_workbook
from intake.yaml_file import read_yaml

_READERS: Mapping[str, Callable[[bytes, Setting], Intake]] = {
    ".csv": read_csv,
    ".xlsx": read_workbook,
    ".yaml": read_yaml,
    ".yml": read_yaml,
}


def read(
    path: Path,
    today: date,
    *,
    agencies: Iterable[Agency] | None = None,
    known: Container[str] = frozenset(),
) -> Intake:
    """Read the file at ``path``, as `read_bytes` does."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        raise Refused("file_unreadable") from None
    return read_bytes(data, path.name, today, agencies=agencies, known=known)


def read_bytes(
    data: bytes,
    name: str,
    today: date,
    *,
    agencies: Iterable[Agency] | None = None,
    known: Container[str] = frozenset(),
) -> Intake:
    """The drafts of a file, or all of its errors; its kind follows from ``name``.

    ``today`` is the day of the assignment, at the Office. ``agencies`` are those of the directory;
    without them ids are taken as they stand. ``known`` are the ids of tasks already registered: a
    file imported again isn't wrong because time has passed.

    Raises Refused when the file can't be read as tasks at all, or may not be: with
    ``secrecy_forbidden`` and the row alone, when the highest level of secrecy stands in it.
    """
    reader = _READERS.get(PurePath(name).suffix.lower())
    if reader is None:
        raise Refused("unknown_file_kind", kinds=", ".join(_READERS))
    if len(data) > MAX_FILE_BYTES:
        raise Refused("file_too_large", limit_mb=MAX_FILE_BYTES >> 20)
    if not data.strip():
        raise Refused("file_empty")
    return reader(data, Setting(today, agencies, known))
