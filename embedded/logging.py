"""Where the service's log lines go: to the terminal, or to a file while the board has the terminal.

Lines carry codes, ids and addresses, never the content of a task.
"""

import logging
import sys
from pathlib import Path

import structlog
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig


def log_to(path: Path | None) -> None:
    """Send log lines to ``path``, or to standard error."""
    stream = path.open("a", encoding="utf-8") if path else sys.stderr
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(message)s")
    if path is not None:
        _keep_core_off_the_screen()
    colors = path is None and sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Never the values of variables: words of people and passphrases are among them.
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


def _keep_core_off_the_screen() -> None:
    """Temporal's compiled core writes to the terminal by itself, over the board or after it."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    telemetry = TelemetryConfig(logging=LoggingConfig(filter="WARN", forwarding=forwarding))
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)
