"""The files that steps name: is each of them kept, and what does the log name altogether.

The rules know digests only, and so do the verifier and whoever rebuilds: whether the files are
there is asked once, when a step is recorded, and later by whoever wants to know.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from audit.entry import open_command, parse_entry
from domain.command import FIELDS, MAX_LIST, Kind
from domain.refusal import Refused
from domain.task import Secrecy
from store import ledger

Missing = Callable[[Sequence[str]], Sequence[str]]
"""Those of some digests whose files are not kept."""


def nothing_missing(_digests: Sequence[str]) -> Sequence[str]:
    """For a service that keeps no files: digests are recorded as they come."""
    return ()


@dataclass(frozen=True, slots=True)
class Named:
    """A digest that an entry names."""

    digest: str
    task: str
    seq: int


def digests_in(event: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The digests of files among the arguments. What has a wrong form, or is one too
    many, is left out: the rules refuse it.
    """
    named = [
        arguments.get(name)
        for name, field in FIELDS.get(event, {}).items()
        if field.kind is Kind.DIGESTS
    ]
    lists = [value[:MAX_LIST] for value in named if isinstance(value, list)]
    return tuple(dict.fromkeys(each for value in lists for each in value if _is_digest(each)))


def check_taken(task: str, secrecy: Secrecy) -> None:
    """Raises Refused for a protected task: its files may lie nowhere unsealed."""
    if secrecy is not Secrecy.NORMAL:
        raise Refused("evidence_protected", task=task, secrecy=str(secrecy))


def check_kept(
    task: str, secrecy: Secrecy | None, digests: Sequence[str], missing: Sequence[str]
) -> None:
    """Hold a step that names ``digests`` against what is kept. Raises Refused, naming the files."""
    if digests and secrecy is not None:
        check_taken(task, secrecy)
    if missing:
        raise Refused("evidence_missing", digests=", ".join(missing))


def named(connection: Connection) -> Iterator[Named | None]:
    """Every digest that the log names, in the order of the entries; None for an entry of none, so
    that whoever waits sees how far it has come.
    """
    for row in ledger.read_all(connection):
        predicate = open_command(parse_entry(row.data).command).predicate
        arguments = predicate["arguments"]
        found = digests_in(str(predicate["event"]), arguments)
        yield from (Named(digest, row.chain, row.seq) for digest in found)
        if not found:
            yield None


def _is_digest(value: object) -> bool:
    prefix, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    return prefix == "sha256" and len(name) == 64 and set(name) <= set("0123456789abcdef")  # noqa: PLR2004 - a SHA-256
