"""The one template of all prompts; an arm changes the passages in it and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.records import Message, Passage, Question
from ragbench.tasks.task import TaskInfo

HEADING = "Reference passages:"


def passage_entry(number: int, passage: Passage) -> str:
    """Return one passage as a prompt shows it, numbered from 1."""
    title = f"[{number}] {passage.title}".rstrip()
    return f"{title}\n{passage.text}\n\n"


def messages(info: TaskInfo, question: Question, passages: Sequence[Passage]) -> list[Message]:
    """Return the turns of a prompt.

    Args:
        info: The task's statement, for the instruction.
        question: What is asked.
        passages: What the arm delivered, in order; none for closed-book.

    Returns:
        The system turn and the user turn: passages, if any, and then the question.
    """
    entries = "".join(passage_entry(n, passage) for n, passage in enumerate(passages, 1))
    block = f"{HEADING}\n\n{entries}" if entries else ""
    return [Message("system", info.instruction), Message("user", block + question.text)]
