"""A listing beside the directory: only what differs becomes a change."""

import string
import zipfile
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.directory import Directory, advance
from domain.refusal import Refused
from intake.people.difference import MAX_BYTES, Change, Difference, compare
from intake.people.directory import listing_of, present_in
from intake.people.listing import Agency, Holding, Listing, Person
from intake.people.reading import read
from intake.people.writing import write_listing, write_template
from tests.intake.listing import HANOI, NOW, POSTS, TREE, errors, listing, person
from tests.intake.listing import read as read_rows
from tests.support.directories import Keeper, founded

DAY = timedelta(days=1)


def empty() -> Directory:
    """A log that was founded, and has nobody in it."""
    return founded().directory


def carried_out(directory: Directory, found: Difference, at: datetime) -> Directory:
    """The directory after all changes, each judged as the recorder does, a second apart."""
    keeper = Keeper(directory.copy())
    for change in found.changes:
        at += timedelta(seconds=1)
        keeper.does(change.event, change.resolved(at), at + timedelta(milliseconds=5))
    return keeper.directory


def difference(
    listing: Listing, directory: Directory, at: datetime = NOW, **more: Any
) -> Difference:
    return compare(listing, listing_of(directory), at, **more)


def first_import() -> Directory:
    directory = empty()
    return carried_out(directory, difference(listing(TREE, POSTS), directory), NOW)


def again(directory: Directory, *people: Any, at: datetime = NOW + DAY) -> Difference:
    return difference(listing(None, people, listing_of(directory)), directory, at)


def events(found: Difference) -> list[str]:
    return [change.event for change in found.changes]


def test_everything_is_new_in_an_empty_directory_and_nothing_is_the_second_time() -> None:
    found = difference(listing(TREE, POSTS), empty())
    assert events(found) == ["add_agencies", "add_people"]
    assert (found.count("add_agencies"), found.count("add_people")) == (3, 2)
    directory = carried_out(empty(), found, NOW)
    second = difference(listing(TREE, POSTS, listing_of(directory)), directory, NOW + DAY)
    assert second.changes == ()


def test_a_role_without_a_first_day_begins_with_the_import() -> None:
    found = difference(listing(TREE, [person()]), empty())
    change = found.changes[-1]
    roles = change.resolved(NOW)["people"][0]["roles"]
    assert roles[0]["from"] == "2026-03-02T02:00:00.000000Z"
    assert change.fields["people"][0]["roles"][0]["from"] != roles[0]["from"]


def test_parents_come_before_their_children_in_whatever_order_the_rows_are() -> None:
    for rows in permutations(TREE):
        found = difference(listing(list(rows)), empty())
        carried_out(empty(), found, NOW)


def test_a_tree_turned_round_makes_no_circle_on_the_way() -> None:
    chain = [(name, name, name, above) for name, above in zip("abcd", [None, *"abc"], strict=True)]
    turned = [(name, name, name, above) for name, above in zip("dcba", [None, *"dcb"], strict=True)]
    directory = carried_out(empty(), difference(listing(chain), empty()), NOW)
    for rows in (turned, turned[::-1]):
        found = difference(listing(rows, None, listing_of(directory)), directory)
        assert events(found) == ["change_agency"] * 4
        after = carried_out(directory, found, NOW)
        assert [each.id for each in after.ancestors("a")] == ["b", "c", "d"]


def test_spacing_is_no_other_name() -> None:
    known = Listing({"vp": Agency("vp", "Văn  phòng ", "Office")})
    assert compare(listing([("vp", "Văn phòng", "Office", None)]), known, NOW).changes == ()
    renamed = compare(listing([("vp", "Văn Phòng", "Office", None)]), known, NOW)
    assert renamed.changes[0].fields["name_vi"] == "Văn Phòng"


