"""What a person hands in at the door: a signed command, and the openings of its commitments.

    JCS({"command": DSSE, "openings": {field: {"salt", "value"}}, "v": 1})

The openings are not signed: each must open the commitment of the same name inside the command.
"""

from dataclasses import dataclass

from audit.canonical import canonical, parse
from audit.commitment import Opening, format_opening, parse_opening
from audit.dsse import Envelope, format_envelope, parse_envelope
from audit.malformed import Malformed

MAX_SUBMISSION_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Submission:
    command: Envelope
    openings: tuple[Opening, ...] = ()


def format_submission(submission: Submission) -> bytes:
    openings = {opening.field: format_opening(opening) for opening in submission.openings}
    return canonical({"command": format_envelope(submission.command), "openings": openings, "v": 1})


def parse_submission(data: bytes) -> Submission:
    """The submission of bytes from outside. Raises Malformed; says nothing about signatures."""
    if len(data) > MAX_SUBMISSION_BYTES:
        raise Malformed("submission_too_large", f"{len(data)} bytes")
    match parse(data):
        # ``v`` by type too: True equals 1, and would be a second encoding of one submission.
        case {"command": command, "openings": dict(openings), "v": int(v), **rest} if (
            v == 1 and v is not True and not rest
        ):
            opened = tuple(parse_opening(field, value) for field, value in openings.items())
            return Submission(parse_envelope(command), opened)
    raise Malformed("submission_fields")
