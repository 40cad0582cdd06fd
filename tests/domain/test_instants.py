"""Instants in text: one written form, and no other is read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instants import format_instant, parse_instant

WRITTEN = "2026-02-13T09:30:00.000000Z"
instants = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))]))


def inside(instant: datetime) -> bool:
    """Whether UTC has a year for it."""
    return timedelta(days=1) < instant - datetime.min.replace(tzinfo=UTC)


@given(instants.filter(inside))
def test_what_is_written_is_read_again(instant: datetime) -> None:
    text = format_instant(instant)
    assert parse_instant(text) == instant
    assert parse_instant(text).utcoffset() == timedelta(0)
    assert len(text) == len(WRITTEN)


@given(instants.filter(inside), instants.filter(inside))
def test_the_order_of_texts_is_that_of_instants(one: datetime, other: datetime) -> None:
    assert (format_instant(one) < format_instant(other)) == (one < other)


@given(
    st.integers(0, len(WRITTEN) - 1),
    st.sampled_from("0123456789TZ-:.+ W٣t"),
    st.integers(0, len(WRITTEN) - 1),
    st.sampled_from("0123456789TZ-:.+ W٣z"),
)
def test_no_other_form_is_read(first: int, one: str, second: int, other: str) -> None:
    letters = list(WRITTEN)
    letters[first], letters[second] = one, other
    text = "".join(letters)
    try:
        instant = parse_instant(text)
    except ValueError:
        return
    assert format_instant(instant) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-13T09:30:00Z",
        "2026-02-13T09:30:00.000Z",
        "2026-02-13T09:30:00.000000",
        "2026-02-13T09:30:00.000000z",
        "2026-02-13T09:30:00,000000Z",
        "2026-02-13 09:30:00.000000Z",
        "2026-02-13T09:30:00.000000+00:00",
        "2026-02-13T09:30:00.000000Z\n",
        "2026-W07-5T09:30:00.0000000Z",
        "2026-02-13T24:00:00.000000Z",
        "2026-02-13T23:59:60.000000Z",
        "2026-02-30T09:30:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "٢026-02-13T09:30:00.000000Z",
    ],
)
def test_these_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fixed-width|out of range|must be in"):
        parse_instant(text)


def test_an_instant_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="time zone"):
        format_instant(datetime(2026, 2, 13))  # noqa: DTZ001 - what is tested
