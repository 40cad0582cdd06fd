"""Audited steps beside the same steps unaudited: `make bench`."""

import argparse
import asyncio
import json
import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import uuid4

import structlog
from rich.console import Console

from bench.figures import Figures
from bench.machine import load
from bench.servers import durable_postgres, temporal
from bench.stage import Say, Sizes, measure
from bench.table import show

DATABASES = ("sqlite", "postgresql")


async def run(databases: list[str], sizes: Sizes, say: Say) -> list[Figures]:
    """Measure each database in turn, over one Temporal server."""
    found = []
    with TemporaryDirectory(prefix="dondoc-bench-") as name, ExitStack() as servers:
        directory = Path(name)

        def new_file() -> str:
            return f"sqlite:///{directory / uuid4().hex}.sqlite"

        async with temporal(directory) as temporal_server:
            for database in databases:
                new_database, pid = new_file, None
                if database == "postgresql":
                    postgres = servers.enter_context(durable_postgres())
                    new_database, pid = postgres.create, postgres.pid
                found.append(
                    await measure(database, new_database, temporal_server, sizes, say, pid)
                )
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="every measurement, as JSON")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="of each side")
    parser.add_argument("--tasks", type=int, default=Sizes.tasks, help="at once")
    parser.add_argument("--alone", type=int, default=Sizes.alone, help="steps one at a time")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    progress = Console(stderr=True)
    begun, load_before = perf_counter(), load()
    sizes = Sizes(given.rounds, given.tasks, given.alone)
    found = asyncio.run(run(given.database or list(DATABASES), sizes, progress.print))
    if given.json:
        json.dump([figures.as_json() for figures in found], sys.stdout, indent=1)
        return
    console = Console(width=100) if not sys.stdout.isatty() else Console()
    for figures in found:
        show(console, figures, sizes)
    console.print(
        f"{perf_counter() - begun:.0f} s in all; load of the machine before {load_before},"
        f" after {load()}. Each figure is the median of this run."
    )


if __name__ == "__main__":
    main()
