"""Registering and transferring the tasks of a document, one signed command each.

Importing again goes on where the last time ended: what is registered is not registered twice, and
what was registered but not yet transferred is transferred.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from activities.folding import step_of
from audit.entry import leaf_hash
from audit.submission import Submission
from domain.refusal import Refused
from domain.step import evolve
from domain.task import State, Task
from gateway.composing import Signer, compose


class Draft(Protocol):
    """A task to be: its id and the arguments of its registration."""

    @property
    def task(self) -> str: ...
    @property
    def arguments(self) -> dict[str, object]: ...


@dataclass(frozen=True, slots=True)
class Imported:
    """Ids of the tasks that this import assigned, and of those that were there before."""

    assigned: tuple[str, ...]
    known: tuple[str, ...]


async def import_drafts(
    drafts: Sequence[Draft],
    origin: str,
    signer: Signer,
    submit: Callable[[Submission], Awaitable[bytes]],
    find: Callable[[str], Task | None],
    now: Callable[[], datetime],
    progress: Callable[[int], None] = lambda _done: None,
) -> Imported:
    """Bring each draft to `assigned`. ``submit`` answers with the entry; ``find`` knows the tasks
    that exist. Raises Refused at the first draft that is not allowed; earlier ones stand.
    """
    assigned, known = [], []
    for done, draft in enumerate(drafts, start=1):
        task = find(draft.task)
        if task is not None and task.state is not State.REGISTERED:
            known.append(draft.task)
        else:
            if task is None:
                command = compose(origin, draft.task, "register", draft.arguments, signer, now())
                task = _after(None, await submit(command))
            await submit(compose(origin, task, "transfer", {}, signer, now()))
            assigned.append(draft.task)
        progress(done)
    return Imported(tuple(assigned), tuple(known))


def _after(task: Task | None, entry: bytes) -> Task:
    step = step_of(entry, leaf_hash(entry))
    if step.event != "register":
        raise Refused("other_task", task=step.task)
    return evolve(task, step)
