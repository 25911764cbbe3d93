"""What a task is: questions, the instruction above them, and what it states about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from ragbench.errors import DataError
from ragbench.files import sha256_json
from ragbench.records import DataUse, Question, Scoring


class TaskOptions(BaseModel):
    """Base of every task's options; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task states about itself.

    Attributes:
        instruction: The system turn of every prompt, the same in every arm.
        default_corpus: What ``corpus: task`` means; empty where the task has no corpus of its own.
        licence: Terms of the questions.
        data_use: Who may see them.
        scoring: How its answers are taken unless the config says otherwise.
        cluster_unit: What questions are drawn by; None where each stands alone.
        metrics: Names of registered metrics.
        note: What a reader of its figures must know.
    """

    instruction: str
    default_corpus: str
    licence: str
    data_use: DataUse
    scoring: Scoring = "options"
    cluster_unit: str | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    note: str = ""


class Task(Protocol):
    """A source of questions."""

    Options: ClassVar[type[TaskOptions]]

    def __init__(self, options: TaskOptions) -> None: ...

    @property
    def info(self) -> TaskInfo:
        """What the task states about itself."""

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the first ``limit`` questions; a larger limit only adds to them."""


def question_digest(question: Question) -> str:
    """Return the digest of everything in a question."""
    return sha256_json(asdict(question))


def check_options(options: tuple[str, ...], answer: int, *, where: str) -> None:
    """Refuse options that no answer could be told apart by.

    Args:
        options: The option texts.
        answer: Index of the right one.
        where: The place of the question, for messages.

    Raises:
        DataError: There are fewer than two, one is empty, two have the same text, or the answer
            is none of them.
    """
    if len(options) < 2:
        raise DataError(
            f"the question has {len(options)} options", where=where, fix="give two or more"
        )
    seen: dict[str, int] = {}
    for index, option in enumerate(options):
        text = " ".join(option.split()).casefold()
        if not text:
            raise DataError(f"option {index + 1} is empty", where=where, fix="give it a text")
        if text in seen:
            raise DataError(
                f"options {seen[text] + 1} and {index + 1} have the same text, {option!r}",
                where=where,
                fix="remove or correct the question: its answer cannot be told",
            )
        seen[text] = index
    if not 0 <= answer < len(options):
        raise DataError(
            f"the answer is option {answer + 1} of {len(options)}", where=where, fix="correct it"
        )
