"""Whose key is whose, as the directory chain says, and what each key may sign.

The directory is a chain of the log like any other; what its events mean for keys is this:

    found   {"administrator", "checkpoint", "checkpoint_pq", "clock", "door", "log": spki}
    enrol   {"person", "spki"[, "certificate", "not_after"], …}   gives one person one key
    rotate  {"holder", "spki"[, "certificate", "not_after"]}      the holder's key is another now
    revoke  {"key": key id, "reason", "since": log index | null}  the key counts no more

A key is the base64 of its SubjectPublicKeyInfo. It counts from its entry on, and until the entry
that rotates it out or revokes it: validity is decided by the order of the log, never by a time that
somebody wrote down. Only the end of a certificate bounds it by time as well: what was received
after ``not_after`` does not count. The entry that rotates the log's key is recorded with the old
one, the entry that rotates the administrator's key is signed by the old one.

One key has one holder, for ever, and one purpose:

    log              records                          Ed25519
    checkpoint       checkpoints                      Ed25519
    checkpoint_pq    checkpoints                      ML-DSA-44
    administrator    the directory, ``erase``         Ed25519
    clock            ``lapse``, other attestations    Ed25519
    door             stamps of receipt, no command    Ed25519
    person           every other command              Ed25519, ECDSA or RSA

What a key signed from ``since`` on, a position in the log, is disputed when it is revoked: it may
be somebody else's. It stays what it is, and is flagged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from audit.canonical import MAX_INTEGER, Json
from audit.certificates import load_certificate
from audit.dsse import decode_base64
from audit.keys import Kind, PublicKey, load_public
from audit.malformed import Malformed

DIRECTORY = "directory"
ATTESTATIONS = "attestations"
LAPSE = "lapse"
ERASE = "erase"
REASONS = frozenset({"compromised", "lost", "left", "superseded"})
_KEY_ID = frozenset("0123456789abcdef")
_KEY_ID_DIGITS = 64


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
_KINDS: Mapping[Purpose, frozenset[Kind]] = {
    **dict.fromkeys(SERVICE, frozenset({Kind.ED25519})),
    Purpose.CHECKPOINT_PQ: frozenset({Kind.ML_DSA_44}),
    Purpose.PERSON: _PERSONAL,
}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key. ``name`` is what the log's records call the holder; ``not_after`` is the
    last instant of the key's certificate, as text.
    """

    name: str
    purpose: Purpose
    key: PublicKey
    not_after: str | None = None

    def may_sign(self, chain: str, event: str) -> bool:
        """Whether a command of this event on this chain is within the key's purpose."""
        if chain == DIRECTORY or (chain == ATTESTATIONS and event == ERASE):
            return self.purpose is Purpose.ADMINISTRATOR
        if chain == ATTESTATIONS:
            return self.purpose is Purpose.CLOCK
        return self.purpose is (Purpose.CLOCK if event == LAPSE else Purpose.PERSON)

    def has_expired(self, at: str) -> bool:
        """Whether the certificate had ended at the instant ``at``, text of fixed width."""
        return self.not_after is not None and at > self.not_after


@dataclass(frozen=True, slots=True)
class Revocation:
    """``since``: the log index from which on the key's signatures are disputed; None: nowhere."""

    key: str
    since: int | None


Change = tuple[Holder, ...] | Revocation
"""What a directory event means for keys: holders whose key counts from here on, or the end of one.
Empty for an event that is not about keys."""


