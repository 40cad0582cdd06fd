"""The verifier as one file: it needs Python and cryptography, and is the same verifier."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import audit
from audit.extracting import single_file
from audit.trust_file import format_policy
from tests.support.attacking import Scribe, policy_of, small_log, written, zipped

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 6_850

# Stands before the file's own text, so in each of its processes: whatever is not of the file
# itself, of the standard library or of cryptography can't be imported.
ISOLATION = """
import sys as _sys

class _Block:
    allowed = {"cryptography", "cffi", "_cffi_backend", *_sys.stdlib_module_names}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] not in cls.allowed:
            raise ImportError(f"{name} is not to be had here")

_sys.meta_path.insert(0, _Block)

"""


@pytest.fixture(name="single", scope="module")
def _single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("auditor") / "verify.py"
    path.write_text(ISOLATION + single_file(), encoding="utf-8")
    return path


@pytest.fixture(name="trust", scope="module")
def _trust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / "trust"
    path.write_bytes(format_policy(policy_of()))
    return path


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd, env={"LC_ALL": "C"}, capture_output=True, encoding="utf-8", check=False,
        timeout=100,
    )  # fmt: skip


def both(single: Path, *arguments: str) -> list[tuple[int, str, str]]:
    """What the single file and the package say: status, output and complaints."""
    answers = [
        run("-I", str(single), *arguments, cwd=single.parent),
        run("-m", "audit.verify", *arguments, cwd=ROOT),
    ]
    return [(each.returncode, untimed(each.stdout), each.stderr) for each in answers]


def untimed(said: str) -> str:
    return re.sub(r"[\d.]+ (s|giây), \d+ ", "", said)


def test_the_file_is_short_readable_and_the_same_each_time() -> None:
    text = single_file()
    assert text == single_file()
    assert text.count("\n") < MOST_LINES
    assert max(map(len, text.splitlines())) < 300
    stated = re.search(r"whole: (\d+) modules, (\d+) lines", text)
    assert stated is not None
    assert int(stated[1]) == len(sources(text))
    assert int(stated[2]) == sum(module.count("\n") for module in sources(text).values())


def test_every_module_in_it_is_one_of_audit_as_it_stands_there() -> None:
    folder = Path(audit.__file__).parent
    for name, text in sources(single_file()).items():
        file = "__init__" if name == "audit" else name.removeprefix("audit.")
        assert (folder / f"{file}.py").read_text(encoding="utf-8") == text


def sources(text: str) -> dict[str, str]:
    found = {}
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=str(name)))],
                value=ast.Constant(value=str(source)),
            ):
                found[name] = source
    return found


def test_it_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    for text in sources(single_file()).values():
        for node in ast.walk(ast.parse(text)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                first = name.split(".")[0]
                assert first in {"audit", "cryptography", *sys.stdlib_module_names}, name


@pytest.mark.parametrize("language", ["vi", "en"])
def test_it_finds_a_good_bundle_good_and_says_the_same(
    single: Path, trust: Path, tmp_path: Path, language: str
) -> None:
    bundle = zipped(small_log().files(), tmp_path / "log.zip")
    one, other = both(single, str(bundle), "--trust", str(trust), "--lang", language)
    assert one == other
    assert one[0] == 0
    assert ("The log is sound." if language == "en" else "Nhật ký nguyên vẹn.") in one[1]


def test_it_finds_a_bad_bundle_bad_and_says_the_same(
    single: Path, trust: Path, tmp_path: Path
) -> None:
    scribe = small_log()
    scribe.entries[5], scribe.entries[6] = scribe.entries[6], scribe.entries[5]
    bundle = written(scribe.files(), tmp_path / "log")
    arguments = (str(bundle), "--trust", str(trust))
    one, other = both(single, *arguments)
    assert one == other
    assert one[0] == 1
    one, other = both(single, *arguments, "--json")
    assert one == other
    assert not json.loads(one[1])["ok"]


def test_misuse_is_told_in_the_same_way(single: Path, trust: Path, tmp_path: Path) -> None:
    one, other = both(single, str(tmp_path / "none.zip"), "--trust", str(trust), "--lang", "en")
    assert one == other
    assert one[0] == 2
    assert "none.zip" in one[2]
    helped = run("-I", str(single), "--help", "--lang", "vi", cwd=tmp_path)
    assert helped.returncode == 0
    assert "--trust" in helped.stdout


def test_it_deals_a_large_log_out_among_processes_that_come_from_the_file_too(
    single: Path, trust: Path, tmp_path: Path
) -> None:
    scribe = Scribe().found("an", "binh")
    for number in range(1_030):
        for event, person in (("register", "an"), ("confirm", "binh"), ("start", "binh")):
            scribe.step(f"T-{number}", event, person)
        scribe.step(f"T-{number}", "submit", "an")
    scribe.state_heads()
    assert len(scribe.entries) > 4_000
    bundle = zipped(scribe.files(), tmp_path / "log.zip")
    arguments = (str(bundle), "--trust", str(trust), "--json", "--processes")
    said = [run("-I", str(single), *arguments, n, cwd=single.parent) for n in ("2", "1")]
    assert [each.returncode for each in said] == [0, 0]
    assert said[0].stdout == said[1].stdout
    assert json.loads(said[0].stdout)["passed"]["command_signature"] == len(scribe.entries)


def test_nothing_that_lies_beside_it_is_imported(trust: Path, tmp_path: Path) -> None:
    """An auditor may save it into the folder that came from the one who is audited."""
    folder = written(small_log().files(), tmp_path)
    (folder / "verify.py").write_text(single_file(), encoding="utf-8")
    for module in ("importlib", "json", "zipfile", "cryptography", "argparse", "audit"):
        (folder / f"{module}.py").write_text("raise SystemExit(77)", encoding="utf-8")
    for command in (["verify.py"], [str(folder / "verify.py")], ["-P", "verify.py"]):
        found = run(*command, str(folder), "--trust", str(trust), cwd=folder)
        assert (found.returncode, found.stderr) == (0, ""), command
