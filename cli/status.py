"""The exit statuses of every command; docs/commands.md explains them."""

DONE = 0
REFUSED = 1
"""Checked, and it does not hold: refused by the rules, broken, or not possible now."""
MISUSE = 2
FAULT = 70
"""An error of the program itself (EX_SOFTWARE)."""
INTERRUPTED = 130
BROKEN_PIPE = 141
