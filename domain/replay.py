"""Judging a log again: each step must be legal, and have the effects that its record claims.

The rules that judged a step when it was recorded judge it once more, with nothing but what the log
holds: the directory and the task as the entries before left them, the instant of receipt, and the
calendar and rules that the record names. So a deadline that somebody moved by a minute is found,
even when the log's own key signed it.

A `Replay` sees the entries of all chains in the order of the log, and keeps where each task stands.
It fits where `audit.verify` wants a judge, and is fed with entries whose signatures are sound.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain import attestation, refused
from domain import directory as directories
from domain.attestation import Attested
from domain.calendar import Calendar
from domain.calendars import load
from domain.command import ASSURED_AS_SERVICE, Command, read_command
from domain.decide import RULES_VERSION, check_issued, decide, due_clocks
from domain.directory import ADMINISTRATOR, CHAIN, LAPSE, Directory
from domain.instants import format_instant, parse_instant
from domain.refusal import Refused
from domain.refused import REFUSED, SUMMED
from domain.snapshot import format_clocks, format_task
from domain.step import evolve, read_step
from domain.task import Role, Task

RECORDED = "recorded"
"""What the record of an entry about the log itself says where a task's has a state."""

Predicate = Mapping[str, Any]


class Illegal(Exception):
    """An entry that the rules do not allow, or whose effects are others than it claims.

    ``code`` is stable snake_case: that of a refusal, where the rules refuse the step, or one of
    this module. ``facts`` are short and never carry the content of a task.
    """

    def __init__(self, code: str, **facts: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.facts: Mapping[str, str | int] = facts

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.facts.items())


class Replay:
    """Every chain so far. `tasks`, `directory` and `attested` are what the log has led to;
    `refusals` is how many refused commands it speaks of.
    """

    def __init__(self, calendars: Callable[[str], Calendar] = load) -> None:
        """``calendars`` gives the calendar of a version, with the hours the log was kept by."""
        self._calendars = calendars
        self.directory = Directory()
        self.attested = Attested()
        self.tasks: dict[str, Task] = {}
        self.refusals = 0

    def __call__(
        self, chain: str, header: str, leaf: str, command: Predicate, record: Predicate
    ) -> None:
        """Judge one more entry and follow it. Raises Illegal, and has then not followed."""
        try:
            if record["rules"] != RULES_VERSION:
                raise Illegal("unknown_rules", rules=str(record["rules"])[:80])
            if chain == CHAIN:
                self._change(leaf, command, record)
            elif chain == attestation.CHAIN:
                self._attest(leaf, command, record)
            else:
                self._step(chain, header, leaf, command, record)
        except Refused as refusal:
            raise Illegal(refusal.code, **refusal.facts) from refusal
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            # Arguments of a form that no rule foresees: signed they may be, legal they are not.
            raise Illegal("malformed_step", error=f"{type(error).__name__}: {error}") from error

    def snapshot(self, chain: str) -> dict[str, Any] | None:
        """The task as the read model should show it, or None when the log has none of that id."""
        task = self.tasks.get(chain)
        return None if task is None else format_task(task)

    def _change(self, leaf: str, command: Predicate, record: Predicate) -> None:
        event, arguments = command["event"], command["arguments"]
        if (event == "found") != (self.directory.seq == 0):
            raise Illegal("log_not_founded" if event != "found" else "log_already_founded")
        received_at = _issued(CHAIN, command, record)
        directories.check_fresh(self.directory, parse_instant(command["issued_at"]))
        directories.judge(self.directory, event, arguments, command["key"], received_at)
        _check_about_log(ADMINISTRATOR, record)
        directories.advance(self.directory, event, arguments, leaf, received_at)

    def _attest(self, leaf: str, command: Predicate, record: Predicate) -> None:
        event, arguments = command["event"], command["arguments"]
        received_at = _issued(attestation.CHAIN, command, record)
        holder = self.directory.key_in_force(command["key"], received_at).holder
        attestation.judge(self.attested, event, arguments, holder)
        if event in {REFUSED, SUMMED}:
            refused.check_names(self.directory, arguments)
        _check_about_log(holder, record)
        self.attested = attestation.follow(self.attested, event, arguments, leaf)
        self.refusals += refused.number(event, arguments)

    def _step(
        self, chain: str, header: str, leaf: str, predicate: Predicate, record: Predicate
    ) -> None:
        task = self.tasks.get(chain)
        command = read_command(chain, predicate)
        received_at = parse_instant(record["received_at"])
        actor = self.directory.actor(
            command.key, command.agency, command.role, received_at, command.behalf
        )
        if command.event == LAPSE:
            _check_lapse(task, command, record)
        elif task is not None and (overdue := due_clocks(task, received_at)):
            # The service settles what has run out before it hears anybody; a log in which it did
            # not would show a late step as a timely one.
            raise Illegal("deadline_not_recorded", clock=overdue[0])
        directories.check_agencies(self.directory, command.arguments)
        calendar = self._calendars(record["calendar"])
        decision = decide(task, command, actor, received_at, calendar)
        _check_claim("person", actor.person, record["person"])
        _check_claim("assurance", actor.assurance, record["assurance"])
        _check_claim("from", str(task.state) if task else None, record["from"])
        _check_claim("to", str(decision.to), record["to"])
        _check_clocks(format_clocks(decision.clocks), record["clocks"])
        self.tasks[chain] = evolve(task, read_step(chain, header, leaf, predicate, record))


def _issued(chain: str, command: Predicate, record: Predicate) -> datetime:
    """When a command about the log was received, not too long after it was given."""
    received_at = parse_instant(record["received_at"])
    check_issued(read_command(chain, command), received_at)
    return received_at


def _check_about_log(person: str, record: Predicate) -> None:
    """Entries about the log itself move no state and no deadline."""
    _check_claim("person", person, record["person"])
    _check_claim("assurance", ASSURED_AS_SERVICE, record["assurance"])
    _check_claim("from", None, record["from"])
    _check_claim("to", RECORDED, record["to"])
    _check_claim("clocks", {}, record["clocks"])


def _check_lapse(task: Task | None, command: Command, record: Predicate) -> None:
    """The clock speaks of the deadline that ran out first, at that deadline, and afterwards."""
    if command.role != Role.CLOCK:
        raise Illegal("lapse_not_by_clock", role=command.role[:80])
    running = task.next_clock if task else None
    if running is None:
        raise Illegal("lapse_without_clock")
    name, clock = running
    due = format_instant(clock.due)
    _check_claim("clock", name, command.arguments["clock"])
    _check_claim("due", due, command.arguments["due"])
    _check_claim("received_at", due, record["received_at"])
    if record["recorded_at"] < due:
        raise Illegal("lapse_too_early", clock=name, due=due, recorded=record["recorded_at"])


def _check_clocks(expected: Mapping[str, Any], claimed: Mapping[str, Any]) -> None:
    for name in sorted(expected.keys() | claimed.keys()):
        # A clock cleared (null) and a clock not mentioned are different effects.
        wanted, found = expected.get(name, "absent"), claimed.get(name, "absent")
        if wanted != found:
            raise Illegal(
                "clock_differs", clock=name, expected=_short(wanted), record=_short(found)
            )


def _check_claim(field: str, expected: object, claimed: object) -> None:
    if claimed != expected:
        raise Illegal(f"{field}_differs", expected=str(expected)[:80], record=str(claimed)[:80])


def _short(clock: object) -> str:
    return f"{clock['rule']} {clock['due']}" if isinstance(clock, Mapping) else str(clock)
