"""What a run of the benchmark found out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of all do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank) - 1, 0)]


@dataclass
class Rounds:
    """One side's rounds of many tasks at once."""

    per_second: list[float] = field(default_factory=list)
    cpu_ms: list[dict[str, float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.per_second)

    def cpu(self, process: str) -> float:
        """Milliseconds of processor time a step, by process."""
        return median(each[process] for each in self.cpu_ms)


@dataclass
class Alone:
    """One side's latencies of a step with nothing else going on, in milliseconds."""

    receipt: list[float] = field(default_factory=list)
    applied: list[float] = field(default_factory=list)


@dataclass
class Raw:
    """What signing and inserting cost without Temporal, in milliseconds a step."""

    insert: dict[int, float]
    recorder: dict[int, float]
    parts: dict[str, float]


@dataclass
class Figures:
    """Everything measured over one database."""

    database: str
    durability: str
    together: dict[str, Rounds]
    receipts_per_second: list[float]
    caught_up_per_second: list[float]
    alone: dict[str, Alone]
    stages: dict[str, dict[str, float]]
    raw: Raw

    @property
    def throughput_ratio(self) -> float:
        """Audited to unaudited, by the rounds that stood next to each other."""
        pairs = zip(
            self.together["audited"].per_second, self.together["unaudited"].per_second, strict=True
        )
        return median(audited / unaudited for audited, unaudited in pairs)

    @property
    def latency_ratio(self) -> float:
        """Audited to unaudited, of the medians until the workflow has applied the step."""
        return median(self.alone["audited"].applied) / median(self.alone["unaudited"].applied)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: every single measurement, and the ratios."""
        ratios = {"throughput": self.throughput_ratio, "latency": self.latency_ratio}
        return asdict(self) | {"ratios": ratios}
