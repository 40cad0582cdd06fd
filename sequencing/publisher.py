"""The sequencer at work: turn, have it cosigned, publish, stamp; and the checks before the first.

Witnesses get a short time to answer, and the log is published with whoever did. A silent witness
delays the checkpoint, never a receipt: those were given when the entries were committed.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Lock

import structlog
from cryptography import x509
from sqlalchemy import Engine

from audit.consistency import prove_consistency
from audit.malformed import Malformed
from audit.note import Line, Note, format_line, format_note, parse_note
from audit.policy import Policy
from audit.tiles import tile_reader
from audit.witnessing import parse_cosignatures
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
ASK_AGAIN_SECONDS = 30.0
STAMP_SECONDS = 5.0
STAMP_AGAIN_SECONDS = 60.0
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
    """Make it with `open_publisher`. Any thread may call `step`, one at a time does."""

    engine: Engine
    files: TreeFiles
    sequencer: Sequencer
    policy: Policy | None
    witnesses: Witnesses | None
    stamping: Stamping | None
    authority: Authority | None
    _turning: Lock = field(default_factory=Lock)
    _last: Signed | None = None
    _ask_again: float = field(default=float("inf"))
    _stamp_again: float = field(default=float("-inf"))

    def step(self) -> Signed | None:
        """One turn and all that follows it; None when there was nothing to do."""
        # A task that was cancelled leaves its thread behind, which may still be at it.
        with self._turning:
            signed = self.sequencer.turn()
            if signed is not None:
                self._last, self._ask_again = signed, float("-inf")
            # Also when the disk was full the last time, or a witness was silent.
            if self._last is not None and time.monotonic() >= self._ask_again:
                answer = self.ask(self._last)
                if signed is not None:
                    self._tell(signed, answer)
                self.show(self._last, answer)
            if signed is not None:
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

    def show(self, signed: Signed, answer: Cosigned) -> None:
        """Publish a checkpoint with all its cosignatures, those of an earlier asking, too."""
        lines = {**self._kept(signed), **answer.lines}
        self.sequencer.publish(with_lines(signed.note, lines))
        self._last, self._ask_again = signed, time.monotonic() + self._patience(answer)

    def last_size(self) -> int:
        """Over how many entries a checkpoint was signed last, by whichever sequencer."""
        with self.engine.connect() as connection:
            last = tree.last_checkpoint(connection)
        return last.size if last else 0

    def close(self) -> None:
        for each in (self.witnesses, self.authority):
            if each is not None:
                each.close()

    def _kept(self, signed: Signed) -> dict[str, Line]:
        """What witnesses that the policy still has signed before: one may be silent now."""
        found: dict[str, Line] = {}
        if self.policy is None:
            return found
        with self.engine.connect() as connection:
            kept = tree.read_cosignatures(connection, signed.checkpoint.size)
        text = parse_note(signed.note).text
        for witness in self.policy.witnesses:
            with suppress(Malformed):
                for line in parse_cosignatures(text, kept.get(witness.name, b"")):
                    if (line.name, line.key_id) == (witness.key.name, witness.key.id):
                        found[witness.name] = line
        return found

    def _patience(self, answer: Cosigned) -> float:
        """How long the same checkpoint may stand, in seconds, before witnesses are asked again.

        One that was silent may be back. And to those who want a checkpoint to be young, one of a
        log in which nothing happens gets too old.
        """
        if answer.silent:
            return ASK_AGAIN_SECONDS
        if answer.lines and self.policy is not None and self.policy.max_age is not None:
            return self.policy.max_age / 3
        return float("inf")

    def _tell(self, signed: Signed, answer: Cosigned) -> None:
        for name, reason in answer.silent.items():
            log.warning("witness_silent", witness=name, reason=reason)
        for name in sorted(answer.forked):
            log.error("witness_has_another_tree", witness=name, size=signed.checkpoint.size)
        if answer.ahead:
            # Asked after the witnesses: another sequencer may have gone on meanwhile.
            have = self.last_size()
            for name, size in answer.ahead.items():
                if size > have:
                    log.error("witness_ahead", witness=name, known=size, have=have)

    def _stamp(self, signed: Signed) -> None:
        now = time.monotonic()
        if self.stamping is None or self.authority is None or now < self._stamp_again:
            return
        text = parse_note(signed.note).text.encode()
        token = self.authority.stamp(text, secrets.randbits(_NONCE_BITS))
        if token is None:
            # One that is down would delay every checkpoint by its timeout.
            self._stamp_again = now + STAMP_AGAIN_SECONDS
            return
        self._stamp_again = now + self.stamping.every.total_seconds()
        with writing(self.engine) as connection:
            tree.add_timestamp(connection, signed.checkpoint.size, token)


def open_publisher(
    settings: Sequencing, engine: Engine, now: Callable[[], datetime], probe: Probe = no_probe
) -> Publisher:
    """Check the log against everything that remembers it, and be ready to go on.

    Raises Refused, as `sequencing.opening` says.
    """
    files, signing = TreeFiles(settings.folder), settings.signing
    policy, stamping = settings.policy, settings.stamping
    if policy is not None and policy.origin != signing.origin:
        raise Refused("policy_of_another_log", origin=policy.origin, log=signing.origin)
    reopen = partial(open_state, engine, files, signing.origin, signing.keys_at)
    sequencer = Sequencer(engine, files, signing.origin, signing.signers_at, reopen, now, probe)
    witnesses = Witnesses(policy.witnesses, WITNESS_SECONDS) if policy else None
    authority = Authority(stamping.url, stamping.roots, STAMP_SECONDS) if stamping else None
    publisher = Publisher(engine, files, sequencer, policy, witnesses, stamping, authority)
    try:
        if sequencer.signed is not None:
            answer = publisher.ask(sequencer.signed)
            # Asked after the witnesses: another sequencer may have gone on meanwhile.
            check_witnesses(publisher.last_size(), answer.ahead, answer.forked)
            # What was signed before a crash is perhaps not shown yet.
            publisher.show(sequencer.signed, answer)
    except BaseException:
        publisher.close()
        raise
    return publisher


async def keep_publishing(publisher: Publisher) -> None:
    """A turn about every second, for ever."""
    told = ""
    while True:
        try:
            await asyncio.to_thread(publisher.step)
            told = ""
        except Exception as error:  # noqa: BLE001 - tried again in a second
            # Said once, not every second.
            if told != (told := repr(error)):
                _hindered(error)
        await asyncio.sleep(TURN_SECONDS)


def publish_last(publisher: Publisher) -> None:
    """The last turn: what was accepted is published. The next start goes on from anywhere."""
    try:
        publisher.step()
    except Exception as error:  # noqa: BLE001 - nobody is left to do anything about it
        _hindered(error)
    finally:
        publisher.close()


def _hindered(error: Exception) -> None:
    if isinstance(error, Refused):
        log.error("log_not_signed", code=error.code, **error.facts)
    else:
        log.warning("sequencing_hindered", error=str(error))


def with_lines(note: bytes, lines: Mapping[str, Line]) -> bytes:
    """The note with cosignatures under the log's own lines."""
    parsed = parse_note(note)
    added = tuple(line for _name, line in sorted(lines.items()))
    return format_note(Note(parsed.text, parsed.lines + added))
