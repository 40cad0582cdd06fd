"""Words of people: what may stand in them."""

import pytest

from domain.command import check_text
from domain.refusal import Refused


@pytest.mark.parametrize("sign", ["\x00", "\x1b[2J", "\r", "\x7f", "\x85", "\x9b2J", "\u061c"])
def test_words_that_would_steer_a_screen_are_refused(sign: str) -> None:
    with pytest.raises(Refused) as refused:
        check_text("title", f"Kế hoạch {sign}")
    assert refused.value.code == "text_with_control_characters"


def test_lines_tabs_and_every_letter_may_stand_in_words() -> None:
    check_text("title", "Kế\u00a0hoạch\n\t“năm” 你好 \U0001f44d \u200d")
