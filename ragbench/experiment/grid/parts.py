"""The parts of a grid: a task with its questions, an index, the source of an arm's ranking."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ragbench.base.files import sha256_json
from ragbench.base.records import Question, Scoring
from ragbench.experiment.config.runnable import RunnableSpec
from ragbench.experiment.config.spec import TaskSpec
from ragbench.indexes.recipe import index_name
from ragbench.runfolder.questions import question_digest
from ragbench.tasks.task import TaskInfo


@dataclass(frozen=True)
class TaskPart:
    """A task of the config with its questions, and how its answers are taken.

    ``most_gold`` caches the maximum number of gold passages per question, by corpus. ``looks`` are
    the numbers of questions after which a run that may stop early is looked at; the last is all.
    """

    spec: TaskSpec
    info: TaskInfo
    questions: list[Question]
    scoring: Scoring
    reply_limit: int
    most_gold: dict[str, int] = field(default_factory=dict, compare=False)
    looks: tuple[int, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Digest of all questions, and of the few-shot examples if there are any."""
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
        key: Name of its ranking: the name in the config, with a suffix if it is ``within``, and one
            that names written queries.
        within: Whether only the question's own documents are ranked.
        queries: The entry of ``queries``, or the arm with ``rounds``, whose written queries it is
            searched with; empty for the question.
        writer: The model that wrote them.
        is_fused: Whether a question has several queries, whose rankings are fused.
        rounds: Whether the question itself is one of them.
    """

    key: str
    recipe: str
    corpus: str
    within: bool = False
    queries: str = ""
    writer: str = ""
    is_fused: bool = False
    rounds: bool = False

    @property
    def name(self) -> str:
        """Name of the built index."""
        return index_name(self.recipe, self.corpus)


@dataclass(frozen=True)
class Source:
    """Source of an arm's ranking: one index, several fused, a run file, or a runnable.

    Attributes:
        key: Its name in file names and tables; empty if nothing is ranked.
        corpus: Corpus of the ranked passages; empty for a runnable without one.
        depth: Hits of each part that are fused.
        k0: Constant of the fusion.
    """

    key: str
    corpus: str
    parts: tuple[IndexPart, ...] = ()
    run_file: Path | None = None
    depth: int = 0
    k0: int = 0
    runnable: RunnableSpec | None = field(default=None, compare=False)
