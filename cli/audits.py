"""`dondoc audit`: what an outsider checks the log with."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import status
from cli.reading import key_at_hand
from cli.session import Session
from domain.task import Secrecy

if TYPE_CHECKING:
    from audit.keys import PublicKey
    from audit.report import Finding, Report

_UNITS = {"READ_MODEL": "checked_tasks", "CHECKPOINT": "checked_checkpoints"}
_LOG_KEY = Annotated[Path | None, typer.Option("--log-key", metavar="FILE", help="opt_log_key")]


def verify(  # noqa: PLR0913, PLR0917 - one for each option
    session: Session,
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="opt_bundle", show_default=False)
    ] = None,
    trust: Annotated[Path | None, typer.Option("--trust", metavar="FILE", help="opt_trust")] = None,
    known: Annotated[
        list[Path] | None, typer.Option("--known", metavar="FILE", help="opt_known")
    ] = None,
    skip_signatures: Annotated[  # noqa: FBT002 - a switch
        bool, typer.Option("--skip-signatures", help="opt_skip_signatures")
    ] = False,
    tsa_roots: Annotated[
        Path | None, typer.Option("--tsa-roots", metavar="FILE", help="opt_tsa_roots")
    ] = None,
    log_key: _LOG_KEY = None,
    origin: Annotated[
        str | None, typer.Option("--origin", metavar="NAME", help="opt_origin")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="opt_quiet")] = False,  # noqa: FBT002 - a switch
) -> int:
    """Check every entry; status 1 when one is broken, and its name first."""
    if bundle is not None:
        return _verify_bundle(
            session, bundle, trust, known or [], tsa_roots, signatures=not skip_signatures
        )
    if trust is not None or known or skip_signatures or tsa_roots is not None:
        raise typer.BadParameter(session.texts("misuse_needs_bundle"), param_hint="BUNDLE")
    from embedded.keyring import read_origin, read_public  # noqa: PLC0415 - not for --help

    session.check_database()
    key = read_public(log_key or session.home.log_key)
    name = origin or read_origin(session.home)
    report, refusals, closed = _verified(session, name, key)
    session.out.end_progress()
    session.out.document({**_document(name, key, report, closed), "refusals": refusals})
    _show(session, report, refusals, closed, quiet=quiet)
    return status.DONE if report.ok else status.REFUSED


def _verify_bundle(
    session: Session,
    bundle: Path,
    trust: Path | None,
    known: list[Path],
    tsa_roots: Path | None,
    *,
    signatures: bool,
) -> int:
    """Offline, with nothing but the bundle and the trust file: `audit.verify`, and the rules."""
    import time  # noqa: PLC0415 - not for --help

    from audit.dealing import cores  # noqa: PLC0415 - likewise
    from audit.offline import Order, verify_bundle  # noqa: PLC0415 - likewise
    from audit.saying import Speaker  # noqa: PLC0415 - likewise
    from audit.verify import as_document, lines, read_known  # noqa: PLC0415 - likewise
    from domain.replay import Replay  # noqa: PLC0415 - likewise
    from embedded.publishing import read_policy, read_roots  # noqa: PLC0415 - likewise

    if trust is None:
        raise typer.BadParameter(session.texts("misuse_needs_trust"), param_hint="--trust")
    order = Order(
        bundle,
        read_policy(trust),
        now=int(session.now.timestamp()),
        judge=Replay,
        signatures=signatures,
        known=read_known(known),
        processes=cores(),
        roots=read_roots(tsa_roots) if tsa_roots is not None else (),
    )
    start = time.monotonic()
    found = verify_bundle(
        order,
        lambda done, of: session.out.progress(session.texts("progress_of", done=done, of=of)),
    )
    session.out.end_progress()
    session.out.document(as_document(found))
    speaker, seconds = Speaker(session.texts.language), time.monotonic() - start
    for line in lines(found, order, speaker, seconds, partial(_finding, session)):
        session.out.line(line)
    return status.DONE if found.ok else status.REFUSED


def key(session: Session) -> None:
    """The log's name and public key: what an auditor must get by a way of their own."""
    from embedded.keyring import read_origin, read_public  # noqa: PLC0415 - not for --help

    origin, public = read_origin(session.home), read_public(session.home.log_key)
    pem = session.home.log_key.read_text()
    session.out.document({"origin": origin, "fingerprint": public.id, "public_key": pem})
    session.out.line(session.texts("log_origin", origin=origin))
    session.out.line(session.texts("log_fingerprint", fingerprint=_spaced(public.id)))
    session.out.line(pem.strip())


