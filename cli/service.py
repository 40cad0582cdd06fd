"""`dondoc up` and `dondoc worker`: the service, with and without an embedded Temporal."""

from typing import Annotated

import typer

from cli.session import Session


def up(
    session: Session,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65_535, help="opt_port")] = None,
    no_board: Annotated[bool, typer.Option("--no-board", help="opt_no_board")] = False,  # noqa: FBT002 - a switch
    no_sample: Annotated[bool, typer.Option("--no-sample", help="opt_no_sample")] = False,  # noqa: FBT002 - likewise
    codec_encode: Annotated[bool, typer.Option("--codec-encode", help="opt_codec_encode")] = False,  # noqa: FBT002 - likewise
) -> int:
    """Everything on this machine, in the foreground, until it is told to stop."""
    from embedded.up import Wishes, run  # noqa: PLC0415 - not for --help

    wishes = Wishes(
        port,
        session.texts,
        show_board=not no_board and not session.out.as_json,
        sample=not no_sample,
        encode=codec_encode,
    )
    return run(session.home, wishes)


def worker(
    session: Session,
    no_sequencer: Annotated[bool, typer.Option("--no-sequencer", help="opt_no_sequencer")] = False,  # noqa: FBT002 - a switch
    codec_port: Annotated[
        int | None, typer.Option("--codec-port", min=1, max=65_535, help="opt_codec_port")
    ] = None,
    codec_web: Annotated[
        str, typer.Option("--codec-web", metavar="ORIGIN", help="opt_codec_web")
    ] = "http://127.0.0.1:8233",
    codec_encode: Annotated[bool, typer.Option("--codec-encode", help="opt_codec_encode")] = False,  # noqa: FBT002 - likewise
) -> int:
    """The service on a Temporal of one's own; settings come from the environment."""
    from embedded.codec import Endpoint  # noqa: PLC0415 - not for --help
    from embedded.up import run_worker  # noqa: PLC0415 - likewise

    endpoint = None
    if codec_port is not None:
        endpoint = Endpoint(codec_port, codec_web.rstrip("/"), codec_encode)
    return run_worker(session.home, session.texts, sequence=not no_sequencer, endpoint=endpoint)


def sequencer(session: Session) -> int:
    """Only what gives entries their places in the tree and publishes the log."""
    from embedded.up import run_sequencer  # noqa: PLC0415 - not for --help

    return run_sequencer(session.home)
