"""What others wrote, made fit for a terminal: it shows letters, and obeys nobody."""

import re

# C0 but for tab and line feed, DEL and C1 (U+009B alone begins a command, as ESC [ does), marks
# that reorder what is shown, and other ways to end a line.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The text, with each character spelt out that would steer a terminal or reorder the line."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)
