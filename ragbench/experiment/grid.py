"""The parts of an experiment, made from its config: tasks with questions, indexes, models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import sha256_json
from ragbench.base.pairs import Pair, check_alike, differences, pairs_of
from ragbench.base.records import Question, Scoring
from ragbench.base.yamlfile import Document, check
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import load_card
from ragbench.corpora.check import check_card
from ragbench.corpora.corpus import is_built as corpus_is_built
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import TASK_CORPUS, ArmSpec, TaskSpec
from ragbench.experiment.config.trust import check_endpoints
from ragbench.experiment.stages.gold import find_gold
from ragbench.indexes import build as indexes
from ragbench.metrics import metrics
from ragbench.models import models
from ragbench.models.model import Asked, Checked, Model
from ragbench.tasks import tasks
from ragbench.tasks.task import Task, TaskInfo, TaskOptions, question_digest

WITHIN = "~documents"
DEPTH, K0 = ArmSpec.model_fields["depth"].default, ArmSpec.model_fields["k0"].default


@dataclass(frozen=True)
class TaskPart:
    """A task of the config with its questions, and how its answers are taken."""

    spec: TaskSpec
    info: TaskInfo
    questions: list[Question]
    scoring: Scoring
    reply_limit: int

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
        corpus: What it ranks the passages of.
        within: Whether only the question's own documents are ranked.
    """

    key: str
    recipe: str
    corpus: str
    within: bool = False

    @property
    def name(self) -> str:
        """The built index's name."""
        return f"{self.recipe}-{self.corpus}"