class Keyring:
    """The keys that the directory has named so far. Follows its entries, one `follow` each."""

    def __init__(self) -> None:
        self._present: dict[str, Holder] = {}  # by key id
        self._keys: dict[str, PublicKey | None] = {}  # by holder; None: revoked, no new one yet
        self._ended: dict[str, str] = {}  # by key id: why it counts no more, as a finding's code
        self._since: dict[str, int] = {}
        self._names: dict[str, str] = {}

    @property
    def founded(self) -> bool:
        return bool(self._keys)

    @property
    def log_key(self) -> PublicKey | None:
        """The key that signs the next record; None before the founding."""
        return self._keys.get(Purpose.LOG)

    @property
    def checkpoint_keys(self) -> tuple[PublicKey, PublicKey] | None:
        """Both keys that sign checkpoints, Ed25519 first; None before the founding."""
        key, key_pq = self._keys.get(Purpose.CHECKPOINT), self._keys.get(Purpose.CHECKPOINT_PQ)
        return None if key is None or key_pq is None else (key, key_pq)

    @property
    def checkpoint_ids(self) -> frozenset[str]:
        """The ids of all keys that ever signed checkpoints."""
        wanted = {Purpose.CHECKPOINT, Purpose.CHECKPOINT_PQ}
        return frozenset(key for key, name in self._names.items() if name in wanted)

    @property
    def disputed(self) -> Mapping[str, int]:
        """By key id, the log index from which on what the key signed is disputed."""
        return self._since

    def name(self, key: str) -> str:
        """Who holds, or held, the key of this id; empty when nobody ever did."""
        return self._names.get(key, "")

    def holder(self, key: str) -> Holder | None:
        """Who holds the key of this id now; None when it does not count."""
        return self._present.get(key)

    def why_not(self, key: str) -> str:
        """Why the key of this id does not count, as a code."""
        return self._ended.get(key, "key_not_enrolled")

    def check(self, event: str, arguments: Mapping[str, Json], at: str) -> Change:
        """What a directory event received ``at`` that instant changes. Raises Malformed."""
        change = read_change(event, arguments, at)
        if event == "found" and self.founded:
            raise Malformed("log_already_founded")
        if isinstance(change, Revocation):
            self._check_revocation(change)
            return change
        taken = set[str]()
        for holder in change:
            if holder.key.id in self._names or holder.key.id in taken:
                raise Malformed("key_in_use", holder.name)
            taken.add(holder.key.id)
            known = holder.name in self._keys
            if event == "rotate" and not known:
                raise Malformed("unknown_holder", holder.name[:80])
            if event != "rotate" and known:
                raise Malformed("holder_has_key", holder.name[:80])
        return change

    def follow(self, change: Change) -> None:
        """From here on it counts. ``change`` was checked with this keyring as it is."""
        if isinstance(change, Revocation):
            self._end(change.key, "key_revoked")
            if change.since is not None:
                self._since[change.key] = change.since
            return
        for holder in change:
            before = self._keys.get(holder.name)
            if before is not None:
                self._end(before.id, "key_rotated")
            self._present[holder.key.id] = holder
            self._keys[holder.name] = holder.key
            self._names[holder.key.id] = holder.name

    def _check_revocation(self, revocation: Revocation) -> None:
        key = revocation.key
        if key not in self._names:
            raise Malformed("key_not_enrolled", key[:16])
        present = self._present.get(key)
        if present is not None and present.purpose is not Purpose.PERSON:
            raise Malformed("rotate_first", present.name)
        if self._ended.get(key) == "key_revoked":
            # A second word may only widen what is disputed.
            since, before = revocation.since, self._since.get(key)
            if since is None or (before is not None and since >= before):
                raise Malformed("already_revoked", key[:16])

    def _end(self, key: str, code: str) -> None:
        self._ended[key] = code
        holder = self._present.pop(key, None)
        if holder is not None:
            self._keys[holder.name] = None


def read_change(event: str, arguments: Mapping[str, Json], at: str) -> Change:
    """What a directory event received ``at`` that instant says about keys, before it is held
    against what the directory has. Raises Malformed for an unfit key, certificate or form.
    """
    match event:
        case "found":
            return tuple(_holder(name, arguments, name) for name in SERVICE)
        case "enrol":
            person = _text(arguments, "person")
            if person in SERVICE:
                raise Malformed("holder_has_key", person)
            return (_given(person, arguments, at),)
        case "rotate":
            return (_given(_text(arguments, "holder"), arguments, at),)
        case "revoke":
            return _revocation(arguments)
        case _:
            return ()


def _given(name: str, arguments: Mapping[str, Json], at: str) -> Holder:
    """The holder of a key that came alone or, for a person, with its certificate."""
    holder = _holder(name, arguments, "spki")
    if arguments.keys().isdisjoint({"certificate", "not_after"}):
        return holder
    certificate, not_after = _text(arguments, "certificate"), _text(arguments, "not_after")
    if holder.purpose is not Purpose.PERSON:
        raise Malformed("malformed_command", "certificate")
    found = load_certificate(decode_base64(certificate))
    if found.key != holder.key:
        raise Malformed("certificate_of_other_key")
    if found.not_after != not_after:
        raise Malformed("certificate_ends_otherwise", found.not_after)
    found.check_valid(at)
    return replace(holder, not_after=not_after)


def _holder(name: str, arguments: Mapping[str, Json], field: str) -> Holder:
    purpose = Purpose(name) if name in SERVICE else Purpose.PERSON
    key = load_public(decode_base64(_text(arguments, field)))
    if key.kind not in _KINDS[purpose]:
        raise Malformed("key_type_unsupported", f"{key.kind} for {purpose}")
    return Holder(name, purpose, key)


def _revocation(arguments: Mapping[str, Json]) -> Revocation:
    key, since = _text(arguments, "key"), arguments.get("since")
    if len(key) != _KEY_ID_DIGITS or not _KEY_ID.issuperset(key):
        raise Malformed("malformed_command", "key")
    if _text(arguments, "reason") not in REASONS:
        raise Malformed("malformed_command", "reason")
    if since is None:
        return Revocation(key, None)
    # By type, not isinstance: True is an int, and is no index.
    if type(since) is not int or not 0 <= since <= MAX_INTEGER:
        raise Malformed("malformed_command", "since")
    return Revocation(key, since)


def _text(arguments: Mapping[str, Json], field: str) -> str:
    value = arguments.get(field)
    if not isinstance(value, str):
        raise Malformed("malformed_command", field)
    return value
