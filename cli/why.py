"""`dondoc task why`: each deadline of a task, computed again and explained piece by piece."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import status
from cli.options import TaskId
from cli.segments import describe
from cli.session import Session
from domain.instants import format_instant
from domain.refusal import Refused

if TYPE_CHECKING:
    from cli.deadlines import Deadline
    from domain.working_time import Computation, Segment

_STYLES = {"running": "bold", "missed": "bold red"}


def why(
    session: Session,
    task: TaskId,
    clock: Annotated[str | None, typer.Option("--clock", metavar="NAME", help="opt_clock")] = None,
) -> int:
    """Status 1 when a recorded deadline is not the one that the rules give."""
    from cli.deadlines import all_deadlines, checked  # noqa: PLC0415 - not for --help
    from cli.finding import find_task  # noqa: PLC0415 - likewise
    from store import ledger  # noqa: PLC0415 - likewise

    with session.reading() as connection:
        found = find_task(connection, task)
        rows = ledger.read_chain(connection, found.id)
    try:
        everything = all_deadlines(rows)
    except (ValueError, KeyError) as error:
        raise Refused("log_broken", detail=str(error)[:120]) from error
    deadlines = [d for d in everything if clock in {None, d.name, d.clock.rule}]
    if clock is not None and not deadlines:
        raise Refused("no_such_clock", clock=clock, task=found.id)
    results = [(deadline, *checked(deadline)) for deadline in deadlines]
    session.out.document(
        {"task": found.id, "deadlines": [_document(*result) for result in results]}
    )
    if not results:
        session.out.line(session.texts("no_deadline"))
    for result in results:
        _show(session, *result)
    return status.REFUSED if any(check != "same" for _, _, check in results) else status.DONE


def _show(
    session: Session, deadline: "Deadline", computation: "Computation | None", check: str
) -> None:
    texts, line, zone, clock = session.texts, session.out.line, session.zone, deadline.clock
    outcome = texts(f"outcome_{deadline.outcome}")
    if deadline.outcome == "running":
        outcome = texts.time_left(clock.due - session.now)
    elif deadline.ended_by is not None:
        seq, event = deadline.ended_by
        outcome = texts("outcome_at", outcome=outcome, seq=seq, event=texts.name("event", event))
    due = f"{texts.weekday(clock.due, zone)} {texts.instant(clock.due, zone)}"
    line(f"{texts.clock(deadline.name)}: {due} – {outcome}", _STYLES.get(deadline.outcome))
    line(f"  {texts.name('rule', clock.rule)} ({source_text(session, deadline.source)})")
    since = f"{texts.weekday(clock.since, zone)} {texts.moment(clock.since, zone)}"
    line(f"  {texts('why_since', since=since, seq=deadline.set_by)}")
    if computation is not None:
        backwards = clock.rule == "near_due"
        for segment in computation.segments:
            text = describe(texts, segment, zone, backwards=backwards)
            line(f"    {text}", None if segment.counted or segment.day else "dim")
        if computation.unsettled:
            line(f"  {texts('why_unsettled', calendar=deadline.calendar)}", "yellow")
    _show_check(session, deadline, computation, check)
    line()


def _show_check(
    session: Session, deadline: "Deadline", computation: "Computation | None", check: str
) -> None:
    texts, line = session.texts, session.out.line
    if check == "same":
        line(f"  ✓ {texts('why_same', calendar=deadline.calendar)}", "green")
    elif computation is not None:
        due = texts.instant(computation.due, session.zone)
        line(f"  ✗ {texts('why_differs', due=due)}", "bold red")
    else:
        reason = texts(check, version=deadline.calendar, rule=deadline.clock.rule)
        line(f"  ✗ {texts('why_unknown', reason=reason)}", "bold red")


def source_text(session: Session, source: str) -> str:
    """Where a rule stands, in the reader's language."""
    texts = session.texts
    if source == "office":
        return texts("source_office")
    named = source.replace("Art.", texts("source_article"))
    return named.replace("directive", texts("source_directive"))


def _document(
    deadline: "Deadline", computation: "Computation | None", check: str
) -> dict[str, Any]:
    clock = deadline.clock
    return {
        "clock": deadline.name,
        "rule": clock.rule,
        "source": deadline.source,
        "since": format_instant(clock.since),
        "due": format_instant(clock.due),
        "outcome": deadline.outcome,
        "set_by": deadline.set_by,
        "ended_by": deadline.ended_by[0] if deadline.ended_by else None,
        "calendar": deadline.calendar,
        "check": check,
        "recomputed": format_instant(computation.due) if computation else None,
        "unsettled": computation.unsettled if computation else None,
        "segments": [_segment(each) for each in computation.segments] if computation else [],
    }


def _segment(segment: "Segment") -> dict[str, Any]:
    special = segment.special
    return {
        "start": format_instant(segment.start),
        "end": format_instant(segment.end),
        "reason": segment.reason,
        "counted_seconds": int(segment.counted.total_seconds()),
        "day": segment.day,
        "special": special.name_vi if special else None,
        "special_source": special.source if special else None,
        "unsettled": segment.unsettled,
    }
