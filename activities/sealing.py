"""Sealing what comes with the steps of protected tasks. Needs public keys only.

Each entry has a data key of its own, drawn when it is recorded and forgotten at once. So the
service can add to the vault, but open nothing in it, and its key may lie on another machine.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audit.commitment import Opening
from domain.directory import Directory
from domain.task import Task
from store.sealed import Sealed
from vault.keys import Recipient
from vault.sealing import DATA_KEY_BYTES, Place, Random, seal, wrap

Readers = Callable[[Directory, Task], Sequence[Recipient]]
"""Who, besides the vault, may open what comes with a step of this task: by the directory as it is
just then, with the keys that they have registered there."""


def nobody_else(_directory: Directory, _task: Task) -> Sequence[Recipient]:
    """Where no readers have registered keys of their own."""
    return ()


@dataclass(frozen=True)
class Vault:
    """Whom words are sealed for: the vault itself, and ``readers`` by their own keys."""

    recipient: Recipient
    readers: Readers = nobody_else
    random: Random = secrets.token_bytes

    def seal(
        self, leaf: str, openings: Sequence[Opening], task: Task, directory: Directory
    ) -> Sealed:
        """What comes with the entry of this leaf hash, as it may be stored."""
        recipients = [self.recipient, *self.readers(directory, task)]
        place, key = Place(task.id, leaf), self.random(DATA_KEY_BYTES)
        return Sealed(
            {each.field: seal(each, place, key, self.random) for each in openings},
            {each.id: wrap(key, place, each) for each in recipients},
        )
