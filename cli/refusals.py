"""`dondoc audit refusals`: the commands that were refused, straight from the log."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.completing import complete_person, complete_task
from cli.options import read_day
from cli.session import Session
from domain.attestation import CHAIN
from domain.instants import format_instant, parse_instant
from domain.refused import REFUSED, SUMMED, number
from messages import Texts, filled
from messages.sentences import placeholders

if TYPE_CHECKING:
    from store.ledger import Row

_UNKNOWN = "…"
"""What stands where a sentence wants a fact that the log does not keep."""

_Person = Annotated[
    str | None,
    typer.Option(
        "--person", metavar="ID", help="opt_refusals_person", autocompletion=complete_person
    ),
]
_Task = Annotated[
    str | None,
    typer.Option("--task", metavar="ID", help="opt_refusals_task", autocompletion=complete_task),
]
_Since = Annotated[
    str | None, typer.Option("--since", metavar="DAY", help="opt_refusals_since")
]  # fmt: skip


def refusals(
    session: Session, person: _Person = None, task: _Task = None, since: _Since = None
) -> None:
    """In the order in which they were recorded."""
    from cli.finding import find_task  # noqa: PLC0415 - not for --help
    from store import ledger  # noqa: PLC0415 - likewise

    first = _midnight(session, since) if since is not None else None
    with session.reading() as connection:
        chain = find_task(connection, task).id if task is not None else None
        rows = ledger.read_chain(connection, CHAIN)
    found = [
        {**entry, "text": sentence(session.texts, entry)}
        for entry in _stated(rows)
        if _fits(entry, person, chain, first)
    ]
    total = sum(number(entry["kind"], entry) for entry in found)
    session.out.document({"refusals": found, "total": total})
    for entry in found:
        _show(session, entry)
    own = sum(entry["kind"] == REFUSED for entry in found)
    session.out.line(
        session.texts("refusals_figures" if total else "refusals_none", own=own), "bold"
    )
    if summed := total - own:
        session.out.line(session.texts("refusals_counted", summed=summed), "bold")


def _stated(rows: Iterable["Row"]) -> Iterator[dict[str, Any]]:
    """What each entry says of refusals: its arguments, with the place that it stands at."""
    from audit.entry import open_command, parse_entry  # noqa: PLC0415 - not for --help

    for row in rows:
        predicate = open_command(parse_entry(row.data).command).predicate
        if predicate["event"] in {REFUSED, SUMMED}:
            place = {"kind": predicate["event"], "seq": row.seq, "leaf": row.leaf}
            yield {**place, **predicate["arguments"]}


def _fits(
    entry: Mapping[str, Any], person: str | None, chain: str | None, since: str | None
) -> bool:
    """A sum names persons, but no tasks."""
    if entry["kind"] == REFUSED:
        its_person, its_end = entry["actor"] == person, entry["at"]
    else:
        its_person, its_end = person in entry["actors"], entry["until"]
    return (
        (person is None or its_person)
        and (chain is None or entry.get("chain") == chain)
        and (since is None or its_end >= since)
    )


def _midnight(session: Session, day: str) -> str:
    """When the day begins at the agency's own place. Raises BadParameter."""
    first = date.fromisoformat(read_day(session, day, "--since"))
    return format_instant(datetime.combine(first, time(), session.zone))


def sentence(texts: Texts, entry: Mapping[str, Any]) -> str:
    """Why, in a sentence. What to do next was for its giver."""
    if entry["kind"] == SUMMED:
        return texts("refusals_sum", total=entry["total"])
    # Where the sentence of its day lives by facts that the log does not keep, there is another one.
    template = texts.template(f"past_{entry['code']}")
    template = template or texts.template(entry["code"]).partition(". ")[0].rstrip(".")
    known = {
        "agency": entry["agency"],
        "event": (entry["event"] or "").replace("_", "-"),
        "key": entry["claimed"],
        "person": entry["actor"],
        "role": texts.name("role", entry["role"]) if entry["role"] else None,
        "task": entry["chain"],
    }
    facts = {name: known.get(name) or _UNKNOWN for name in placeholders(template)}
    return f"{filled(template, facts)}." if template else str(entry["code"])


def _show(session: Session, entry: Mapping[str, Any]) -> None:
    texts, line = session.texts, session.out.line
    if entry["kind"] == SUMMED:
        since, until = (_moment(session, entry[name]) for name in ("since", "until"))
        line(f"{since} – {until}  {entry['text']}", "yellow")
        for code, times in sorted(entry["counts"].items()):
            line(f"     {times}  {code}", "dim")
        if entry["actors"]:
            named = ", ".join(f"{who} ({times})" for who, times in sorted(entry["actors"].items()))
            line(f"     {texts('refusals_actors', actors=named)}", "dim")
        return
    line(f"{_moment(session, entry['at'])}  {entry['text']} [{entry['code']}]")
    about = [_giver(texts, entry)]
    if entry["chain"]:
        about.append(entry["chain"])
    if entry["event"]:
        about.append(entry["event"].replace("_", "-"))
    if entry["door"]:
        about.append(texts.name("refused_at", entry["door"]))
    line(f"     {' · '.join(about)}", "dim")


def _giver(texts: Texts, entry: Mapping[str, Any]) -> str:
    if entry["actor"]:
        post = [texts.name("role", entry["role"])] if entry["role"] else []
        post += [entry["agency"]] if entry["agency"] else []
        return f"{entry['actor']} ({', '.join(post)})" if post else str(entry["actor"])
    if entry["claimed"]:
        return texts("refused_claimed", key=entry["claimed"])
    return texts("refused_by_nobody_known")


def _moment(session: Session, instant: str) -> str:
    return session.texts.moment(parse_instant(instant), session.zone)
