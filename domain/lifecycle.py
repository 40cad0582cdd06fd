"""The lifecycle of a task, declared once.

Every event, and the states it leads from and to. The `transitions` machine built
from this table answers which step is legal; the Mermaid diagram in the documentation and the
commands of the CLI are generated from it. The machine carries no model and no callbacks: callers
decide first, record, and apply afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from transitions import Machine
from transitions.extensions import GraphMachine

from domain.task import OPEN_STATES, State

SAME = "="
_NEW = "new"
_OPEN = tuple(sorted(OPEN_STATES))
_HELD = tuple(sorted(OPEN_STATES - {State.REGISTERED}))
_WORKED = (State.CONFIRMED, State.IN_PROGRESS)
_ASKED = (*_WORKED, State.IN_REVIEW)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the lifecycle. Who may cause it stands in `domain.authority`.

    ``substantive``: the step changes what a person decides upon, so commands signed before it are
    out of date. ``source`` is where the rule stands.
    """

    name: str
    sources: tuple[str, ...]
    dest: str
    source: str
    substantive: bool = True


def _event(
    name: str,
    sources: Iterable[str],
    dest: str,
    source: str,
    *,
    substantive: bool = True,
) -> Event:
    return Event(name, tuple(map(str, sources)), str(dest), source, substantive)


_LINES = (
    _event("register", [_NEW], State.REGISTERED, "Art. 6.1"),
    _event("transfer", [State.REGISTERED], State.ASSIGNED, "Art. 6.1"),
    _event("confirm", [State.ASSIGNED], State.CONFIRMED, "Art. 6.2a"),
    _event(
        "dispute",
        [State.ASSIGNED, State.CONFIRMED],
        State.DISPUTED,
        "Art. 6.2a",
    ),
    _event("keep", [State.DISPUTED], State.ASSIGNED, "Art. 6.1b"),
    _event("correct", [State.DISPUTED], State.ASSIGNED, "Art. 6.1b"),
    _event("reassign", [State.DISPUTED], State.ASSIGNED, "Art. 6.1b"),
    _event("start", [State.CONFIRMED], State.IN_PROGRESS, "Art. 6.2b"),
    _event("report", [State.IN_PROGRESS], SAME, "Art. 6.2b"),
    _event("submit", [State.IN_PROGRESS], State.IN_REVIEW, "Art. 6.2b"),
    _event("approve", [State.IN_REVIEW], State.DONE, "Art. 15.3"),
    _event("send_back", [State.IN_REVIEW], State.IN_PROGRESS, "Art. 15.3"),
    _event("endorse", [*_HELD, State.DONE], SAME, "Art. 15.3"),
    _event("decline", [*_HELD, State.DONE], SAME, "Art. 15.3"),
    _event("ask_extension", _WORKED, SAME, "directive, 1c"),
    _event("ask_withdrawal", _WORKED, SAME, "directive, 1c"),
    _event("grant_extension", _ASKED, SAME, "directive, 1c"),
    _event("grant_withdrawal", _ASKED, State.WITHDRAWN, "directive, 1c"),
    _event("refuse", _ASKED, SAME, "directive, 1c"),
    _event("explain", [*_HELD, State.DONE], SAME, "Art. 15.4"),
    _event("evaluate", [State.IN_PROGRESS, State.IN_REVIEW, State.DONE], SAME,
           "Art. 6.3", substantive=False),
    _event("urge", _HELD, SAME, "Art. 10", substantive=False),
    _event("recall", _OPEN, State.WITHDRAWN, "Art. 6.1"),
    _event("lapse", [*_HELD, State.DONE], SAME, "Art. 6", substantive=False),
)  # fmt: skip

EVENTS = {line.name: line for line in _LINES}


def _rows() -> list[dict[str, object]]:
    return [
        {"trigger": line.name, "source": source, "dest": line.dest}
        for line in _LINES
        for source in line.sources
    ]


_STATES = [_NEW, *map(str, State)]
_MACHINE = Machine(
    model=None, states=_STATES, transitions=_rows(), initial=_NEW, auto_transitions=False
)


@lru_cache(maxsize=1024)
def destination(event: str, state: State | None) -> State | None:
    """The state that ``event`` leads to from ``state`` (None: not registered), or None: illegal."""
    source = _NEW if state is None else state.value
    found = _MACHINE.get_transitions(event, source) if event in EVENTS else []
    if not found:
        return None
    dest = found[0].dest
    return State(source if dest is None else dest)


def allowed(state: State | None) -> tuple[str, ...]:
    """The events that are legal from ``state``, in the order of the table."""
    legal = set(_MACHINE.get_triggers(_NEW if state is None else state.value))
    return tuple(name for name in EVENTS if name in legal)


def mermaid() -> str:
    """The lifecycle as a Mermaid state diagram, for the documentation."""
    machine = GraphMachine(
        states=_STATES,
        transitions=[row for row in _rows() if row["dest"] != SAME],
        initial=_NEW,
        auto_transitions=False,
        graph_engine="mermaid",
    )
    source = str(machine.get_graph().source)
    lines = source[source.index("stateDiagram-v2") :].splitlines()
    # The states' colours are the drawing library's, and nothing of the lifecycle.
    drawn = [line for line in lines if not line.strip().startswith(("classDef", "Class "))]
    return "\n".join(line.rstrip() for line in drawn if line.strip()) + "\n"
