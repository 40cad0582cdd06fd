r"""The trust file: whom a verifier believes about a log. It comes from outside the log, always.

It is a C2SP tlog-policy with two lines more. Empty lines and those that begin with # are left out;
words are parted by spaces and tabs; the text is UTF-8 and every line ends with LF.

    log <vkey> [<url>]                    a key of the log; its name is the log's origin
    witness <name> <vkey> [<url>]         a cosigner; the name is for this file only
    group <name> all|any|<k> <member>…    stands when all, one, or k of its members do
    quorum <name>|none                    the witness or group that must stand; exactly once
    founding <64 hex digits>              ours: the digest of the log's founding
    max-age <seconds>                     ours: how old a checkpoint may be

For example:

    # Two institutions watch the log.
    log log.example+1cc758f9+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c
    witness north north.example+0ee61734+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU
    witness south south.example+51f2c8e8+BO1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfR
    group both all north south
    quorum both
    max-age 86400

A log of ours has a second `log` line, for its ML-DSA-44 key; that is too long for this page.

In two points this is narrower than the C2SP format: all `log` lines are keys of *one* log, and
*every* one of them must have signed a checkpoint. That names the types of signature a verifier
insists on: a checkpoint whose ML-DSA line was stripped doesn't pass. A name is defined before it is
used, and is the member of one group at most; a public key stands in the file once, under whatever
name or type. That two witnesses are different *people* no file can show: its author must know.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from audit.checkpoint import Opened, open_checkpoint
from audit.cosignature import parse_decimal, verified
from audit.malformed import Malformed
from audit.note import COSIGNATURE, ED25519, MLDSA44, TYPE_NAMES, VerifierKey, parse_vkey

NO_QUORUM = "none"
CLOCK_SKEW_SECONDS = 300

_MAX_BYTES = 1 << 20
_LOG_TYPES = {ED25519, MLDSA44}
_WITNESS_TYPES = {COSIGNATURE, MLDSA44}
_SPACE = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LogKey:
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Stands when ``threshold`` of its members do; they are witnesses and earlier groups."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    logs: tuple[LogKey, ...]
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NO_QUORUM
    founding: str | None = None
    max_age: int | None = None

    @property
    def origin(self) -> str:
        return self.logs[0].key.name

    @property
    def log_keys(self) -> tuple[VerifierKey, ...]:
        return tuple(log.key for log in self.logs)

    def satisfied_by(self, names: Collection[str]) -> bool:
        """Whether the quorum stands when the witnesses of these names have cosigned."""
        standing = {NO_QUORUM} | {item.name for item in self.witnesses if item.name in names}
        for group in self.groups:  # members stand before their group in the file
            if sum(member in standing for member in group.members) >= group.threshold:
                standing.add(group.name)
        return self.quorum in standing


def parse_policy(data: bytes) -> Policy:
    """The policy in a trust file. Raises Malformed; the detail begins with the line's number."""
    if len(data) > _MAX_BYTES:
        raise Malformed("policy_too_long", f"{len(data)} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise Malformed("policy_encoding", f"line {number}") from error
    *lines, rest = text.split("\n")
    if rest:
        raise Malformed("policy_line_end", f"line {len(lines) + 1}: cut off")
    reading = _Reading()
    for number, line in enumerate(lines, 1):
        try:
            reading.take(line)
        except Malformed as error:
            raise Malformed(error.code, f"line {number}: {error.detail}".rstrip(": ")) from error
    return reading.policy()


class _Reading:
    """What the lines so far have said."""

    def __init__(self) -> None:
        self._logs: list[LogKey] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._once: dict[str, str] = {}
        self._names = {NO_QUORUM}
        self._members: set[str] = set()
        self._public: set[bytes] = set()
        self._kinds: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
            "founding": self._founding,
            "max-age": self._max_age,
        }

    def take(self, line: str) -> None:
        if _CONTROL.search(line):
            raise Malformed("policy_control_character")
        words = [word for word in _SPACE.split(line) if word]
        if not words or words[0].startswith("#"):
            return
        kind = self._kinds.get(words[0])
        if kind is None:
            raise Malformed("policy_line_unknown", words[0][:40])
        kind(words)

    def policy(self) -> Policy:
        if not self._logs:
            raise Malformed("policy_log_missing")
        if "quorum" not in self._once:
            raise Malformed("policy_quorum_missing")
        origin = self._logs[0].key.name
        for witness in self._witnesses:
            # A log that counts as its own witness could show everybody another tree.
            if witness.key.name == origin:
                raise Malformed("policy_log_as_witness", witness.name)
        max_age = self._once.get("max-age")
        return Policy(
            tuple(self._logs),
            tuple(self._witnesses),
            tuple(self._groups),
            self._once["quorum"],
            self._once.get("founding"),
            None if max_age is None else int(max_age),
        )

    def _log(self, words: list[str]) -> None:
        _, vkey, *url = _counted(words, 2, 3)
        key = self._key(vkey, _LOG_TYPES)
        if self._logs and self._logs[0].key.name != key.name:
            raise Malformed("policy_other_log", key.name)
        self._logs.append(LogKey(key, *url))

    def _witness(self, words: list[str]) -> None:
        _, name, vkey, *url = _counted(words, 3, 4)
        self._define(name)
        self._witnesses.append(Witness(name, self._key(vkey, _WITNESS_TYPES), *url))

    def _group(self, words: list[str]) -> None:
        _, name, rule, *members = _counted(words, 4, None)
        for member in members:
            self._known(member)
            if member in self._members or member == NO_QUORUM:
                raise Malformed("policy_member", member)
            self._members.add(member)
        self._define(name)
        self._groups.append(Group(name, _threshold(rule, len(members)), tuple(members)))

    def _quorum(self, words: list[str]) -> None:
        self._set(words)
        self._known(words[1])

    def _founding(self, words: list[str]) -> None:
        self._set(words)
        if _DIGEST.fullmatch(words[1]) is None:
            raise Malformed("policy_founding", words[1][:80])

    def _max_age(self, words: list[str]) -> None:
        self._set(words)
        if parse_decimal(words[1], "policy_max_age") == 0:
            raise Malformed("policy_max_age", "0")

    def _set(self, words: list[str]) -> None:
        kind, value = _counted(words, 2, 2)
        if kind in self._once:
            raise Malformed("policy_line_twice", kind)
        self._once[kind] = value

    def _key(self, vkey: str, types: Collection[int]) -> VerifierKey:
        key = parse_vkey(vkey)
        if key.type not in types:
            raise Malformed("policy_key_type", TYPE_NAMES[key.type])
        if key.public in self._public:
            raise Malformed("policy_key_twice", key.name)
        self._public.add(key.public)
        return key

    def _define(self, name: str) -> None:
        if name in self._names:
            raise Malformed("policy_name_twice", name)
        self._names.add(name)

    def _known(self, name: str) -> None:
        if name not in self._names:
            raise Malformed("policy_name_unknown", name)


