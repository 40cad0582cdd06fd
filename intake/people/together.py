"""What the rows of both sheets say together, and together with the directory."""

from collections.abc import Mapping

from intake.people.cells import tidy
from intake.people.listing import Agency, Holding, Listing, Person
from intake.people.sheets import Sheet
from intake.people.words import OPERATOR

MAX_ROLES = 100
"""Of one person: an entry of the log has to hold them."""


def check_tree(sheet: Sheet, listed: Mapping[str, Agency], known: Mapping[str, Agency]) -> None:
    """Note each circle once, at the first row that is part of it."""
    tree = {**known, **listed}
    sound: set[str] = set()
    for start in listed:
        way: dict[str, None] = {}
        here: str | None = start
        while here is not None and here in tree and here not in sound and here not in way:
            way[here] = None
            here = tree[here].parent
        if here is not None and here in way:
            circle = list(way)[list(way).index(here) :]
            rows = [listed[agency].row for agency in circle if agency in listed]
            sheet.note(min(rows), "parent", "tree_circle", agencies=" → ".join([*circle, here]))
        sound |= way.keys()


def check_people(sheet: Sheet, people: Mapping[str, Person], known: Listing) -> None:
    """Note who may not be listed so."""
    for person in people.values():
        if person.id in known.left:
            sheet.note(person.row, "person", "person_left_before")
        before = known.people.get(person.id)
        if before is not None:
            _check_titles(sheet, person, before)
        if len(person.holdings) > MAX_ROLES:
            sheet.note(person.row, "role", "too_many_roles", limit=MAX_ROLES)
        else:
            _check_holdings(sheet, person)


def _check_titles(sheet: Sheet, person: Person, before: Person) -> None:
    for name in ("title_vi", "title_en"):
        listed = getattr(person, name)
        if listed and listed != tidy(getattr(before, name)):
            sheet.note(person.row, name, "title_differs")


def _check_holdings(sheet: Sheet, person: Person) -> None:
    """No role twice at the same time, and beside an operator's nothing at the same time."""
    seen: list[Holding] = []
    for holding in person.holdings:
        for other in seen:
            if not holding.meets(other):
                continue
            if (holding.agency, holding.role) == (other.agency, other.role):
                sheet.note(holding.row, "role", "role_twice", first=other.row)
            elif OPERATOR in {holding.role, other.role} and holding.role != other.role:
                sheet.note(holding.row, "role", "operator_beside", first=other.row)
        seen.append(holding)
