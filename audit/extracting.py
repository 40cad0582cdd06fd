"""The verifier as one file, for an auditor who wants to read all that there is to trust.

The file holds the modules of `audit` that ``audit.verify`` is made of, each as the text it has
here, and a few lines that let Python import them from there. It needs Python and `cryptography`.

    python verify.py BUNDLE --trust FILE
"""

import ast
from pathlib import Path

_ROOT = Path(__file__).parent
_FIRST = "verify"

_HEAD = '''\
#!/usr/bin/env python3
"""The offline verifier of dondoc, whole: {count} modules, {lines} lines.

    python {name} BUNDLE --trust FILE            (needs Python 3.11 and the package cryptography)

Each module below is a text between quotes; the last lines of this file import them and run
audit.verify. Begin to read with audit/engine.py and audit/checks.py (what is checked of an entry),
audit/offline.py (of a log) and audit/merkle.py (how entries hang on a checkpoint).
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # What lies beside this file may have come with the bundle: nothing is imported from there.
    del sys.path[0]

import importlib.abc
import importlib.util

SOURCES = {{}}
'''

_TAIL = '''

class Importer(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the modules in SOURCES."""

    def find_spec(self, name, path=None, target=None):
        if name not in SOURCES:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=name == "audit")

    def get_source(self, name):
        return SOURCES[name]

    def is_package(self, name):
        return name == "audit"


sys.meta_path.insert(0, Importer())

if __name__ == "__main__":
    if importlib.util.find_spec("cryptography") is None:
        sys.stderr.write("Cần gói cryptography: / This needs the package cryptography: "
                         "python -m pip install cryptography\\n")
        sys.exit(2)
    from audit.verify import run

    run()
'''


def single_file(name: str = "verify.py") -> str:
    """The text of the one file."""
    modules = _needed()
    texts = {module: _path(module).read_text(encoding="utf-8") for module in modules}
    lines = sum(text.count("\n") for text in texts.values())
    head = _HEAD.format(count=len(texts), lines=lines, name=name)
    return head + "".join(_quoted(module, text) for module, text in texts.items()) + _TAIL


def _needed() -> list[str]:
    """The modules that the verifier imports, each behind those that it needs itself."""
    ordered: dict[str, None] = {"audit": None}

    def visit(module: str) -> None:
        for imported in _imports(_path(module)):
            if imported not in ordered:
                visit(imported)
        ordered.setdefault(module, None)

    visit(f"audit.{_FIRST}")
    return list(ordered)


def _imports(path: Path) -> list[str]:
    """The modules of `audit` that a file imports from, and those that it imports whole."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module="audit", names=names):
                found += [f"audit.{alias.name}" for alias in names]
            case ast.ImportFrom(module=str(module)) if module.startswith("audit."):
                found.append(module)
    return found


def _path(module: str) -> Path:
    if module == "audit":
        return _ROOT / "__init__.py"
    return _ROOT / f"{module.removeprefix('audit.')}.py"


def _quoted(module: str, text: str) -> str:
    if "'" * 3 in text or text.endswith("\\"):
        raise ValueError(f"{module} can't stand between quotes")
    heading = f"# {'-' * 20} {module.replace('.', '/')}.py {'-' * 20}"
    return f"\n{heading}\n\nSOURCES[{module!r}] = r'''{text}'''\n"
