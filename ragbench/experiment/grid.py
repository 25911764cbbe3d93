"""The parts of an experiment, made from its config: tasks with questions, indexes, models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import load_card
from ragbench.corpora.store import is_built as corpus_is_built
from ragbench.errors import DataError
from ragbench.experiment.config import ArmSpec, Config, IndexSpec, TaskSpec
from ragbench.files import sha256_json
from ragbench.indexes import build as indexes
from ragbench.models import models
from ragbench.models.model import Model
from ragbench.records import Question
from ragbench.tasks import tasks
from ragbench.tasks.task import TaskInfo, question_digest
from ragbench.yamlfile import Document, check


@dataclass(frozen=True)
class TaskPart:
    """A task of the config with its questions."""

    spec: TaskSpec
    info: TaskInfo
    questions: list[Question]

    @cached_property
    def digest(self) -> str:
        """Digest of all questions."""
        return sha256_json([question_digest(question) for question in self.questions])


@dataclass(frozen=True)
class IndexPart:
    """An index that the config needs for a task: its key there, its recipe and its corpus."""

    key: str
    recipe: str
    corpus: str

    @property
    def name(self) -> str:
        """The built index's name."""
        return f"{self.recipe}-{self.corpus}"


class Grid:
    """Everything that a config names, made when first asked for.

    Args:
        config: The checked config.
        document: Where it was read from, for messages.
    """

    def __init__(self, config: Config, document: Document) -> None:
        self.config = config
        self.document = document

    @cached_property
    def tasks(self) -> list[TaskPart]:
        """The tasks with their questions; DataError if one has none, or two of one id."""
        parts = []
        for index, spec in enumerate(self.config.tasks):
            kind = tasks.get(spec.task)
            options = Document(
                spec.options, self.document.path, self._lines(("tasks", index, "options"))
            )
            task = kind(check(kind.Options, options))
            questions = task.questions(limit=spec.limit, seed=self.config.seed)
            ids = [question.id for question in questions]
            if len(set(ids)) < len(ids) or not ids:
                raise DataError(
                    f"the task {spec.name!r} has no question, or two of one id",
                    where=self.document.where(("tasks", index)),
                )
            parts.append(TaskPart(spec, task.info, questions))
        return parts

    def _lines(self, prefix: tuple[str | int, ...]) -> dict[tuple[str | int, ...], int]:
        size = len(prefix)
        lines = {k[size:]: v for k, v in self.document.lines.items() if k[:size] == prefix}
        return lines or {(): 1}

    @cached_property
    def models(self) -> dict[str, Model]:
        """The models by name, their weights not yet loaded."""
        return {spec.name: models.get(spec.backend)(spec) for spec in self.config.models}

    @cached_property
    def reference_model(self) -> Model:
        """The model whose tokenizer counts passages."""
        return self.models[self.config.reference_model().name]

    def index_of(self, arm: ArmSpec, task: TaskPart) -> IndexPart | None:
        """Return the index behind an arm: its own, or that of the arm that it imitates."""
        if arm.like is not None:
            arm = next(other for other in self.config.arms if other.name == arm.like)
        if arm.retriever is None:
            return None
        spec: IndexSpec = self.config.indexes[arm.retriever]
        corpus = self.config.corpus_of(spec, task.info.default_corpus)
        return IndexPart(arm.retriever, spec.recipe, corpus)

    def retrievals(self) -> Iterator[tuple[TaskPart, IndexPart, int]]:
        """Yield each task and index to be searched, with the largest k that any arm asks."""
        for task in self.tasks:
            deepest: dict[IndexPart, int] = {}
            for arm in self.config.arms:
                index = self.index_of(arm, task)
                if index is not None and arm.k is not None:
                    deepest[index] = max(deepest.get(index, 0), arm.k)
            for index, k in deepest.items():
                yield task, index, k

    def index_parts(self) -> list[IndexPart]:
        """Return the indexes that the run searches, each once."""
        return list(dict.fromkeys(index for _, index, _ in self.retrievals()))

    def corpora(self) -> list[str]:
        """Return the corpora that the config names and those behind its indexes, each once."""
        return list(
            dict.fromkeys([*self.config.corpora, *(part.corpus for part in self.index_parts())])
        )

    def missing(self) -> list[str]:
        """Return the commands that would build what is not built; checks recipes and cards."""
        parts = self.index_parts()
        for part in parts:
            indexes.load_recipe(part.recipe)
        for corpus in self.corpora():
            load_card(corpus)
        lines = [f"ragbench corpus build {c}" for c in self.corpora() if not corpus_is_built(c)]
        for part in {p.name: p for p in parts}.values():
            if not indexes.is_built(part.name):
                lines.append(f"ragbench index build {part.recipe} --corpus {part.corpus}")
        return lines

    def build_missing(self) -> dict[str, indexes.Manifest]:
        """Build corpora and indexes that are not there; check the identity of those that are.

        Returns:
            The manifest of each index, by its name.
        """
        manifests: dict[str, indexes.Manifest] = {}
        for corpus in self.corpora():
            if not corpus_is_built(corpus):
                build_corpus(corpus)
        for part in self.index_parts():
            if part.name not in manifests:
                manifests[part.name] = indexes.build_index(part.recipe, part.corpus)
        return manifests
