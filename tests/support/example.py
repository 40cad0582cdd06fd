"""Writes ``tests/audit/example.json``: a task's chain of three entries, complete and signed.

    python -m tests.support.example

All seeds are fixed, so the same bytes come out each time; a test compares them with the file.
"""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

from audit.entry import parse_entry
from store import ledger
from store.ledger import Row
from tests.support.world import World

FILE = Path(__file__).resolve().parents[1] / "audit" / "example.json"
TASK = "D1-1"


def example() -> dict[str, Any]:
    """A task registered, transferred and confirmed; what a reader needs to check it by hand."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(f"sqlite:///{folder}/log.sqlite")
        try:
            task = world.assigned(TASK)
            world.forward(hours=1)
            world.do(task, "confirm", role="officer")
            return {
                "origin": world.origin,
                "log_key": _base64(world.keys.log.public.spki),
                "keys_of_people": {
                    world.people[name].key.public.id: _base64(world.people[name].key.public.spki)
                    for name in ("office", "officer")
                },
                "entries": [_spelled_out(world, row) for row in world.chain(TASK)],
            }
        finally:
            world.close()


def _spelled_out(world: World, row: Row) -> dict[str, Any]:
    """The bytes themselves, and beside them what they say."""
    entry = parse_entry(row.data)
    with world.engine.connect() as connection:
        openings = ledger.read_openings(connection, row.leaf)
    return {
        "leaf": row.leaf,
        "command": json.loads(entry.command.payload),
        "record": json.loads(entry.record.payload),
        "openings": {
            field: {"salt": _base64(opening.salt), "value": opening.value}
            for field, opening in sorted(openings.items())
        },
        "bytes": row.data.decode(),
    }


def text() -> str:
    return json.dumps(example(), ensure_ascii=False, indent=2) + "\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
