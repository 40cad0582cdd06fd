"""Whose key is whose at each point of the log, as its directory says.

A key counts from its entry on, and until the entry that rotates it out or revokes it: validity is
decided by the order of the log, never by a time that somebody wrote down. Only the end of a
certificate bounds it by time as well: what was received after ``not_after`` does not count. A list
of revocations ends keys as `revoke` does. The entry that rotates the log's key is recorded with the
old one, the entry that rotates the administrator's key is signed by the old one.

What a key signed from ``since`` on, a position in the log, is disputed when it is revoked: it may
be somebody else's. It stays what it is, and is flagged.

`audit.directory` has the form of the entries, `audit.holders` what each key may sign.
"""

from collections.abc import Mapping

from audit.authorities import Authorities, Distrusted, Listed, Trusted
from audit.canonical import Json
from audit.directory import Change, Leaving, Revocation, read_change
from audit.holders import Holder, Purpose
from audit.keys import PublicKey
from audit.malformed import Malformed

_LOG = Purpose.LOG  # a name of its own: it is looked up for every entry


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
        return self._keys.get(_LOG)

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
