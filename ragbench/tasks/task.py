"""What a task is: questions, the instruction above them, and what it states about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from ragbench.files import sha256_json
from ragbench.records import DataUse, Question


class TaskOptions(BaseModel):
    """Base of every task's options; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task states about itself.

    Attributes:
        instruction: The system turn of every prompt, the same in every arm.
        default_corpus: What ``corpus: task`` means.
        licence: Terms of the questions.
        data_use: Who may see them.
        cluster_unit: What questions are drawn by; None where each stands alone.
        metrics: Names of registered metrics.
        note: What a reader of its figures must know.
    """

    instruction: str
    default_corpus: str
    licence: str
    data_use: DataUse
    cluster_unit: str | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    note: str = ""


class Task(Protocol):
    """A source of questions."""

    Options: ClassVar[type[TaskOptions]]
    info: ClassVar[TaskInfo]

    def __init__(self, options: TaskOptions) -> None: ...

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the first ``limit`` questions; a larger limit only adds to them."""


def question_digest(question: Question) -> str:
    """Return the digest of everything in a question."""
    return sha256_json(asdict(question))
