"""The offline verifier: ``python -m audit.verify BUNDLE --trust FILE``.

For whoever must assume that the log's operator cheats. It needs Python and `cryptography`, no
network and no database, and reads nothing but its arguments. What it believes beforehand stands in
the trust file (`audit.policy`): the log's keys for checkpoints, witnesses, and the digest of the
log's founding, which all other keys hang on.

    0   everything holds
    1   something does not; the first finding is named, and both heads of a fork are printed
    2   it could not be tried: a file is missing, or the trust file is wrong
"""

import argparse
import base64
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from cryptography import x509

from audit.checkpoint import parse_checkpoint
from audit.dealing import cores
from audit.malformed import Malformed
from audit.note import TYPE_NAMES, parse_note
from audit.offline import BundleReport, Order, verify_bundle
from audit.policy import parse_policy
from audit.report import Check, Finding, printable
from audit.saying import LANGUAGES, Speaker, language_of

HOLDS, BROKEN, MISUSE = 0, 1, 2
INTERRUPTED, BROKEN_PIPE = 130, 141
MOST_FINDINGS = 10
"""So many are told to people: the first is the one to look at, the rest are often its echo."""
_UNREAD = "bundle_unreadable"
_KNOWN = "known_unreadable"
_ENTRY_CHECKS = tuple(check for check in Check if check <= Check.RULES)


