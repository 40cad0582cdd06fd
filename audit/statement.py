"""What is signed: an in-toto Statement v1 about one chain, in canonical JSON.

    {"_type":…,"predicate":{…},"predicateType":…,"subject":[{"digest":{"sha256":…},"name":…}]}

`audit.entry` says what the predicates of commands and records hold. A statement is read twice over:
by a grammar, which knows all its fields in their one order and is fast, and by `_opened`, which
takes any canonical JSON apart field by field and names what is wrong. The second decides: whatever
the grammar does not recognise goes there.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from audit.canonical import MAX_DEPTH, Json, parse
from audit.dsse import Envelope
from audit.malformed import Malformed

COMMAND_TYPE = "urn:dondoc:command:v1"
RECORD_TYPE = "urn:dondoc:record:v1"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
Predicate = dict[str, Any]
"""By field; each has the form that it should have."""
_SHALLOW = MAX_DEPTH - 3  # what is around the arguments is three deep


class Subject(NamedTuple):
    """The chain that a statement is about."""

    name: str
    digest: str


class Statement(NamedTuple):
    """The content of an envelope."""

    subject: Subject
    predicate: Predicate

    def text(self, field: str) -> str:
        value = self.predicate[field]
        if not isinstance(value, str):
            raise Malformed("field_not_text", field)
        return value


def open_command(envelope: Envelope) -> Statement:
    """What a command says. Check its signature first. Raises Malformed."""
    name, digest, predicate = read_command(envelope.payload)
    return Statement(Subject(name, digest), predicate)


def open_record(envelope: Envelope) -> Statement:
    """What a record says. Check its signature first. Raises Malformed."""
    name, digest, predicate = read_record(envelope.payload)
    return Statement(Subject(name, digest), predicate)


def read_command(payload: bytes) -> tuple[str, str, Predicate]:
    """`open_command` for who has many to read: the subject's name and digest, and the predicate."""
    form = _COMMAND_GRAMMAR.fullmatch(payload.decode("latin-1"))
    if form is None:
        return _opened(payload, COMMAND_TYPE, _COMMAND_FORMS, "malformed_command")
    (given, event, identity, at, key, log, agency, absent, role, seen, version,
     digest, name) = form.groups()  # fmt: skip
    arguments = _arguments(given)
    if not isinstance(arguments, dict) or not _are_sound(
        identity + key + digest + (seen or ""), at
    ):
        return _opened(payload, COMMAND_TYPE, _COMMAND_FORMS, "malformed_command")
    predicate = {
        "arguments": arguments,
        "event": event,
        "id": identity,
        "issued_at": at,
        "key": key,
        "log": log,
        "on_behalf": {"agency": agency, "for": absent, "role": role},
        "seen": None if version is None else {"digest": seen, "version": int(version)},
    }
    return name, digest, predicate


def read_record(payload: bytes) -> tuple[str, str, Predicate]:
    """`open_record` likewise."""
    form = _RECORD_GRAMMAR.fullmatch(payload.decode("latin-1"))
    if form is None:
        return _opened(payload, RECORD_TYPE, _RECORD_FORMS, "malformed_record")
    (assurance, calendar, given, command, before, log, person, prev, received, recorded, rules,
     seq, to, digest, name) = form.groups()  # fmt: skip
    clocks: dict[str, Json] | None = _clocks(given)
    if clocks is None or not _are_sound(command + prev + digest, received, recorded):
        return _opened(payload, RECORD_TYPE, _RECORD_FORMS, "malformed_record")
    predicate = {
        "assurance": assurance,
        "calendar": calendar,
        "clocks": clocks,
        "command": command,
        "from": before,
        "log": log,
        "person": person,
        "prev": prev,
        "received_at": received,
        "recorded_at": recorded,
        "rules": rules,
        "seq": int(seq),
        "to": to,
    }
    return name, digest, predicate


_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",
)
_TEXT = r'"([ !#-\[\]-~]*)"'  # printable ASCII that JSON writes as it is
# Shortest first: most end at their first bracket. Where it was too short, it is no JSON by itself.
_NESTED = r"(\{[^}]*\}(?:[^}]*\})*?)"
_DIGEST = r'"([^"]{64})"'  # looked at more closely afterwards, all of a statement's at once
_AT = rf'"({_INSTANT.pattern})"'
_COUNT = r"([1-9][0-9]{0,14})"
_CLOCK = rf'{_TEXT}:(?:null|\{{"due":{_AT},"rule":{_TEXT},"since":{_AT}\}})'
_CLOCKS = re.sub(r"\((?!\?)", "(?:", rf"\{{(?:{_CLOCK}(?:,{_CLOCK})*)?\}}")


def _grammar(kind: str, predicate: str) -> re.Pattern[str]:
    return re.compile(
        rf'\{{"_type":"{re.escape(STATEMENT_TYPE)}","predicate":\{{{predicate}\}},'
        rf'"predicateType":"{re.escape(kind)}",'
        rf'"subject":\[\{{"digest":\{{"sha256":{_DIGEST}\}},"name":{_TEXT}\}}\]\}}'
    )


