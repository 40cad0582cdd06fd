"""The ordinary service in a process of its own, so that its memory is its own.

    python -m bench.hosting DATABASE_URL TEMPORAL_ADDRESS ORIGIN

Prints one line of JSON when its door is open, and one for each comparison of log and Temporal.
SIGTERM drains and ends it.
"""

import asyncio
import json
import logging
import signal
import sys
from time import perf_counter
from unittest.mock import patch

import structlog
from sqlalchemy import Engine
from temporalio.client import Client

from activities.signing import LogKeys
from gateway.driver import Driver
from gateway.rehydration import Rehydrated, rehydrate
from tests.support.clients import connect
from tests.support.world import key_of
from worker import Settings, service

_BEGUN = perf_counter()


def say(**facts: object) -> None:
    """One line for the process that measures."""
    print(json.dumps({"seconds": perf_counter() - _BEGUN, **facts}), flush=True)


async def reporting(client: Client, engine: Engine, driver: Driver) -> Rehydrated:
    """The service's own rehydration, and what it found."""
    result = await rehydrate(client, engine, driver)
    say(
        what="compared", needed=result.needed, missing=len(result.missing),
        behind=len(result.behind),
    )  # fmt: skip
    return result


async def main() -> None:
    """Serve until told to stop."""
    url, address, origin = sys.argv[1:]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    keys = LogKeys(origin, key_of("log"), key_of("clock"), key_of("door"))
    client = await connect(address)
    with patch("worker.rehydrate", reporting):
        async with service(Settings(url, keys), client):
            say(what="open")
            await stopping.wait()


if __name__ == "__main__":
    asyncio.run(main())
