"""Protected tasks in tests: the words they are given, and looking at what is sealed of them."""

from sqlalchemy import text

from activities.recorder import Recorded
from activities.words import Openings, Reader, Words, cleared, words_of
from audit.stored import verify
from domain.refusal import Refused
from domain.replay import Replay
from domain.task import Secrecy
from store import ledger, queries
from tests.support.world import World, key_of, vault_key

TOP = Reader(vault_key(), cleared(Secrecy.TOP_SECRET))
CANARY = "Lời chỉ người được phép mới đọc"
SECRET_WORDS = {"secrecy": "secret", "title": CANARY, "document_title": CANARY}


def read(world: World, task: str, seq: int = 1, reader: Reader = TOP) -> Words:
    with world.engine.connect() as connection:
        return words_of(connection, world.chain(task)[seq - 1].leaf, reader)


def shown(world: World) -> dict[str, str]:
    with world.engine.connect() as connection:
        return {row.id: row.title for row in queries.list_tasks(connection)}


def counted(world: World, table: str) -> int:
    with world.engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0


def verified(world: World, reader: Reader = TOP) -> tuple[int, int, int]:
    """Openings that fit, erased ones, those closed to the reader. Nothing may be broken."""
    with world.engine.connect() as connection:
        openings = Openings(connection, reader)
        report = verify(
            list(ledger.read_all(connection)),
            origin=world.origin,
            log_key=key_of("log").public,
            openings=openings,
            judge=Replay(),
        )
    assert report.findings == (), report.findings
    return report.opened, report.erased - openings.closed, openings.closed


def shred(world: World, task: str, through: int) -> Recorded | Refused:
    arguments = {"task": task, "through": through, "reason": "secrecy"}
    return world.hand_in(world.attestation("shred", arguments))