_COMMAND_GRAMMAR = _grammar(
    COMMAND_TYPE,
    rf'"arguments":{_NESTED},"event":{_TEXT},"id":"([^"]{{32}})","issued_at":{_AT},'
    rf'"key":{_DIGEST},"log":{_TEXT},"on_behalf":\{{"agency":{_TEXT},"for":(?:null|{_TEXT}),'
    rf'"role":{_TEXT}\}},'
    rf'"seen":(?:null|\{{"digest":{_DIGEST},"version":{_COUNT}\}})',
)
_RECORD_GRAMMAR = _grammar(
    RECORD_TYPE,
    rf'"assurance":{_TEXT},"calendar":{_TEXT},"clocks":({_CLOCKS}),"command":{_DIGEST},"from":(?:null|{_TEXT}),'
    rf'"log":{_TEXT},"person":{_TEXT},"prev":{_DIGEST},"received_at":{_AT},"recorded_at":{_AT},'
    rf'"rules":{_TEXT},"seq":{_COUNT},"to":{_TEXT}',
)


_EACH_CLOCK = re.compile(_CLOCK)


def _clocks(given: str) -> dict[str, Json] | None:
    """The clocks in a text of their grammar; None when they are not in the one order."""
    if given == "{}":
        return {}
    clocks: dict[str, Json] = {}
    last = ""
    for name, due, rule, since in _EACH_CLOCK.findall(given):
        if (clocks and name <= last) or (due and not _are_dates(due, since)):
            return None
        clocks[name] = {"due": due, "rule": rule, "since": since} if due else None
        last = name
    return clocks


_FEW = re.compile(rf"\{{{_TEXT}:{_TEXT}(?:,{_TEXT}:{_TEXT})?\}}")


def _arguments(given: str) -> Json:
    """The arguments in a text that looks like them; None when it may not be them."""
    if given == "{}":
        return {}
    if few := _FEW.fullmatch(given):  # one or two plain texts, as with most commands
        first, value, second, other = few.groups()
        if second is None:
            return {first: value}
        return {first: value, second: other} if first < second else None
    # With so few brackets nothing is too deep, wherever it stands.
    if given.count("{") + given.count("[") > _SHALLOW:
        return None
    try:
        return parse(given.encode("latin-1"))
    except Malformed:
        return None


def _are_sound(digits: str, *instants: str) -> bool:
    """Whether these are hex digits in lower case, an even number of them, and these are dates."""
    try:
        for instant in instants:
            datetime.fromisoformat(instant)
        return bytes.fromhex(digits).hex() == digits
    except ValueError:
        return False


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_state(value: Json) -> bool:
    return value is None or isinstance(value, str)


def _is_hex(digits: int) -> Callable[[Json], bool]:
    form = re.compile(f"[0-9a-f]{{{digits}}}")
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


_is_digest = _is_hex(64)


def is_instant(value: Json) -> bool:
    """Whether it is an instant as the log writes it: UTC, microseconds, on a day that exists."""
    if not isinstance(value, str) or _INSTANT.fullmatch(value) is None:
        return False
    return _are_dates(value)


def _are_dates(*instants: str) -> bool:
    """Whether there is such a day, minute and second, of what has the form of an instant."""
    try:
        for instant in instants:
            datetime.fromisoformat(instant)
    except ValueError:
        return False
    return True


def _is_count(value: Json) -> bool:
    return type(value) is int and value >= 1


def _is_mapping(value: Json) -> bool:
    return isinstance(value, dict)


def _is_behalf(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"agency", "for", "role"}
        and _is_text(value["agency"])
        and _is_state(value["for"])
        and _is_text(value["role"])
    )


def _is_seen(value: Json) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"digest", "version"}
        and _is_digest(value["digest"])
        and _is_count(value["version"])
    )


def _is_clock(value: Json) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"due", "rule", "since"}
        and is_instant(value["due"])
        and _is_text(value["rule"])
        and is_instant(value["since"])
    )


def _are_clocks(value: Json) -> bool:
    return isinstance(value, dict) and all(map(_is_clock, value.values()))


# The door and the verifier open statements by the same forms, so what was let in also verifies.
_Forms = Mapping[str, Callable[[Json], bool]]
_COMMAND_FORMS: _Forms = {
    "arguments": _is_mapping,
    "event": _is_text,
    "id": _is_hex(32),
    "issued_at": is_instant,
    "key": _is_digest,
    "log": _is_text,
    "on_behalf": _is_behalf,
    "seen": _is_seen,
}
_RECORD_FORMS: _Forms = {
    "assurance": _is_text,
    "calendar": _is_text,
    "clocks": _are_clocks,
    "command": _is_digest,
    "from": _is_state,
    "log": _is_text,
    "person": _is_text,
    "prev": _is_digest,
    "received_at": is_instant,
    "recorded_at": is_instant,
    "rules": _is_text,
    "seq": _is_count,
    "to": _is_text,
}


def _opened(payload: bytes, kind: str, forms: _Forms, malformed: str) -> tuple[str, str, Predicate]:
    match parse(payload):
        case {
            "_type": "https://in-toto.io/Statement/v1",
            "predicate": dict(predicate),
            "predicateType": found,
            "subject": [{"digest": {"sha256": str(digest), **digests}, "name": str(name), **more}],
            **rest,
        } if found == kind and not (digests or more or rest) and _is_digest(digest):
            if set(predicate) != set(forms):
                raise Malformed("statement_fields", kind)
            for field, has_form in forms.items():
                if not has_form(predicate[field]):
                    raise Malformed(malformed, field)
            return name, digest, predicate
    raise Malformed("statement_form", kind)
