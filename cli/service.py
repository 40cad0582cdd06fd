"""`dondoc up` and `dondoc worker`: the service, with and without an embedded Temporal."""

from typing import Annotated

import typer

from cli.session import Session


def up(
    session: Session,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65_535, help="opt_port")] = None,
    no_board: Annotated[bool, typer.Option("--no-board", help="opt_no_board")] = False,  # noqa: FBT002 - a switch
    no_sample: Annotated[bool, typer.Option("--no-sample", help="opt_no_sample")] = False,  # noqa: FBT002 - likewise
) -> int:
    """Everything on this machine, in the foreground, until it is told to stop."""
    from embedded.up import run  # noqa: PLC0415 - not for --help

    return run(
        session.home,
        port=port,
        show_board=not no_board and not session.out.as_json,
        sample=not no_sample,
        texts=session.texts,
    )


def worker(
    session: Session,
    no_sequencer: Annotated[bool, typer.Option("--no-sequencer", help="opt_no_sequencer")] = False,  # noqa: FBT002 - a switch
) -> int:
    """The service on a Temporal of one's own; settings come from the environment."""
    from embedded.up import run_worker  # noqa: PLC0415 - not for --help

    return run_worker(session.home, sequence=not no_sequencer)


def sequencer(session: Session) -> int:
    """Only what gives entries their places in the tree and publishes the log."""
    from embedded.up import run_sequencer  # noqa: PLC0415 - not for --help

    return run_sequencer(session.home)
