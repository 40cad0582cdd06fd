"""YAML text to a tree of texts, lists and mappings that knows its lines, and nothing cleverer.

Built from the parser's events, not by a loader: no alias is followed, no tag obeyed, no scalar
turned into a number or a date.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from domain.refusal import Refused
from intake.limits import MAX_TASKS

MAX_DEPTH = 8
MAX_NODES = 50 * MAX_TASKS

_NULLS = frozenset({"", "~", "null"})


@dataclass(frozen=True, slots=True)
class Node:
    """``value``: a text, None, a list or a mapping; ``line`` counts from 1."""

    value: "Value"
    line: int


Value: TypeAlias = "str | list[Node] | dict[str, Node] | None"


def parse_yaml(text: str) -> Node:
    """The one document of a YAML text. Raises Refused; no part of the text is in it."""
    builder = _Builder(text)
    try:
        return builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
    except (yaml.YAMLError, RecursionError):
        line = 0
    raise Refused("yaml_broken", line=line)


class _Builder:
    def __init__(self, text: str) -> None:
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml, where the wheel has it
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        self._count = 0

    def document(self) -> Node:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if node is not None:
                    raise Refused("yaml_shape", line=_line(event))
                node = self._node(event, 0)
        if node is None:
            raise Refused("file_empty")
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            raise Refused("too_many_rows", limit=MAX_TASKS)
        if isinstance(event, yaml.AliasEvent):
            raise Refused("yaml_alias", line=_line(event))
        if getattr(event, "tag", None) is not None:
            raise Refused("yaml_tag", line=_line(event))
        if depth == MAX_DEPTH:
            raise Refused("yaml_too_deep", line=_line(event))
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event), _line(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._list(depth), _line(event))
        return Node(self._mapping(depth), _line(event))

    def _list(self, depth: int) -> list[Node]:
        nodes = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        return nodes

    def _mapping(self, depth: int) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key.value, str):
                raise Refused("yaml_shape", line=key.line)
            if key.value in nodes:
                raise Refused("yaml_duplicate_key", line=key.line)
            nodes[key.value] = self._node(next(self._events), depth + 1)
        return nodes


def _scalar(event: yaml.ScalarEvent) -> str | None:
    plain = event.implicit[0]
    return None if plain and event.value in _NULLS else str(event.value)


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0
