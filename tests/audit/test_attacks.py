"""The table of attacks names real tests, and all of them."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "attacks.md"
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")
BASELINES = {"test_the_log_as_it_was_written_holds"}


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions)
            and node.name.startswith("test_")}  # fmt: skip


def test_each_test_in_the_table_exists() -> None:
    named = NAMED.findall(TABLE.read_text(encoding="utf-8"))
    assert named
    for path, test in named:
        assert test in _tests_of(ROOT / path), f"{path}::{test}"


def test_each_attack_that_is_tested_stands_in_the_table() -> None:
    named = set(NAMED.findall(TABLE.read_text(encoding="utf-8")))
    for path in sorted(Path(__file__).parent.glob("test_attacks_*.py")):
        for test in _tests_of(path) - BASELINES:
            assert (f"tests/audit/{path.name}", test) in named, test


def test_each_row_says_who_what_and_how() -> None:
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if "::" in line]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 5, row
        assert all(cells), row
