"""YAML files: documents, each with its tasks.

    documents:
      - number: "12"
        symbol: CT-UBND
        issued_on: 2026-01-05
        issuer: Ủy ban nhân dân tỉnh
        secrecy: normal
        document_title: …
        tasks:
          - key: 1a
            title: …
            lead: so-noi-vu               # or each: [so-noi-vu, thanh-tra]
            monitor: vpub
            updates: {every: month, before_day: 10}    # or: hằng tháng trước ngày 10

The names are those of `intake.columns`. Every scalar is read as the text it is written as: ``012``
is no octal number here and ``no`` no boolean. Aliases, tags and repeated keys are refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from domain.refusal import Refused
from intake.assembling import Setting, assemble, refuse_highest_secrecy
from intake.columns import BY_NAME, DOCUMENT_FIELDS
from intake.drafts import Intake, RowError
from intake.encoding import decode
from intake.raw import Cell, RawRow
from intake.yaml_nodes import Node, parse_yaml

_LISTS = frozenset({"each", "coordinators"})
_TASK_FIELDS = frozenset(BY_NAME) - frozenset(DOCUMENT_FIELDS)
_SHOWABLE = re.compile(r"[a-z_]{1,30}")


def read_yaml(data: bytes, setting: Setting) -> Intake:
    """The drafts or the errors of a YAML file. Raises Refused when it can't be read at all."""
    root = parse_yaml(decode(data))
    refuse_highest_secrecy(_everything(root))
    reader = _Reader()
    reader.read(root)
    return assemble(reader.rows, setting, reader.errors)


def _everything(root: Node) -> Iterator[RawRow]:
    """Every text of the tree, under its field's name, also where no field of ours should be; the
    names too.
    """
    waiting = [("", root)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node.value, str):
            yield RawRow(node.line, {name: node.value})
        elif isinstance(node.value, list):
            waiting.extend((name, item) for item in node.value)
        elif isinstance(node.value, dict):
            waiting.extend(node.value.items())
            yield from (RawRow(each.line, {"": key}) for key, each in node.value.items())


class _Reader:
    """Walks the tree; notes what has the wrong name or shape, and goes on."""

    def __init__(self) -> None:
        self.rows: list[RawRow] = []
        self.errors: list[RowError] = []

    def read(self, root: Node) -> None:
        if not isinstance(root.value, dict) or "documents" not in root.value:
            raise Refused("yaml_shape", line=root.line)
        self._check_names(root.value, {"documents"})
        for document in self._items(root.value["documents"]):
            self._document(document)

    def _document(self, node: Node) -> None:
        fields = self._mapping(node, {*DOCUMENT_FIELDS, "tasks"})
        tasks = self._items(fields["tasks"]) if "tasks" in fields else []
        if not tasks:
            self._note(node.line, "tasks", "no_tasks")
        shared = {name: fields[name] for name in DOCUMENT_FIELDS if name in fields}
        for place, task in enumerate(tasks):
            own = self._mapping(task, _TASK_FIELDS)
            named = {**own, **shared} if place == 0 else own
            # What a document lacks is missed at its own line, not at its first task's.
            lines = dict.fromkeys(DOCUMENT_FIELDS, node.line)
            lines |= {name: found.line for name, found in named.items()}
            cells = {name: self._cell(name, found) for name, found in named.items()}
            self.rows.append(RawRow(task.line, cells, place > 0, lines))

    def _cell(self, name: str, node: Node) -> Cell:
        """Lists only where lists belong, a mapping only for the updates."""
        value = node.value
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, list) and name in _LISTS:
            items = [item.value for item in value]
            if all(isinstance(item, str) for item in items):
                return [str(item) for item in items]
        if isinstance(value, dict) and name == "updates":
            parts = {key: item.value for key, item in value.items()}
            if all(isinstance(part, str) for part in parts.values()):
                return {key: str(part) for key, part in parts.items()}
        self._note(node.line, name, "yaml_wrong_kind")
        return None

    def _items(self, node: Node) -> list[Node]:
        if isinstance(node.value, list):
            return node.value
        self._note(node.line, "", "yaml_wrong_kind")
        return []

    def _mapping(self, node: Node, names: Collection[str]) -> Mapping[str, Node]:
        if not isinstance(node.value, dict):
            self._note(node.line, "", "yaml_wrong_kind")
            return {}
        self._check_names(node.value, names)
        return {name: node.value[name] for name in node.value if name in names}

    def _check_names(self, nodes: Mapping[str, Node], names: Collection[str]) -> None:
        for name, node in nodes.items():
            if name not in names:
                shown = name if _SHOWABLE.fullmatch(name) else ""
                self._note(node.line, shown, "unknown_field")

    def _note(self, line: int, column: str, code: str) -> None:
        self.errors.append(RowError(line, column, code, {}))
