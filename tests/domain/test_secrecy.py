"""The levels and their order, and the marking of the highest however it is written."""

import base64
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusal import Refused
from domain.secrecy import (
    covers,
    fold,
    is_highest_marking,
    is_protected,
    refuse_highest,
    refuse_highest_bytes,
    says_highest,
)
from domain.task import Secrecy

MARKINGS = (
    "tuyệt mật", "TUYỆT MẬT", "Tuyệt đối mật", "độ mật: tuyệt mật", "[TUYỆT-MẬT]", "tuyet_mat",
    "highest secrecy", "of the highest secrecy", "ABSOLUTE SECRET", "ｔｕｙệｔ　ｍậｔ",
    unicodedata.normalize("NFD", "Tuyệt mật"), "tuyệt\u200bmật", "t u y ệ t   m ậ t",
)  # fmt: skip


def test_a_clearance_covers_its_own_level_and_those_below() -> None:
    levels = [Secrecy.NORMAL, Secrecy.SECRET, Secrecy.TOP_SECRET]
    table = [[covers(clearance, level) for level in levels] for clearance in levels]
    assert table == [[True, False, False], [True, True, False], [True, True, True]]
    assert list(map(is_protected, levels)) == [False, True, True]


@pytest.mark.parametrize("marking", MARKINGS)
def test_the_marking_is_known_however_it_is_written(marking: str) -> None:
    assert is_highest_marking(marking)
    assert says_highest(marking)
    for value in (
        marking,
        {"a": [{"b": marking}]},
        {marking: 1},
        {"secrecy": f"văn bản {marking}"},
    ):
        with pytest.raises(Refused, match=r"^secrecy_forbidden$"):
            refuse_highest(value)
    payload = base64.b64encode(json.dumps({"x": marking}).encode()).decode()
    for text in (json.dumps([marking]), f"x={marking}", json.dumps({"payload": payload})):
        with pytest.raises(Refused, match=r"^secrecy_forbidden$"):
            refuse_highest_bytes(text.encode())


@pytest.mark.parametrize(
    "text",
    ["", "mật", "tối mật", "top_secret", "Rà soát việc bảo quản văn bản tuyệt mật", "tuyệt mật 1",
     "highest", "sha256:" + "a" * 64],
)  # fmt: skip
def test_other_words_are_no_marking(text: str) -> None:
    assert not is_highest_marking(text)
    refuse_highest({"title": text, "list": [text, None, 1, True]})


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b'{"payload": "%%%"}', b"1"])
def test_what_cannot_be_read_is_none_of_it(data: bytes) -> None:
    refuse_highest_bytes(data)


@given(st.text(max_size=60) | st.sampled_from(MARKINGS).map(str.swapcase))
def test_the_short_ways_say_what_folding_says(text: str) -> None:
    whole = fold(text).replace(" ", "")
    alone = {fold(marking).replace(" ", "") for marking in MARKINGS}
    if whole in alone:
        assert is_highest_marking(text)
    if is_highest_marking(text):
        assert any(mark in whole for mark in ("tuyet", "highest", "absolute"))
