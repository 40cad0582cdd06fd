"""What may not pass through Temporal: its history keeps what it was given, in its own way.

An update is looked at before the history has it. A signal can't be: it is refused afterwards, by
the activity that would record it.
"""

from audit.entry import open_command
from audit.malformed import Malformed
from audit.submission import Submission, parse_submission
from domain.refusal import Refused
from domain.secrecy import may_be_protected, refuse_highest_bytes
from domain.task import Secrecy


def refuse_unfit(text: str, level: Secrecy | None) -> None:
    """Whether this submission may come in to a task of this level, or to one that is not known
    (None). Raises Refused.
    """
    data = text.encode(errors="surrogatepass")
    refuse_highest_bytes(data)
    if level is Secrecy.NORMAL:
        # What can't be read is refused where it is recorded.
        return
    try:
        submission = parse_submission(data)
    except Malformed:
        raise Refused("words_by_door_only") from None
    if submission.openings and (level is not None or _is_doubtful(submission)):
        raise Refused("words_by_door_only")


def _is_doubtful(submission: Submission) -> bool:
    try:
        command = open_command(submission.command).predicate
    except Malformed:
        return True
    return may_be_protected(command["event"], command["arguments"])