def run() -> NoReturn:
    """The command, as a process: speaks UTF-8 whatever the locale claims, and ends quietly."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has stopped, as `head` does; the interpreter must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    except KeyboardInterrupt:
        status = INTERRUPTED
        sys.stderr.write(Speaker(_language(sys.argv[1:]))("interrupted") + "\n")
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its status. Raises SystemExit for misuse and help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    language = _language(given)
    say = Speaker(language)
    options = _parser(say).parse_args(given)
    start = time.monotonic()
    try:
        order = _order(options)
    except OSError as error:
        return _misuse(say("unreadable", path=error.filename, reason=error.strerror))
    except Malformed as error:
        if error.code == _KNOWN:
            return _misuse(say("known_malformed", reason=error.detail))
        return _misuse(say("trust_malformed", path=options.trust, reason=error))
    try:
        found = verify_bundle(order, _Progress(say).tell)
    except OSError as error:
        return _misuse(say("unreadable", path=error.filename, reason=error.strerror))
    except Malformed as error:
        return _misuse(say("trust_malformed", path=options.trust, reason=error))
    if options.json:
        print(json.dumps(as_document(found), indent=2))  # noqa: T201 - a command
    else:
        for line in lines(found, order, say, time.monotonic() - start):
            print(line)  # noqa: T201 - a command
    return HOLDS if found.ok else BROKEN


def lines(
    found: BundleReport,
    order: Order,
    say: Speaker,
    seconds: float,
    tell: Callable[[Finding], str] | None = None,
) -> list[str]:
    """The report for people. ``tell`` makes a sentence of a finding; else its code stands there."""
    report, tell = found.report, tell or partial(_told, say)
    if found.checkpoint is None and report.first is not None:
        # Of a file that came damaged, or is another, nobody must think that the log is to blame.
        return [say("unread", finding=tell(report.first))]
    text = []
    if found.checkpoint is not None:
        root = base64.b64encode(found.checkpoint.root).decode()
        text.append(say("tree", size=found.checkpoint.size, root=root))
    for key, when in found.times.items():
        at = "" if when is None else say("at", time=_utc(when))
        text.append(say("signed", name=key.name, kind=TYPE_NAMES[key.type], time=at))
    if found.stamped is not None:
        stamp = found.stamped.stamp
        stamped_at = stamp.time.strftime("%Y-%m-%d %H:%M:%S")
        authority = printable(stamp.authority)
        text.append(say("stamped", size=found.stamped.size, time=stamped_at, authority=authority))
    text += _extent(found, say)
    text += [_line(check, found, say) for check in _checks(found, order)]
    text += _remarks(order, say)
    rate = int(report.entries / seconds) if seconds else 0
    if order.signatures:
        text.append(say("words", opened=report.opened, erased=report.erased))
    facts = {"entries": report.entries, "chains": report.chains, "seconds": f"{seconds:.1f}"}
    text.append(say("figures", rate=rate, **facts))
    if report.disputed_entries:
        text.append(say("disputed", count=report.disputed_entries))
        text += [
            say("disputed_entry", index=d.index, chain=printable(d.chain), seq=d.seq,
                holder=printable(d.holder))
            for d in report.disputed
        ]  # fmt: skip
    for fork in found.forks:
        text += [say("fork"), say("fork_known"), *_note_lines(fork.known), say("fork_found")]
        text += _note_lines(fork.found)
    return text + _verdict(report.findings, say, tell)


def _verdict(
    findings: Sequence[Finding], say: Speaker, tell: Callable[[Finding], str]
) -> list[str]:
    """What was found, and in the last line what to hold of the log."""
    if not findings:
        return [say("holds")]
    shown = findings[:MOST_FINDINGS] if len(findings) > 1 else ()
    text = [say("found", finding=tell(finding)) for finding in shown]
    if more := len(findings[MOST_FINDINGS:]):
        text.append(say("more", count=more))
    # A download that was damaged on its way says nothing against the log.
    code = "unread" if all(each.code == _UNREAD for each in findings) else "broken"
    return [*text, say(code, finding=tell(findings[0]))]


def _told(say: Speaker, finding: Finding) -> str:
    where, place = say("finding_log"), ""
    if finding.chain:
        if finding.index is not None:
            place = say("finding_place", index=finding.index)
        where = say("finding_entry", chain=finding.chain, seq=finding.seq, place=place)
    detail = f": {finding.detail}" if finding.detail not in {"", finding.code} else ""
    facts = {"check": int(finding.check), "code": finding.code, "where": where, "detail": detail}
    return printable(say("finding", **facts))


def _extent(found: BundleReport, say: Speaker) -> list[str]:
    """Of a bundle of chosen tasks: how much it has, and how far that is shown to be all."""
    text = [say("chosen", count=found.chosen)] if found.chosen is not None else []
    if found.whole is not None and found.checkpoint is not None:
        whole, at = found.whole, found.whole.at[:19].replace("T", " ")
        text.append(say("whole", size=whole.size, of=found.checkpoint.size, time=at))
        # The statement itself is always one of those that came after it.
        if found.checkpoint.size > whole.size + 1:
            text.append(say("later", count=whole.later))
    return text


def _note_lines(note: bytes) -> list[str]:
    """Under the log's lines strangers may have written theirs, which must not steer a terminal."""
    return [printable(line) for line in note.decode().split("\n")]


def as_document(found: BundleReport) -> dict[str, object]:
    """The report for programs."""
    report, checkpoint = found.report, found.checkpoint
    return {
        "ok": found.ok,
        "origin": checkpoint.origin if checkpoint else None,
        "size": checkpoint.size if checkpoint else None,
        "root": base64.b64encode(checkpoint.root).decode() if checkpoint else None,
        "signed": [
            {"name": key.name, "type": key.type, "time": when} for key, when in found.times.items()
        ],
        "entries": report.entries,
        "chosen": found.chosen,
        "whole_up_to": found.whole.size if found.whole else None,
        "stated_at": found.whole.at if found.whole else None,
        "later": found.whole.later if found.whole else None,
        "passed": {check.name.lower(): count for check, count in sorted(report.passed.items())},
        "openings": report.opened,
        "erased": report.erased,
        "disputed": report.disputed_entries,
        "forks": [
            {"known": fork.known.decode(), "found": fork.found.decode()} for fork in found.forks
        ],
        "findings": [_finding(finding) for finding in report.findings],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "check": int(finding.check),
        "code": finding.code,
        "chain": finding.chain,
        "seq": finding.seq,
        "index": finding.index,
        "leaf": finding.leaf,
        "detail": finding.detail,
    }


