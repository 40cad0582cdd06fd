"""`dondoc directory history`: every entry of the directory that is about one person."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from cli.completing import complete_person
from cli.session import Session
from domain.instants import parse_instant
from domain.refusal import Refused

_SHORT = 12
_WHO = ("person", "holder", "absent", "substitute")
_SHOWN = (*_WHO, "agency", "role", "from", "until", "clearance", "authority", "reason", "since")


def history(
    session: Session,
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="opt_person", autocompletion=complete_person)
    ],
) -> None:
    """The entries in order, from the log itself."""
    from domain.directory import CHAIN  # noqa: PLC0415 - not for --help
    from store import tree  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        rows = tree.chain_with_indexes(connection, CHAIN)
    found = list(_about(person, rows))
    if not found:
        raise Refused("unknown_person", person=person[:80])
    session.out.document({"person": person, "entries": found})
    for entry in found:
        _show(session, entry)


def _about(person: str, rows: list[tuple[int | None, bytes]]) -> Iterator[dict[str, Any]]:
    """The entries that name the person, or a key that was theirs."""
    from audit.entry import leaf_hash, open_command, open_record, parse_entry  # noqa: PLC0415 - see `history`
    from domain.directory import key_id  # noqa: PLC0415 - likewise

    keys = set[str]()
    for index, data in rows:
        entry = parse_entry(data)
        command = open_command(entry.command).predicate
        arguments, event = command["arguments"], command["event"]
        if not isinstance(arguments, dict):
            continue
        told = _part(person, arguments)
        if told is None:
            told = _ended(keys, arguments)
        if told is None:
            continue
        if isinstance(spki := told.get("spki"), str):
            keys.add(key_id(spki))
        record = open_record(entry.record).predicate
        yield {
            "seq": record["seq"],
            "index": index,
            "event": event,
            "received_at": record["received_at"],
            "arguments": told,
            "leaf": leaf_hash(data),
        }


def _part(person: str, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is said about the person; None when nothing is."""
    if any(arguments.get(name) == person for name in _WHO):
        return arguments
    people = arguments.get("people")
    if not isinstance(people, list):
        return None
    return next((each for each in people if each.get("person") == person), None)


def _ended(keys: set[str], arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is said about one of these keys; of a revocation list, no more than that."""
    if arguments.get("key") in keys:
        return arguments
    listed = arguments.get("keys")
    found = sorted(keys.intersection(listed)) if isinstance(listed, list) else []
    return {"authority": arguments["authority"], "keys": found} if found else None


def _show(session: Session, entry: Mapping[str, Any]) -> None:
    texts, line = session.texts, session.out.line
    at = texts.moment(parse_instant(entry["received_at"]), session.zone)
    line(f"{entry['seq']:>5}  {at}  {texts.name('event', entry['event'])}", "bold")
    index = "–" if entry["index"] is None else entry["index"]
    line(f"       {texts('entry_index', index=index)} · {entry['leaf'][:_SHORT]}", "dim")
    said = entry["arguments"]
    for part in (said, *said.get("roles", ())):
        told = [_told(session, name, part[name]) for name in _SHOWN if part.get(name) is not None]
        line(f"       {' · '.join(told)}")


def _told(session: Session, name: str, value: object) -> str:
    texts = session.texts
    if name in {"from", "until"}:
        said = texts.moment if name == "from" else texts.until
        return texts(f"told_{name}", at=said(parse_instant(str(value)), session.zone))
    if name == "clearance":
        return texts.name("secrecy", str(value))
    if name == "role":
        return texts.name("role", str(value))
    if name in {"absent", "substitute"}:
        return texts(f"told_{name}", person=value)
    return str(value)
