"""Why a command, a file or a document was turned down: a stable code and the facts of the case.

The sentence a person reads is made at the edge, in that person's language, from ``code`` and
``facts`` (see ``messages/``). The core never formats text for people.
"""

from collections.abc import Mapping


class Refused(Exception):
    """A request that the rules do not allow. Nothing was changed by it.

    ``code`` is snake_case and stable: interfaces and stored refusals rely on it.
    ``facts`` are short and never carry the content of a task.
    """

    def __init__(self, code: str, **facts: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.facts: Mapping[str, str | int] = facts

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.code} ({facts})" if facts else self.code
