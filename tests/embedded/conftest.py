"""One at a time; `tests.support.alone` says why."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.alone import alone

_WAIT_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Waiting for one's turn is no failure."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_WAIT_SECONDS), append=False)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield
