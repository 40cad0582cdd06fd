"""`dondoc authority`: whom the log trusts to vouch for people's keys, and their revocations."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.administering import Administrator, change, read_directory
from cli.certifying import loaded, text_of
from cli.session import Session
from domain.refusal import Refused

if TYPE_CHECKING:
    from cryptography import x509

    from audit.authorities import Authorities, Known
    from audit.revocations import RevocationList

_SHORT, _RECEIPT = 16, 12

_Authority = Annotated[str, typer.Argument(metavar="AUTHORITY", help="opt_authority")]


def list_authorities(session: Session) -> None:
    """The trusted authorities, and the newest lists of each."""
    known = _authorities(session)
    session.out.document(
        {"authorities": [_document(known, name) for name in sorted(known.trusted)]}
    )
    if not known.trusted:
        session.out.line(session.texts("no_authorities"))
        return
    session.out.table(
        (
            "column_authority",
            "column_subject",
            "column_valid_until",
            "column_list_of",
            "column_list_next",
            "column_vouched",
        ),
        [_row(session, known, name) for name in sorted(known.trusted)],
    )


def trust(
    session: Session,
    authority: _Authority,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="opt_authority_certificate")],
    administrator: Administrator = None,
) -> None:
    """From here on people may come with certificates by this authority."""
    from embedded.certificates import read_certificates  # noqa: PLC0415 - not for --help

    der = read_certificates(file)[0]
    subject = _name(loaded([der], file)[0])
    arguments = {"authority": authority, "certificate": text_of(der)}
    receipt = change(session, "trust_authority", arguments, administrator)
    session.out.document({"authority": authority, "subject": subject, "leaf": receipt.leaf})
    leaf = receipt.leaf[:_RECEIPT]
    session.out.line(
        session.texts("authority_trusted_now", authority=authority, subject=subject, leaf=leaf)
    )


def distrust(session: Session, authority: _Authority, administrator: Administrator = None) -> None:
    """From here on nobody new may; the keys that it vouched for are told."""
    vouched = _vouched(_authorities(session), authority)
    arguments = {"authority": authority}
    receipt = change(session, "distrust_authority", arguments, administrator)
    session.out.document({"authority": authority, "keys": vouched, "leaf": receipt.leaf})
    leaf = receipt.leaf[:_RECEIPT]
    said = session.texts(
        "authority_distrusted_now", authority=authority, keys=len(vouched), leaf=leaf
    )
    session.out.line(said)


def revocations(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="opt_revocations")],
    chain: Annotated[
        Path | None,
        typer.Option("--chain", metavar="FILE", help="opt_list_chain", show_default=False),
    ] = None,
    administrator: Administrator = None,
) -> None:
    """Enter the newest list of an authority; the keys that it ends are told."""
    from embedded.certificates import read_revocations  # noqa: PLC0415 - not for --help

    der = read_revocations(file)
    known = _authorities(session)
    authority, arguments = _prepared(known, der, file, chain)
    holders = {key: holder for holder, (key, _) in known.certified.items()}
    receipt = change(session, "revocation_list", arguments, administrator)
    ended = [{"holder": holders[key], "key": key} for key in arguments["keys"]]
    session.out.document({"authority": authority, "ended": ended, "leaf": receipt.leaf})
    leaf = receipt.leaf[:_RECEIPT]
    session.out.line(session.texts("list_entered", authority=authority, keys=len(ended), leaf=leaf))
    for each in ended:
        session.out.line(
            session.texts("list_ended", holder=each["holder"], key=each["key"][:_SHORT])
        )


def _prepared(
    known: "Authorities", der: bytes, file: Path, chain: Path | None
) -> tuple[str, dict[str, Any]]:
    """Whose list it is, and the arguments that enter it. Raises Refused."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    from audit.authorities import Known  # noqa: PLC0415 - likewise
    from audit.malformed import Malformed  # noqa: PLC0415 - likewise
    from audit.revocations import load_list  # noqa: PLC0415 - likewise
    from embedded.certificates import read_certificates  # noqa: PLC0415 - likewise

    others = loaded(read_certificates(chain), chain) if chain is not None else []
    try:
        found: RevocationList = load_list(der)
    except Malformed as error:
        raise Refused(error.code, path=str(file)) from error
    authority, through = _signer(known, found, others)
    entered = Known(found, (*through, known.trusted[authority]))
    return authority, {
        "authority": authority,
        "chain": [text_of(each.public_bytes(Encoding.DER)) for each in through],
        "crl": text_of(der),
        "keys": list(known.ended_by(entered)),
    }


