"""What a task is: questions, the instruction above them, and what it states about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_json
from ragbench.base.records import DataUse, Mode, Question, Scoring

Answers = Literal["option", "label", "text"]
TEXT_METRICS = ("rougeL", "rouge1", "rouge2")


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
        metrics: Names of registered metrics; the first is the one that effects are of.
        note: What a reader of its figures must know.
        answers: ``option``: lettered options are listed; ``label``: the reply is one of the
            option texts, which are not listed; ``text``: the reply is a text.
        reader: The registered reader of replies; by default that of ``answers``.
        examples: Few-shot questions, the same in every prompt; they are never scored.
        reply_limit: The most tokens of a generated reply, unless the config says otherwise.
        rule: What closes a prompt that lists options; by default, to reply with the letter.
        cue: What every reply is begun with, after the generation prompt.
        excluded: (question id, reason) of what the file holds and the task does not ask.
        double_first: Whether means are also given as CLUE took them, the first item doubled.
        sources: Digest by name of every file that the questions came from.
    """

    instruction: str
    default_corpus: str
    licence: str
    data_use: DataUse
    scoring: Scoring = "options"
    cluster_unit: str | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    note: str = ""
    answers: Answers = "option"
    reader: str = ""
    examples: tuple[Question, ...] = ()
    reply_limit: int = 512
    rule: str = ""
    cue: str = ""
    excluded: tuple[tuple[str, str], ...] = ()
    double_first: bool = False
    sources: tuple[tuple[str, str], ...] = ()

    @property
    def reads(self) -> str:
        """The registered reader of replies."""
        return self.reader or self.answers


@dataclass(frozen=True, slots=True)
class About:
    """What ``ragbench list tasks`` tells of a task before its file is there.

    Attributes:
        licence: Terms of the questions.
        data_use: Who may see them.
        scoring: How its answers are taken by default.
        metrics: Its metrics.
        cluster_unit: What questions are drawn by.
        modes: The scoring modes that it knows.
        shots: How many few-shot examples a prompt has, and where they come from.
        query: What the retriever sees.
        file: Where the file is expected, and its layout.
        access: How to get it.
    """

    licence: str
    data_use: DataUse
    scoring: Scoring
    metrics: tuple[str, ...] = ("accuracy",)
    cluster_unit: str | None = None
    modes: tuple[Mode, ...] = ("correct",)
    shots: str = "none"
    query: str = "the question, without its options"
    file: str = ""
    access: str = ""


class Task(Protocol):
    """A source of questions.

    A class that knows other modes than ``correct`` names them in a class attribute ``modes`` and
    takes the mode as the keyword argument ``mode``; one with a class attribute ``about`` is
    listed with what it tells.
    """

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
