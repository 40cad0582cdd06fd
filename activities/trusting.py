"""The authorities that the log trusts, folded from the directory when they are asked for."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from audit.authorities import EVENTS, Authorities
from audit.directory import read_change
from audit.entry import open_command, open_record, parse_entry
from audit.keyring import follow_authorities
from domain.directory import CHAIN
from store import ledger
from store.ledger import Row

_HOLDER = {"enrol": "person", "leave": "person", "rotate": "holder"}
_CONCERNED = EVENTS | _HOLDER.keys() | {"revoke"}


def concerns(event: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a change of the directory can't be judged without knowing the authorities."""
    return event in EVENTS or "certificate" in arguments


class Trusting:
    """Remembers what it folded, so that the next question reads only what came since."""

    def __init__(self, origin: str) -> None:
        """``origin`` is the name of the log whose directory it is."""
        self._origin = origin
        self._authorities = Authorities()
        self._seq, self._head = 0, ""

    def now(self, connection: Connection, unwritten: Iterable[Row] = ()) -> Authorities:
        """The authorities as the log has them, and as the directory's ``unwritten`` rows will."""
        later = ledger.read_chain(connection, CHAIN, self._seq)
        if later and self._seq and later[0].prev != self._head:
            # The log was exchanged under us.
            self._authorities, self._seq = Authorities(), 0
            later = ledger.read_chain(connection, CHAIN)
        for row in later:
            follow_row(self._authorities, row, self._origin)
            self._seq, self._head = row.seq, row.leaf
        found = self._authorities.copy()
        for row in unwritten:
            follow_row(found, row, self._origin)
        return found


def follow_row(authorities: Authorities, row: Row, origin: str) -> None:
    """What an entry of the directory means for authorities; it was checked when it was recorded."""
    entry = parse_entry(row.data)
    command = open_command(entry.command).predicate
    event, arguments = command["event"], command["arguments"]
    if event not in _CONCERNED or not isinstance(arguments, dict):
        return
    if event in _HOLDER and "certificate" not in arguments:
        # Most people have none, and to open each of their keys takes its time.
        authorities.forget(str(arguments[_HOLDER[event]]))
        return
    at = open_record(entry.record).text("received_at")
    change = read_change(str(event), arguments, at, origin, authorities)
    follow_authorities(authorities, change)
