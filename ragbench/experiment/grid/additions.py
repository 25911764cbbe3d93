"""What a config adds to a task: citations of passages, and the option to abstain."""

from __future__ import annotations

from dataclasses import replace

from ragbench.base.errors import UsageError
from ragbench.base.records import ABSTAIN, Question
from ragbench.experiment.grid.parts import TaskPart
from ragbench.tasks.task import lists_options

CITE = (
    "If there are reference passages, name those that support the answer by their numbers after "
    "it, such as [1] or [2]."
)
MAY_ABSTAIN = f'If the passages do not answer the question, reply "{ABSTAIN}".'


def with_additions(part: TaskPart, where: str) -> TaskPart:
    """Return a task with what its entry adds; the prompts of all arms share the instruction.

    ``cite`` adds a sentence to the instruction. ``abstain`` adds a last option to every question
    and example; where the prompt does not list options, a sentence names it.

    Raises:
        UsageError: No reply is generated that could cite, or the answers are texts, which have no
            options.
    """
    sentences = []
    if part.spec.cite:
        if part.scoring != "generate":
            raise UsageError(
                f"`cite` needs generated replies, and {part.spec.name!r} is scored by "
                f"{part.scoring}",
                where=where,
                fix="set `scoring: generate` for the task, or remove `cite`",
            )
        sentences.append(CITE)
    if part.spec.abstain:
        if part.info.answers == "text":
            raise UsageError(
                f"`abstain` adds an option, and the answers of {part.spec.name!r} are texts",
                where=where,
                fix="remove `abstain`",
            )
        if not lists_options(part.info, part.scoring):
            sentences.append(MAY_ABSTAIN)
        examples = tuple(map(_with_option, part.info.examples))
        questions = list(map(_with_option, part.questions))
        part = replace(part, info=replace(part.info, examples=examples), questions=questions)
    if not sentences:
        return part
    instruction = " ".join([part.info.instruction, *sentences])
    return replace(part, info=replace(part.info, instruction=instruction))


def _with_option(question: Question) -> Question:
    return replace(question, options=(*question.options, ABSTAIN))
