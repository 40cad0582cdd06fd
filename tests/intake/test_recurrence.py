"""How often, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.task import Recurrence, format_recurrence
from intake.raw import Fault
from intake.recurrence import format_updates, read_updates


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("hằng tháng", Recurrence("month")),
        ("Hàng tháng, trước ngày 10", Recurrence("month", 10)),
        ("monthly before 10", Recurrence("month", 10)),
        ("Every month before the 13th", Recurrence("month", 13)),
        ("hằng quý", Recurrence("quarter")),
        ("quarterly", Recurrence("quarter")),
        ("hằng năm trước ngày 10 tháng 11", Recurrence("year", 10, 11)),
        ("hằng năm trước ngày 10/11", Recurrence("year", 10, 11)),
        ("yearly before 13 November", Recurrence("year", 13, 11)),
        ("annually before the 1st of March", Recurrence("year", 1, 3)),
    ],
)
def test_words_of_both_languages_are_understood(words: str, meant: Recurrence) -> None:
    assert read_updates(words) == format_recurrence(meant)


@pytest.mark.parametrize(
    "words",
    [
        "weekly", "hằng tuần", "monthly before 32", "monthly before 10/11", "yearly before 10",
        "yearly before 10 Brumaire", "monthly " * 1000, {"every": "week"}, 10, ["monthly"],
        {"every": "month", "x": "1"}, {"every": "month", "before_day": "-1"},
        {"every": "year", "before_month": "3"},
    ],
)  # fmt: skip
def test_what_leaves_a_day_to_guess_is_refused(words: object) -> None:
    with pytest.raises(Fault, match="bad_updates"):
        read_updates(words)  # type: ignore[arg-type]  # anything may stand in a cell


@given(
    st.builds(Recurrence, st.sampled_from(["month", "quarter"]), st.none() | st.integers(1, 31))
    | st.builds(Recurrence, st.just("year"), st.integers(1, 31), st.integers(1, 12))
)
def test_what_is_written_is_read_again(recurrence: Recurrence) -> None:
    assert read_updates(format_updates(recurrence)) == format_recurrence(recurrence)
