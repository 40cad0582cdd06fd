"""Whose key is whose, as the directory chain says, and what each key may sign.

The directory is a chain of the log like any other; what its events mean for keys is this:

    found   {"administrator", "checkpoint", "checkpoint_pq", "clock", "door", "log": spki}
    enrol   {"person", "spki", "proof"[, "certificate", "chain", "not_after"]}
                                                                  gives one person one key
    rotate  {"holder", "spki"[, "proof"][, "certificate", "chain", "not_after"]}
                                                                  the holder's key is another now
    revoke  {"key": key id, "reason", "since": log index | null}  the key counts no more
    leave   {"person"}                                            no key of theirs counts any more
    trust_authority, distrust_authority, revocation_list          see `audit.authorities`

Nobody's key is entered behind their back, nor another's key as theirs: `proof` is the base64
signature that the person's new key makes over

    dondoc enrolment v1 LF <origin of the log> LF <person> LF <key id> LF

so an enrolment takes both the administrator and the person. The log's own keys need none: the
founding, or the key before, vouches for them.

A key is the base64 of its SubjectPublicKeyInfo. It counts from its entry on, and until the entry
that rotates it out or revokes it: validity is decided by the order of the log, never by a time that
somebody wrote down. Only the end of a certificate bounds it by time as well: what was received
after ``not_after`` does not count. A certificate must lead to an authority that the log trusts at
its entry, and name nobody who came as another person; a list of revocations ends keys as `revoke`
does. The entry that rotates the log's key is recorded with the old one, the entry that rotates the
administrator's key is signed by the old one.

One key has one holder, for ever, and one purpose:

    log              records                          Ed25519
    checkpoint       checkpoints                      Ed25519
    checkpoint_pq    checkpoints                      ML-DSA-44
    administrator    the directory, erasures          Ed25519
    clock            ``lapse``, other attestations    Ed25519
    door             stamps of receipt, no command    Ed25519
    person           every other command              Ed25519, ECDSA or RSA

What a key signed from ``since`` on, a position in the log, is disputed when it is revoked: it may
be somebody else's. It stays what it is, and is flagged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from audit.algorithms import Kind
from audit.authorities import (
    EVENTS,
    Authorities,
    AuthorityChange,
    Distrusted,
    Listed,
    Trusted,
)
from audit.canonical import MAX_INTEGER, Json
from audit.certificates import load_certificate
from audit.dsse import decode_base64
from audit.keys import PublicKey, load_public
from audit.malformed import Malformed
from audit.paths import Path

DIRECTORY = "directory"
ATTESTATIONS = "attestations"
LAPSE = "lapse"
ERASURES = frozenset({"erase", "shred"})
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


@dataclass(frozen=True, slots=True)
class Revocation:
    """``since``: the log index from which on the key's signatures are disputed; None: nowhere."""

    key: str
    since: int | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """From here on the person has no key, and never gets one again."""

    person: str


Change = tuple[Holder, ...] | Revocation | Leaving | AuthorityChange
"""What a directory event means for keys: holders whose key counts from here on, the end of one, or
what authorities say. Empty for an event that is not about keys."""


class Keyring:
    """The keys that the directory has named so far. Follows its entries, one `follow` each."""

    def __init__(self, origin: str) -> None:
        """``origin`` is the name of the log whose directory it is."""
        self._origin = origin
        self._present: dict[str, Holder] = {}  # by key id
        self._keys: dict[str, PublicKey | None] = {}  # by holder; None: revoked, no new one yet
        self._ended: dict[str, str] = {}  # by key id: why it counts no more, as a finding's code
        self._since: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._left: set[str] = set()
        self._authorities = Authorities()

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
        change = read_change(event, arguments, at, self._origin, self._authorities)
        if event == "found" and self.founded:
            raise Malformed("log_already_founded")
        if isinstance(change, Revocation):
            self._check_revocation(change)
        if isinstance(change, Leaving):
            self._check_stays(change.person)
        if not isinstance(change, tuple):
            return change
        taken = set[str]()
        for holder in change:
            if holder.key.id in self._names or holder.key.id in taken:
                raise Malformed("key_in_use", holder.name)
            taken.add(holder.key.id)
            self._check_stays(holder.name)
            has_key = self._keys.get(holder.name) is not None
            if event == "rotate" and not has_key:
                raise Malformed("unknown_holder", holder.name[:80])
            if event != "rotate" and has_key:
                raise Malformed("holder_has_key", holder.name[:80])
        return change

    def follow(self, change: Change) -> None:
        """From here on it counts. ``change`` was checked with this keyring as it is."""
        follow_authorities(self._authorities, change)
        match change:
            case Revocation(key, since):
                self._end(key, "key_revoked")
                if since is not None:
                    self._since[key] = since
            case Leaving(person):
                self._left.add(person)
                present = self._keys.get(person)
                if present is not None:
                    self._end(present.id, "key_revoked")
            case Listed(keys=keys):
                for key in keys:
                    self._end(key, "certificate_revoked")
            case tuple():
                self._give(change)

    def _give(self, holders: tuple[Holder, ...]) -> None:
        for holder in holders:
            before = self._keys.get(holder.name)
            if before is not None:
                self._end(before.id, "key_rotated")
            self._present[holder.key.id] = holder
            self._keys[holder.name] = holder.key
            self._names[holder.key.id] = holder.name

    def _check_stays(self, person: str) -> None:
        if person in self._left:
            raise Malformed("holder_left", person[:80])

    def _check_revocation(self, revocation: Revocation) -> None:
        key = revocation.key
        if key not in self._names:
            raise Malformed("key_not_enrolled", key[:16])
        present = self._present.get(key)
        if present is not None and present.purpose is not Purpose.PERSON:
            raise Malformed("rotate_first", present.name)
        if self._ended.get(key) in {"key_revoked", "certificate_revoked"}:
            # A second word may only widen what is disputed.
            since, before = revocation.since, self._since.get(key)
            if since is None or (before is not None and since >= before):
                raise Malformed("already_revoked", key[:16])

    def _end(self, key: str, code: str) -> None:
        self._ended[key] = code
        holder = self._present.pop(key, None)
        if holder is not None:
            self._keys[holder.name] = None