def _signer(
    known: "Authorities", found: "RevocationList", others: "Sequence[x509.Certificate]"
) -> "tuple[str, tuple[x509.Certificate, ...]]":
    """The trusted authority that a list leads to, and the intermediates that it leads through.

    Those of enrolled people and of earlier lists are known; ``others`` are more, in order. Of
    several by one name it is the one whose key signed. Raises Refused.
    """
    from audit.paths import is_issued  # noqa: PLC0415 - not for --help

    for name, authority in sorted(known.trusted.items()):
        if _has_signed(authority, found):
            return name, ()
    paths = [each.path for each in known.lists.values()]
    paths += [path[1:] for _, path in known.certified.values()]
    for path in (tuple(others), *paths):
        between = [each for each in path if each not in known.trusted.values()]
        signers = [place for place, each in enumerate(between) if _has_signed(each, found)]
        if not signers:
            continue
        through = tuple(between[signers[0] :])
        for name, authority in sorted(known.trusted.items()):
            if is_issued(through[-1], authority):
                return name, through
    raise Refused("crl_not_of_authority", detail=found.issuer.rfc4514_string())


def _has_signed(issuer: "x509.Certificate", found: "RevocationList") -> bool:
    from audit.malformed import Malformed  # noqa: PLC0415 - not for --help

    try:
        found.check_signed_by(issuer)
    except Malformed:
        return False
    return True


def _row(session: Session, known: "Authorities", name: str) -> tuple[str, ...]:
    """Of several lists, the oldest: it is the first to become stale."""
    certificate, lists = known.trusted[name], [each.list for each in _lists(known, name)]
    times = [certificate.not_valid_after_utc]
    if lists:
        times += [min(each.begins for each in lists), min(each.next for each in lists)]
    until, begun, due, *_ = [*(session.texts.moment(at, session.zone) for at in times), "", ""]
    return name, _name(certificate), until, begun, due, str(len(_vouched(known, name)))


def _document(known: "Authorities", name: str) -> dict[str, Any]:
    certificate = known.trusted[name]
    return {
        "authority": name,
        "subject": _name(certificate),
        "valid_until": certificate.not_valid_after_utc.isoformat(),
        "keys": _vouched(known, name),
        "lists": [_list_document(each) for each in _lists(known, name)],
    }


def _lists(known: "Authorities", name: str) -> "list[Known]":
    return [each for each in known.lists.values() if each.path[-1] == known.trusted[name]]


def _vouched(known: "Authorities", name: str) -> list[str]:
    """The ids of the keys in force that the authority vouched for; of a stranger's, none."""
    paths = known.certified.values()
    return sorted(key for key, path in paths if path[-1] == known.trusted.get(name))


def _name(certificate: "x509.Certificate") -> str:
    return certificate.subject.rfc4514_string()


def _list_document(known: "Known") -> dict[str, Any]:
    found = known.list
    return {
        "issuer": found.issuer.rfc4514_string(),
        "number": found.number,
        "of": found.begins.isoformat(),
        "next": found.next.isoformat(),
        "certificates": len(found.serials),
    }


def _authorities(session: Session) -> "Authorities":
    from activities.trusting import Trusting  # noqa: PLC0415 - not for --help
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise

    read_directory(session)  # refuses where nothing was founded
    with session.reading() as connection:
        return Trusting(read_origin(session.home)).now(connection)
