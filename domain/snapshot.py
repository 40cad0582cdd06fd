"""A task as JSON, to carry it through Temporal and to keep it in the read model."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from domain.instants import format_instant, parse_instant
from domain.task import (
    Clock,
    Pending,
    Priority,
    Secrecy,
    State,
    Task,
    Terms,
    Timeliness,
    format_recurrence,
    parse_recurrence,
)


def format_clock(clock: Clock) -> dict[str, str]:
    return {
        "due": format_instant(clock.due),
        "rule": clock.rule,
        "since": format_instant(clock.since),
    }


def parse_clock(value: Mapping[str, Any]) -> Clock:
    return Clock(value["rule"], parse_instant(value["since"]), parse_instant(value["due"]))


def format_clocks(clocks: Mapping[str, Clock | None]) -> dict[str, dict[str, str] | None]:
    return {name: format_clock(clock) if clock else None for name, clock in clocks.items()}


def parse_clocks(value: Mapping[str, Any]) -> dict[str, Clock | None]:
    return {name: parse_clock(clock) if clock else None for name, clock in value.items()}


def format_task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "header": task.header,
        "document": task.document,
        "secrecy": str(task.secrecy),
        "priority": str(task.priority),
        "lead": task.lead,
        "coordinators": list(task.coordinators),
        "monitor": task.monitor,
        "office": task.office,
        "due_on": task.terms.due_on.isoformat() if task.terms.due_on else None,
        "updates": format_recurrence(task.terms.updates) if task.terms.updates else None,
        "state": str(task.state),
        "seq": task.seq,
        "head": task.head,
        "version": task.version,
        "seen": task.seen,
        "recorded_at": format_instant(task.recorded_at),
        "transferred_at": _instant(task.transferred_at),
        "clocks": format_clocks(task.clocks),
        "missed": format_clocks(task.missed),
        "overdue": task.overdue,
        "pending": {name: _format_pending(item) for name, item in task.pending.items()},
        "kept": task.kept,
        "dispute_closed": format_clock(task.dispute_closed) if task.dispute_closed else None,
        "timeliness": str(task.timeliness) if task.timeliness else None,
        "submitted_at": _instant(task.submitted_at),
        "rating": task.rating,
        "hands": list(task.hands),
        "judges": list(task.judges),
    }


def parse_task(value: Mapping[str, Any]) -> Task:
    """The task of a snapshot that `format_task` wrote."""
    transferred, submitted = value["transferred_at"], value["submitted_at"]
    return Task(
        id=value["id"],
        header=value["header"],
        document=value["document"],
        secrecy=Secrecy(value["secrecy"]),
        priority=Priority(value["priority"]),
        lead=value["lead"],
        coordinators=tuple(value["coordinators"]),
        monitor=value["monitor"],
        office=value["office"],
        terms=Terms(
            date.fromisoformat(value["due_on"]) if value["due_on"] else None,
            parse_recurrence(value["updates"]) if value["updates"] else None,
        ),
        state=State(value["state"]),
        seq=value["seq"],
        head=value["head"],
        version=value["version"],
        seen=value["seen"],
        recorded_at=parse_instant(value["recorded_at"]),
        transferred_at=parse_instant(transferred) if transferred else None,
        clocks={name: parse_clock(clock) for name, clock in value["clocks"].items()},
        missed={name: parse_clock(clock) for name, clock in value["missed"].items()},
        overdue=value["overdue"],
        pending={name: _parse_pending(item) for name, item in value["pending"].items()},
        kept=value["kept"],
        dispute_closed=parse_clock(value["dispute_closed"]) if value["dispute_closed"] else None,
        timeliness=Timeliness(value["timeliness"]) if value["timeliness"] else None,
        submitted_at=parse_instant(submitted) if submitted else None,
        rating=value["rating"],
        hands=tuple(value["hands"]),
        judges=tuple(value["judges"]),
    )


def _instant(instant: datetime | None) -> str | None:
    return format_instant(instant) if instant else None


def _format_pending(item: Pending) -> dict[str, Any]:
    return {
        "at": format_instant(item.at),
        "behalf": item.behalf,
        "by": item.by,
        "command": item.command,
        "due_on": item.due_on.isoformat() if item.due_on else None,
        "endorsed": item.endorsed,
    }


def _parse_pending(value: Mapping[str, Any]) -> Pending:
    return Pending(
        by=value["by"],
        at=parse_instant(value["at"]),
        command=value["command"],
        due_on=date.fromisoformat(value["due_on"]) if value["due_on"] else None,
        endorsed=value["endorsed"],
        behalf=value["behalf"],
    )
