"""What a sequencer on this machine is told: where it publishes, who cosigns, who stamps the time.

Witnesses stand in the file ``policy`` of the data directory (`audit.policy`). A time-stamping
authority is named by DONDOC_TSA_URL, and DONDOC_TSA_ROOTS is a file of the certificates (PEM) that
it hangs on.
"""

import asyncio
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from cryptography import x509
from sqlalchemy import Connection

from activities.folding import follow_rows, header_of
from audit.chains import DIRECTORY
from audit.malformed import Malformed
from audit.policy import NO_QUORUM, LogKey, Policy, parse_policy
from domain.directory import Directory
from domain.refusal import Refused
from embedded import keyring
from embedded.home import Home
from sequencing.publisher import (
    Publisher,
    Sequencing,
    Stamping,
    keep_publishing,
    open_publisher,
    publish_last,
)
from sequencing.signing import LogSigning, keys_at, verifier_keys
from store import ledger
from store.engine import open_engine
from worker import utc_now

TSA_URL_VARIABLE = "DONDOC_TSA_URL"
TSA_ROOTS_VARIABLE = "DONDOC_TSA_ROOTS"


def sequencing(home: Home) -> Sequencing:
    """Raises Refused for a policy or certificates that can't be read."""
    return Sequencing(
        home.published,
        LogSigning(keyring.read_origin(home), partial(keyring.checkpoint_keys_named, home)),
        read_policy(home.policy) if home.policy.exists() else None,
        _stamping(),
    )


def read_policy(path: Path) -> Policy:
    """A policy or trust file. Raises Refused, naming the line."""
    try:
        return parse_policy(path.read_bytes())
    except FileNotFoundError as error:
        raise Refused("policy_missing", path=str(path)) from error
    except Malformed as error:
        raise Refused(
            "policy_malformed", path=str(path), cause=error.code, detail=error.detail
        ) from error


def own_policy(home: Home, connection: Connection, size: int | None = None) -> Policy:
    """What an auditor of this log should trust: its keys, its founding, and its witnesses.

    The keys are those that sign now or, given a ``size``, those that signed checkpoints over so
    many entries. Raises Refused when the log was never founded.
    """
    origin = keyring.read_origin(home)
    rows = ledger.read_chain(connection, DIRECTORY)
    if not rows:
        raise Refused("not_founded", data=str(home.path))
    if size is None:
        keys = verifier_keys(origin, follow_rows(Directory(), rows))
    else:
        keys = keys_at(origin, connection, size)
    own = Policy(
        logs=tuple(map(LogKey, keys)),
        witnesses=(),
        groups=(),
        quorum=NO_QUORUM,
        founding=header_of(rows[0]),
        max_age=None,
    )
    if not home.policy.exists():
        return own
    asked = read_policy(home.policy)
    return replace(asked, logs=own.logs, founding=own.founding)


def read_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """Certificates in PEM. Raises Refused."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise Refused("certificates_unreadable", path=str(path)) from error


def publisher(home: Home) -> Publisher:
    """A sequencer of its own process. Raises Refused."""
    return open_publisher(sequencing(home), open_engine(home.database_url), utc_now)


async def publish_until(stop: asyncio.Event, running: Publisher) -> None:
    """Turn about every second until ``stop`` is set, and once more then."""
    work = asyncio.create_task(keep_publishing(running))
    try:
        await stop.wait()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await asyncio.to_thread(publish_last, running)


def _stamping() -> Stamping | None:
    url = os.environ.get(TSA_URL_VARIABLE)
    if not url:
        return None
    roots = os.environ.get(TSA_ROOTS_VARIABLE)
    if not roots:
        raise Refused("certificates_missing", variable=TSA_ROOTS_VARIABLE)
    return Stamping(url, read_roots(Path(roots)))
