"""What the kernel says of a process: the time it used, the memory it holds."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, in steps of 10 ms."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def cpu_seconds_of_group(pid: int) -> float:
    """The same for a process and those of its children that live (PostgreSQL's backends)."""
    return sum(cpu_seconds(each) for each in (pid, *_children(pid)))


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    """Resident memory now; ``VmHWM`` for the most it has been."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise ValueError(field)


def find_process(argument: str) -> int:
    """The process that has this among its arguments."""
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and argument.encode() in _arguments(directory):
            return int(directory.name)
    raise LookupError(argument)


def load() -> str:
    """The machine's load averages, as `uptime` shows them."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _arguments(directory: Path) -> list[bytes]:
    try:
        return (directory / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
