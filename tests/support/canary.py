"""Words that must be nowhere: looked for in every byte, in every spelling that software writes.

canary = Canary("no word of it")            # each test has its own: servers are shared
world.registered("S-1", title=canary.words, secrecy="secret")
assert canary.files(tmp_path) == []
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text


@dataclass(frozen=True)
class Canary:
    """Words that nobody else says. Half of them without accents, which no normalisation hides."""

    seed: str

    @property
    def _bare(self) -> str:
        return base64.b32encode(hashlib.sha256(self.seed.encode()).digest()).decode()[:10]

    @property
    def words(self) -> str:
        return f"Chim hoàng yến {self._bare} hót trước giờ mật"

    @cached_property
    def needles(self) -> frozenset[bytes]:
        return frozenset(_spellings(self.words) | _spellings(self._bare))

    def in_bytes(self, data: bytes) -> bool:
        return any(needle in data for needle in self.needles)

    def files(self, *folders: Path) -> list[Path]:
        """The files under these folders whose bytes, or whose names, have the words."""
        return sorted(
            path
            for folder in folders
            for path in folder.rglob("*")
            if self.in_bytes(path.name.encode())
            or (path.is_file() and self.in_bytes(path.read_bytes()))
        )

    def tables(self, engine: Engine) -> set[str]:
        """The tables that have the words in a row, read through SQL."""
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            else:
                query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            tables = list(connection.scalars(text(query)))
            return {
                table
                for table in tables
                for row in connection.execute(text(f'SELECT * FROM "{table}"'))
                if any(map(self.in_bytes, _values(row)))
            }


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _spellings(words: str) -> set[bytes]:
    """How bytes may hold these words: plain, as UTF-16, escaped in JSON, in hex and in base64."""
    plain = words.encode()
    found = {plain, words.encode("utf-16-le"), words.encode("utf-16-be")}
    found |= {json.dumps(words)[1:-1].encode(), plain.hex().encode(), plain.hex().upper().encode()}
    for each in (plain, words.encode("utf-16-le"), words.encode("utf-16-be")):
        for before in range(3):
            encoded = _in_base64(each, before)
            found |= {encoded, encoded.translate(_URL_SAFE)}
    return found


def _in_base64(data: bytes, before: int) -> bytes:
    """What of the base64 of a longer text is the same whatever stands around ``data``, when
    ``before`` bytes, more or less a multiple of 3, come before it.
    """
    encoded = base64.b64encode(bytes(before) + data)
    first, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
    return encoded[first:end]


def _values(row: Any) -> Iterator[bytes]:
    for value in row:
        yield value if isinstance(value, bytes) else str(value).encode()
