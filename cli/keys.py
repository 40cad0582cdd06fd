"""`dondoc key`: whose key is whose, and the entries of the log that change it."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.administering import Administrator, change, read_directory
from cli.certifying import Brought, text_of
from cli.completing import complete_holder, complete_person
from cli.options import check_choice
from cli.session import Session
from domain.refusal import Refused

if TYPE_CHECKING:
    from cli.door import Receipt
    from domain.directory import Directory, Key

_SHORT = 16
_MIN_PREFIX = 8
"""Digits of a key id that may stand for all 64."""

_Public = Annotated[
    Path | None, typer.Option("--public", metavar="FILE", help="opt_public", show_default=False)
]
_Certificate = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="FILE", help="opt_certificate", show_default=False),
]
_Chain = Annotated[
    Path | None, typer.Option("--chain", metavar="FILE", help="opt_chain", show_default=False)
]
_KeyFile = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="opt_person_key", show_default=False)
]
_Proof = Annotated[
    Path | None, typer.Option("--proof", metavar="FILE", help="opt_proof", show_default=False)
]


def list_keys(
    session: Session,
    all_: Annotated[bool, typer.Option("--all", help="opt_all_keys")] = False,  # noqa: FBT002 - a switch
) -> None:
    """The keys in force; with --all those of the past too."""
    from domain.directory import CHAIN, KeyState  # noqa: PLC0415 - not for --help

    directory, founding = read_directory(session)
    found = [k for k in directory.keys.values() if all_ or k.state is KeyState.IN_FORCE]
    session.out.document(
        {"chain": CHAIN, "founding": founding, "keys": [_document(key) for key in found]}
    )
    session.out.table(
        (
            "column_holder",
            "column_purpose",
            "column_key_id",
            "column_key_type",
            "column_key_state",
            "column_valid_until",
        ),
        [_row(session, key) for key in found],
    )
    session.out.line(session.texts("log_founding", founding=founding))


def new(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="opt_new_key")],
) -> None:
    """A key for a person, encrypted; its public half lies beside it."""
    from cli.signing import ask_new_passphrase  # noqa: PLC0415 - not for --help
    from embedded.keyring import new_key, save_key, save_public  # noqa: PLC0415 - likewise

    public = file.with_suffix(".pub")
    for path in (file, public):
        if path.exists():
            raise Refused("file_exists", path=str(path))
    key = new_key()
    save_key(file, key, ask_new_passphrase(session, file))
    save_public(public, key.public)
    session.out.document({"key": key.public.id, "private": str(file), "public": str(public)})
    session.out.line(session.texts("key_made", file=file, public=public, key=key.public.id))


def prove(
    session: Session,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="opt_person")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="opt_key_to_prove")],
    log: Annotated[str | None, typer.Option("--log", metavar="NAME", help="opt_log_name")] = None,
) -> None:
    """What a person hands the administrator with the public key: it is theirs, for this log."""
    from cli.signing import open_key  # noqa: PLC0415 - not for --help
    from embedded.home import write_private  # noqa: PLC0415 - likewise
    from embedded.keyring import read_origin  # noqa: PLC0415 - likewise
    from gateway.composing import prove_enrolment  # noqa: PLC0415 - likewise

    key = open_key(session, file)
    proof = prove_enrolment(log or read_origin(session.home), person, key)
    path = file.with_suffix(".proof")
    write_private(path, f"{proof}\n".encode())
    session.out.document({"person": person, "key": key.public.id, "proof": str(path)})
    session.out.line(session.texts("proof_made", path=path, holder=person))


def enrol(
    session: Session,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="opt_person")],
    public: _Public = None,
    certificate: _Certificate = None,
    chain: _Chain = None,
    key: _KeyFile = None,
    proof: _Proof = None,
    administrator: Administrator = None,
) -> None:
    """Give a key to a person of the directory who has none."""
    brought = Brought(public, certificate, chain, key, proof)
    arguments = {"person": person, **_given(session, person, brought)}
    receipt = change(session, "enrol", arguments, administrator)
    _tell(session, "key_enrolled", receipt, holder=person, key=_id(arguments["spki"]))


def rotate(
    session: Session,
    holder: Annotated[
        str, typer.Argument(metavar="HOLDER", help="opt_holder", autocompletion=complete_holder)
    ],
    public: _Public = None,
    certificate: _Certificate = None,
    chain: _Chain = None,
    key: _KeyFile = None,
    proof: _Proof = None,
    administrator: Administrator = None,
) -> None:
    """Give the holder another key; one of the log's own is made here, and kept."""
    from domain.directory import SERVICE  # noqa: PLC0415 - not for --help

    brought = Brought(public, certificate, chain, key, proof)
    if holder not in SERVICE:
        arguments = {"holder": holder, **_given(session, holder, brought)}
        receipt = change(session, "rotate", arguments, administrator)
    elif brought != Brought():
        raise typer.BadParameter(session.texts("misuse_service_key", holder=holder))
    else:
        arguments, receipt = _rotate_own(session, holder, administrator)
    _tell(session, "key_rotated_now", receipt, holder=holder, key=_id(arguments["spki"]))


