"""The one template of all prompts; an arm changes the passages in it and nothing else.

Scoring by ``options`` shows the question alone. ``letters`` and ``generate`` share one prompt,
which lists the options under their letters and asks for a letter.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.records import Message, Passage, Question, Scoring
from ragbench.tasks.answers import letters
from ragbench.tasks.task import TaskInfo

HEADING = "Reference passages:"
LETTER_RULE = "Reply with the letter of the right option."


def passage_entry(number: int, passage: Passage) -> str:
    """Return one passage as a prompt shows it, numbered from 1."""
    title = f"[{number}] {passage.title}".rstrip()
    return f"{title}\n{passage.text}\n\n"


def question_text(question: Question, scoring: Scoring) -> str:
    """Return the question as the prompt shows it, with its options where they are listed."""
    if scoring == "options":
        return question.text
    listed = "\n".join(
        f"{letter}. {option}"
        for letter, option in zip(letters(len(question.options)), question.options, strict=True)
    )
    return f"{question.text}\n\n{listed}\n\n{LETTER_RULE}"


def continuations(question: Question, scoring: Scoring) -> tuple[str, ...]:
    """Return what is scored as the reply: the options' texts, or their letters."""
    return question.options if scoring == "options" else letters(len(question.options))


def messages(
    info: TaskInfo, question: Question, passages: Sequence[Passage], scoring: Scoring
) -> list[Message]:
    """Return the turns of a prompt.

    Args:
        info: The task's statement, for the instruction.
        question: What is asked.
        passages: What the arm delivered, in order; none for closed-book.
        scoring: How the answer is taken.

    Returns:
        The system turn and the user turn: passages, if any, and then the question.
    """
    entries = "".join(passage_entry(n, passage) for n, passage in enumerate(passages, 1))
    block = f"{HEADING}\n\n{entries}" if entries else ""
    text = question_text(question, scoring)
    return [Message("system", info.instruction), Message("user", block + text)]
