"""The one template of all prompts; arms differ only in its passages.

Scoring by ``options`` shows the question alone. ``letters`` and ``generate`` share one prompt,
which lists the options by letter and asks for a letter. A generating task whose answers are labels
or texts lists no options.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.base.records import Message, Passage, Question, Scoring
from ragbench.tasks.replies.answers import letters
from ragbench.tasks.task import TaskInfo, lists_options

HEADING = "Reference passages:"
LETTER_RULE = "Reply with the letter of the right option."


def passage_entry(number: int, passage: Passage) -> str:
    """Return one passage as prompts show it, numbered from 1."""
    title = f"[{number}] {passage.title}".rstrip()
    return f"{title}\n{passage.text}\n\n"


def question_text(info: TaskInfo, question: Question, scoring: Scoring) -> str:
    """Return the question as the prompt shows it, with options if they are listed."""
    if not lists_options(info, scoring):
        return question.text
    listed = "\n".join(
        f"{letter}. {option}"
        for letter, option in zip(letters(len(question.options)), question.options, strict=True)
    )
    return f"{question.text}\n\n{listed}\n\n{info.rule or LETTER_RULE}"


def continuations(question: Question, scoring: Scoring) -> tuple[str, ...]:
    """Return the texts that are scored as the reply: the options, or their letters."""
    return question.options if scoring == "options" else letters(len(question.options))


def example_reply(info: TaskInfo, example: Question, scoring: Scoring) -> str:
    """Return the reply of a few-shot example, in exactly the scored form."""
    if info.answers == "text":
        return info.cue + example.reference
    if lists_options(info, scoring):
        return info.cue + letters(len(example.options))[example.answer]
    return info.cue + example.options[example.answer]


def messages(
    info: TaskInfo, question: Question, passages: Sequence[Passage], scoring: Scoring
) -> list[Message]:
    """Return the turns of a prompt.

    The system turn comes first, then two turns per few-shot example, then the user turn with the
    passages, if any, and the question. A task with a cue adds an assistant turn that the reply
    continues.
    """
    turns = [Message("system", info.instruction)]
    for example in info.examples:
        turns.append(Message("user", question_text(info, example, scoring)))
        turns.append(Message("assistant", example_reply(info, example, scoring)))
    entries = "".join(passage_entry(n, passage) for n, passage in enumerate(passages, 1))
    block = f"{HEADING}\n\n{entries}" if entries else ""
    turns.append(Message("user", block + question_text(info, question, scoring)))
    return [*turns, Message("assistant", info.cue)] if info.cue else turns
