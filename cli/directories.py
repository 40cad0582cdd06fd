"""`dondoc directory show`, `history` and `open-items`: who may what, now and at any time before."""

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.completing import complete_person
from cli.session import Session
from domain.instants import format_instant
from domain.refusal import Refused

if TYPE_CHECKING:
    from domain.directory import Agency, Directory, Key, Period, Person, Substitution

_PERIOD = ("column_begins", "column_ends")


def show(
    session: Session,
    at: Annotated[
        int | None, typer.Option("--at", metavar="INDEX", min=1, help="opt_directory_at")
    ] = None,
    agency: Annotated[
        str | None, typer.Option("--agency", metavar="ID", help="opt_only_agency")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--person", metavar="ID", help="opt_only_person", autocompletion=complete_person
        ),
    ] = None,
) -> None:
    """The directory now, or as it was when the log had so many entries."""
    directory, moment = _directory_at(session, at)
    if person is not None:
        _show_person(session, directory, moment, person, at)
    elif agency is not None:
        _show_agency(session, directory, moment, agency)
    else:
        _show_all(session, directory, moment)


def open_items(session: Session) -> None:
    """Tasks whose agency has nobody to enter or to approve, and what leavers left pending."""
    from domain.directory import vacancies  # noqa: PLC0415 - not for --help
    from store import queries  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        directory = session.directory(connection)
        tasks = queries.each_task(connection)
        found = list(vacancies.open_items(directory, tasks, session.now))
    session.out.document([asdict(item) for item in found])
    if not found:
        session.out.line(session.texts("no_open_items"))
        return
    texts = session.texts
    session.out.table(
        ("column_task", "column_agency", "column_left_behind"),
        [
            (
                item.task,
                item.agency,
                texts("item_vacant", role=texts.name("role", item.role))
                if item.role
                else texts(
                    "item_of_leaver", item=texts.name("item", item.item or ""), person=item.person
                ),
            )
            for item in found
        ],
    )


def _directory_at(session: Session, size: int | None) -> "tuple[Directory, datetime]":
    """The directory of the first ``size`` entries, and when the last of these was recorded."""
    from activities.folding import follow_rows, recorded_at  # noqa: PLC0415 - not for --help
    from domain.directory import CHAIN, Directory  # noqa: PLC0415 - likewise
    from store import tree  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        if size is None:
            return session.directory(connection), session.now
        whole = tree.tree_size(connection)
        if size > whole:
            raise Refused("log_shorter", index=size, size=whole)
        rows = tree.chain_up_to(connection, CHAIN, size)
        last = next(iter(tree.read_leaves(connection, size - 1, size)))
    return follow_rows(Directory(), rows), recorded_at(last)


def _show_all(session: Session, directory: "Directory", moment: datetime) -> None:
    here = [p for p in directory.people.values() if p.left is None and not _is_service(p)]
    session.out.document({
        "moment": format_instant(moment),
        "seq": directory.seq,
        "agencies": [asdict(agency) for agency in directory.agencies.values()],
        "people": [_person_document(directory, moment, p) for p in directory.people.values()
                   if not _is_service(p)],
    })  # fmt: skip
    if session.out.as_json:
        return
    posts = Counter(agency for person in here for agency in {a for a, _ in person.roles_at(moment)})
    session.out.table(
        ("column_agency", "column_name", "column_people"),
        [
            ("  " * depth + agency.id, _name(session, agency), str(posts[agency.id]))
            for depth, agency in _tree(directory)
        ],
    )
    counts = {"agencies": len(directory.agencies), "people": len(here)}
    session.out.line(session.texts("directory_counts", **counts, at=_when(session, moment)))


def _tree(directory: "Directory") -> "list[tuple[int, Agency]]":
    """Every agency behind its parent, with its depth."""
    below: dict[str | None, list[Agency]] = {}
    for agency in directory.agencies.values():
        below.setdefault(agency.parent, []).append(agency)
    found, waiting = [], [(0, agency) for agency in reversed(below.get(None, []))]
    while waiting:
        depth, agency = waiting.pop()
        found.append((depth, agency))
        waiting += [(depth + 1, child) for child in reversed(below.get(agency.id, []))]
    return found


def _show_agency(session: Session, directory: "Directory", moment: datetime, which: str) -> None:
    agency = directory.agencies.get(which)
    if agency is None:
        raise Refused("unknown_agency", agency=which[:80])
    above = [each.id for each in directory.ancestors(which)]
    below = [each.id for each in directory.agencies.values() if each.parent == which]
    people = [p for p in directory.people.values() if any(r.agency == which for r in p.roles)]
    session.out.document({
        "moment": format_instant(moment), **asdict(agency), "above": above, "below": below,
        "people": [_person_document(directory, moment, person) for person in people],
    })  # fmt: skip
    texts = session.texts
    session.out.line(f"{which}: {_name(session, agency)}", "bold")
    for code, ids in (("agencies_above", above), ("agencies_below", below)):
        if ids:
            session.out.line(texts(code, agencies=", ".join(ids)))
    session.out.table(
        ("column_person", "column_role", *_PERIOD, "column_title_of_post"),
        [
            (person.id, texts.name("role", held.role), *_ends(session, held.period),
             person.title_en if texts.language == "en" else person.title_vi)
            for person in people for held in person.roles
            if held.agency == which and not held.period.is_over(moment)
        ],
    )  # fmt: skip


