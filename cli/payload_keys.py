"""`dondoc key rotate-payload`: another key for what Temporal stores."""

from cli.session import Session
from domain.refusal import Refused


def rotate_payload(session: Session) -> None:
    """A new key beside the old ones; services that run take it up by themselves."""
    from embedded.payload_keys import key_directory, make_next  # noqa: PLC0415 - not for --help

    if not session.home.is_founded:
        raise Refused("not_founded", data=str(session.home.path))
    key = make_next(session.home)
    directory = str(key_directory(session.home))
    session.out.document({"key": key.id, "directory": directory})
    session.out.line(session.texts("payload_key_made", key=key.id, directory=directory))
