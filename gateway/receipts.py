"""The receipts that a workflow's history holds: entries that the log handed out, and must have.

They stand in three places: in the answer of a completed ``submit`` update, in the result of the
local activity that recorded a command (of an update or of a signal), and in ``follow`` signals.
Anybody who may write to the namespace can put things there: a receipt is what the log has signed.

A history comes as Temporal stores it: `opened` goes first, and names the keys that are missing.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadCodec

from audit.entry import Entry, parse_entry
from audit.keys import PublicKey
from audit.malformed import Malformed
from payloads.ring import KeyMissing
from workflows.messages import FOLLOW


def receipts(events: Iterable[HistoryEvent], log_keys: Collection[PublicKey]) -> set[bytes]:
    """The entries in a history that one of the log's keys has signed."""
    found = {text.encode(errors="surrogatepass") for event in events for text in _entries(event)}
    return {data for data in found if _is_signed(data, log_keys)}


async def opened(events: Iterable[HistoryEvent], codec: PayloadCodec | None) -> set[str]:
    """Decrypt, in place, what receipts are looked for in. The ids of the keys that were missing:
    what they encrypted was not searched.
    """
    missing: set[str] = set()
    for payload in (payload for event in events for payload in _payloads(event)):
        try:
            if codec is not None:
                payload.CopyFrom((await codec.decode([payload]))[0])
        except KeyMissing as error:
            missing.add(error.key)
    return missing


def was_reset(events: Iterable[HistoryEvent]) -> bool:
    """Whether this run goes on from somewhere in the middle of another one."""
    reset = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    return any(e.workflow_task_failed_event_attributes.cause == reset for e in events)


def _entries(event: HistoryEvent) -> Iterator[str]:
    for value in map(_read, _payloads(event)):
        match value:
            case {"entry": str(entry)}:
                yield entry
            case {"entries": [*entries]}:
                yield from (entry for entry in entries if isinstance(entry, str))


def _payloads(event: HistoryEvent) -> Iterator[Payload]:
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            done = event.workflow_execution_update_completed_event_attributes
            yield from done.outcome.success.payloads
        case EventType.EVENT_TYPE_MARKER_RECORDED:
            for payloads in event.marker_recorded_event_attributes.details.values():
                yield from payloads.payloads
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal = event.workflow_execution_signaled_event_attributes
            if signal.signal_name == FOLLOW:
                yield from signal.input.payloads


def _read(payload: Payload) -> Any:  # noqa: ANN401 - whatever JSON somebody wrote
    try:
        return json.loads(payload.data)
    except (ValueError, RecursionError):
        return None


def _is_signed(data: bytes, log_keys: Collection[PublicKey]) -> bool:
    try:
        entry: Entry = parse_entry(data)
        return any(entry.record.verify(key) for key in log_keys)
    except (Malformed, ValueError):
        return False