def revoke(
    session: Session,
    whose: Annotated[
        str,
        typer.Argument(metavar="PERSON|KEYID", help="opt_whose", autocompletion=complete_person),
    ],
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="compromised|lost|left|superseded", help="opt_revoke_reason"
        ),
    ],
    since: Annotated[int | None, typer.Option("--since", min=0, help="opt_since")] = None,
    administrator: Administrator = None,
) -> None:
    """End a key; what it signed from an entry on may be marked as disputed."""
    from domain.directory import REASONS  # noqa: PLC0415 - not for --help

    check_choice(session, reason, REASONS, "--reason")
    directory, _ = read_directory(session)
    key = _meant(directory, whose)
    arguments = {"key": key.id, "reason": reason, "since": since}
    receipt = change(session, "revoke", arguments, administrator)
    _tell(session, "key_revoked_now", receipt, holder=key.holder, key=key.id)


def _rotate_own(
    session: Session, holder: str, administrator: Path | None
) -> "tuple[dict[str, Any], Receipt]":
    """Keep the new key first: the service must have what the log names from the next entry on."""
    from embedded import keyring  # noqa: PLC0415 - not for --help

    key = keyring.new_key(holder)
    path = keyring.key_path(session.home, holder, key.public.id)
    keyring.save_key(path, key, keyring.read_passphrase(session.home))
    arguments = {"holder": holder, "spki": text_of(key.public.spki)}
    try:
        return arguments, change(session, "rotate", arguments, administrator)
    except Refused as refusal:
        if refusal.code not in {"door_silent", "door_failed", "receipt_wrong"}:
            path.unlink()  # not in the log for sure, so it will never count
        raise


def _given(session: Session, person: str, brought: Brought) -> dict[str, Any]:
    """The arguments that tell of a person's key. Raises BadParameter unless the person brought one
    key and the proof, or what it can be made with.
    """
    if not brought.is_one_key:
        raise typer.BadParameter(session.texts("misuse_public_or_certificate"))
    if not brought.is_provable:
        raise typer.BadParameter(session.texts("misuse_proof"), param_hint="--proof")
    trusted = read_directory(session)[0].authorities.values()
    return brought.arguments(session, person, trusted)


def _meant(directory: "Directory", whose: str) -> "Key":
    """The key in force of a person, or the one key whose id begins so. Raises Refused."""
    if whose in directory.people:
        found = directory.key_of(whose)
        if found is None:
            raise Refused("no_key_in_force", holder=whose)
        return found
    fitting = [key for key in directory.keys.values() if key.id.startswith(whose.lower())]
    if len(whose) < _MIN_PREFIX or len(fitting) != 1:
        raise Refused("unknown_key", key=whose[:_SHORT])
    return fitting[0]


def _row(session: Session, key: "Key") -> tuple[str, ...]:
    texts = session.texts
    ends = texts.moment(key.not_after, session.zone) if key.not_after else ""
    state = texts.name("key_state", str(key.state))
    if key.since is not None:
        state = texts("disputed_since", state=state, since=key.since)
    purpose = texts.name("purpose", _purpose(key))
    return key.holder, purpose, key.id[:_SHORT], _kind(key), state, ends


def _document(key: "Key") -> dict[str, Any]:
    from domain.instants import format_instant  # noqa: PLC0415 - not for --help

    return {
        "holder": key.holder,
        "purpose": _purpose(key),
        "key": key.id,
        "type": _kind(key),
        "state": str(key.state),
        "valid_until": format_instant(key.not_after) if key.not_after else None,
        "reason": key.reason,
        "disputed_since": key.since,
    }


def _purpose(key: "Key") -> str:
    from domain.directory import SERVICE  # noqa: PLC0415 - not for --help

    return key.holder if key.holder in SERVICE else "person"


def _kind(key: "Key") -> str:
    from audit.keys import load_public  # noqa: PLC0415 - not for --help

    return str(load_public(base64.b64decode(key.spki)).kind)


def _id(spki: str) -> str:
    from domain.directory import key_id  # noqa: PLC0415 - not for --help

    return key_id(spki)


def _tell(session: Session, code: str, receipt: "Receipt", *, holder: str, key: str) -> None:
    record = receipt.record.predicate
    session.out.document({"holder": holder, "key": key, "seq": record["seq"], "leaf": receipt.leaf})
    session.out.line(session.texts(code, holder=holder, key=key[:_SHORT], leaf=receipt.leaf[:12]))