@dataclass(frozen=True)
class Source:
    """Where an arm's ranking comes from: one index, several fused, or a run file.

    Attributes:
        key: Its name in file names and tables; empty where nothing is ranked.
        corpus: What it ranks the passages of.
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


class Grid:
    """Everything that a config names, made when first asked for.

    Args:
        config: The checked config.
        document: Where it was read from, for messages.
    """

    def __init__(self, config: Config, document: Document) -> None:
        self.config = config
        self.document = document
        self._gold_rows: dict[tuple[str, str], int] = {}

    @cached_property
    def tasks(self) -> list[TaskPart]:
        """The tasks with their questions; DataError if one has none, or two of one id."""
        return [self.task_part(index) for index in range(len(self.config.tasks))]

    def task_part(self, index: int) -> TaskPart:
        """Make one task of the config.

        Args:
            index: Its place there.

        Returns:
            The task with its questions.

        Raises:
            DataError: Its file is lacking or wrong, or it has no question, or two of one id.
            UsageError: Its options are wrong, or it does not know the mode or scoring.
        """
        spec = self.config.tasks[index]
        kind = tasks.get(spec.task)
        lines = self._lines(("tasks", index, "options"))
        options = Document(spec.options, self.document.path, lines)
        task = self._make(kind, check(kind.Options, options), index)
        questions = task.questions(limit=spec.limit, seed=self.config.seed)
        ids = [question.id for question in questions]
        if len(set(ids)) < len(ids) or not ids:
            raise DataError(
                f"the task {spec.name!r} has no question, or two of one id",
                where=self.document.where(("tasks", index)),
            )
        info = task.info
        for name in (*info.metrics, *spec.metrics):
            metrics.get(name)
        limit = spec.reply_limit or self.config.reply_limit or info.reply_limit
        return TaskPart(spec, info, questions, self._scoring(spec, info), limit)

    def _make(self, kind: type[Task], options: TaskOptions, index: int) -> Task:
        mode, known = self.config.mode, getattr(kind, "modes", ("correct",))
        if mode not in known:
            raise UsageError(
                f"the task {self.config.tasks[index].name!r} has no mode {mode!r}",
                where=self.document.where(("mode",)),
                fix=f"its modes are {', '.join(known)}",
            )
        return kind(options) if known == ("correct",) else kind(options, mode=mode)  # type: ignore[call-arg]

    def _scoring(self, spec: TaskSpec, info: TaskInfo) -> Scoring:
        """Return how a task's answers are taken; a text can only be generated."""
        asked = spec.scoring or self.config.scoring
        if self.config.mode != "correct" and asked not in (None, info.scoring):
            raise UsageError(
                f"the mode {self.config.mode!r} takes the answers to {spec.name!r} by "
                f"{info.scoring!r}, not by {asked!r}",
                where=f"tasks: {spec.name}: scoring",
                fix="leave scoring out, or write `mode: correct`",
            )
        if info.answers != "text":
            return spec.scoring or self.config.scoring or info.scoring
        if spec.scoring not in (None, "generate"):
            raise UsageError(
                f"the answers to {spec.name!r} are texts, which cannot be scored by "
                f"{spec.scoring!r}",
                where=f"tasks: {spec.name}: scoring",
                fix="write `scoring: generate`, or leave it out",
            )
        return "generate"

    def _lines(self, prefix: tuple[str | int, ...]) -> dict[tuple[str | int, ...], int]:
        size = len(prefix)
        lines = {k[size:]: v for k, v in self.document.lines.items() if k[:size] == prefix}
        return lines or {(): 1}

    @cached_property
    def models(self) -> dict[str, Model]:
        """The models by name, their weights not yet loaded, and their servers not yet asked."""
        check_endpoints(self)  # so that no model can be had, and none asked, before
        return {spec.name: models.get(spec.backend)(spec) for spec in self.config.models}

    @cached_property
    def pairs(self) -> list[Pair]:
        """The biomedical models with their bases."""
        return pairs_of((spec.name, spec.base) for spec in self.config.models)

    def unlike(self) -> list[str]:
        """Return in what the models of a pair are asked differently, a sentence each."""
        facts = {n: self.models[n].facts() for p in self.pairs for n in (p.biomedical, p.general)}
        return [line for pair in self.pairs for line in differences(pair, facts)]

    @cached_property
    def reference_model(self) -> Model:
        """The model whose tokenizer counts passages."""
        return self.models[self.config.reference_model().name]

    def arms_of(self, task: TaskPart) -> list[ArmSpec]:
        """Return the arms that a task has, in the config's order."""
        named = {arm.name: arm for arm in self.config.arms}

        def applies(arm: ArmSpec) -> bool:
            if arm.tasks and task.spec.name not in arm.tasks:
                return False
            return arm.like is None or applies(named[arm.like])

        return [arm for arm in self.config.arms if applies(arm)]

    def imitated(self, arm: ArmSpec) -> ArmSpec:
        """Return the arm that a control imitates; any other arm is itself."""
        if arm.like is None:
            return arm
        return next(other for other in self.config.arms if other.name == arm.like)

    def source_of(self, arm: ArmSpec, task: TaskPart) -> Source | None:
        """Return where an arm's ranking comes from; None for closed-book."""
        arm = self.imitated(arm)
        if arm.documents is not None:
            where = f"arm {arm.name}"
            return Source("", self._corpus(arm.corpus or TASK_CORPUS, task, where))
        if arm.run_file is not None:
            corpus = self._corpus(arm.corpus or TASK_CORPUS, task, f"arm {arm.name}")
            return Source(arm.name, corpus, run_file=home.home() / home.expand(arm.run_file))
        if arm.retriever is None and not arm.fuse:
            return None
        within = arm.within == "documents"
        parts = tuple(self._index(k, task, within) for k in arm.fuse or (arm.retriever or "",))
        if not arm.fuse:
            return Source(parts[0].key, parts[0].corpus, parts)
        changed = (arm.depth, arm.k0) != (DEPTH, K0)
        key = "+".join(part.key for part in parts) + (f"~{arm.depth}~{arm.k0}" if changed else "")
        return Source(key, parts[0].corpus, parts, depth=arm.depth, k0=arm.k0)

    def _index(self, key: str, task: TaskPart, within: bool) -> IndexPart:
        spec = self.config.indexes[key]
        corpus = self._corpus(spec.corpus, task, f"indexes: {key}")
        return IndexPart(key + WITHIN if within else key, spec.recipe, corpus, within)

    def _corpus(self, name: str, task: TaskPart, where: str) -> str:
        if name != TASK_CORPUS:
            return name
        if not task.info.default_corpus:
            raise UsageError(
                f"the task {task.spec.name!r} has no corpus of its own",
                where=where,
                fix="write `corpus: NAME` there, or set the task's option corpus",
            )
        return task.info.default_corpus

    def sources(self, task: TaskPart) -> dict[Source, int]:
        """Return every source of a task's arms, with how deep it must rank."""
        deepest: dict[Source, int] = {}
        for arm in self.arms_of(task):
            source = self.source_of(arm, task)
            if source is None or not source.key:
                continue
            # Where gold is taken out, the ranking must go as much deeper.
            removes = arm.control == "oracle-removed"
            extra = self._most_gold(task, source.corpus) if removes else 0
            asked = self.imitated(arm).asked + extra
            deepest[source] = max(deepest.get(source, 0), asked)
        return deepest

    def _most_gold(self, task: TaskPart, corpus: str) -> int:
        """Return the most gold passages of a question; before the corpus is built, documents."""
        documents = max(len(question.gold_doc_ids) for question in task.questions)
        if not documents or not corpus_is_built(corpus):
            return documents
        if (task.spec.name, corpus) not in self._gold_rows:
            own, opened = task.info.default_corpus, open_corpus(corpus)
            rows = find_gold(task.questions, opened, task=task.spec.name, prefer=own).rows
            most = max((len(found) for found in rows.values()), default=0)
            self._gold_rows[task.spec.name, corpus] = most
        return self._gold_rows[task.spec.name, corpus]

    def source_keys(self, task: TaskPart) -> set[str]:
        """Return the names of a task's rankings in the run folder, parts of fusions included."""
        sources = self.sources(task)
        return {s.key for s in sources} | {part.key for s in sources for part in s.parts}

    def check_supported(self) -> None:
        """Refuse before the first answer what the analysis would refuse after the last."""
        for pair in self.pairs:
            members = (pair.biomedical, pair.general)
            check_alike(pair, {name: self.models[name].facts() for name in members})
        for model in self.models.values():
            self.check_abilities(model)

    def check_abilities(self, model: Model) -> None:
        """Ask a model behind a server what it can do, as far as the tasks need it."""
        if isinstance(model, Checked):
            model.check_abilities({Asked(t.scoring, bool(t.info.cue)) for t in self.tasks})

    def searches(self, task: TaskPart) -> dict[IndexPart, int]:
        """Return every index to be searched for a task, with the largest k that is needed."""
        deepest: dict[IndexPart, int] = {}
        for source, k in self.sources(task).items():
            for part in source.parts:
                deepest[part] = max(deepest.get(part, 0), k, source.depth)
        return deepest

    def index_parts(self) -> list[IndexPart]:
        """Return the indexes that the run searches, each once."""
        return list(dict.fromkeys(part for task in self.tasks for part in self.searches(task)))

    def corpora(self) -> list[str]:
        """Return the corpora that the config names and those behind its arms, each once."""
        every = [self.source_of(arm, t) for t in self.tasks for arm in self.arms_of(t)]
        behind = [source.corpus for source in every if source is not None]
        return list(dict.fromkeys([*self.config.corpora, *behind]))

    def missing(self) -> list[str]:
        """Return the commands that would build what is not built; checks recipes and cards."""
        self._check_depths()
        for corpus in self.corpora():
            load_card(corpus)
        return self.commands()

    def _check_depths(self) -> None:
        """Refuse, before an index is built, to ask more hits of it than its recipe ranks."""
        for task in self.tasks:
            for part, k in self.searches(task).items():
                depth = getattr(indexes.load_recipe(part.recipe), "depth", None)
                if part.within and corpus_is_built(part.corpus):
                    k = len(open_corpus(part.corpus))
                if isinstance(depth, int) and k > depth:
                    raise UsageError(
                        f"{k:,} hits are wanted of {part.key!r}, whose recipe ranks {depth:,}",
                        where=f"task {task.spec.name}, index recipe {part.recipe}",
                        fix="raise `depth` in the recipe, or ask for fewer",
                    )

    @staticmethod
    def is_built(corpus: str) -> bool:
        """Say whether a corpus is built."""
        return corpus_is_built(corpus)

    def commands(self, *, without: Collection[str] = ()) -> list[str]:
        """Return the commands that would build what is not built.

        Args:
            without: Corpora and recipes that cannot be built.

        Returns:
            Corpora first.
        """
        wanted = [name for name in self.corpora() if name not in without]
        lines = [f"ragbench corpus build {c}" for c in wanted if not corpus_is_built(c)]
        for part in {p.name: p for p in self.index_parts()}.values():
            lacks = part.recipe in without or part.corpus in without
            if not lacks and not indexes.is_built(part.name):
                lines.append(f"ragbench index build {part.recipe} --corpus {part.corpus}")
        return lines

    def build_missing(self) -> dict[str, indexes.Manifest]:
        """Build corpora and indexes that are not there; check the identity of those that are.

        Returns:
            The manifest of each index, by its name.
        """
        manifests: dict[str, indexes.Manifest] = {}
        for corpus in self.corpora():
            if corpus_is_built(corpus):
                check_card(open_corpus(corpus))
            else:
                build_corpus(corpus)
        self._check_depths()
        for part in self.index_parts():
            if part.name not in manifests:
                manifests[part.name] = indexes.build_index(part.recipe, part.corpus)
        return manifests