def test_an_agency_listed_without_its_names_is_only_moved() -> None:
    directory = first_import()
    rows = [("snv-tcbc", None, None, "vp")]
    found = difference(listing(rows, None, listing_of(directory)), directory)
    after = carried_out(directory, found, NOW)
    assert (after.agencies["snv-tcbc"].name_vi, after.agencies["snv-tcbc"].parent) == (
        "Phòng Tổ chức", "vp",
    )  # fmt: skip


def test_a_role_that_is_listed_no_more_ends_and_a_new_one_begins() -> None:
    directory = first_import()
    row = person(person="snv.an", title_vi=None, title_en=None, role="approver")
    found = again(directory, row)
    assert events(found) == ["dismiss", "dismiss", "appoint"]
    after = carried_out(directory, found, NOW + DAY)
    assert after.people["snv.an"].roles_at(NOW + 2 * DAY) == {("snv", "approver")}
    assert again(after, row, at=NOW + 2 * DAY).changes == ()


def test_an_operator_becomes_something_else_without_being_both() -> None:
    directory = empty()
    operator = listing(TREE, [person(role="operator")])
    directory = carried_out(directory, difference(operator, directory), NOW)
    row = person(**{"from": date(2026, 1, 1)})
    after = carried_out(directory, again(directory, row), NOW + DAY)
    assert after.people["snv.binh"].roles_at(NOW + 2 * DAY) == {("snv", "officer")}
    assert again(after, row, at=NOW + 2 * DAY).changes == ()


@pytest.mark.parametrize("until", [date(2027, 1, 1), None])
def test_a_role_that_lasts_longer_is_held_without_a_gap(until: date | None) -> None:
    start = listing(TREE, [person(until=date(2026, 6, 30))])
    directory = carried_out(empty(), difference(start, empty()), NOW)
    row = person(until=until)
    found = again(directory, row)
    assert events(found) == ["appoint"]
    after = carried_out(directory, found, NOW + DAY)
    moments = [NOW + DAY + timedelta(hours=12 * each) for each in range(600)]
    assert all(after.people["snv.binh"].roles_at(each) for each in moments)
    assert again(after, row, at=NOW + 2 * DAY).changes == ()
    back = again(after, person(until=date(2026, 6, 30)), at=NOW + 2 * DAY)
    assert events(back) == ["dismiss", "appoint"]


def test_what_ends_and_begins_for_one_person_is_done_in_one_go() -> None:
    rows = [person(person=f"snv.{name}", until=date(2026, 6, 30)) for name in "abc"]
    directory = carried_out(empty(), difference(listing(TREE, rows), empty()), NOW)
    shorter = [person(person=f"snv.{name}", until=date(2026, 5, 31)) for name in "abc"]
    found = again(directory, *shorter)
    assert [[change.event for change in unit] for unit in found.phases[0]] == (
        [["dismiss", "appoint"]] * 3
    )
    after = carried_out(directory, found, NOW + DAY)
    assert again(after, *shorter, at=NOW + 2 * DAY).changes == ()


def test_dismissing_one_of_two_periods_gives_the_other_one_again() -> None:
    spring = person(until=date(2026, 5, 31))
    autumn = person(**{"from": date(2026, 9, 1)})
    start = listing(TREE, [spring, autumn])
    directory = carried_out(empty(), difference(start, empty()), NOW)
    found = again(directory, autumn)
    assert events(found) == ["dismiss", "appoint"]
    after = carried_out(directory, found, NOW + DAY)
    assert after.people["snv.binh"].roles_at(NOW + 2 * DAY) == frozenset()
    assert again(after, autumn, at=NOW + 2 * DAY).changes == ()


def test_what_is_over_is_no_change() -> None:
    over = person(**{"from": date(2025, 1, 1), "until": date(2025, 12, 31)})
    directory = carried_out(empty(), difference(listing(TREE, [over]), empty()), NOW)
    assert directory.people["snv.binh"].roles == ()
    assert again(directory, over).changes == ()


