"""The rules of the house fire: what lint and import rules forbid is tried here, one by one."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
ROOMS = (
    "activities", "audit", "cli", "domain", "embedded", "evidence", "gateway", "intake",
    "messages", "payloads", "samples", "sequencing", "store", "vault", "witness", "workflows",
)  # fmt: skip

# What a pure room may import from outside. The contracts in pyproject.toml name what is forbidden,
# also through a third module; this list is what keeps tomorrow's dependency out.
ALLOWED = {
    "domain": {"domain", "transitions"},
    "audit": {"audit", "cryptography"},
    "evidence": {"evidence", "domain", "httpx"},
    "intake": {"intake", "domain", "python_calamine", "xlsxwriter", "yaml"},
    "messages": {"messages"},
    "payloads": {"payloads", "cryptography", "google", "temporalio"},
    "vault": {"vault", "audit", "cryptography"},
    "witness": {
        "witness",
        "audit",
        "cryptography",
        "fastapi",
        "messages",
        "starlette",
        "uvicorn",
    },
    "workflows": {"workflows", "audit", "domain", "temporalio"},
}


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.lineno, node.module.partition(".")[0]


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = [*(ROOT / room).rglob("*.py"), *(ROOT / room).parent.glob(f"{Path(room).name}.py")]
    assert files, f"{room} is empty: the rule would hold for nothing"
    allowed = ALLOWED[room] | set(sys.stdlib_module_names)
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for line, name in _imports(file)
        if name not in allowed
    ]
    assert not found


def test_worker_py_stands_below_the_command_and_the_embedded_run() -> None:
    assert not {name for _, name in _imports(ROOT / "worker.py")} & {"cli", "embedded"}


def _ruff(path: str, source: str) -> str:
    return subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--select=TID251", "--stdin-filename", path, "-"],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


BANNED = (
    "import datetime\ndatetime.datetime.now()\n",
    "from datetime import datetime, UTC\ndatetime.now(UTC)\n",
    "from datetime import datetime\ndatetime.utcnow()\n",
    "from datetime import date\ndate.today()\n",
    "from uuid import uuid4\n",
    "import uuid\nuuid.uuid4()\n",
    "import random\n",
    "from random import choice\n",
    "import secrets\n",
    "import time\ntime.time()\n",
    "from time import monotonic\n",
    "import os\nos.environ['TZ']\n",
)


@pytest.mark.parametrize("room", ["domain", "workflows"])
@pytest.mark.parametrize("source", BANNED)
def test_rules_and_replays_may_not_ask_the_machine(room: str, source: str) -> None:
    assert "TID251" in _ruff(f"{room}/deep/inside.py", source)


@pytest.mark.parametrize("path", ["activities/x.py", "cli/x.py", "worker.py", "tests/domain/x.py"])
def test_outer_rooms_may_ask_for_the_time(path: str) -> None:
    assert "TID251" not in _ruff(path, BANNED[0])


def test_workflows_have_their_own_clock_and_chance() -> None:
    source = "from temporalio import workflow\nworkflow.now()\nworkflow.uuid4()\n"
    assert "TID251" not in _ruff("workflows/x.py", source)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms, as they are, where a test may break a rule."""
    copy = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, copy / room, ignore=ignored)
    for file in ("worker.py", "pyproject.toml"):
        shutil.copy(ROOT / file, copy / file)
    return copy


def _lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("domain/broken.py", "import sqlalchemy", "domain"),
        ("domain/broken.py", "import audit", "domain"),
        ("audit/broken.py", "import domain", "audit"),
        ("audit/broken.py", "from temporalio import workflow", "audit"),
        ("workflows/broken.py", "import store", "workflows"),
        ("workflows/broken.py", "import httpx", "workflows"),
        ("activities/broken.py", "import workflows.task", "activities"),
        ("store/broken.py", "import gateway", "activities"),
        ("evidence/broken.py", "import activities", "layers"),
        ("store/broken.py", "import evidence", "layers"),
        ("gateway/broken.py", "import cli", "layers"),
        ("gateway/broken.py", "import worker", "worker"),
        ("payloads/broken.py", "import domain", "payloads"),
        ("vault/broken.py", "import domain", "vault"),
        ("audit/broken.py", "import vault", "audit"),
        ("witness/broken.py", "import store", "witness"),
        ("witness/broken.py", "import gateway", "layers"),
    ],
)
def test_an_import_that_points_outward_is_named(
    copy: Path, module: str, statement: str, contract: str
) -> None:
    assert f'id = "{contract}"' in (copy / "pyproject.toml").read_text(encoding="utf-8")
    (copy / module).write_text(f"{statement}\n", encoding="utf-8")
    try:
        result = _lint_imports(copy)
    finally:
        (copy / module).unlink()
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{module.partition('/')[0]}.broken -> {statement.split()[1]}" in result.stdout


@pytest.mark.parametrize("unwanted", ["rfc8785", "audit.signing"])
def test_the_verifier_reaches_no_library_but_cryptography_and_nothing_that_signs(
    copy: Path, unwanted: str
) -> None:
    verifier = copy / "audit" / "verify.py"
    source = verifier.read_text(encoding="utf-8")
    verifier.write_text(f"{source}\nimport audit.broken\n", encoding="utf-8")
    helper = copy / "audit" / "broken.py"
    helper.write_text(f"import {unwanted}\n", encoding="utf-8")
    try:
        result = _lint_imports(copy)
    finally:
        verifier.write_text(source, encoding="utf-8")
        helper.unlink()
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"audit.broken -> {unwanted}" in result.stdout


def test_every_module_of_the_log_stands_on_the_map_of_its_room() -> None:
    modules = {path.stem for path in (ROOT / "audit").glob("*.py")} - {"__init__"}
    source = (ROOT / "audit" / "__init__.py").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z_]+", source.partition("\n")[2]))
    assert not modules - named


def test_the_lock_files_name_no_place_to_fetch_from() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text, name
        assert "index" not in text, name
        assert all("==" in line for line in text.splitlines() if line[:1].isalnum()), name
