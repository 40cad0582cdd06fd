"""From an entry's text to the step it tells of, believing nothing but the log's own signature."""

from audit.entry import leaf_hash, open_command, open_record, parse_entry
from audit.keys import PublicKey
from audit.malformed import Malformed
from domain.step import Step, read_step


class OtherKey(Malformed):
    """Signed with a key that is not the log's, as far as we know: a stranger's, or a new one."""


def read_entry(task: str, text: str, log_key: PublicKey) -> Step:
    """The step of an entry of this task. Raises Malformed for what the log never signed,
    and its kind OtherKey where that can't be told without asking the log.
    """
    data = text.encode()
    entry = parse_entry(data)
    if entry.record.keyid != log_key.id:
        raise OtherKey("record_signature")
    if not entry.record.verify(log_key):
        raise Malformed("record_signature")
    command, record = open_command(entry.command), open_record(entry.record)
    if record.subject.name != f"task:{task}" or command.subject != record.subject:
        raise Malformed("other_task")
    return read_step(
        task, record.subject.digest, leaf_hash(data), command.predicate, record.predicate
    )