def _verified(session: Session, origin: str, log_key: "PublicKey") -> tuple["Report", int, int]:
    """The report, how many refused commands the log speaks of, and how many words rest sealed with
    no key at hand to open them.
    """
    from activities.words import Openings, Reader, cleared  # noqa: PLC0415 - not for --help
    from audit.read_model import check_read_model  # noqa: PLC0415 - likewise
    from audit.stored import verify  # noqa: PLC0415 - likewise
    from domain.replay import Replay  # noqa: PLC0415 - likewise
    from sequencing.checking import check_order  # noqa: PLC0415 - likewise
    from sequencing.files import TreeFiles  # noqa: PLC0415 - likewise
    from sequencing.signing import keys_at  # noqa: PLC0415 - likewise
    from store import ledger, queries, tree  # noqa: PLC0415 - likewise

    def progress(entries: int) -> None:
        session.out.progress(session.texts("progress_entries", entries=entries))

    replay = Replay()
    # Before the log is read: a service that runs publishes more meanwhile.
    published = TreeFiles(session.home.published).published()
    with session.reading() as connection:
        openings = Openings(connection, Reader(key_at_hand(session), cleared(Secrecy.TOP_SECRET)))
        is_whole = tree.first_gap(connection) is None
        report = verify(
            # Where places are missing, the order in which the entries came is the next best.
            tree.InOrder(connection) if is_whole else ledger.read_all(connection),
            origin=origin,
            log_key=log_key,
            openings=openings,
            judge=replay,
            progress=progress,
        )
        report = check_read_model(report, queries.shown_tasks(connection), replay.snapshot)
        keys = partial(keys_at, origin)
        report = check_order(report, connection, published, origin, keys, progress)
        return report, replay.refusals, openings.closed


def _show(session: Session, report: "Report", refusals: int, closed: int, *, quiet: bool) -> None:
    from audit.report import Check  # noqa: PLC0415 - not for --help
    from audit.verify import MOST_FINDINGS, mark  # noqa: PLC0415 - likewise

    texts, line = session.texts, session.out.line
    if not quiet:
        for check in Check:
            broken = [f for f in report.findings if f.check is check]
            count, style = report.passed.get(check, 0), "bold red"
            passed = texts(_UNITS.get(check.name, "checked_entries"), count=count)
            if not broken:
                style = "green" if count else "dim"
                passed = passed if count else texts("checked_nothing")
            name, sign = texts.name("check", check.name.lower()), mark(count, broken=bool(broken))
            line(f"{sign} {check.value:>2}  {name}: {passed}", style)
        line(texts("verify_openings", opened=report.opened, erased=max(report.erased - closed, 0)))
        if closed:
            line(texts("verify_sealed", sealed=closed))
        line(texts("verify_refusals", refusals=refusals))
        for finding in report.findings[:MOST_FINDINGS] if len(report.findings) > 1 else ():
            line(_finding(session, finding), "red")
        if more := len(report.findings[MOST_FINDINGS:]):
            line(texts("findings_more", more=more), "red")
    _show_disputed(session, report, quiet=quiet)
    if report.ok:
        line(texts("verify_ok", entries=report.entries, chains=report.chains), "bold green")
        return
    first = report.first
    if first is not None:
        line(texts("verify_broken", finding=_finding(session, first)), "bold red")
    line(texts("verify_figures", entries=report.entries, chains=report.chains,
               broken=len(report.broken), skipped=report.skipped), "red")  # fmt: skip


def _show_disputed(session: Session, report: "Report", *, quiet: bool) -> None:
    """Entries that a revoked key signed: no error of the log, so they change no exit status."""
    if not report.disputed_entries:
        return
    texts, line = session.texts, session.out.line
    line(texts("verify_disputed", entries=report.disputed_entries), "bold yellow")
    if quiet:
        return
    for entry in report.disputed:
        line(
            texts(
                "disputed_entry",
                chain=entry.chain,
                seq=entry.seq,
                leaf=entry.leaf[:12],
                holder=entry.holder,
                index=entry.index,
            ),
            "yellow",
        )
    if more := report.disputed_entries - len(report.disputed):
        line(texts("disputed_more", more=more), "yellow")


def _finding(session: Session, finding: "Finding") -> str:
    """Which entry, and what is wrong with it; number and code too, for who looks them up."""
    from audit.report import printable  # noqa: PLC0415 - not for --help

    texts, code = session.texts, f"finding_{finding.code}"
    if code not in texts:
        # Codes of the format and of the rules: `dondoc` says there what to do, here what happened.
        code = f"finding_in_{finding.check.name.lower()}"
    what = texts(code) if code in texts else finding.code
    if finding.chain:
        leaf = finding.leaf[:12]
        where = texts("finding_where", chain=finding.chain, seq=finding.seq, leaf=leaf)
        what = f"{where}: {what}"
    elif f"finding_{finding.code}" in texts or finding.code not in texts:
        what = f"{texts('finding_where_log')}: {what}"
    else:
        # It is about a file, not about an entry: there the code's own sentence says more.
        what = texts(finding.code)
    detail = f" ({finding.detail})" if finding.detail not in {"", finding.code} else ""
    return printable(f"{what}{detail} [{finding.check.value} {finding.code}]")


def _document(origin: str, key: "PublicKey", report: "Report", closed: int) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "origin": origin,
        "fingerprint": key.id,
        "entries": report.entries,
        "chains": report.chains,
        "passed": {check.name.lower(): number for check, number in report.passed.items()},
        "openings": report.opened,
        "erased": max(report.erased - closed, 0),
        "sealed": closed,
        "skipped": report.skipped,
        "broken_chains": len(report.broken),
        "disputed_entries": report.disputed_entries,
        "disputed": [
            {
                "index": entry.index,
                "chain": entry.chain,
                "seq": entry.seq,
                "leaf": entry.leaf,
                "holder": entry.holder,
            }
            for entry in report.disputed
        ],
        "findings": [
            {
                "check": finding.check.value,
                "code": finding.code,
                "chain": finding.chain,
                "seq": finding.seq,
                "leaf": finding.leaf,
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
    }


def _spaced(digits: str) -> str:
    """In groups of four: a fingerprint is compared by eye, or read out."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
