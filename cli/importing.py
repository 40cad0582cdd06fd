"""`dondoc import`: tasks from a file; every error is shown before anything is written."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import status
from cli.options import As, KeyFile
from cli.session import Session
from domain.refusal import Refused
from domain.task import Role, Task
from messages import Texts
from messages.sentences import sentence

if TYPE_CHECKING:
    from audit.submission import Submission
    from domain.directory import Directory
    from gateway.importing import Imported
    from intake.drafts import Draft, Intake, RowError

_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="opt_import_file")]


def import_file(
    session: Session,
    file: _FILE,
    check: Annotated[bool, typer.Option("--check", help="opt_check")] = False,  # noqa: FBT002 - a switch
    as_: As = None,
    key: KeyFile = None,
) -> int:
    """Status 1 when a row is wrong: then nothing was written."""
    if not file.is_file():
        raise Refused("file_missing", path=str(file))
    intake, directory = _read(session, file, offline=check)
    if intake.errors:
        _show_errors(session, intake.errors)
        return status.REFUSED
    if check or directory is None:
        session.out.document({"tasks": [draft.task for draft in intake.drafts]})
        session.out.line(session.texts("import_sound", tasks=len(intake.drafts)))
        return status.DONE
    done = _import(session, intake.drafts, directory, as_, key)
    session.out.end_progress()
    session.out.document({"new": list(done.assigned), "known": list(done.known)})
    session.out.line(session.texts("imported", new=len(done.assigned), known=len(done.known)))
    return status.DONE


class _Registered:
    """The ids that are registered already, asked for one by one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __contains__(self, task: object) -> bool:
        return self.find(str(task)) is not None

    def find(self, task: str) -> Task | None:
        from store import queries  # noqa: PLC0415 - not for --help

        with self._session.reading() as connection:
            return queries.get_task(connection, task)


def _read(session: Session, file: Path, *, offline: bool) -> "tuple[Intake, Directory | None]":
    """The file against the directory. A check needs no log: then ids are taken as they stand."""
    from intake.reading import read  # noqa: PLC0415 - not for --help

    today = session.calendar.local_day(session.now)
    try:
        with session.reading() as connection:
            directory = session.directory(connection)
    except Refused:
        if not offline:
            raise
        return read(file, today), None
    agencies = directory.agencies.values()
    return read(file, today, agencies=agencies, known=_Registered(session)), directory


def _import(
    session: Session,
    drafts: "Sequence[Draft]",
    directory: "Directory",
    as_: str | None,
    key: Path | None,
) -> "Imported":
    from cli.door import hand_in  # noqa: PLC0415 - not for --help
    from cli.signing import Claim, signer_for  # noqa: PLC0415 - likewise
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise
    from gateway.importing import import_drafts  # noqa: PLC0415 - likewise

    person = as_ or (None if key else _only_office(session, directory))
    _, signer = signer_for(session, directory, "register", None, Claim(person, key_file=key))

    async def submit(submission: "Submission") -> bytes:
        # One command at a time, from a loop that does nothing else: it may wait here.
        return hand_in(session, submission).data

    def progress(done: int) -> None:
        session.out.progress(session.texts("progress_tasks", done=done, tasks=len(drafts)))

    return asyncio.run(
        import_drafts(
            drafts,
            read_origin(session.home),
            signer,
            submit,
            _Registered(session).find,
            lambda: session.now,
            progress,
        )
    )


def _only_office(session: Session, directory: "Directory") -> str | None:
    """Who imports when nobody is named: the one person of the Office whose key lies here."""
    from embedded.keyring import person_path  # noqa: PLC0415 - not for --help

    here = [
        person.id
        for person in directory.people.values()
        if any(role == Role.OFFICE for _, role in person.roles_at(session.now))
        and person_path(session.home, person.id).exists()
    ]
    return here[0] if len(here) == 1 else None


def _show_errors(session: Session, errors: "Sequence[RowError]") -> None:
    # Where a rule and a form share a code, the sentence about the form is the one to show here.
    texts = Texts(session.texts.language, first="intake")
    told = [(error, sentence(texts, error.code, error.facts)) for error in errors]
    session.out.document(
        {
            "refused": "rows_wrong",
            "facts": {"errors": len(errors)},
            "text": session.texts("rows_wrong", errors=len(errors)),
            "errors": [
                {
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
    rows = [(str(e.row), session.texts.name("field", e.column), text) for e, text in told]
    session.out.table(("column_row", "column_column", "column_error"), rows)
    session.out.line(session.texts("rows_wrong", errors=len(errors)), "bold red")
