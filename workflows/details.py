"""What Temporal's own Web UI shows of a task: Markdown, codes and times only."""

from domain.task import Task


def details(task: Task) -> str:
    """State, agency, running deadlines in UTC, and what was missed."""
    overdue = " · **overdue**" if task.overdue else ""
    lines = [
        f"**{task.state}**{overdue} · `{task.lead}` · entry {task.seq}",
        "",
        "| deadline | UTC |",
        "| --- | --- |",
    ]
    running = sorted(task.clocks.items(), key=lambda item: (item[1].due, item[0]))
    lines += [f"| {name} | {clock.due:%Y-%m-%d %H:%M} |" for name, clock in running]
    lines += [f"| {name} (missed) | {clock.due:%Y-%m-%d %H:%M} |"
              for name, clock in sorted(task.missed.items())]  # fmt: skip
    return "\n".join(lines)
