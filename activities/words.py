"""The words of entries for one reader: those in clear, and those sealed that this reader may open.

Whether somebody may is asked twice, of two that know nothing of each other: a rule (``may``), and
the key, which opens what was sealed for it and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from audit.commitment import Opening
from audit.entry import open_command, parse_entry
from audit.malformed import Malformed
from domain.secrecy import covers
from domain.task import Secrecy
from store import ledger, sealed
from vault.keys import ReadingKey
from vault.sealing import Place, open_box, unwrap


def nobody(_level: Secrecy) -> bool:
    """The rule for who is cleared for nothing protected."""
    return False


def cleared(clearance: Secrecy) -> Callable[[Secrecy], bool]:
    """The rule for who is cleared up to this level."""

    def may(level: Secrecy) -> bool:
        return covers(clearance, level)

    return may


@dataclass(frozen=True)
class Reader:
    """``may`` says for a task's level whether its words may be shown; ``key`` is the vault's, or
    the reader's own; None when no key is at hand.
    """

    key: ReadingKey | None = None
    may: Callable[[Secrecy], bool] = nobody


ANYBODY = Reader()
"""Who reads what stands in clear, and no more."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one entry, by field: ``opened``; ``closed``: there, but not for this reader;
    ``damaged``: what this reader's key should open, and doesn't.
    """

    opened: Mapping[str, Opening] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()


def words_of(connection: Connection, leaf: str, reader: Reader) -> Words:
    """The words of the entry with this leaf hash. Erased ones are nowhere in the answer."""
    clear = ledger.read_openings(connection, leaf)
    found = sealed.read(connection, leaf)
    if not found.boxes:
        return Words(clear)
    place = Place(sealed.chain_of(connection, leaf), leaf)
    key = reader.key
    wrapped = found.keys.get(key.recipient.id) if key else None
    if key is None or wrapped is None or not reader.may(level_of(connection, place.chain)):
        return Words(clear, frozenset(found.boxes))
    try:
        data_key = unwrap(wrapped, place, key)
    except Malformed:
        return Words(clear, damaged=frozenset(found.boxes))
    opened, damaged = _opened(found.boxes, place, data_key)
    return Words({**clear, **opened}, damaged=frozenset(damaged))


class Openings:
    """The openings beside entries, as a verifier asks for them; ``closed`` counts the words that
    this reader could not open.
    """

    def __init__(self, connection: Connection, reader: Reader) -> None:
        self._connection = connection
        self._reader = reader
        self._is_clear = not sealed.is_any(connection)
        self.closed = 0

    def __call__(self, leaf: str) -> Mapping[str, Opening]:
        """What does not open though it should is shown as words that fit no commitment."""
        if self._is_clear:
            return ledger.read_openings(self._connection, leaf)
        words = words_of(self._connection, leaf, self._reader)
        self.closed += len(words.closed)
        return {**words.opened, **{name: Opening(name, "", b"") for name in words.damaged}}


def level_of(connection: Connection, chain: str) -> Secrecy:
    """The level of a task, by its first entry in the log."""
    return Secrecy(registration(ledger.first_entries(connection, [chain])[chain])["secrecy"])


def registration(first: bytes) -> Mapping[str, str]:
    """The arguments that a task was registered with, out of its first entry."""
    arguments = open_command(parse_entry(first).command).predicate["arguments"]
    assert isinstance(arguments, dict)  # noqa: S101 - `open_command` has checked it
    return arguments


def mark_of(arguments: Mapping[str, str]) -> str:
    """What listings may show of a protected task: number and symbol of its document (Art. 5)."""
    return f"{arguments['number']}/{arguments['symbol']}"


def marks(connection: Connection, tasks: Sequence[str]) -> dict[str, str]:
    """The same for tasks that are in the log."""
    found = ledger.first_entries(connection, tasks)
    return {chain: mark_of(registration(data)) for chain, data in found.items()}


def _opened(
    boxes: Mapping[str, bytes], place: Place, data_key: bytes
) -> tuple[dict[str, Opening], set[str]]:
    opened, damaged = dict[str, Opening](), set[str]()
    for name, box in boxes.items():
        try:
            opened[name] = open_box(box, name, place, data_key)
        except Malformed:
            damaged.add(name)
    return opened, damaged
