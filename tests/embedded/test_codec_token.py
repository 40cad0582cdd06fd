"""The token of the codec endpoint."""

from pathlib import Path

import pytest

from embedded.codec import read_token
from embedded.home import Home


@pytest.mark.parametrize("left", [None, "", "  \n", "short"])
def test_a_token_that_is_missing_or_could_be_guessed_is_made_anew(
    tmp_path: Path, left: str | None
) -> None:
    home = Home(tmp_path / "data")
    home.prepare()
    if left is not None:
        home.codec_token.write_text(left)
    token = read_token(home)
    assert len(token) >= 32
    assert read_token(home) == token
    assert home.codec_token.stat().st_mode & 0o777 == 0o600
