"""Carrying out what an attestation says about words: those behind one commitment, or a task's."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from domain.attestation import ERASE, SHRED
from domain.refusal import Refused
from store import ledger, sealed


def check(connection: Connection, event: str, arguments: Mapping[str, Any]) -> None:
    """Whether the words that an erasure speaks of are there. Raises Refused."""
    if event == ERASE:
        leaf, name = arguments["leaf"], arguments["field"]
        if not has_words(connection, leaf, name):
            raise Refused("nothing_to_erase", field=name)
    if event == SHRED:
        task, through = arguments["task"], arguments["through"]
        # Of what is still to come nothing can be erased now.
        length, _ = ledger.heads(connection, [task]).get(task, (0, ""))
        if through > length or not sealed.has_words(connection, task, through):
            raise Refused("nothing_to_shred", task=task)


def carry_out(connection: Connection, event: str, arguments: Mapping[str, Any]) -> bool:
    """Erase what the attestation says; whether anything had to be."""
    if event == ERASE:
        leaf, name = arguments["leaf"], arguments["field"]
        ledger.erase(connection, leaf, name)
        sealed.erase(connection, leaf, name)
    elif event == SHRED:
        task, through = arguments["task"], arguments["through"]
        ledger.erase_all(connection, task, through)
        sealed.shred(connection, task, through)
    return event in {ERASE, SHRED}


def has_words(connection: Connection, leaf: str, name: str) -> bool:
    """Whether there are words behind this commitment, sealed or in clear."""
    return ledger.is_opened(connection, leaf, name) or sealed.is_sealed(connection, leaf, name)
