"""The tree of commands. One module for each group; this one knows them all."""

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


def build(session: Session) -> TyperGroup:
    """Every command, with help in the session's language."""
    group = get_command(make(session))
    assert isinstance(group, TyperGroup)  # noqa: S101 - there are many commands, so it is one
    return group


def make(session: Session) -> typer.Typer:
    """The same before Typer has made commands of it."""
    texts = session.texts
    app = new_group(session, "help_dondoc", completion=True)
    _add_root(app, session)
    running, work, log = texts("panel_service"), texts("panel_work"), texts("panel_log")
    add_command(app, session, "up", service.up, panel=running)
    add_command(app, session, "worker", service.worker, panel=running)
    add_command(app, session, "sequencer", service.sequencer, panel=running)
    app.add_typer(_databases(session), name="database", rich_help_panel=running)
    add_command(app, session, "import", importing.import_file, panel=work)
    app.add_typer(_tasks(session), name="task", rich_help_panel=work)
    add_command(app, session, "people", people.people, panel=work)
    app.add_typer(_directory(session), name="directory", rich_help_panel=work)
    app.add_typer(_calendars(session), name="calendar", rich_help_panel=work)
    add_command(app, session, "lifecycle", lifecycle.lifecycle, panel=work)
    add_command(app, session, "rights", rights.rights, panel=work)
    app.add_typer(_audits(session), name="audit", rich_help_panel=log)
    app.add_typer(_keys(session), name="key", rich_help_panel=log)
    app.add_typer(_evidence(session), name="evidence", rich_help_panel=log)
    app.add_typer(_authorities(session), name="authority", rich_help_panel=log)
    app.add_typer(_witnesses(session), name="witness", rich_help_panel=log)
    add_command(app, session, "rebuild", repair.rebuild, panel=log)
    add_command(app, session, "rehydrate", repair.rehydrate, panel=log)
    return app


def _tasks(session: Session) -> typer.Typer:
    group = new_group(session, "help_task")
    group.callback()(adopting(session))
    looking = session.texts("panel_looking")
    add_command(group, session, "list", tasks.list_tasks, panel=looking)
    add_command(group, session, "show", tasks.show, panel=looking)
    add_command(group, session, "why", why.why, panel=looking)
    add_command(group, session, "history", history.history, panel=looking)
    events.add_all(group, session)
    return group


def _directory(session: Session) -> typer.Typer:
    group = new_group(session, "help_directory")
    group.callback()(adopting(session))
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
    return group


def _calendars(session: Session) -> typer.Typer:
    group = new_group(session, "help_calendar")
    group.callback()(adopting(session))
    add_command(group, session, "check", calendars.check)
    return group


def _audits(session: Session) -> typer.Typer:
    group = new_group(session, "help_audit")
    group.callback()(adopting(session))
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
    return group


def _keys(session: Session) -> typer.Typer:
    group = new_group(session, "help_key")
    group.callback()(adopting(session))
    add_command(group, session, "list", keys.list_keys)
    add_command(group, session, "new", keys.new)
    add_command(group, session, "prove", keys.prove)
    add_command(group, session, "enrol", keys.enrol)
    add_command(group, session, "rotate", keys.rotate)
    add_command(group, session, "revoke", keys.revoke)
    add_command(group, session, "rotate-payload", payload_keys.rotate_payload)
    return group


def _evidence(session: Session) -> typer.Typer:
    group = new_group(session, "help_evidence")
    group.callback()(adopting(session))
    add_command(group, session, "list", evidence.list_files)
    add_command(group, session, "get", evidence.get)
    add_command(group, session, "check", evidence.check)
    add_command(group, session, "sweep", evidence.sweep)
    return group


def _authorities(session: Session) -> typer.Typer:
    group = new_group(session, "help_authority")
    group.callback()(adopting(session))
    add_command(group, session, "list", authorities.list_authorities)
    add_command(group, session, "trust", authorities.trust)
    add_command(group, session, "distrust", authorities.distrust)
    add_command(group, session, "revocations", authorities.revocations)
    return group


def _databases(session: Session) -> typer.Typer:
    group = new_group(session, "help_database")
    group.callback()(adopting(session))
    add_command(group, session, "upgrade", databases.upgrade)
    add_command(group, session, "grant", databases.grant)
    return group


def _witnesses(session: Session) -> typer.Typer:
    group = new_group(session, "help_witness")
    group.callback()(adopting(session))
    add_command(group, session, "init", witnesses.init)
    add_command(group, session, "trust", witnesses.trust)
    add_command(group, session, "serve", witnesses.serve)
    add_command(group, session, "show", witnesses.show)
    add_command(group, session, "forks", witnesses.forks)
    return group


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
