"""What a listing shows as a task's title."""

from domain.task import Secrecy
from messages import Texts
from store.queries import Summary


def shown_title(texts: Texts, task: Summary) -> str:
    """The title; of a protected task its document's mark, and the level."""
    if task.secrecy == Secrecy.NORMAL:
        return task.title
    return texts("protected_title", mark=task.title, level=texts.name("secrecy", task.secrecy))
