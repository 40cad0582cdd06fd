"""The figures of one database as tables for the terminal."""

from statistics import median

from rich.console import Console
from rich.table import Table

from bench.figures import Figures, percentile
from bench.stage import SIDES, Sizes

LEAST_THROUGHPUT, AIM_THROUGHPUT, MOST_LATENCY = 0.7, 0.85, 2.0
_STAGES = {
    "check": "door, queue; form and signature checked",
    "record": "chain read, judged, signed, written",
    "commit": "commit, flushed to disk",
    "hand_on": "to the driver",
    "follow": "signal, workflow task, acknowledged",
}


def show(console: Console, figures: Figures, sizes: Sizes) -> None:
    """Print all tables."""
    console.rule(f"{figures.database} ({figures.durability})")
    console.print(_ratios(figures, sizes))
    console.print(_stages(figures))
    console.print(_raw(figures))
    console.print(_processors(figures))


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _ratios(figures: Figures, sizes: Sizes) -> Table:
    """Both sides and what was promised of them."""
    table = _table(
        "Audited beside the same signals, workflow and driver with no record",
        "", "audited", "unaudited", "ratio", "target",
    )  # fmt: skip
    audited, unaudited = (figures.together[side] for side in SIDES)
    table.add_row(f"{sizes.tasks} tasks at once, steps a second")
    table.add_row(
        "  each waits for its workflow",
        f"{audited.median:.0f}", f"{unaudited.median:.0f}",
        f"{figures.throughput_ratio:.2f}", f"≥ {LEAST_THROUGHPUT}, aim {AIM_THROUGHPUT}",
    )  # fmt: skip
    table.add_row(
        "  slowest and fastest round",
        *(
            f"{min(each.per_second):.0f}-{max(each.per_second):.0f}"
            for each in (audited, unaudited)
        ),
    )
    table.add_row(
        "  each waits for its receipt only",
        f"{median(figures.receipts_per_second):.0f}",
    )
    table.add_row(
        "  and until all workflows know",
        f"{median(figures.caught_up_per_second):.0f}",
    )
    first, second = (figures.alone[side] for side in SIDES)
    table.add_section()
    table.add_row("one step alone, ms: p50 / p99")
    table.add_row("  until the receipt", _pair(first.receipt))
    table.add_row(
        "  until its workflow has applied it",
        _pair(first.applied), _pair(second.applied),
        f"{figures.latency_ratio:.2f}", f"≤ {MOST_LATENCY:g}",
    )  # fmt: skip
    return table


def _stages(figures: Figures) -> Table:
    table = _table("One step alone, stage by stage: ms", "", *SIDES, "share of audited")
    whole = sum(figures.stages["audited"].values())
    for name, label in _STAGES.items():
        values = [figures.stages[side].get(name) for side in SIDES]
        share = f"{(values[0] or 0) / whole:.0%}"
        table.add_row(label, *("" if each is None else f"{each:.2f}" for each in values), share)
    return table


def _raw(figures: Figures) -> Table:
    raw = figures.raw
    table = _table("The record without Temporal: ms a step", "", "alone", "20 in a transaction")
    table.add_row(
        "verify, sign, insert the entry",
        *(f"{value:.2f}" for value in raw.insert.values()),
    )
    table.add_row(
        "the recorder: also rules, read model, outbox",
        *(f"{value:.2f}" for value in raw.recorder.values()),
    )
    whole = raw.recorder[1]
    for name, label in (
        ("verify", "the command's signature"), ("sign", "the record's signature"),
        ("json", "JSON read and written"), ("statements", "SQL statements in the driver"),
        ("commit", "commit"),
    ):  # fmt: skip
        table.add_row(f"   of it {label}", f"{raw.parts[name]:.2f} ({raw.parts[name] / whole:.0%})")
    rest = whole - sum(raw.parts.values())
    table.add_row("   of it rules, SQLAlchemy, the rest", f"{rest:.2f} ({rest / whole:.0%})")
    return table


def _processors(figures: Figures) -> Table:
    table = _table("Processor time a step, many tasks at once: ms", "", *SIDES, "difference")
    audited, unaudited = (figures.together[side] for side in SIDES)
    for name in audited.cpu_ms[0]:
        first, second = audited.cpu(name), unaudited.cpu(name)
        table.add_row(_PROCESSES[name], f"{first:.2f}", f"{second:.2f}", f"{first - second:+.2f}")
    return table


_PROCESSES = {
    "worker": "door, recorder, driver, worker",
    "temporal": "Temporal server",
    "database": "PostgreSQL",
}


def _pair(values: list[float]) -> str:
    return f"{median(values):.1f} / {percentile(values, 99):.1f}"
