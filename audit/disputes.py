"""Which entries are disputed: those that a key signed which was revoked later, from an index on.

A revocation speaks of entries that came long before it. They are looked for in a second reading of
the log, and only when there was such a revocation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from audit.entry import Entry, open_command, open_record, parse_entry
from audit.malformed import Malformed


@dataclass(frozen=True, slots=True)
class Disputed:
    """An entry that a revoked key signed: its command or, with the log's key, its record.

    ``index`` is its position in the log, 0 for the first; ``holder`` is whose key it was.
    """

    index: int
    chain: str
    seq: int
    leaf: str
    holder: str


def disputed(
    entries: Iterable[tuple[int, str, bytes]],
    since: Mapping[str, int],
    holder: Callable[[str], str],
) -> Iterator[Disputed]:
    """The entries at or behind the index that ``since`` has for one of their keys, by key id.

    ``entries`` come as index, leaf hash (hex) and bytes; broken ones are left out, as verification
    has named them. ``holder`` tells whose a key was.
    """
    for index, leaf, data in entries:
        try:
            entry = parse_entry(data)
            key = _revoked(entry, index, since)
            if key is not None:
                chain = open_command(entry.command).subject.name.removeprefix("task:")
                seq = open_record(entry.record).predicate["seq"]
                number = seq if isinstance(seq, int) else 0
                yield Disputed(index, chain, number, leaf, holder(key))
        except Malformed:
            continue


def _revoked(entry: Entry, index: int, since: Mapping[str, int]) -> str | None:
    for key in (entry.command.keyid, entry.record.keyid):
        if index >= since.get(key, index + 1):
            return key
    return None
