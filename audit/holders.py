"""Who holds a key, and what it may sign.

One key has one holder, for ever, and one purpose:

    log              records                          Ed25519
    checkpoint       checkpoints                      Ed25519
    checkpoint_pq    checkpoints                      ML-DSA-44
    administrator    the directory, erasures          Ed25519
    clock            ``lapse``, other attestations    Ed25519
    door             stamps of receipt, no command    Ed25519
    person           every other command              Ed25519, ECDSA or RSA
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from audit.algorithms import Kind
from audit.chains import ATTESTATIONS, DIRECTORY
from audit.keys import PublicKey
from audit.paths import Path

LAPSE = "lapse"
ERASURES = frozenset({"erase", "shred"})


class Purpose(StrEnum):
    LOG = "log"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_PQ = "checkpoint_pq"
    ADMINISTRATOR = "administrator"
    CLOCK = "clock"
    DOOR = "door"
    PERSON = "person"


SERVICE = tuple(sorted(set(Purpose) - {Purpose.PERSON}))
"""Purposes of which the log has one key each: their holders are called like them."""

_PERSONAL = frozenset({Kind.ED25519, Kind.P256, Kind.P384, Kind.RSA})
KINDS: Mapping[Purpose, frozenset[Kind]] = {
    **dict.fromkeys(SERVICE, frozenset({Kind.ED25519})),
    Purpose.CHECKPOINT_PQ: frozenset({Kind.ML_DSA_44}),
    Purpose.PERSON: _PERSONAL,
}
"""Which kinds of keys each purpose takes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key. ``name`` is what the log's records call the holder; ``not_after`` is the
    last instant of the key's certificate, as text, and ``path`` leads from it to an authority.
    """

    name: str
    purpose: Purpose
    key: PublicKey
    not_after: str | None = None
    path: Path = ()

    def may_sign(self, chain: str, event: str) -> bool:
        """Whether a command of this event on this chain is within the key's purpose."""
        if chain == DIRECTORY or (chain == ATTESTATIONS and event in ERASURES):
            return self.purpose is Purpose.ADMINISTRATOR
        if chain == ATTESTATIONS:
            return self.purpose is Purpose.CLOCK
        return self.purpose is (Purpose.CLOCK if event == LAPSE else Purpose.PERSON)

    def has_expired(self, at: str) -> bool:
        """Whether the certificate had ended at the instant ``at``, text of fixed width."""
        return self.not_after is not None and at > self.not_after
