"""A file's name here is ``sha256:`` and the 64 hex digits of its SHA-256, as the log writes it."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from domain.refusal import Refused

PREFIX = "sha256:"
_HEX = re.compile(r"[0-9a-f]{64}")


def is_hex(name: str) -> bool:
    return _HEX.fullmatch(name) is not None


def hex_of(digest: str) -> str:
    """The hex digits: safe as the name of a file or of an object. Raises Refused."""
    name = digest.removeprefix(PREFIX)
    if name == digest or not is_hex(name):
        raise Refused("evidence_digest_malformed")
    return name


def checked(chunks: Iterable[bytes], digest: str) -> Iterator[bytes]:
    """The chunks, the last one only when all of them together have ``digest``.

    One chunk is held back instead of the whole file being read twice or copied first: memory stays
    constant and nothing has to be cleaned up, and still nobody comes to hold a whole file that was
    altered. Raises Refused where it ends.
    """
    hasher, held = hashlib.sha256(), b""
    for chunk in chunks:
        hasher.update(chunk)
        if held:
            yield held
        held = chunk
    if PREFIX + hasher.hexdigest() != digest:
        raise Refused("evidence_altered", digest=digest)
    if held:
        yield held
