"""Tasks that go through every step that has words, with words of a test's choice."""

from collections.abc import Mapping
from typing import Any

from domain.command import FIELDS, text_fields
from domain.task import Task
from tests.support.world import World

OPEN_ONLY = {("register", "content"), ("register", "products"), ("register", "summary"),
             ("correct", "content")}  # fmt: skip
"""Fields that no protected task has (Art. 5)."""


class Life:
    """One task; in every field of every step that may have words stand ``words``."""

    said: set[tuple[str, str]]

    def __init__(self, world: World, task: str, words: str, **header: Any) -> None:
        self.world = world
        self.words = words
        self.said = set()
        given = self._worded("register")
        self.task: Task = world.registered(task, **{**header, **given})

    def do(self, event: str, role: str, **arguments: Any) -> "Life":
        self.task = self.world.do(self.task, event, {**arguments, **self._worded(event)}, role=role)
        return self

    def _worded(self, event: str) -> Mapping[str, str]:
        fields = [n for n in sorted(text_fields(event)) if (event, n) not in OPEN_ONLY]
        self.said |= {(event, name) for name in fields}
        return {name: f"{self.words} ({event}, {name})" for name in fields}


def every_step(world: World, words: str, **header: Any) -> list[Life]:
    """Tasks that leave out no field of no step."""
    done = Life(world, "L-1", words, **header)
    done.do("transfer", "office").do("dispute", "officer").do("keep", "office")
    done.do("confirm", "officer").do("start", "officer")
    done.do("report", "officer").do("decline", "approver", item="report")
    done.do("report", "officer").do("endorse", "approver", item="report")
    done.do("evaluate", "monitor", rating="met")
    done.do("ask_extension", "officer", due_on="2026-07-15")
    done.do("endorse", "approver", item="extension").do("grant_extension", "office")
    done.do("ask_extension", "officer", due_on="2026-08-14")
    done.do("endorse", "approver", item="extension").do("refuse", "office", item="extension")
    done.do("urge", "monitor", channel="phone").do("explain", "officer")
    done.do("submit", "officer").do("send_back", "approver")
    done.do("submit", "officer").do("approve", "approver")
    corrected = Life(world, "L-2", words, **header)
    corrected.do("transfer", "office").do("dispute", "officer").do("correct", "office")
    corrected.do("recall", "office")
    moved = Life(world, "L-3", words, **header)
    moved.do("transfer", "office").do("dispute", "officer").do("reassign", "office", lead="sxd")
    withdrawn = Life(world, "L-4", words, **header)
    withdrawn.do("transfer", "office").do("confirm", "officer").do("start", "officer")
    withdrawn.do("ask_withdrawal", "officer", committed_on="2026-07-01")
    withdrawn.do("endorse", "approver", item="withdrawal").do("grant_withdrawal", "office")
    return [done, corrected, moved, withdrawn]


def all_worded() -> set[tuple[str, str]]:
    """Every field of words that a protected task may have."""
    return {(event, name) for event in FIELDS for name in text_fields(event)} - OPEN_ONLY
