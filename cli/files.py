"""Handing files in at the door of the running service, for a step that names them."""

import hashlib
import http.client
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from activities.evidence import check_taken
from cli.door import refusal_of
from cli.session import Session
from domain.command import MAX_LIST
from domain.refusal import Refused
from domain.task import Task
from evidence.digests import PREFIX

_PATIENCE_SECONDS = 120.0


def hand_in_files(session: Session, task: Task, paths: Sequence[Path]) -> list[str]:
    """Have the files kept; their digests, in order. Raises Refused before anything is sent when
    one is not there. The names of the files stay here.
    """
    check_taken(task.id, task.secrecy)
    if len(paths) > MAX_LIST:
        raise Refused("evidence_too_many", limit=MAX_LIST)
    for path in paths:
        if not path.is_file():
            raise Refused("file_missing", path=str(path))
    running = session.home.read_running()
    if running is None:
        raise Refused("not_running", data=str(session.home.path))
    digests = []
    for number, path in enumerate(paths):
        session.out.progress(session.texts("progress_files", done=number, of=len(paths)))
        digests.append(_hand_in(session, running.door, task.id, path))
    session.out.end_progress()
    return digests


def _hand_in(session: Session, door: str, task: str, path: Path) -> str:
    with path.open("rb") as file:
        # What is signed is what this machine read, whatever the door says.
        digest = PREFIX + hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        status, body = _post(session, door, task, file, size)
    if status != http.client.OK:
        raise refusal_of(body, status)
    if _digest(body) != digest:
        raise Refused("evidence_changed", path=str(path))
    return digest


def _post(session: Session, door: str, task: str, file: BinaryIO, size: int) -> tuple[int, bytes]:
    address = urlsplit(door)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_PATIENCE_SECONDS
    )
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    try:
        connection.connect()
    except OSError as error:
        raise Refused("not_running", data=str(session.home.path)) from error
    try:
        connection.request("POST", f"/evidence?task={quote(task)}", body=file, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Refused("evidence_unavailable") from error
    finally:
        connection.close()


def _digest(body: bytes) -> str | None:
    try:
        answer: Any = json.loads(body)
        return str(answer["digest"])
    except (ValueError, KeyError, TypeError):
        return None