def _counted(words: list[str], least: int, most: int | None) -> list[str]:
    if len(words) < least or (most is not None and len(words) > most):
        raise Malformed("policy_words", f"{len(words)} in a line for {words[0]}")
    return words


def _threshold(rule: str, members: int) -> int:
    if rule in {"all", "any"}:
        return members if rule == "all" else 1
    threshold = parse_decimal(rule, "policy_threshold")
    if not 1 <= threshold <= members:
        raise Malformed("policy_threshold", f"{threshold} of {members}")
    return threshold


def check_checkpoint(data: bytes, policy: Policy, now: int | None) -> Opened:
    """The checkpoint, when the policy believes it. Raises Malformed.

    1. Every key of the log has signed it.
    2. The witnesses' signatures hold, and those who signed make the quorum.
    3. No signature is from the future; with ``max_age``, the newest is not too old.

    Without ``now`` there is no third step. The result has the times of log keys and witnesses.
    """
    opened = open_checkpoint(data, policy.origin, policy.log_keys)
    cosigned = verified(opened.note, [witness.key for witness in policy.witnesses])
    names = {witness.name for witness in policy.witnesses if witness.key in cosigned}
    if not policy.satisfied_by(names):
        count = f"{len(names)} of {len(policy.witnesses)}"
        raise Malformed("quorum_not_met", f"{count} witnesses; the quorum is {policy.quorum}")
    times = {**opened.times, **cosigned}
    if now is not None:
        # A log that is watched doesn't date itself: it could date an old checkpoint anew.
        _check_times(times, times if policy.quorum == NO_QUORUM else cosigned, policy, now)
    return Opened(opened.checkpoint, opened.note, times)


def _check_times(
    times: dict[VerifierKey, int | None],
    counting: dict[VerifierKey, int | None],
    policy: Policy,
    now: int,
) -> None:
    for key, time in times.items():
        if time is not None and time > now + CLOCK_SKEW_SECONDS:
            raise Malformed("checkpoint_from_the_future", f"{key.name}: {time}, now {now}")
    if policy.max_age is None:
        return
    newest = max((time for time in counting.values() if time is not None), default=None)
    if newest is None or newest < now - policy.max_age:
        raise Malformed("checkpoint_too_old", f"newest signature {newest}, now {now}")
