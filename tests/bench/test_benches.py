"""Every benchmark runs: what can't be repeated was not measured. Small sizes, and no figure is held
to anything here.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ON_SQLITE = ("--database", "sqlite")
# Not here: `bench.scale` waits for real deadlines, half a minute at the least.
SMALL = {
    "bench": ("--rounds", "1", "--tasks", "2", "--alone", "1", *ON_SQLITE),
    "bench.directory": ("--agencies", "20", "--people", "60", *ON_SQLITE),
    "bench.fuzz": ("--seconds", "0.05"),
    "bench.payloads": (),
    "bench.receipts": ("--rounds", "1", "--steps", "20", "--givers", "1", *ON_SQLITE),
    "bench.sequencing": ("--entries", "3000", "--chunk", "500", "--rounds", "1", *ON_SQLITE),
    "bench.verification": ("--entries", "700", "--rounds", "1"),
}


@pytest.mark.parametrize("module", SMALL)
def test_a_benchmark_runs_to_its_end(module: str) -> None:
    command = [sys.executable, "-m", module, *SMALL[module]]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-2_000:] + found.stderr[-2_000:]
    assert found.stdout
