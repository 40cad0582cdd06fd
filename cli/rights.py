"""`dondoc rights`: who may take which step."""

import sys
from typing import Annotated

import typer

from cli.session import Session
from cli.why import source_text
from domain.authority import GRANTS, Grant


def rights(
    session: Session,
    markdown: Annotated[bool, typer.Option("--markdown", help="opt_markdown")] = False,  # noqa: FBT002 - a switch
) -> None:
    """The one table that every step is judged by."""
    if session.out.as_json:
        session.out.document([_document(grant) for grant in GRANTS])
    elif markdown:
        sys.stdout.write(page())
    else:
        columns = ("column_event", "column_what", "column_roles", "column_relation",
                   "column_source")  # fmt: skip
        session.out.table(columns, _rows(session))


def page() -> str:
    """docs/authority.md, whole, in the codes that the log itself has."""
    rows = [f"| `{g.event}` | {g.role} | {g.relation} | {g.source} |" for g in GRANTS]
    return "\n".join([*_HEAD, *rows, *_TAIL])


def _document(grant: Grant) -> dict[str, str]:
    return {
        "event": grant.event,
        "role": grant.role,
        "relation": grant.relation,
        "source": grant.source,
    }


def _rows(session: Session) -> list[tuple[str, ...]]:
    texts = session.texts
    return [
        (
            grant.event.replace("_", "-"),
            texts.name("event", grant.event),
            texts.name("role", grant.role),
            texts.name("relation", grant.relation),
            source_text(session, grant.source),
        )
        for grant in GRANTS
    ]


_HEAD = (
    "# Who may do what",
    "",
    "Four questions are asked of every step, in this order, where it is recorded and again by",
    "whoever verifies the log:",
    "",
    "1. **Whose key is it?** The directory says, as it stood at that place of the log, and whether",
    "   the key still counts (`domain/directory`).",
    "2. **Is the person that?** The command names an agency and a role, and the absent person in",
    "   whose place it is given, if any. The person must hold the role there and then, or be the",
    "   substitute of somebody who does. A substitute's substitute has nothing.",
    "3. **May that role do it?** The table below, from `domain/authority.py`, and the person's",
    "   clearance: nobody takes a step on a task more secret than they may see (Art. 5).",
    "4. **Is it somebody else?** Who entered something never approves it, in whatever role, agency",
    "   or substitution: the people who count as its makers (who entered it, and in whose place)",
    "   and those who count as its checkers must have nobody in common (Art. 15.3). Nobody is on",
    "   both sides of a task: who acted for the assignee never decides on it as Office nor",
    "   evaluates it as monitor, and the other way round; an agency does not monitor what it",
    "   carries out itself.",
    "",
    "What a person approves is what that person saw: every command is bound to the version of the",
    "task that it was given on. When anything that matters was entered since, it is out of date.",
    "",
    "This page is generated: `dondoc rights --markdown > docs/authority.md`. Relations are those",
    "of the agency to the task: `new` there is no task yet, `registrar` the Office that registered",
    "it, `lead`, `coordinator`, `monitor`, or `none`.",
    "",
    "| step | role | relation | rule |",
    "| --- | --- | --- | --- |",
)
_TAIL = (
    "",
    "What is not in the table is refused. Inspectors, leaders and auditors take no step of a task;",
    "nor does the operator, who runs the service.",
    "",
)
