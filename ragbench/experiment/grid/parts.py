"""The parts of a grid: a task with its questions, an index, the source of an arm's ranking."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ragbench.base.files import sha256_json
from ragbench.base.records import Question, Scoring
from ragbench.experiment.config.spec import TaskSpec
from ragbench.indexes.recipe import index_name
from ragbench.tasks.task import TaskInfo, question_digest


@dataclass(frozen=True)
class TaskPart:
    """A task of the config with its questions, and how its answers are taken.

    ``most_gold`` keeps, by corpus, how many gold passages a question has at most.
    """

    spec: TaskSpec
    info: TaskInfo
    questions: list[Question]
    scoring: Scoring
    reply_limit: int
    most_gold: dict[str, int] = field(default_factory=dict, compare=False)

    @cached_property
    def digest(self) -> str:
        """Digest of all questions, and of the few-shot examples where there are any."""
        questions = [question_digest(question) for question in self.questions]
        examples = [question_digest(example) for example in self.info.examples]
        return sha256_json([questions, examples] if examples else questions)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The task's metrics, then those that the config adds."""
        return tuple(dict.fromkeys([*self.info.metrics, *self.spec.metrics]))


@dataclass(frozen=True)
class IndexPart:
    """An index that the config needs for a task.

    Attributes:
        key: The name of its ranking: that in the config, with a mark where it is ``within``.
        recipe: Its recipe.
        corpus: The corpus whose passages it ranks.
        within: Whether only the question's own documents are ranked.
    """

    key: str
    recipe: str
    corpus: str
    within: bool = False

    @property
    def name(self) -> str:
        """The built index's name."""
        return index_name(self.recipe, self.corpus)


@dataclass(frozen=True)
class Source:
    """Where an arm's ranking comes from: one index, several fused, or a run file.

    Attributes:
        key: Its name in file names and tables; empty where nothing is ranked.
        corpus: The corpus whose passages it ranks.
        parts: The indexes.
        run_file: The TREC run.
        depth: How many hits of each part are fused.
        k0: The constant of the fusion.
    """

    key: str
    corpus: str
    parts: tuple[IndexPart, ...] = ()
    run_file: Path | None = None
    depth: int = 0
    k0: int = 0
