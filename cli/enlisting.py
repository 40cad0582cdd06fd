"""`dondoc directory import`, `export`, `template`: agencies and people in bulk."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import status
from cli.administering import Administrator
from cli.session import Session
from domain.refusal import Refused
from messages import Texts
from messages.sentences import sentence

if TYPE_CHECKING:
    from audit.submission import Submission
    from intake.people.difference import Difference
    from intake.people.listing import Listing, PlacedError, Reading

_SHOWN_ERRORS = 200
_SHOWN_PEOPLE = 20
_BAR = 30
_SUMMARY = {
    "agencies_added": ("add_agencies",),
    "agencies_changed": ("change_agency",),
    "people_added": ("add_people",),
    "appointed": ("appoint",),
    "dismissed": ("dismiss",),
    "cleared": ("clear",),
    "leaving": ("leave",),
}
"""What is told of a difference, and the events that each figure counts."""

_FILES = Annotated[list[Path], typer.Argument(metavar="FILE", help="opt_directory_files")]
_NEW = Annotated[Path, typer.Argument(metavar="FILE", help="opt_new_workbook")]
_LeaveMissing = Annotated[bool, typer.Option("--leave-missing", help="opt_leave_missing")]


def import_people(
    session: Session,
    files: _FILES,
    check: Annotated[bool, typer.Option("--check", help="opt_check_directory")] = False,  # noqa: FBT002 - a switch
    leave_missing: _LeaveMissing = False,  # noqa: FBT002 - likewise
    yes: Annotated[bool, typer.Option("--yes", help="opt_yes")] = False,  # noqa: FBT002 - likewise
    administrator: Administrator = None,
) -> int:
    """Status 1 when a row is wrong: then nothing was written."""
    from intake.people.difference import compare  # noqa: PLC0415 - not for --help

    for file in files:
        if not file.is_file():
            raise Refused("file_missing", path=str(file))
    session.out.progress(session.texts("progress_reading"))
    reading, known = _read(session, files, offline=check)
    session.out.end_progress()
    if reading.errors:
        _show_errors(session, reading.errors)
        return status.REFUSED
    if leave_missing and not reading.listing.people:
        raise Refused("nobody_listed")
    found = compare(reading.listing, known, session.now, leave_missing=leave_missing)
    if not check and found.changes:
        _show(session, found)
        if not yes:
            _confirm(session)
        _make(session, found, administrator)
    _tell(session, reading.listing, found, check=check)
    return status.DONE


def export_people(
    session: Session,
    file: _NEW,
    force: Annotated[bool, typer.Option("--force", help="opt_overwrite")] = False,  # noqa: FBT002 - a switch
) -> None:
    """What is in force now or will be, as a workbook that imports back to no difference."""
    from intake.people.directory import present_in  # noqa: PLC0415 - not for --help
    from intake.people.writing import write_listing  # noqa: PLC0415 - likewise

    _check_new(file, force=force)
    with session.reading() as connection:
        directory = session.directory(connection)
    listing = present_in(directory, session.now)
    write_listing(file, listing, session.zone)
    told = {"agencies": len(listing.agencies), "people": len(listing.people)}
    session.out.document({"file": str(file), **told})
    session.out.line(session.texts("directory_exported", file=file, **told))


def template(
    session: Session,
    file: _NEW,
    force: Annotated[bool, typer.Option("--force", help="opt_overwrite")] = False,  # noqa: FBT002 - a switch
) -> None:
    """An empty workbook with headings, notes, and lists to choose from."""
    from intake.people.writing import write_template  # noqa: PLC0415 - not for --help

    _check_new(file, force=force)
    write_template(file)
    session.out.document({"file": str(file)})
    session.out.line(session.texts("template_written", file=file))


def _check_new(file: Path, *, force: bool) -> None:
    if file.suffix.lower() != ".xlsx":
        raise Refused("not_a_workbook", path=str(file))
    if file.exists() and not force:
        raise Refused("file_exists", path=str(file))


def _read(session: Session, files: Sequence[Path], *, offline: bool) -> "tuple[Reading, Listing]":
    """The files against the directory. A check needs no log: then all would be new."""
    from intake.people.directory import listing_of  # noqa: PLC0415 - not for --help
    from intake.people.listing import Listing  # noqa: PLC0415 - likewise
    from intake.people.reading import read  # noqa: PLC0415 - likewise

    try:
        with session.reading() as connection:
            directory = session.directory(connection)
    except Refused:
        if not offline:
            raise
        return read(files, session.zone, None), Listing()
    known = listing_of(directory)
    return read(files, session.zone, known), known


def _make(session: Session, found: "Difference", administrator: Path | None) -> None:
    from cli.administering import read_directory  # noqa: PLC0415 - not for --help
    from cli.door import hand_in  # noqa: PLC0415 - likewise
    from cli.signing import open_key  # noqa: PLC0415 - likewise
    from domain.directory import ADMINISTRATOR  # noqa: PLC0415 - likewise
    from embedded.keyring import key_named, read_origin  # noqa: PLC0415 - likewise
    from gateway.changing import make_changes  # noqa: PLC0415 - likewise
    from gateway.composing import Signer  # noqa: PLC0415 - likewise

    directory, founding = read_directory(session)
    if administrator is not None:
        key = open_key(session, administrator)
    else:
        key = key_named(session.home, directory, ADMINISTRATOR)
    whole = sum(change.count for change in found.changes)

    async def submit(submission: "Submission") -> bytes:
        return (await asyncio.to_thread(hand_in, session, submission)).data

    def progress(done: int) -> None:
        filled = _BAR * done // whole
        bar = "█" * filled + "░" * (_BAR - filled)
        session.out.progress(session.texts("progress_directory", bar=bar, done=done, all=whole))

    try:
        asyncio.run(
            make_changes(
                found.phases,
                (read_origin(session.home), founding),
                Signer(key, "log", ADMINISTRATOR),
                submit,
                lambda: session.now,
                progress=progress,
            )
        )
    finally:
        session.out.end_progress()


def _show(session: Session, found: "Difference") -> None:
    """What is about to change, for the person who is asked."""
    rows = [
        (session.texts.name("difference_of", name), str(found.count(*events)))
        for name, events in _SUMMARY.items()
        if found.count(*events)
    ]
    if rows:
        session.out.table(("column_change", "column_count"), rows)


def _confirm(session: Session) -> None:
    """Ask the person at the terminal. Raises Refused unless they agree."""
    if session.out.as_json or not sys.stdin.isatty():
        raise Refused("import_needs_yes")
    if not typer.confirm(session.texts("ask_import_directory"), err=True):
        raise Refused("import_not_confirmed")


def _tell(session: Session, listing: "Listing", found: "Difference", *, check: bool) -> None:
    counts = {name: found.count(*events) for name, events in _SUMMARY.items()}
    agencies, people = len(listing.agencies), len(listing.people)
    alone = list(found.alone) if listing.has_people else []
    session.out.document(
        {
            "agencies": agencies,
            "people": people,
            "entries": len(found.changes),
            "written": bool(found.changes) and not check,
            "changes": counts,
            "left_alone": alone,
        }
    )
    if check:
        _show(session, found)
        session.out.line(session.texts("directory_sound", agencies=agencies, people=people))
    elif found.changes:
        session.out.line(session.texts("directory_imported", entries=len(found.changes)))
    else:
        session.out.line(session.texts("directory_same", agencies=agencies, people=people))
    if alone:
        shown = ", ".join(alone[:_SHOWN_PEOPLE]) + (" …" if len(alone) > _SHOWN_PEOPLE else "")
        session.out.line(session.texts("people_left_alone", people=len(alone), who=shown))


def _show_errors(session: Session, errors: "Sequence[PlacedError]") -> None:
    # Where a rule and a form share a code, the sentence about the form is the one to show here.
    texts = Texts(session.texts.language, first="people")
    told = [(error, sentence(texts, error.code, error.facts)) for error in errors]
    wrong = session.texts("rows_wrong", errors=len(errors))
    session.out.document(
        {
            "refused": "rows_wrong",
            "facts": {"errors": len(errors)},
            "text": wrong,
            "errors": [
                {
                    "sheet": error.sheet,
                    "row": error.row,
                    "column": error.column,
                    "code": error.code,
                    "facts": dict(error.facts),
                    "text": text,
                }
                for error, text in told
            ],
        }
    )
    rows = [
        (
            texts.name("sheet", error.sheet),
            str(error.row),
            texts.name(f"column_of_{error.sheet}", error.column),
            text,
        )
        for error, text in told[:_SHOWN_ERRORS]
    ]
    session.out.table(("column_sheet", "column_row", "column_column", "column_error"), rows)
    if len(told) > _SHOWN_ERRORS:
        session.out.line(session.texts("more_errors", more=len(told) - _SHOWN_ERRORS))
    session.out.line(wrong, "bold red")