def test_a_clearance_is_changed_and_an_empty_one_stays() -> None:
    directory = first_import()
    office = list(POSTS[0])
    office[3] = None
    assert again(directory, office).changes == ()
    office[3] = "tối mật"
    found = again(directory, office)
    assert events(found) == ["clear"]
    assert carried_out(directory, found, NOW).people["vp.office"].clearance == "top_secret"


def test_who_is_missing_is_left_alone_unless_told_otherwise() -> None:
    directory = first_import()
    found = again(directory, POSTS[0])
    assert (found.changes, found.alone) == ((), ("snv.an",))
    listed = listing(None, [POSTS[0]], listing_of(directory))
    leaving = difference(listed, directory, leave_missing=True)
    assert (events(leaving), leaving.alone) == (["leave"], ())
    after = carried_out(directory, leaving, NOW)
    assert difference(listed, after, leave_missing=True).changes == ()
    assert errors(read_rows(None, [POSTS[1]], listing_of(after))) == [
        ("people", 2, "person", "person_left_before")
    ]


def test_people_go_as_many_at_a_time_as_an_entry_holds() -> None:
    known = {f"p{number}": Person(f"p{number}", "Chức danh", "Title", "normal", (
        Holding("vp", "officer", None), Holding("vp", "approver", None),
    )) for number in range(1_000)}  # fmt: skip
    found = compare(Listing(people=known), Listing(), NOW)
    sizes = [len(str(change.resolved(NOW)).encode()) for change in found.changes]
    assert found.count("add_people") == 1_000
    assert 4 < len(sizes) < 12
    assert max(sizes) < MAX_BYTES * 1.1
    people = [each["person"] for change in found.changes for each in change.fields["people"]]
    assert sorted(people) == sorted(known)


def test_a_change_says_now_only_where_something_begins() -> None:
    fields = {"people": [{"title_en": "", "roles": [{"from": "", "until": None}]}]}
    resolved = Change("add_people", fields).resolved(NOW)
    assert resolved["people"][0]["title_en"] == ""
    assert resolved["people"][0]["roles"][0]["from"] == "2026-03-02T02:00:00.000000Z"


def test_an_export_imports_back_to_no_difference(tmp_path: Path) -> None:
    directory = first_import()
    roles = [
        {"agency": "vp", "role": "monitor", "from": "2026-03-02T02:00:00.123456Z", "until": None},
        {"agency": "snv", "role": "monitor", "from": "1900-01-01T00:00:00.000000Z",
         "until": "2026-05-31T17:00:00.000000Z"},
        {"agency": "snv", "role": "inspector", "from": "2026-06-01T00:00:00.000000Z",
         "until": "2026-06-01T00:00:00.000001Z"},
    ]  # fmt: skip
    strange = {
        "person": "Ông_7", "title_vi": '=HYPERLINK("x")', "title_en": "+1  @ -2",
        "clearance": "top_secret", "roles": roles,
    }  # fmt: skip
    bare = {"person": "b", "title_vi": "", "title_en": "", "clearance": "normal", "roles": []}
    advance(directory, "add_people", {"people": [strange, bare]}, "", NOW)
    advance(directory, "dismiss", {"person": "snv.an", "agency": "snv", "role": "officer"}, "", NOW)
    advance(directory, "leave", {"person": "vp.office"}, "", NOW)
    file = tmp_path / "danh bạ.xlsx"
    write_listing(file, present_in(directory, NOW), HANOI)
    known = listing_of(directory)
    reading = read([file], HANOI, known)
    assert reading.errors == ()
    found = compare(reading.listing, known, NOW, leave_missing=True)
    assert (found.changes, found.alone) == ((), ())
    assert reading.listing.people["Ông_7"].title_vi == '=HYPERLINK("x")'


def test_the_template_is_an_empty_listing_that_can_be_filled_in(tmp_path: Path) -> None:
    file = tmp_path / "mẫu.xlsx"
    write_template(file)
    with zipfile.ZipFile(file) as archive:
        people = archive.read("xl/worksheets/sheet2.xml").decode()
    assert "Văn phòng,Cán bộ đầu mối" in people
    assert "Vận hành hệ thống" in people
    assert "<f>" not in people
    with pytest.raises(Refused, match="file_empty"):
        read([file], HANOI, None)


