"""The certificate authorities that the log trusts, and what they say about people's certificates.

Three events of the directory, each by the administrator:

    trust_authority     {"authority": short id, "certificate": DER}  from here on
    distrust_authority  {"authority"}     it vouches for nobody new; keys that it vouched for stay
    revocation_list     {"authority", "chain": [DER, …], "crl": DER, "keys": [key id, …]}

DER stands in base64. A list is signed by the authority, or by the first certificate of ``chain``,
the others of which lead up to the authority. ``keys`` are exactly the keys in force that the list
ends, sorted: so the entry says by itself what it does, and who can't read lists can follow it. A
key is ended when the list names its certificate, or one on the path that it was enrolled by.

Of each issuer the newest list counts; it is asked when a key is enrolled, and refuses it when it
has become stale meanwhile. Of an issuer whose lists the log never got, none is asked. An issuer is
a key under a name: an authority that changes its key goes on with lists by the old one, for as long
as certificates by the old one are to be enrolled.

The subject of a certificate belongs to the first person whom a key was entered for with it, for
ever, as RFC 5280, 4.1.2.6 has an authority give one name to one holder only. It does so under each
key on the path: what two authorities under one root call by one name is one person, and so is what
one authority names under two roots. Names are the same by `audit.names`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from cryptography import x509

from audit.canonical import Json
from audit.dsse import decode_base64
from audit.malformed import Malformed
from audit.names import Comparable, comparable
from audit.paths import (
    MAX_INTERMEDIATES,
    Path,
    check_authority,
    check_links,
    check_person,
    load,
)
from audit.revocations import Place, RevocationList, key_of, load_list, place_of
from audit.strength import name_of

TRUST = "trust_authority"
DISTRUST = "distrust_authority"
REVOCATIONS = "revocation_list"
EVENTS = frozenset({TRUST, DISTRUST, REVOCATIONS})


@dataclass(frozen=True)
class Trusted:
    authority: str
    certificate: x509.Certificate


@dataclass(frozen=True)
class Distrusted:
    authority: str


@dataclass(frozen=True)
class Known:
    """A list, and who signed it: ``path`` leads from its issuer's certificate to the authority."""

    list: RevocationList
    path: Path

    @property
    def place(self) -> Place:
        """Whose newest list it may be."""
        return place_of(self.path[0])

    def names_one_of(self, path: Path) -> bool:
        """Whether it names a certificate of the path, and is by who issued that one."""
        return any(
            certificate.serial_number in self.list.serials and place_of(issuer) == self.place
            for certificate, issuer in pairwise(path)
        )


@dataclass(frozen=True)
class Listed:
    """A newer list, and the ids of the keys that it ends."""

    known: Known
    keys: tuple[str, ...]


AuthorityChange = Trusted | Distrusted | Listed


