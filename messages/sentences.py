"""From a refusal's code and facts to a sentence: facts are codes too, and read like names here."""

from collections.abc import Mapping
from datetime import date
from string import Formatter

from messages import Texts

_NAMED = {
    "field": "field",
    "state": "state",
    "role": "role",
    "item": "item",
    "secrecy": "secrecy",
    "kind": "kind",
    "every": "every",
}
"""Facts whose value is a code, and the kind of name that it has."""

_DETAILS = ("detail", "path", "field", "row")
"""Facts worth showing even where the sentence has no place for them."""


def sentence(texts: Texts, code: str, facts: Mapping[str, object]) -> str:
    """What is wrong, and what to do next, in the reader's language."""
    said = {name: _readable(texts, name, value) for name, value in facts.items()}
    used = placeholders(texts.template(code))
    told = texts(code, **said)
    rest = [said[name] for name in _DETAILS if name in said and name not in used and said[name]]
    if code not in texts or not rest:
        return told
    return f"{told} ({', '.join(rest)})"


def placeholders(template: str) -> frozenset[str]:
    """The names that a text wants filled."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _readable(texts: Texts, name: str, value: object) -> str:  # noqa: PLR0911 - one for each kind of fact
    text = str(value)
    match name:
        case "allowed":
            return _events(texts, text)
        case "cause":
            return texts(text)
        case "clock":
            return texts.clock(text)
        case "event":
            return text.replace("_", "-")
        case "row":
            return texts("row_number", row=text)
        case _ if name in _NAMED:
            return texts.name(_NAMED[name], text)
    return _day(text)


def _events(texts: Texts, names: str) -> str:
    events = [name for name in names.split(",") if name]
    if not events:
        return texts("no_event_allowed")
    return "; ".join(f"{name.replace('_', '-')} ({texts.name('event', name)})" for name in events)


def _day(text: str) -> str:
    """A date as people write it; anything else as it is."""
    try:
        return f"{date.fromisoformat(text):%d/%m/%Y}" if text.count("-") == 2 else text  # noqa: PLR2004 - y-m-d
    except ValueError:
        return text
