"""Words of people: what may stand in them."""

import pytest

from domain.command import check_text
from domain.forms import is_printable
from domain.refusal import Refused


@pytest.mark.parametrize("sign", ["\x00", "\x1b[2J", "\r", "\x7f", "\x85", "\x9b2J", "\u061c"])
def test_words_that_would_steer_a_screen_are_refused(sign: str) -> None:
    with pytest.raises(Refused) as refused:
        check_text("title", f"Kế hoạch {sign}")
    assert refused.value.code == "text_with_control_characters"


def test_lines_tabs_and_every_letter_may_stand_in_words() -> None:
    check_text("title", "Kế\u00a0hoạch\n\t“năm” 你好 \U0001f44d \u200d")


@pytest.mark.parametrize(
    "name",
    [
        "Nguyễn Văn An",
        "\U00031350",  # an ideograph of Unicode 15, which Python 3.11 does not know
        "\U000105d2",  # a letter of Unicode 16
        "\U0003fff0",  # and one that may come
    ],
)
def test_a_name_that_a_later_unicode_knows_is_legal_under_every_python(name: str) -> None:
    assert is_printable(name)


@pytest.mark.parametrize(
    "sign",
    ["\n", "\t", "\x9b", "\u00ad", "\u061c", "\u200d", "\u2028", "\u2066", "\ue000", "\ud800"],
)
def test_a_line_hides_nothing(sign: str) -> None:
    assert not is_printable(f"an{sign}")
