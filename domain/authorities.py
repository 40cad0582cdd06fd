"""Certificate authorities that the log trusts, as far as the rules know them: by their ids.

    trust_authority     from here on people may be enrolled with certificates by the authority
    distrust_authority  nobody new is; keys that it vouched for count on, until they are revoked
    revocation_list     the authority's newest list; ``keys`` are those that it ends

Certificates and lists are opened where keys are: `audit.authorities` judges them, and that a list
ends these keys and no others.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from domain.forms import is_base64, is_key_id
from domain.refusal import Refused

TRUST = "trust_authority"
DISTRUST = "distrust_authority"
REVOCATIONS = "revocation_list"
CERTIFICATE_REVOKED = "certificate_revoked"
"""Why a key ended that a list named."""

MAX_CHAIN = 5
MAX_LIST_CHARACTERS = 44_000
"""Of a list, its chain and the ids of its keys: what two envelopes make of it fits in one entry."""

_AUTHORITY_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def is_chain(value: object) -> bool:
    """A list of certificates, each the issuer of the one before."""
    return isinstance(value, list) and len(value) <= MAX_CHAIN and all(map(is_base64, value))


def _is_authority_id(value: object) -> bool:
    return isinstance(value, str) and _AUTHORITY_ID.fullmatch(value) is not None


def _are_key_ids(value: object) -> bool:
    return isinstance(value, list) and all(map(is_key_id, value))


_AUTHORITY = ("authority", _is_authority_id)
FIELDS: Mapping[str, Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    TRUST: {"authority": _AUTHORITY, "certificate": ("certificate", is_base64)},
    DISTRUST: {"authority": _AUTHORITY},
    REVOCATIONS: {
        "authority": _AUTHORITY,
        "chain": ("certificates", is_chain),
        "crl": ("crl", is_base64),
        "keys": ("keys", _are_key_ids),
    },
}
EVENTS = frozenset(FIELDS)


def judge(
    trusted: Mapping[str, str],
    event: str,
    arguments: Mapping[str, Any],
    in_force: Collection[str],
) -> None:
    """Whether the change fits the authorities trusted now, by id, and the ids of the keys
    ``in_force``. Raises Refused.
    """
    name = arguments["authority"]
    if event == TRUST:
        if name in trusted or arguments["certificate"] in trusted.values():
            raise Refused("authority_exists", authority=name)
        return
    if name not in trusted:
        raise Refused("authority_unknown", authority=name)
    if event != REVOCATIONS:
        return
    keys = arguments["keys"]
    if not set(keys) <= set(in_force) or sorted(set(keys)) != keys:
        raise Refused("crl_keys_differ", authority=name)
    length = sum(map(len, [arguments["crl"], *arguments["chain"], *keys]))
    if length > MAX_LIST_CHARACTERS:
        raise Refused("crl_too_long", authority=name)


def ended(event: str, arguments: Mapping[str, Any]) -> list[str]:
    """The ids of the keys that a change ends."""
    return list(arguments["keys"]) if event == REVOCATIONS else []


def follow(trusted: dict[str, str], event: str, arguments: Mapping[str, Any]) -> None:
    """The authorities that are trusted after a change that was judged."""
    if event == TRUST:
        trusted[arguments["authority"]] = arguments["certificate"]
    elif event == DISTRUST:
        del trusted[arguments["authority"]]