@dataclass
class Authorities:
    """What the directory has said so far. ``certified`` has by holder, for keys in force alone,
    the key's id and the path of certificates that it was enrolled by; ``subjects`` by whom each
    subject of a certificate ever entered belongs to, for each key above it.
    """

    trusted: dict[str, x509.Certificate] = field(default_factory=dict)
    lists: dict[Place, Known] = field(default_factory=dict)
    certified: dict[str, tuple[str, Path]] = field(default_factory=dict)
    subjects: dict[tuple[bytes, Comparable], str] = field(default_factory=dict)

    def copy(self) -> "Authorities":
        """The same, and the caller's own."""
        return replace(
            self,
            trusted=dict(self.trusted),
            lists=dict(self.lists),
            certified=dict(self.certified),
            subjects=dict(self.subjects),
        )

    def check(self, event: str, arguments: Mapping[str, Json], at: str) -> AuthorityChange:
        """What one of `EVENTS`, received ``at`` that instant, changes. Raises Malformed."""
        name = arguments.get("authority")
        if not isinstance(name, str):
            raise Malformed("malformed_command", "authority")
        if event == TRUST:
            return self._check_trust(name, _certificate(arguments.get("certificate")), _time(at))
        if name not in self.trusted:
            raise Malformed("authority_unknown", name[:40])
        if event == DISTRUST:
            return Distrusted(name)
        return self._check_list(self.trusted[name], arguments, _time(at))

    def check_certificate(self, der: bytes, chain: Json, at: str) -> Path:
        """The path from a person's certificate to a trusted authority, found to hold ``at`` that
        instant. ``chain``: the intermediates as an entry holds them. Raises Malformed.
        """
        below = (load(der), *certificates(chain))
        wrong: Malformed | None = None
        for authority in self._named(below[-1].issuer):
            try:
                check_person((*below, authority), _time(at))
                self._check_not_revoked((*below, authority), _time(at))
            except Malformed as error:
                wrong = wrong or error
            else:
                return (*below, authority)
        raise wrong or Malformed("authority_unknown", below[-1].issuer.rfc4514_string())

    def check_subject(self, holder: str, path: Path) -> None:
        """Raise Malformed when the first certificate of the path names another than this holder."""
        for named in _subjects(path):
            owner = self.subjects.get(named, holder)
            if owner != holder:
                raise Malformed("certificate_of_other_person", owner[:80])

    def follow(self, change: AuthorityChange) -> None:
        """From here on it counts. ``change`` was checked against this."""
        match change:
            case Trusted(authority, certificate):
                self.trusted[authority] = certificate
            case Distrusted(authority):
                del self.trusted[authority]
            case Listed(known, keys):
                self.lists[known.place] = known
                for key in keys:
                    self.end(key)

    def certify(self, holder: str, key: str, path: Path) -> None:
        """The holder's key is this one now; ``path`` is empty when no certificate came with it."""
        self.forget(holder)
        if path:
            self.certified[holder] = key, path
        for named in _subjects(path):
            self.subjects.setdefault(named, holder)

    def end(self, key: str) -> None:
        """The key of this id counts no more."""
        for holder, (known, _) in list(self.certified.items()):
            if known == key:
                del self.certified[holder]

    def forget(self, holder: str) -> None:
        """The holder has no certified key any more."""
        self.certified.pop(holder, None)

    def ended_by(self, known: Known) -> tuple[str, ...]:
        """The keys in force that a list ends, sorted."""
        return tuple(
            sorted(key for key, path in self.certified.values() if known.names_one_of(path))
        )

    def _named(self, name: x509.Name) -> list[x509.Certificate]:
        return [each for _, each in sorted(self.trusted.items()) if each.subject == name]

    def _check_trust(self, name: str, certificate: x509.Certificate, at: datetime) -> Trusted:
        check_authority(certificate, at)
        # Under two ids, to distrust it by one of them would change nothing.
        keys = {key_of(each) for each in self.trusted.values()}
        if name in self.trusted or key_of(certificate) in keys:
            raise Malformed("authority_exists", name[:40])
        return Trusted(name, certificate)

    def _check_list(
        self, authority: x509.Certificate, arguments: Mapping[str, Json], at: datetime
    ) -> Listed:
        found = load_list(decode_base64(arguments.get("crl")))
        path = (*certificates(arguments.get("chain")), authority)
        check_links(path, at)
        found.check_signed_by(path[0])
        known = Known(found, path)
        last = self.lists.get(known.place)
        if found.begins > at:
            raise Malformed("crl_from_future", found.begins.isoformat())
        if last is not None and not found.is_newer(last.list):
            raise Malformed("crl_older", found.begins.isoformat())
        self._check_not_revoked(path, at)
        keys = self.ended_by(known)
        if arguments.get("keys") != list(keys):
            raise Malformed("crl_keys_differ", f"{len(keys)} keys")
        return Listed(known, keys)

    def _check_not_revoked(self, path: Path, at: datetime) -> None:
        for certificate, issuer in pairwise(path):
            newest = self.lists.get(place_of(issuer))
            if newest is None:
                continue
            if certificate.serial_number in newest.list.serials:
                raise Malformed("certificate_revoked", name_of(certificate))
            if at > newest.list.next:
                raise Malformed("crl_expired", name_of(issuer))


def certificates(chain: Json) -> Path:
    """Intermediates as an entry holds them. Raises Malformed."""
    if not isinstance(chain, list) or len(chain) > MAX_INTERMEDIATES:
        raise Malformed("malformed_command", "chain")
    return tuple(_certificate(each) for each in chain)


def _certificate(text: Json) -> x509.Certificate:
    return load(decode_base64(text))


def _subjects(path: Path) -> list[tuple[bytes, Comparable]]:
    """Whom the first certificate of a path names, under each key above it; nobody without one."""
    return [(key_of(above), comparable(path[0].subject)) for above in path[1:]]


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)
