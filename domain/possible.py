"""Which steps people may take on a task as it stands, to be offered to them.

What is left out here, `domain.decide` would refuse, whoever asked and whenever. The rest still
depends on who asks, and on deadlines.
"""

from collections.abc import Callable, Mapping

from domain.authority import roles_of
from domain.lifecycle import allowed
from domain.task import Role, Task


def possible(task: Task) -> tuple[str, ...]:
    """Events in the order of the lifecycle: legal in the task's state, with something to be about.

    The clock's own steps are nobody's.
    """
    by_hand = (name for name in allowed(task.state) if roles_of(name) != {Role.CLOCK})
    return tuple(name for name in by_hand if name not in _NEEDS or _NEEDS[name](task))


def _asked(task: Task) -> set[str]:
    """What waits for an answer. A result is answered by steps of its own."""
    return task.pending.keys() - {"result"}


def _endorsed(task: Task) -> set[str]:
    return {name for name in _asked(task) if task.pending[name].endorsed}


def _is_unevaluated(task: Task) -> bool:
    return any(name.startswith("evaluate") for name in (*task.clocks, *task.missed))


_NEEDS: Mapping[str, Callable[[Task], bool]] = {
    "dispute": lambda task: not task.kept,
    "endorse": lambda task: _asked(task) != _endorsed(task),
    "decline": lambda task: bool(_asked(task)),
    "ask_extension": lambda task: task.terms.due_on is not None,
    "grant_extension": lambda task: "extension" in _endorsed(task),
    "grant_withdrawal": lambda task: "withdrawal" in _endorsed(task),
    "refuse": lambda task: bool(_endorsed(task)),
    "evaluate": _is_unevaluated,
}
