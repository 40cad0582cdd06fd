"""Several agencies in one entry: the same as one entry each."""

from typing import Any

import pytest

from domain.directory import changed_agencies
from domain.refusal import Refused
from tests.support.directories import agency, founded


def several(*agencies: dict[str, Any]) -> dict[str, Any]:
    return {"agencies": list(agencies)}


def test_agencies_added_together_are_those_added_one_by_one() -> None:
    together, alone = founded("snv"), founded("snv")
    added = [agency("a", "snv"), agency("b", "a"), agency("c")]
    together.does("add_agencies", several(*added))
    for each in added:
        alone.does("add_agency", each)
    assert together.directory.agencies == alone.directory.agencies
    assert [each.id for each in together.directory.ancestors("b")] == ["a", "snv"]


@pytest.mark.parametrize(
    ("agencies", "code"),
    [
        ([agency("snv")], "agency_exists"),
        ([agency("a"), agency("a")], "agency_exists"),
        ([agency("a", "b"), agency("b")], "unknown_agency"),
        ([agency("a", "a")], "unknown_agency"),
        ([agency("a"), agency("b", "x")], "unknown_agency"),
        ([], "bad_argument"),
        ([agency("a"), {"agency": "b"}], "bad_argument"),
        ([agency("a") | {"more": "x"}], "bad_argument"),
        ([agency("a/b")], "bad_argument"),
    ],
)
def test_one_that_may_not_be_added_refuses_all(agencies: list[Any], code: str) -> None:
    keeper = founded("snv")
    before = keeper.directory.copy()
    with pytest.raises(Refused, match=code):
        keeper.does("add_agencies", {"agencies": agencies})
    assert keeper.directory == before


def test_what_an_entry_changes_is_known_for_the_screens() -> None:
    found = changed_agencies("add_agencies", several(agency("a"), agency("b", "a")))
    assert [(each.id, each.parent) for each in found] == [("a", None), ("b", "a")]
    assert [each.id for each in changed_agencies("change_agency", agency("a"))] == ["a"]
    assert changed_agencies("leave", {"person": "a"}) == ()
