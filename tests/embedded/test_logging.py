"""What the service writes down about its own failures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from embedded.logging import log_to

WORDS = "chim hoàng yến"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.get_config()["logger_factory"]._file.close()
    structlog.reset_defaults()


def test_a_failure_is_written_down_without_the_values_of_variables(tmp_path: Path) -> None:
    log_to(path := tmp_path / "dondoc.log")

    def fail(passphrase: str) -> None:
        raise ValueError(f"{len(passphrase)} characters")

    try:
        fail(WORDS)
    except ValueError:
        structlog.get_logger("test").exception("background_work_failed")
    written = path.read_text(encoding="utf-8")
    assert "background_work_failed" in written
    assert "ValueError" in written
    assert WORDS not in written
