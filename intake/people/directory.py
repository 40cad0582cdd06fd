"""The directory as a listing, to compare a file with and to write one."""

from datetime import datetime

from domain import directory as directories
from domain.directory import SERVICE, Directory
from intake.people.listing import Agency, Holding, Listing, Person


def listing_of(directory: Directory) -> Listing:
    """Agencies from the top down, and people with all that they hold, held and will hold. The
    service's own accounts are nobody's to list.
    """
    people = [each for each in directory.people.values() if each.id not in SERVICE]
    return Listing(
        agencies={each.id: each for each in map(_agency, directory.agencies.values())},
        people={each.id: _person(each) for each in people if each.left is None},
        left=frozenset(each.id for each in people if each.left is not None),
    )


def present_in(directory: Directory, at: datetime) -> Listing:
    """The same with what is in force ``at`` that instant (UTC), or will be."""
    listing = listing_of(directory)
    people = {
        each.id: Person(
            each.id,
            each.title_vi,
            each.title_en,
            each.clearance,
            tuple(holding for holding in each.holdings if not holding.is_over(at)),
        )
        for each in listing.people.values()
    }
    return Listing(listing.agencies, people, listing.left)


def _agency(agency: directories.Agency) -> Agency:
    return Agency(agency.id, agency.name_vi, agency.name_en, agency.parent)


def _person(person: directories.Person) -> Person:
    holdings = tuple(
        Holding(each.agency, each.role, each.period.begins, each.period.ends)
        for each in person.roles
    )
    clearance = str(person.clearance)
    return Person(person.id, person.title_vi, person.title_en, clearance, holdings)
