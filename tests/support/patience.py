"""How long a test waits for what must come: longer than any machine stalls, but not for ever."""

PATIENCE = 60.0
"""Seconds. Nothing passes by waiting: it is how soon a test gives up that cannot pass any more."""

GROWING = (0.5, 2.0, 8.0, 32.0)
"""Limits of time, in seconds, to try one after the other where something must happen *within* one:
what a stalled machine misses in the first it makes in a later one, and what is wrong in none.
"""
