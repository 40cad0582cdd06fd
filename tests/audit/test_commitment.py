"""Commitments: bound to field and value, hidden by the salt."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from audit.canonical import Json
from audit.commitment import Opening, commitments_in, format_opening, is_commitment, parse_opening
from audit.malformed import Malformed

OPENING = Opening("title", "Tết", bytes(32))


def test_the_digest_is_that_of_salt_field_and_value() -> None:
    salt = "A" * 43 + "="
    preimage = f'["{salt}","title","Tết"]'.encode()
    assert OPENING.commitment == "sha256:" + hashlib.sha256(preimage).hexdigest()
    assert OPENING.opens(OPENING.commitment)


@pytest.mark.parametrize(
    "other",
    [
        replace(OPENING, value="Têt"),
        replace(OPENING, value=""),
        replace(OPENING, field="content"),
        replace(OPENING, salt=b"\x01" + bytes(31)),
    ],
)
def test_another_value_field_or_salt_does_not_open_it(other: Opening) -> None:
    assert not other.opens(OPENING.commitment)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_salt_of_another_length_opens_nothing_not_even_its_own(size: int) -> None:
    opening = replace(OPENING, salt=bytes(size))
    assert not opening.opens(opening.commitment)


def test_words_that_may_not_enter_the_log_have_no_commitment() -> None:
    for value in ("e\u0302", "\u202e", "\ud800"):
        with pytest.raises(Malformed):
            _ = replace(OPENING, value=value).commitment


@pytest.mark.parametrize(
    "value",
    [None, 1, "", "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "G" * 64,
     "sha256:" + "A" * 64, "sha512:" + "0" * 64, "0" * 64, ["sha256:" + "0" * 64]],
)  # fmt: skip
def test_only_one_form_is_a_commitment(value: Json) -> None:
    commitment = "sha256:" + "0a" * 32
    assert not is_commitment(value)
    assert is_commitment(commitment)
    assert commitments_in({"a": value, "b": commitment}) == {"b": commitment}


def test_an_opening_is_read_as_it_was_written() -> None:
    assert parse_opening("title", format_opening(OPENING)) == OPENING


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"salt": "A" * 43 + "="},
        {"salt": "A" * 43 + "=", "value": 1},
        {"salt": "A" * 43 + "=", "value": "x", "more": 1},
        {"salt": "AAAA", "value": "x"},
        {"salt": None, "value": "x"},
        {"salt": "A" * 43 + "\n", "value": "x"},
    ],
)
def test_an_opening_of_any_other_form_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        parse_opening("title", value)
