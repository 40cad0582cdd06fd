"""The sequencer at work: turn, have it cosigned, publish, stamp; and the checks before the first.

Witnesses get a short time to answer, and the log is published with whoever did. A silent witness
delays the checkpoint, never a receipt: those were given when the entries were committed.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Lock

import structlog
from cryptography import x509
from sqlalchemy import Engine

from audit.merkle import prove_consistency
from audit.note import Line, Note, format_line, format_note, parse_note
from audit.policy import Policy
from audit.tiles import tile_reader
from domain.refusal import Refused
from sequencing.files import TreeFiles
from sequencing.opening import check_witnesses, open_state, read_part
from sequencing.sequencer import Probe, Sequencer, Signed, no_probe
from sequencing.signing import LogSigning
from sequencing.timestamps import Authority
from sequencing.witnesses import Cosigned, Witnesses
from store import tree
from store.engine import writing

log = structlog.get_logger(__name__)

TURN_SECONDS = 1.0
WITNESS_SECONDS = 2.0
_NONCE_BITS = 64


@dataclass(frozen=True, slots=True)
class Stamping:
    """A time-stamping authority, whom it hangs on, and how often it is asked at most."""

    url: str
    roots: tuple[x509.Certificate, ...]
    every: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sequencing:
    """What a sequencer is told. ``policy`` names the witnesses; None: nobody else signs."""

    folder: Path
    signing: LogSigning
    policy: Policy | None = None
    stamping: Stamping | None = None


@dataclass
class Publisher:
    """Make it with `open_publisher`."""

    engine: Engine
    files: TreeFiles
    sequencer: Sequencer
    witnesses: Witnesses | None
    stamping: Stamping | None
    authority: Authority | None
    stamped: float = field(default=float("-inf"))
    turning: Lock = field(default_factory=Lock)

    def step(self) -> Signed | None:
        """One turn and all that follows it; None when there was nothing to do."""
        # A task that was cancelled leaves its thread behind, which may still be at it.
        with self.turning:
            signed = self.sequencer.turn()
            if signed is None:
                return None
            self.sequencer.publish(self._cosigned(signed))
            self._stamp(signed)
            return signed

    def ask(self, signed: Signed) -> Cosigned:
        """What the witnesses say of a checkpoint. Their signatures are kept."""
        if self.witnesses is None:
            return Cosigned()
        size = signed.checkpoint.size
        reader = tile_reader(size, partial(read_part, self.files))
        answer = self.witnesses.cosign(
            signed.note, signed.checkpoint, lambda old: prove_consistency(old, size, reader)
        )
        if answer.lines:
            with writing(self.engine) as connection:
                for name, line in sorted(answer.lines.items()):
                    tree.add_cosignature(connection, size, name, format_line(line).encode())
        return answer

    def close(self) -> None:
        for each in (self.witnesses, self.authority):
            if each is not None:
                each.close()

    def _cosigned(self, signed: Signed) -> bytes:
        answer = self.ask(signed)
        for name, reason in answer.silent.items():
            log.warning("witness_silent", witness=name, reason=reason)
        for name in sorted(answer.forked):
            log.error("witness_has_another_tree", witness=name, size=signed.checkpoint.size)
        for name, size in answer.ahead.items():
            log.error("witness_ahead", witness=name, known=size, have=signed.checkpoint.size)
        return with_lines(signed.note, answer.lines)

    def _stamp(self, signed: Signed) -> None:
        if self.stamping is None or self.authority is None:
            return
        now = time.monotonic()
        if now - self.stamped < self.stamping.every.total_seconds():
            return
        text = parse_note(signed.note).text.encode()
        token = self.authority.stamp(text, secrets.randbits(_NONCE_BITS))
        if token is None:
            return
        self.stamped = now
        with writing(self.engine) as connection:
            tree.add_timestamp(connection, signed.checkpoint.size, token)


def open_publisher(
    settings: Sequencing, engine: Engine, now: Callable[[], datetime], probe: Probe = no_probe
) -> Publisher:
    """Check the log against everything that remembers it, and be ready to go on.

    Raises Refused, as `sequencing.opening` says.
    """
    files, signing = TreeFiles(settings.folder), settings.signing
    reopen = partial(open_state, engine, files, signing.origin, signing.keys_at)
    sequencer = Sequencer(engine, files, signing.origin, signing.signers_at, reopen, now, probe)
    policy, stamping = settings.policy, settings.stamping
    if policy is not None and policy.origin != signing.origin:
        raise Refused("policy_of_another_log", origin=policy.origin, log=signing.origin)
    witnesses = Witnesses(policy.witnesses, WITNESS_SECONDS) if policy else None
    authority = Authority(stamping.url, stamping.roots) if stamping else None
    publisher = Publisher(engine, files, sequencer, witnesses, stamping, authority)
    if sequencer.signed is not None:
        answer = publisher.ask(sequencer.signed)
        with engine.connect() as connection:
            # Asked after the witnesses: another sequencer may have gone on meanwhile.
            last = tree.last_checkpoint(connection)
        check_witnesses(last.size if last else 0, answer.ahead, answer.forked)
        # What was signed before a crash, and perhaps not shown.
        sequencer.publish(with_lines(sequencer.signed.note, answer.lines))
    return publisher


async def keep_publishing(publisher: Publisher) -> None:
    """A turn about every second, for ever."""
    while True:
        try:
            await asyncio.to_thread(publisher.step)
        except Refused as refusal:
            log.exception("log_not_signed", code=refusal.code)
        except Exception as error:  # noqa: BLE001 - tried again in a second
            log.warning("sequencing_hindered", error=str(error))
        await asyncio.sleep(TURN_SECONDS)


def with_lines(note: bytes, lines: Mapping[str, Line]) -> bytes:
    """The note with cosignatures under the log's own lines."""
    parsed = parse_note(note)
    added = tuple(line for _name, line in sorted(lines.items()))
    return format_note(Note(parsed.text, parsed.lines + added))
