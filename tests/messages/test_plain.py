"""What strangers wrote does not steer the terminal of who reads it."""

import pytest

from cli.output import Output
from messages import Texts
from messages.plain import plain

STEERING = ["\x1b[2J", "\x9b2J", "\r", "\x7f", "\u202ecod", "\u061c", "\u2028", "\u2066"]


@pytest.mark.parametrize("steering", STEERING)
def test_what_would_steer_a_terminal_is_spelt_out(
    steering: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steering not in plain(f"holds{steering}")
    out = Output(Texts("en"), as_json=False)
    out.line(f"holds{steering}")
    out.table(("column_task",), [(f"holds{steering}",)])
    out.error("misuse", {}, f"holds{steering}")
    said, complained = capsys.readouterr()
    assert steering not in said + complained
    assert said.count("holds\\") == 2
    assert "holds\\" in complained


def test_letters_lines_and_tabs_stay_what_they_are() -> None:
    text = "Tết\u00a0Nguyên Đán\n\t[/b] 你好 \U0001f468\u200d\U0001f469"
    assert plain(text) == text