def enrolment_text(origin: str, person: str, key: str) -> bytes:
    """What the new key of a person signs to come into the directory; ``key`` is its id."""
    return f"dondoc enrolment v1\n{origin}\n{person}\n{key}\n".encode()


def follow_authorities(authorities: Authorities, change: Change) -> None:
    """What a change of the directory means for authorities, and for keys with certificates."""
    match change:
        case Trusted() | Distrusted() | Listed():
            authorities.follow(change)
        case Revocation(key):
            authorities.end(key)
        case Leaving(person):
            authorities.forget(person)
        case tuple():
            for holder in change:
                authorities.certify(holder.name, holder.key.id, holder.path)


def read_change(
    event: str,
    arguments: Mapping[str, Json],
    at: str,
    origin: str,
    authorities: Authorities | None = None,
) -> Change:
    """What an event of the directory of the log ``origin``, received ``at`` that instant, says
    about keys, before it is held against what the directory has. Raises Malformed for an unfit key,
    proof, certificate or form.

    Without ``authorities`` none is trusted.
    """
    trusted = authorities or Authorities()
    match event:
        case _ if event in EVENTS:
            return trusted.check(event, arguments, at)
        case "found":
            return tuple(_holder(name, arguments, name) for name in SERVICE)
        case "enrol" | "rotate":
            return (_given(_receiver(event, arguments), arguments, at, origin, trusted),)
        case "leave":
            return _leaving(arguments)
        case "revoke":
            return _revocation(arguments)
        case _:
            return ()


def _receiver(event: str, arguments: Mapping[str, Json]) -> str:
    """Who gets a key: a person for the first time, or any holder another."""
    if event == "rotate":
        return _text(arguments, "holder")
    person = _text(arguments, "person")
    if person in SERVICE:
        raise Malformed("holder_has_key", person)
    return person


def _given(
    name: str, arguments: Mapping[str, Json], at: str, origin: str, authorities: Authorities
) -> Holder:
    """The holder of a key that came alone or, for a person, with its proof and certificate."""
    holder = _holder(name, arguments, "spki")
    if holder.purpose is Purpose.PERSON:
        signature = decode_base64(_text(arguments, "proof"))
        if not holder.key.verify(signature, enrolment_text(origin, name, holder.key.id)):
            raise Malformed("enrolment_not_proved", name[:80])
    elif "proof" in arguments:
        raise Malformed("malformed_command", "proof")
    if arguments.keys().isdisjoint({"certificate", "chain", "not_after"}):
        return holder
    certificate, not_after = _text(arguments, "certificate"), _text(arguments, "not_after")
    if holder.purpose is not Purpose.PERSON:
        raise Malformed("malformed_command", "certificate")
    der = decode_base64(certificate)
    found = load_certificate(der)
    if found.key != holder.key:
        raise Malformed("certificate_of_other_key")
    if found.not_after != not_after:
        raise Malformed("certificate_ends_otherwise", found.not_after)
    found.check_valid(at)
    path = authorities.check_certificate(der, arguments.get("chain"), at)
    authorities.check_subject(name, path)
    return replace(holder, not_after=not_after, path=path)


def _holder(name: str, arguments: Mapping[str, Json], field: str) -> Holder:
    purpose = Purpose(name) if name in SERVICE else Purpose.PERSON
    key = load_public(decode_base64(_text(arguments, field)))
    if key.kind not in _KINDS[purpose]:
        raise Malformed("key_type_unsupported", f"{key.kind} for {purpose}")
    return Holder(name, purpose, key)


def _leaving(arguments: Mapping[str, Json]) -> Leaving:
    person = _text(arguments, "person")
    if person in SERVICE:
        raise Malformed("malformed_command", "person")
    return Leaving(person)


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