def _show_person(
    session: Session, directory: "Directory", moment: datetime, who: str, size: int | None
) -> None:
    person = directory.people.get(who)
    if person is None or _is_service(person):
        raise Refused("unknown_person", person=who[:80])
    key = directory.key_of(who)
    subject = _subject(session, key, size) if key else None
    session.out.document({**_person_document(directory, moment, person), "subject": subject})
    texts = session.texts
    title = person.title_en if texts.language == "en" else person.title_vi
    session.out.line(f"{who}: {title}", "bold")
    session.out.line(texts("person_clearance", level=texts.name("secrecy", person.clearance)))
    session.out.line(texts("person_key", key=key.id) if key else texts("person_without_key"))
    if subject is not None:
        session.out.line(texts("person_certificate", subject=subject))
    if person.left is not None:
        session.out.line(texts("person_left_at", at=_when(session, person.left)))
    rows = [
        (texts.name("role", held.role), held.agency, "", *_ends(session, held.period))
        for held in person.roles
    ]
    rows += [
        (texts.name("role", each.role), each.agency, texts("in_place_of", person=each.absent),
         *_ends(session, each.period))
        for each in directory.substitutions.get(who, ())
    ]  # fmt: skip
    rows += [
        (texts.name("role", each.role), each.agency, texts("covered_by", person=each.substitute),
         *_ends(session, each.period))
        for each in directory.covering(who)
    ]  # fmt: skip
    columns = ("column_role", "column_agency", "column_substitution", *_PERIOD)
    session.out.table(columns, rows)


def _subject(session: Session, key: "Key", size: int | None) -> str | None:
    """The name in the certificate that a key came with, by the log's first ``size`` entries."""
    from audit.dsse import decode_base64  # noqa: PLC0415 - not for --help
    from audit.entry import open_command, parse_entry  # noqa: PLC0415 - likewise
    from audit.paths import load  # noqa: PLC0415 - likewise
    from domain.directory import CHAIN  # noqa: PLC0415 - likewise
    from store import ledger, tree  # noqa: PLC0415 - likewise

    if key.not_after is None:
        return None
    with session.reading() as connection:
        rows = (
            ledger.read_chain(connection, CHAIN)
            if size is None
            else tree.chain_up_to(connection, CHAIN, size)
        )
    for row in rows:
        arguments = open_command(parse_entry(row.data).command).predicate["arguments"]
        if arguments.get("spki") == key.spki and "certificate" in arguments:
            return load(decode_base64(arguments["certificate"])).subject.rfc4514_string()
    return None


def _person_document(directory: "Directory", moment: datetime, person: "Person") -> dict[str, Any]:
    return {
        "person": person.id,
        "title_vi": person.title_vi,
        "title_en": person.title_en,
        "clearance": str(person.clearance),
        "left": format_instant(person.left) if person.left else None,
        "key": directory.present.get(person.id),
        "roles": [
            {"agency": held.agency, "role": held.role, **_period_document(held.period, moment)}
            for held in person.roles
        ],
        "stands_in": [_substitution_document(each, moment)
                      for each in directory.substitutions.get(person.id, ())],
        "covered": [_substitution_document(each, moment)
                    for each in directory.covering(person.id)],
    }  # fmt: skip


def _substitution_document(each: "Substitution", moment: datetime) -> dict[str, Any]:
    return {
        "absent": each.absent,
        "substitute": each.substitute,
        "agency": each.agency,
        "role": each.role,
        **_period_document(each.period, moment),
    }


def _period_document(period: "Period", moment: datetime) -> dict[str, Any]:
    return {
        "from": format_instant(period.begins),
        "until": format_instant(period.ends) if period.ends else None,
        "in_force": period.covers(moment),
    }


def _ends(session: Session, period: "Period") -> tuple[str, str]:
    until = session.texts.until(period.ends, session.zone) if period.ends else "–"
    return _when(session, period.begins), until


def _when(session: Session, moment: datetime) -> str:
    return session.texts.moment(moment, session.zone)


def _name(session: Session, agency: "Agency") -> str:
    return agency.name_en if session.texts.language == "en" else agency.name_vi


def _is_service(person: "Person") -> bool:
    from domain.directory import SERVICE  # noqa: PLC0415 - not for --help

    return person.id in SERVICE
