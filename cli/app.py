"""The tree of commands. One module for each group; this one knows them all."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli import (
    audits,
    authorities,
    calendars,
    databases,
    directories,
    directory_changes,
    directory_history,
    enlisting,
    events,
    evidence,
    history,
    importing,
    keys,
    lifecycle,
    payload_keys,
    people,
    proving,
    reconciling,
    redacting,
    refusals,
    repair,
    rights,
    service,
    tasks,
    why,
    witnesses,
)
from cli.registry import (
    DATA,
    JSON,
    LANG,
    add_command,
    adopt,
    adopting,
    dress,
    keyword,
    new_group,
)
from cli.session import Session

VERSION = "0.1.0"


def build(session: Session, words: Collection[str] = ()) -> TyperGroup:
    """Every command, with help in the session's language.

    Groups that ``words`` of a command line do not name are left empty, which saves most of the
    work; without a group's name among them, as for help and completion, all are there.
    """
    group = get_command(_make(session, words))
    assert isinstance(group, TyperGroup)  # noqa: S101 - there are many commands, so it is one
    return group


def _make(session: Session, words: Collection[str]) -> typer.Typer:
    """The same before Typer has made commands of it."""
    texts = session.texts
    # A value that is called like a group does no harm: it only fills one more.
    named = _GROUPS.keys() & set(words) or _GROUPS.keys()

    def add_group(name: str, panel: str) -> None:
        group = new_group(session, f"help_{name}")
        group.callback()(adopting(session))
        if name in named:
            _GROUPS[name](group, session)
        app.add_typer(group, name=name, rich_help_panel=panel)

    app = new_group(session, "help_dondoc", completion=True)
    _add_root(app, session)
    running, work, log = texts("panel_service"), texts("panel_work"), texts("panel_log")
    add_command(app, session, "up", service.up, panel=running)
    add_command(app, session, "worker", service.worker, panel=running)
    add_command(app, session, "sequencer", service.sequencer, panel=running)
    add_group("database", running)
    add_command(app, session, "import", importing.import_file, panel=work)
    add_group("task", work)
    add_command(app, session, "people", people.people, panel=work)
    add_group("directory", work)
    add_group("calendar", work)
    add_command(app, session, "lifecycle", lifecycle.lifecycle, panel=work)
    add_command(app, session, "rights", rights.rights, panel=work)
    for name in ("audit", "key", "evidence", "authority", "witness"):
        add_group(name, log)
    add_command(app, session, "rebuild", repair.rebuild, panel=log)
    add_command(app, session, "rehydrate", repair.rehydrate, panel=log)
    return app


def _tasks(group: typer.Typer, session: Session) -> None:
    looking = session.texts("panel_looking")
    add_command(group, session, "list", tasks.list_tasks, panel=looking)
    add_command(group, session, "show", tasks.show, panel=looking)
    add_command(group, session, "why", why.why, panel=looking)
    add_command(group, session, "history", history.history, panel=looking)
    events.add_all(group, session)


def _directory(group: typer.Typer, session: Session) -> None:
    looking, changing = session.texts("panel_looking"), session.texts("panel_changing")
    add_command(group, session, "show", directories.show, panel=looking)
    add_command(group, session, "history", directory_history.history, panel=looking)
    add_command(group, session, "open-items", directories.open_items, panel=looking)
    for handler in directory_changes.ALL:
        name = handler.__name__.replace("_", "-")
        add_command(group, session, name, handler, panel=changing)
    add_command(group, session, "import", enlisting.import_people, panel=changing)
    add_command(group, session, "export", enlisting.export_people, panel=looking)
    add_command(group, session, "template", enlisting.template, panel=looking)


def _calendars(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "check", calendars.check)


def _audits(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "verify", audits.verify)
    add_command(group, session, "export", proving.export)
    add_command(group, session, "prove", proving.prove)
    add_command(group, session, "receipt", proving.receipt)
    add_command(group, session, "checkpoint", proving.checkpoint)
    add_command(group, session, "trust", proving.trust)
    add_command(group, session, "verifier", proving.verifier)
    add_command(group, session, "reconcile", reconciling.reconcile)
    add_command(group, session, "redact", redacting.redact)
    add_command(group, session, "refusals", refusals.refusals)
    add_command(group, session, "shred", redacting.shred)
    add_command(group, session, "key", audits.key)


def _keys(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "list", keys.list_keys)
    add_command(group, session, "new", keys.new)
    add_command(group, session, "prove", keys.prove)
    add_command(group, session, "enrol", keys.enrol)
    add_command(group, session, "rotate", keys.rotate)
    add_command(group, session, "revoke", keys.revoke)
    add_command(group, session, "rotate-payload", payload_keys.rotate_payload)


def _evidence(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "list", evidence.list_files)
    add_command(group, session, "get", evidence.get)
    add_command(group, session, "check", evidence.check)
    add_command(group, session, "sweep", evidence.sweep)


def _authorities(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "list", authorities.list_authorities)
    add_command(group, session, "trust", authorities.trust)
    add_command(group, session, "distrust", authorities.distrust)
    add_command(group, session, "revocations", authorities.revocations)


def _databases(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "upgrade", databases.upgrade)
    add_command(group, session, "grant", databases.grant)


def _witnesses(group: typer.Typer, session: Session) -> None:
    add_command(group, session, "init", witnesses.init)
    add_command(group, session, "trust", witnesses.trust)
    add_command(group, session, "serve", witnesses.serve)
    add_command(group, session, "show", witnesses.show)
    add_command(group, session, "forks", witnesses.forks)


_GROUPS: Mapping[str, Callable[[typer.Typer, Session], None]] = {
    "audit": _audits,
    "authority": _authorities,
    "calendar": _calendars,
    "database": _databases,
    "directory": _directory,
    "evidence": _evidence,
    "key": _keys,
    "task": _tasks,
    "witness": _witnesses,
}


def _add_root(app: typer.Typer, session: Session) -> None:
    def root(ctx: typer.Context, **options: Any) -> None:  # noqa: ANN401 - as Typer read them
        adopt(session, options["lang_"], options["data_"], as_json=options["json_"])
        if options["version"]:
            session.out.line(f"dondoc {VERSION}")
            session.out.document({"version": VERSION})
            raise typer.Exit
        if ctx.invoked_subcommand is None:
            ctx.fail(session.texts("misuse_missing_command"))

    version = Annotated[bool, typer.Option("--version", help="opt_version")]
    parameters = [
        keyword("ctx", typer.Context),
        keyword("version", version, default=False),
        keyword("data_", DATA, default=None),
        keyword("lang_", LANG, default=None),
        keyword("json_", JSON, default=False),
    ]
    dress(root, session, parameters)
    app.callback(invoke_without_command=True)(root)
