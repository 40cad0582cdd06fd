"""The founding: the first entry of a log, which names the keys that all others hang on.

It brings the keys that it is signed with itself. So it is believed for one reason only: because it
is what the verifier was told from outside (`Anchors`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.chains import DIRECTORY
from audit.checks import Predicate
from audit.directory import read_change
from audit.entry import header_of
from audit.holders import Holder, Purpose
from audit.keys import PublicKey
from audit.malformed import Malformed
from audit.report import Broken, Check
from audit.statement import read_command


@dataclass(frozen=True, slots=True)
class Anchors:
    """What is trusted from outside: the log's name and, at least one, its first key or founding.

    ``founding`` is the digest of the founding's arguments (`audit.entry.header_digest`).
    """

    origin: str
    log_key: PublicKey | None = None
    founding: str | None = None

    def __post_init__(self) -> None:
        if self.log_key is None and self.founding is None:
            raise ValueError("nothing is trusted: give the log's key, or the founding's digest")


def log_key_founded(payload: bytes) -> PublicKey:
    """The log's key as a founding names it, when nothing but the founding's digest is trusted.

    Nothing is believed yet: `founder` holds the founding against the digest afterwards.
    """
    try:
        name, _, command = read_command(payload)
        return _founded(name, command)[Purpose.LOG].key
    except Malformed as error:
        raise Broken(Check.RECORD_SIGNATURE, "log_not_founded", error.code) from error


def founder(
    anchors: Anchors, payload: bytes, digest: str, record: Predicate, log: PublicKey
) -> Holder:
    """Who must have signed the first entry: the administrator whom it names.

    ``payload`` is the command, ``digest`` its own, ``log`` the key that signed the record.
    """
    # That the log's key vouches for the command is all there is to say for it: so it must be the
    # very command that the record names.
    if record["command"] != digest:
        raise Broken(Check.BINDING, "command_not_as_recorded")
    name, _, command = read_command(payload)
    if name != DIRECTORY:
        raise Broken(Check.COMMAND_SIGNATURE, "log_not_founded", "no directory entry before")
    if record["seq"] != 1:
        # Without its first entry the directory has no key that could sign the others.
        raise Broken(Check.CHAIN, "entry_missing", "the directory's first", missing=(1, ""))
    holders = _founded(name, command)
    if anchors.founding is not None and header_of(command) != anchors.founding:
        raise Broken(Check.COMMAND_SIGNATURE, "founding_differs")
    if holders[Purpose.LOG].key != log:
        raise Broken(Check.RECORD_SIGNATURE, "log_key_differs", "the founding names another")
    return holders[Purpose.ADMINISTRATOR]


def _founded(name: str, command: Predicate) -> Mapping[str, Holder]:
    """The holders, by name, of the keys that a founding names. Raises Malformed."""
    if name != DIRECTORY or command["event"] != "found":
        raise Malformed("log_not_founded", "the first entry is no founding")
    change = read_change("found", command["arguments"], "", "")
    return {holder.name: holder for holder in change} if isinstance(change, tuple) else {}
