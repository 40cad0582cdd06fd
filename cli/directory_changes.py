"""`dondoc directory add-agency`, `appoint`, `leave` …: changes that the administrator signs."""

from collections.abc import Callable
from typing import Annotated

import typer

from cli.administering import (
    Administrator,
    From,
    Post,
    Until,
    change,
    read_directory,
    read_period,
    read_post,
    tell_change,
)
from cli.options import check_choice
from cli.session import Session
from domain.refusal import Refused
from domain.task import Secrecy

_Agency = Annotated[str, typer.Argument(metavar="AGENCY", help="opt_agency_id")]
_Person = Annotated[str, typer.Argument(metavar="PERSON", help="opt_person")]
_Absent = Annotated[str, typer.Argument(metavar="ABSENT", help="opt_absent")]
_Substitute = Annotated[str, typer.Argument(metavar="SUBSTITUTE", help="opt_substitute")]
_Clearance = Annotated[
    str, typer.Argument(metavar="normal|secret|top_secret", help="opt_clearance")
]
_Parent = Annotated[str | None, typer.Option("--parent", metavar="AGENCY", help="opt_parent")]


def add_agency(
    session: Session,
    agency: _Agency,
    name_vi: Annotated[str, typer.Option("--name-vi", help="opt_name_vi")],
    name_en: Annotated[str, typer.Option("--name-en", help="opt_name_en")],
    parent: _Parent = None,
    administrator: Administrator = None,
) -> None:
    """A new agency, perhaps below another."""
    arguments = {"agency": agency, "name_vi": name_vi, "name_en": name_en, "parent": parent}
    receipt = change(session, "add_agency", arguments, administrator)
    tell_change(session, "add_agency", receipt, agency)


def change_agency(
    session: Session,
    agency: _Agency,
    name_vi: Annotated[str | None, typer.Option("--name-vi", help="opt_name_vi")] = None,
    name_en: Annotated[str | None, typer.Option("--name-en", help="opt_name_en")] = None,
    parent: _Parent = None,
    top: Annotated[bool, typer.Option("--top", help="opt_top")] = False,  # noqa: FBT002 - a switch
    administrator: Administrator = None,
) -> None:
    """Another name, or another place in the tree; what is not given stays."""
    directory, _ = read_directory(session)
    before = directory.agencies.get(agency)
    if before is None:
        raise Refused("unknown_agency", agency=agency[:80])
    arguments = {
        "agency": agency,
        "name_vi": name_vi or before.name_vi,
        "name_en": name_en or before.name_en,
        "parent": None if top else parent or before.parent,
    }
    receipt = change(session, "change_agency", arguments, administrator)
    tell_change(session, "change_agency", receipt, agency)


def add_person(
    session: Session,
    person: _Person,
    title_vi: Annotated[str, typer.Option("--title-vi", help="opt_title_vi")],
    title_en: Annotated[str, typer.Option("--title-en", help="opt_title_en")],
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="AGENCY:ROLE", help="opt_roles")
    ] = None,
    clearance: Annotated[
        str, typer.Option("--clearance", metavar="normal|secret|top_secret", help="opt_clearance")
    ] = Secrecy.NORMAL,
    administrator: Administrator = None,
) -> None:
    """A new person, with roles from now on; a key comes later, by `dondoc key enrol`."""
    check_choice(session, clearance, tuple(Secrecy), "--clearance")
    period = read_period(session, None, None)
    posts = [read_post(session, each, "--role") for each in role or []]
    described = {
        "person": person,
        "title_vi": title_vi,
        "title_en": title_en,
        "clearance": str(clearance),
        "roles": [{"agency": agency, "role": held, **period} for agency, held in posts],
    }
    receipt = change(session, "add_people", {"people": [described]}, administrator)
    tell_change(session, "add_people", receipt, person)


def appoint(
    session: Session,
    person: _Person,
    post: Post,
    from_: From = None,
    until: Until = None,
    administrator: Administrator = None,
) -> None:
    """One more role for a person."""
    agency, role = read_post(session, post, "AGENCY:ROLE")
    period = read_period(session, from_, until)
    arguments = {"person": person, "agency": agency, "role": role, **period}
    receipt = change(session, "appoint", arguments, administrator)
    tell_change(session, "appoint", receipt, f"{person}, {post}")


def dismiss(
    session: Session, person: _Person, post: Post, administrator: Administrator = None
) -> None:
    """The end of a role, now."""
    agency, role = read_post(session, post, "AGENCY:ROLE")
    arguments = {"person": person, "agency": agency, "role": role}
    receipt = change(session, "dismiss", arguments, administrator)
    tell_change(session, "dismiss", receipt, f"{person}, {post}")


def substitute(
    session: Session,
    absent: _Absent,
    substitute: _Substitute,
    post: Post,
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="opt_until")],
    from_: From = None,
    administrator: Administrator = None,
) -> None:
    """Somebody in the place of an absent person, for a time."""
    agency, role = read_post(session, post, "AGENCY:ROLE")
    period = read_period(session, from_, until)
    place = {"absent": absent, "substitute": substitute, "agency": agency, "role": role}
    receipt = change(session, "substitute", {**place, **period}, administrator)
    tell_change(session, "substitute", receipt, f"{absent} → {substitute}, {post}")


def end_substitution(
    session: Session,
    absent: _Absent,
    substitute: _Substitute,
    post: Post,
    administrator: Administrator = None,
) -> None:
    """The end of a substitution, now."""
    agency, role = read_post(session, post, "AGENCY:ROLE")
    place = {"absent": absent, "substitute": substitute, "agency": agency, "role": role}
    receipt = change(session, "end_substitution", place, administrator)
    tell_change(session, "end_substitution", receipt, f"{absent} → {substitute}, {post}")


def leave(session: Session, person: _Person, administrator: Administrator = None) -> None:
    """The end of all that a person holds, for good, and of their key."""
    receipt = change(session, "leave", {"person": person}, administrator)
    tell_change(session, "leave", receipt, person)


def clear(
    session: Session,
    person: _Person,
    clearance: _Clearance,
    administrator: Administrator = None,
) -> None:
    """Up to which level of secrecy a person may work."""
    check_choice(session, clearance, tuple(Secrecy), "CLEARANCE")
    arguments = {"person": person, "clearance": clearance}
    receipt = change(session, "clear", arguments, administrator)
    tell_change(session, "clear", receipt, f"{person}, {session.texts.name('secrecy', clearance)}")


ALL: tuple[Callable[..., None], ...] = (
    add_agency,
    change_agency,
    add_person,
    appoint,
    dismiss,
    substitute,
    end_substitution,
    leave,
    clear,
)
"""In the order in which help shows them."""
