"""What a task is: questions, the instruction above them, and what it states about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from pydantic import ConfigDict

from ragbench.base.errors import DataError, UsageError
from ragbench.base.records import DataUse, Mode, Question, Scoring
from ragbench.base.yamlfile import Fields

Answers = Literal["option", "label", "text"]
TEXT_METRICS = ("rougeL", "rouge1", "rouge2")


class TaskOptions(Fields):
    """Base of every task's options; an undeclared key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task states about itself, each fact once.

    The class attribute ``about`` holds what is known before the task's file is read: ``ragbench
    list tasks`` shows it. ``info`` is the same with what the options, the mode and the file change.

    Attributes:
        instruction: System turn of every prompt, the same in every arm.
        default_corpus: What ``corpus: task`` means; empty where the task has no corpus of its own.
        licence: Terms of the questions.
        data_use: Who may see them.
        scoring: How its answers are taken unless the config says otherwise.
        cluster_unit: Name of a cluster of questions, such as ``patient``, where every question
            belongs to one.
        metrics: Names of registered metrics; effects are of the first.
        note: What a reader of its figures must know.
        answers: ``option``: lettered options are listed; ``label``: the reply is one of the
            option texts, which are not listed; ``text``: the reply is a text.
        reader: Name of a registered reply reader; by default that of ``answers``.
        examples: Few-shot questions, the same in every prompt; they are never scored.
        reply_limit: Limit of a generated reply in tokens, unless the config says otherwise.
        rule: Last line of a prompt that lists options; by default, to reply with the letter.
        cue: Beginning of every reply, after the generation prompt.
        excluded: (question id, reason) of the questions of the file that are not asked.
        double_first: Whether means are also given as CLUE took them, the first item doubled.
        sources: (name, digest) of every file that the questions came from.
        modes: Scoring modes that the task knows.
        shots: How many few-shot examples a prompt has, and where they come from.
        query: What the retriever sees.
        file: Where the file is expected, and its layout in brackets.
        access: How to get the file.
        size: Number of questions of the published file; None if there is none, or it is unknown.
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
    modes: tuple[Mode, ...] = ("correct",)
    shots: str = "none"
    query: str = "the question, without its options"
    file: str = ""
    access: str = ""
    size: int | None = None

    @property
    def reads(self) -> str:
        """The name of the reply reader."""
        return self.reader or self.answers


def lists_options(info: TaskInfo, scoring: Scoring) -> bool:
    """Say whether a prompt lists lettered options."""
    return scoring == "letters" or (scoring == "generate" and info.answers == "option")


class Task(Protocol):
    """A source of questions.

    A class whose ``about`` names other modes than ``correct`` takes the mode as the keyword
    argument ``mode``.
    """

    Options: ClassVar[type[TaskOptions]]
    about: ClassVar[TaskInfo]

    def __init__(self, options: TaskOptions) -> None: ...

    @property
    def info(self) -> TaskInfo:
        """What the task states about itself, under its options, mode and file."""

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the first ``limit`` questions; a larger limit only adds to them."""


def about(kind: type[Task]) -> TaskInfo:
    """Return what a class states about itself; UsageError if it states nothing."""
    found = getattr(kind, "about", None)
    if not isinstance(found, TaskInfo):
        raise UsageError(
            "the class of a task states nothing about itself",
            where=f"{kind.__module__}:{kind.__qualname__}",
            fix="give it the class attribute about = TaskInfo(...), as docs/add-a-task.md does",
        )
    return found


def check_options(options: tuple[str, ...], answer: int, *, where: str) -> None:
    """Refuse options among which a right answer cannot be recognised.

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
                fix="remove or correct the question: it has no single right answer",
            )
        seen[text] = index
    if not 0 <= answer < len(options):
        raise DataError(
            f"the answer is option {answer + 1} of {len(options)}", where=where, fix="correct it"
        )
