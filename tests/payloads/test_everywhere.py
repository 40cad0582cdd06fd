"""No way around: every client of ours encrypts, and a service with another one does not start."""

import ast
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.temporal import TemporalServer
from tests.support.world import World
from worker import Settings, service

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    "embedded/connecting.py",
    "embedded/temporal.py",  # asks whether the server answers; no payload goes either way
}


def connecting() -> set[str]:
    """The files, tests and benches apart, where a client is made."""
    files = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0][0] != "."]
    return {
        str(path.relative_to(ROOT))
        for path in files
        if path.relative_to(ROOT).parts[0] not in {"tests", "bench", "build"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"connect", "connect_lazy"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "Client"
    }


def test_clients_are_made_in_one_place() -> None:
    assert connecting() == ALLOWED


async def test_a_service_does_not_start_with_a_client_that_does_not_encrypt(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    client = await Client.connect(temporal_server.address)
    settings = Settings(f"sqlite:///{tmp_path / 'log.sqlite'}", world.keys)
    with pytest.raises(ValueError, match="in clear"):
        async with service(settings, client):
            raise AssertionError
    world.close()
