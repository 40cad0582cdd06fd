"""A witness at work: a request in, a status and a body out; memory before voice."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from audit.note import Note, format_note, parse_note
from audit.witnessing import (
    SIZE_TYPE,
    format_cosignatures,
    format_size,
    parse_cosignatures,
)
from witness.home import Signers
from witness.judging import Asked, Declined, Evidence, Trusted, judge, read
from witness.store import Cosigned, Store, Writing

TEXT_TYPE = "text/plain; charset=utf-8"
REFRESH_SECONDS = 60
"""Who asks again for the same tree within this time gets the same lines, and costs no signature."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes = b""
    media_type: str = TEXT_TYPE


class Cosigning:
    """For any number of threads, and of processes on one store."""

    def __init__(
        self,
        signers: Signers,
        store: Store,
        trusted: Callable[[], Trusted],
        on_evidence: Callable[[], None] = lambda: None,
    ) -> None:
        """``trusted`` is asked at each request: a log may be added while the witness serves.

        ``on_evidence`` is called behind the transaction that kept something new.
        """
        self._signers = signers
        self._store = store
        self._trusted = trusted
        self._on_evidence = on_evidence

    @property
    def name(self) -> str:
        return self._signers.name

    def add_checkpoint(self, data: bytes, now: int) -> Answer:
        """The answer to a request; ``now`` in seconds since 1970. What it signs is on the disk."""
        try:
            asked = read(data, self._trusted())
        except Declined as declined:
            return _declined(declined.status, declined.code)
        with self._store.writing() as writing:
            answer, evidence = self._decide(asked, writing, now)
            is_new = evidence is not None and writing.keep(evidence, now)
        if is_new:
            self._on_evidence()
        return answer

    def latest(self, origin: str) -> Answer:
        """The checkpoint that it cosigned last for this log, with its own lines under the log's."""
        found = self._store.latest(origin)
        if found is None:
            return _declined(HTTPStatus.NOT_FOUND, "nothing_cosigned")
        note = parse_note(found.head.note)
        lines = parse_cosignatures(note.text, found.lines)
        return Answer(HTTPStatus.OK, format_note(Note(note.text, (*note.lines, *lines))))

    def _decide(self, asked: Asked, writing: Writing, now: int) -> tuple[Answer, Evidence | None]:
        tree = asked.head.checkpoint
        latest = writing.latest(tree.origin)
        same = writing.at_size(tree.origin, tree.size)
        judged = judge(asked, latest.head if latest else None, same.head if same else None)
        if judged.status is HTTPStatus.OK:
            return Answer(HTTPStatus.OK, self._cosigned(asked, latest, writing, now)), None
        if judged.status is HTTPStatus.CONFLICT:
            size = latest.head.checkpoint.size if latest else 0
            return Answer(judged.status, format_size(size), SIZE_TYPE), judged.evidence
        return _declined(judged.status, "proof_wrong"), judged.evidence

    def _cosigned(self, asked: Asked, latest: Cosigned | None, writing: Writing, now: int) -> bytes:
        at = now
        if latest is not None:
            same = latest.head.checkpoint == asked.head.checkpoint
            if same and now < latest.at + REFRESH_SECONDS:
                return latest.lines
            # A clock set back must not make this tree older than the one that it extends.
            at = max(now, latest.at)
        text = asked.head.text
        both = (self._signers.ed25519, self._signers.mldsa)
        lines = format_cosignatures(text, [signer.sign(text, at) for signer in both])
        writing.add(Cosigned(asked.head, at, lines))
        return lines


def _declined(status: HTTPStatus, code: str) -> Answer:
    return Answer(status, f"{code}\n".encode())
