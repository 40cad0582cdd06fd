"""The chains of a log, by name: one for each task, and two that are about the log itself."""

TASK_PREFIX = "task:"
"""Stands before a task's id in the subject of a statement, and nowhere else."""

DIRECTORY = "directory"
"""Who is who, and whose key is whose."""

ATTESTATIONS = "attestations"
"""What the log states about itself, and erasures."""

ABOUT_THE_LOG = frozenset({DIRECTORY, ATTESTATIONS})
"""Chains that are no task's. Their records have no states: they say null and "recorded"."""
