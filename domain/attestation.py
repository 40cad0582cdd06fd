"""What the log says about itself, in its own chain ``attestations``.

    heads       how many entries each chain has, as one root over all (`audit.heads`)
    reconciled  log, read model and workflows were compared, and so many differences were found
    erase       the words behind one commitment were erased, and why
    shred       the same of all words of a task's entries up to one, with the keys to sealed ones
    refused, refusals_summed    commands were refused (`domain.refused`)

Erasures are the administrator's; the others are the service's, signed with the clock's key. None
of them changes a task: like changes of the directory, they concern no workflow and no screen.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domain import refused
from domain.directory import ADMINISTRATOR, CLOCK
from domain.directory import CHAIN as DIRECTORY
from domain.directory import FIELDS as CHANGES
from domain.forms import is_printable
from domain.lifecycle import EVENTS
from domain.refusal import Refused

CHAIN = "attestations"
SYSTEM_CHAINS = frozenset({CHAIN, DIRECTORY})
"""The chains that are about the log itself. No task is called like them."""

HEADS = "heads"
RECONCILED = "reconciled"
ERASE = "erase"
SHRED = "shred"

SIGNERS: Mapping[str, str] = {
    HEADS: CLOCK,
    RECONCILED: CLOCK,
    ERASE: ADMINISTRATOR,
    refused.REFUSED: CLOCK,
    refused.SUMMED: CLOCK,
    SHRED: ADMINISTRATOR,
}
"""Whose key signs each event."""

KNOWN_EVENTS = frozenset({*SIGNERS, *CHANGES, *EVENTS})
"""Every event that any chain knows: a command that was refused may have named another one."""

REASONS = ("mistake", "privacy", "secrecy", "retention")
"""Why words are erased."""

DIFFERENCES = (
    "entry_forgotten",
    "entry_unsequenced",
    "row_differs",
    "row_missing",
    "row_unexplained",
    "update_without_entry",
    "workflow_ahead",
    "workflow_behind",
    "workflow_foreign",
    "workflow_missing",
    "workflow_reset",
    "workflow_terminated",
)
"""Every kind of difference that a comparison counts (`gateway.comparing` explains them)."""

_MAX_INTEGER = 2**53 - 1
_MAX_FIELD = 120
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Attested:
    """The chain so far: the ``seq`` and leaf hash of its last entry, and the log's ``size`` that
    its last `heads` spoke of.
    """

    seq: int = 0
    head: str = ""
    size: int = 0


def check_purpose(holder: str, event: str) -> None:
    """Whether the holder's key may sign such an attestation. Raises Refused."""
    signer = SIGNERS.get(event)
    if signer is None:
        raise Refused("unknown_event", event=event)
    if holder != signer:
        raise Refused("key_of_other_purpose", holder=holder)


def judge(attested: Attested, event: str, arguments: Mapping[str, Any], holder: str) -> None:
    """Whether ``holder`` may state this, after what was attested before. Raises Refused."""
    check_purpose(holder, event)
    _check_form(event, arguments)
    refused.check_sense(event, arguments)
    # A log only grows. The same size again says nothing new: two services may have looked at once.
    if event == HEADS and arguments["size"] <= attested.size:
        raise Refused("heads_not_newer", size=arguments["size"], known=attested.size)


def follow(attested: Attested, event: str, arguments: Mapping[str, Any], head: str) -> Attested:
    """The chain after one more entry; ``head`` is its leaf hash."""
    size = arguments["size"] if event == HEADS else attested.size
    return Attested(attested.seq + 1, head, size)


def _is_count(value: object) -> bool:
    # By type: True is an int, and counts nothing.
    return type(value) is int and 0 <= value <= _MAX_INTEGER


def _is_size(value: object) -> bool:
    return _is_count(value) and value != 0


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_field(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_FIELD and is_printable(value)


def _are_differences(value: object) -> bool:
    """Every kind is counted, so that a kind that nobody looked for does not pass for none."""
    return (
        isinstance(value, Mapping)
        and set(value) == set(DIFFERENCES)
        and all(map(_is_count, value.values()))
    )


_Form = tuple[str, Callable[[object], bool]]
_SIZE: _Form = ("count", _is_size)
_COUNT: _Form = ("count", _is_count)

FIELDS: Mapping[str, Mapping[str, _Form]] = {
    HEADS: {"size": _SIZE, "chains": _SIZE, "root": ("digest", _is_digest)},
    RECONCILED: {
        "size": _SIZE,
        "tasks": _COUNT,
        "workflows": _COUNT,
        "differences": ("counts", _are_differences),
    },
    ERASE: {
        "leaf": ("digest", _is_digest),
        "field": ("str", _is_field),
        "reason": ("reason", lambda value: value in REASONS),
    },
    refused.REFUSED: {
        **refused.REFUSED_FORM,
        "event": ("event", lambda value: value is None or value in KNOWN_EVENTS),
    },
    refused.SUMMED: refused.SUMMED_FORM,
    SHRED: {
        "task": ("str", _is_field),
        "through": ("count", _is_size),
        "reason": ("reason", lambda value: value in REASONS),
    },
}
"""The arguments of each event, all of them required."""


def _check_form(event: str, arguments: Mapping[str, Any]) -> None:
    fields = FIELDS[event]
    for name in fields.keys() ^ arguments.keys():
        code = "unknown_argument" if name in arguments else "missing_argument"
        raise Refused(code, event=event, field=name)
    for name, (kind, fits) in fields.items():
        if not fits(arguments[name]):
            raise Refused("bad_argument", event=event, field=name, kind=kind)