def _checks(found: BundleReport, order: Order) -> list[Check]:
    """The checks that were made, in the order in which they are made."""
    made = [Check.CHECKPOINT, Check.TREE]
    if order.signatures:
        made += [c for c in _ENTRY_CHECKS if c is not Check.RULES or order.judge is not None]
        made.append(Check.HEADS)
    return made + [f.check for f in found.report.findings if f.check not in made]


def _line(check: Check, found: BundleReport, say: Speaker) -> str:
    broken = any(finding.check is check for finding in found.report.findings)
    passed = found.report.passed.get(check, 0)
    figure = say("passed", count=passed) if broken or passed else say("nothing")
    name = say(f"check_{check.value}")
    return f"{mark(passed, broken=broken)} {check.value:>2}  {name}: {figure}"


def mark(passed: int, *, broken: bool) -> str:
    """Before the line of a check. What was never come to is not shown like what is in order."""
    if broken:
        return "✗"
    return "✓" if passed else "–"


def _remarks(order: Order, say: Speaker) -> list[str]:
    if not order.signatures:
        return [say("skipped")]
    return [] if order.judge is not None else [say("no_rules")]


def _order(options: argparse.Namespace) -> Order:
    return Order(
        path=options.bundle,
        policy=parse_policy(options.trust.read_bytes()),
        now=int(time.time()),
        signatures=not options.skip_signatures,
        known=read_known(options.known),
        processes=options.processes or cores(),
        roots=_roots(options.tsa_roots) if options.tsa_roots else (),
    )


def read_known(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Checkpoints seen before. Raises OSError, and Malformed for what is none.

    A wrong file is the fault of whoever names it: it must not look like a finding about the log.
    """
    known = []
    for path in paths:
        data = path.read_bytes()
        try:
            parse_checkpoint(parse_note(data).text)
        except Malformed as error:
            raise Malformed(_KNOWN, f"{path}: {error}") from error
        known.append(data)
    return tuple(known)


def _roots(path: Path) -> tuple[x509.Certificate, ...]:
    """Certificates in PEM. Raises OSError."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except ValueError as error:
        raise OSError(errno.EINVAL, "no certificates in PEM", str(path)) from error


def _parser(say: Speaker) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=say("about"))
    parser.add_argument("bundle", type=Path, help=say("help_bundle"))
    parser.add_argument("--trust", type=Path, required=True, help=say("help_trust"))
    parser.add_argument("--known", type=Path, action="append", default=[], help=say("help_known"))
    parser.add_argument("--skip-signatures", action="store_true", help=say("help_skip"))
    parser.add_argument("--tsa-roots", type=Path, help=say("help_roots"))
    parser.add_argument("--processes", type=int, default=0, help=say("help_processes"))
    parser.add_argument("--lang", choices=LANGUAGES, help=say("help_lang"))
    parser.add_argument("--json", action="store_true", help=say("help_json"))
    return parser


def _language(arguments: list[str]) -> str:
    """Known before the options are, since their help is in it."""
    for at, argument in enumerate(arguments):
        value = argument.removeprefix("--lang=")
        if argument == "--lang" and at + 1 < len(arguments):
            value = arguments[at + 1]
        if value != argument and value in LANGUAGES:
            return value
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return language_of(next((os.environ[name] for name in names if os.environ.get(name)), ""))


class _Progress:
    """A bar, where somebody watches."""

    def __init__(self, say: Speaker) -> None:
        self._say = say
        self._watched = sys.stderr.isatty()

    def tell(self, done: int, of: int) -> None:
        if not self._watched:
            return
        percent = done * 100 // of if of else 100
        width = percent // 4
        bar = "█" * width + "░" * (25 - width)
        end = "\r\x1b[K" if done >= of else ""
        sys.stderr.write(f"\r{bar} {self._say('progress', done=done, of=of, percent=percent)}{end}")
        sys.stderr.flush()


def _misuse(text: str) -> int:
    sys.stderr.write(text + "\n")
    return MISUSE


def _utc(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return str(seconds)


if __name__ == "__main__":
    run()
