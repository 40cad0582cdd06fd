"""What a person hands in at the door: a signed command, and the openings of its commitments.

    JCS({"command": DSSE, "openings": {field: {"salt", "value"}}, "stamp": null, "v": 1})

The openings are not signed: each must open the commitment of the same name inside the command. The
door puts its stamp on it, ``{"received_at", "sig"}`` (`audit.stamp`).
"""

import base64
from dataclasses import dataclass

from audit.canonical import Json, JsonLike, canonical, parse
from audit.commitment import Opening, format_opening, parse_opening
from audit.dsse import Envelope, format_envelope, parse_envelope
from audit.malformed import Malformed
from audit.stamp import Stamp, parse_stamp

MAX_SUBMISSION_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Submission:
    command: Envelope
    openings: tuple[Opening, ...] = ()
    stamp: Stamp | None = None


def format_submission(submission: Submission) -> bytes:
    openings = {opening.field: format_opening(opening) for opening in submission.openings}
    return canonical({
        "command": format_envelope(submission.command),
        "openings": openings,
        "stamp": _format_stamp(submission.stamp),
        "v": 1,
    })  # fmt: skip


def parse_submission(data: bytes) -> Submission:
    """The submission of bytes from outside. Raises Malformed; says nothing about signatures."""
    if len(data) > MAX_SUBMISSION_BYTES:
        raise Malformed("submission_too_large", f"{len(data)} bytes")
    match parse(data):
        # ``v`` by type too: True equals 1, and would be a second encoding of one submission.
        case {
            "command": command,
            "openings": dict(openings),
            "stamp": stamp,
            "v": int(v),
            **rest,
        } if v == 1 and v is not True and not rest:
            opened = tuple(parse_opening(field, value) for field, value in openings.items())
            return Submission(parse_envelope(command), opened, _parse_stamp(stamp))
    raise Malformed("submission_fields")


def _format_stamp(stamp: Stamp | None) -> dict[str, JsonLike] | None:
    if stamp is None:
        return None
    return {
        "received_at": stamp.received_at,
        "sig": base64.b64encode(stamp.signature).decode(),
    }


def _parse_stamp(value: Json) -> Stamp | None:
    match value:
        case None:
            return None
        case {"received_at": received_at, "sig": signature, **rest} if not rest:
            return parse_stamp(received_at, signature)
    raise Malformed("submission_fields", "stamp")
