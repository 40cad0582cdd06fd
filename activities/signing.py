"""The keys that the service itself signs with, and the name of the log they sign for."""

from dataclasses import dataclass, field

from audit.keys import PrivateKey


@dataclass(frozen=True)
class LogKeys:
    """``log`` signs records only, ``clock`` signs the clock's commands only."""

    origin: str
    log: PrivateKey = field(repr=False)
    clock: PrivateKey = field(repr=False)
