"""What the entries of the directory say about keys, each by itself.

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

A key is the base64 of its SubjectPublicKeyInfo. A certificate that comes with it must be of this
key, lead to an authority that the log trusts at its entry, and name nobody who came as another
person. When a key counts, and which, `audit.keyring` knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audit.authorities import EVENTS, Authorities, AuthorityChange
from audit.canonical import MAX_INTEGER, Json
from audit.certificates import load_certificate
from audit.dsse import decode_base64
from audit.holders import KINDS, SERVICE, Holder, Purpose
from audit.keys import load_public
from audit.malformed import Malformed

REASONS = frozenset({"compromised", "lost", "left", "superseded"})
_KEY_ID = frozenset("0123456789abcdef")
_KEY_ID_DIGITS = 64


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


def enrolment_text(origin: str, person: str, key: str) -> bytes:
    """What the new key of a person signs to come into the directory; ``key`` is its id."""
    return f"dondoc enrolment v1\n{origin}\n{person}\n{key}\n".encode()


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
    if key.kind not in KINDS[purpose]:
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
