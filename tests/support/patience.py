"""How long a test waits for what must come: longer than any machine stalls, but not for ever."""

PATIENCE = 60.0
"""Seconds. Nothing passes by waiting: it is how soon a test gives up that cannot pass any more."""
