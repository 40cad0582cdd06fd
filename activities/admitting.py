"""Letting a reader in on words that were sealed before they were named: by who holds a key to them.

The words themselves are not touched: their data keys are wrapped once more. The service can't do
it, for it opens nothing.
"""

from sqlalchemy import Connection

from store import ledger, sealed
from vault.keys import ReadingKey, Recipient
from vault.sealing import Place, unwrap, wrap


def admit(connection: Connection, task: str, key: ReadingKey, reader: Recipient) -> int:
    """Wrap every data key of a task that ``key`` opens for ``reader`` too, who has none yet: how
    many that were. Whether the reader may is asked before. Raises Malformed for a damaged one.
    """
    admitted = 0
    for row in ledger.read_chain(connection, task):
        keys = sealed.read(connection, row.leaf).keys
        mine = keys.get(key.recipient.id)
        if mine is None or reader.id in keys:
            continue
        place = Place(task, row.leaf)
        again = wrap(unwrap(mine, place, key), place, reader)
        sealed.append(connection, row.leaf, sealed.Sealed(keys={reader.id: again}))
        admitted += 1
    return admitted