_IDS = st.text(string.ascii_lowercase, min_size=1, max_size=2)
_INSTANTS = st.integers(-400, 400).map(
    lambda days: datetime(2026, 3, 1, 17, tzinfo=UTC) + days * DAY
)


@st.composite
def _holdings(draw: st.DrawFn) -> tuple[Holding, ...]:
    """Roles that may be held together: an operator's alone, and each post once."""
    roles = draw(st.sampled_from([("officer", "approver"), ("operator",)]))
    post = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(roles))
    posts = draw(st.sets(post, max_size=4))
    held = []
    for agency, role in sorted(posts):
        begins = draw(st.none() | _INSTANTS)
        until = draw(st.none() | _INSTANTS)
        if begins is not None and until is not None and begins >= until:
            until = None
        held.append(Holding(agency, role, begins, until))
    return tuple(held)


_PEOPLE = st.dictionaries(_IDS, _holdings(), max_size=4).map(
    lambda people: {
        who: Person(who, "Chức danh", "Title", "normal", holdings)
        for who, holdings in people.items()
    }
)
_TREES = st.lists(st.tuples(_IDS, st.integers(0, 9)), max_size=6, unique_by=lambda each: each[0])


def _tree(rows: list[tuple[str, int]]) -> dict[str, Agency]:
    """Agencies below earlier ones of the list, or at the top, in no order at all."""
    agencies = {each: Agency(each, each, each) for each in "ab"}
    for number, (name, above) in enumerate(rows):
        parent = rows[above % number][0] if number and above < 7 else None
        agencies.setdefault(
            name, Agency(name, name, name, parent if parent not in {*"ab"} else "a")
        )
    return dict(sorted(agencies.items()))


@settings(max_examples=60, deadline=None)
@given(_TREES, _TREES, _PEOPLE, _PEOPLE)
def test_whatever_is_listed_the_directory_takes_it_and_a_second_import_does_nothing(
    before: list[tuple[str, int]],
    after: list[tuple[str, int]],
    people: dict[str, Person],
    others: dict[str, Person],
) -> None:
    directory = empty()
    at = NOW
    for tree, listed in ((before, people), (after, others), (before, people)):
        wanted = Listing({**_tree(before), **_tree(after), **_tree(tree)}, listed)
        assume(not _has_circle(wanted))
        found = difference(wanted, directory, at)
        directory = carried_out(directory, found, at)
        at += timedelta(minutes=10)
        assert difference(wanted, directory, at).changes == ()
        for who, said in listed.items():
            assert directory.people[who].roles_at(at) == {
                (each.agency, each.role)
                for each in said.holdings
                if (each.begins is None or each.begins <= at) and not each.is_over(at)
            }


@settings(max_examples=25, deadline=None)
@given(_TREES, _PEOPLE, st.timedeltas(timedelta(0), 900 * DAY))
def test_whatever_the_directory_holds_its_export_imports_back_to_no_difference(
    tree: list[tuple[str, int]], people: dict[str, Person], later: timedelta
) -> None:
    wanted = Listing(_tree(tree), people)
    assume(not _has_circle(wanted))
    directory = carried_out(empty(), difference(wanted, empty()), NOW)
    at = NOW + timedelta(hours=1) + later
    with TemporaryDirectory() as name:
        file = Path(name) / "a.xlsx"
        write_listing(file, present_in(directory, at), HANOI)
        reading = read([file], HANOI, listing_of(directory))
    assert reading.errors == ()
    assert difference(reading.listing, directory, at, leave_missing=True).changes == ()


def _has_circle(wanted: Listing) -> bool:
    for start in wanted.agencies:
        seen, here = set[str](), wanted.agencies[start].parent
        while here is not None:
            if here in seen or here == start:
                return True
            seen.add(here)
            here = wanted.agencies[here].parent
    return False
