"""`dondoc lifecycle`: the table of steps, or the diagram of it."""

import sys
from typing import Annotated

import typer

from cli.session import Session
from cli.why import source_text
from domain.authority import roles_of
from domain.lifecycle import EVENTS, mermaid


def lifecycle(
    session: Session,
    mermaid_: Annotated[bool, typer.Option("--mermaid", help="opt_mermaid")] = False,  # noqa: FBT002 - a switch
    markdown: Annotated[bool, typer.Option("--markdown", help="opt_markdown")] = False,  # noqa: FBT002 - likewise
) -> None:
    """Generated from the one declaration that every step is judged by."""
    if session.out.as_json:
        session.out.document(
            [
                {
                    "event": event.name,
                    "roles": sorted(roles_of(event.name)),
                    "from": list(event.sources),
                    "to": None if event.dest == "=" else event.dest,
                    "source": event.source,
                }
                for event in EVENTS.values()
            ]
        )
    elif mermaid_:
        sys.stdout.write(mermaid())
    elif markdown:
        sys.stdout.write(page())
    else:
        columns = ("column_event", "column_what", "column_roles", "column_from", "column_to",
                   "column_source")  # fmt: skip
        session.out.table(columns, _rows(session))


def page() -> str:
    """docs/lifecycle.md, whole: diagram and table, in the codes that the log itself has."""
    rows = [
        f"| `{name}` | {', '.join(sorted(roles_of(name)))} | {', '.join(event.sources)} |"
        f" {'same' if event.dest == '=' else event.dest} | {event.source} |"
        for name, event in EVENTS.items()
    ]
    return "\n".join([*_HEAD, "```mermaid", mermaid().rstrip("\n"), "```", *_TABLE, *rows, ""])


def _rows(session: Session) -> list[tuple[str, ...]]:
    texts = session.texts
    return [
        (
            event.name.replace("_", "-"),
            texts.name("event", event.name),
            ", ".join(texts.name("role", role) for role in sorted(roles_of(event.name))),
            ", ".join(texts.name("state", state) for state in event.sources),
            texts("same_state") if event.dest == "=" else texts.name("state", event.dest),
            source_text(session, event.source),
        )
        for event in EVENTS.values()
    ]


_HEAD = (
    "# The lifecycle of a task",
    "",
    "Declared once, in `domain/lifecycle.py`. This page is generated from it:",
    "",
    "    dondoc lifecycle --markdown > docs/lifecycle.md",
    "",
    "`new` is the task before it is registered. Steps that leave the state as it is stand in the",
    "table only.",
    "",
)
_TABLE = (
    "",
    "| step | who | from | to | rule |",
    "| --- | --- | --- | --- | --- |",
)
