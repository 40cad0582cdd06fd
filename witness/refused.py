"""Why a witness can't be made, or can't start: a code and facts, as everywhere in the house.

A class of its own, because a witness shares no rules with the logs it watches: of this house it
uses the formats in audit/ and the sentences in messages/, nothing else.
"""

from collections.abc import Mapping


class Refused(Exception):
    """What the operator of a witness asked for is not possible; nothing was changed."""

    def __init__(self, code: str, **facts: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.facts: Mapping[str, str | int] = facts
