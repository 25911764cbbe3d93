"""The tasks, models and pairs of a config, created on first use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, partial
from itertools import chain

from ragbench.base.cluster.engine import Cluster, Node, way_to
from ragbench.base.endpoint import RESTRICTED, Endpoint, WayOut, is_local, refuse_restricted
from ragbench.base.errors import RagbenchError
from ragbench.base.yamlfile import Document
from ragbench.corpora.card import load_card
from ragbench.corpora.terms import is_restricted_name
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.config.trust import model_ways, new_way, untrusted
from ragbench.experiment.grid.building import check_depths, commands
from ragbench.experiment.grid.parts import IndexPart, TaskPart
from ragbench.experiment.grid.questions import task_part
from ragbench.experiment.grid.sources import (
    arms_of,
    corpora,
    corpora_of,
    searched,
    source_of,
)
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.reach import ways_out
from ragbench.models.cluster import ClusterModel
from ragbench.models.model import Adaptive, Asked, Checked, Model
from ragbench.models.spec import ModelSpec, make_model
from ragbench.runfolder.config import EACH
from ragbench.runfolder.pairs import Pair, check_alike, differences, pairs_of


class Grid:
    """A config with the tasks and models that it names.

    Args:
        config: The checked config.
        document: The document it was read from, which locates errors.
        cluster: The machines on which models in a process of ours answer; without it, this one.
    """

    def __init__(self, config: Config, document: Document, cluster: Cluster | None = None) -> None:
        self.config = config
        self.document = document
        self.cluster = cluster

    @cached_property
    def tasks(self) -> list[TaskPart]:
        """Tasks with their questions; DataError if a task has none, or a repeated id."""
        return [task_part(self.config, self.document, i) for i in range(len(self.config.tasks))]

    @cached_property
    def models(self) -> dict[str, Model]:
        """Models by name; neither weights are loaded nor servers contacted yet."""
        self.check_trust()  # no model exists before this check
        found = {spec.name: self._model(spec) for spec in self.config.models}
        for spec in self.config.models:
            model = found[spec.name]
            if isinstance(model, Adaptive):
                model.allow_new(partial(self.check_new_server, spec))
        return found

    def _model(self, spec: ModelSpec) -> Model:
        model = make_model(spec)
        if self.cluster is None or spec.sends_to() != ():
            return model
        cluster = self.cluster
        return ClusterModel(spec, model, lambda: cluster.pool)

    def check_node(self, node: Node) -> None:
        """Refuse restricted data for a machine of the cluster.

        Raises:
            UsageError: As ``check_trust``.
        """
        self._check_ways([way_to(node)])

    @cached_property
    def pairs(self) -> list[Pair]:
        """The biomedical models with their bases."""
        return pairs_of((spec.name, spec.base) for spec in self.config.models)

    @cached_property
    def reference_model(self) -> Model:
        """Model whose tokenizer counts passages."""
        return self.models[self.config.reference_model().name]

    def check_trust(self) -> None:
        """Refuse restricted data for models and indexes that would send it where it may not go.

        Raises:
            UsageError: A task or a corpus is restricted and a model or an index is not trusted
                with it.
        """
        self._check_ways(model_ways(self.config.models))
        for task in self.tasks:
            for part in searched(self.config, task):
                self._check_index(task, part)
            for arm in arms_of(self.config, task):
                self._check_runnable(task, arm)

    def check_new_server(self, model: ModelSpec, endpoint: Endpoint) -> None:
        """Refuse restricted data for a server that a model found during the run.

        Raises:
            UsageError: As ``check_trust``.
        """
        self._check_ways([new_way(model, endpoint)])

    def _check_ways(self, ways: Iterable[WayOut]) -> None:
        trusted = self.config.trusted_endpoints
        closed = [f"the task {task.spec.name!r}" for task in self.tasks if _is_closed(task)]
        if refused := untrusted(ways, trusted):
            arms = corpora_of(self.config, self.tasks).items()
            behind = (
                f"the corpus {corpus!r} behind the arm {arm!r}"
                for corpus, arm in arms
                if is_restricted_name(corpus)
            )
            for what in chain(closed, behind):
                refuse_restricted(what, refused, trusted)

    def _check_index(self, task: TaskPart, part: IndexPart) -> None:
        try:
            recipe = load_recipe(part.recipe)
        except RagbenchError:  # it cannot be searched either
            return
        key = part.key.partition("~")[0]
        ways = list(ways_out(recipe, part.recipe, f"indexes: {key}"))
        if _is_closed(task):
            refuse_restricted(f"the task {task.spec.name!r}", ways, self.config.trusted_endpoints)
        if not all(is_local(way.reach) for way in ways) and is_restricted_name(part.corpus):
            refuse_restricted(f"the corpus {part.corpus!r}", ways)

    def _check_runnable(self, task: TaskPart, arm: ArmSpec) -> None:
        """Refuse restricted data for code of the user's, of which nobody knows what it does."""
        source = source_of(self.config, arm, task)
        if source is None or source.runnable is None:
            return
        ways, trusted = [source.runnable.way(arm.name)], self.config.trusted_endpoints
        if _is_closed(task):
            refuse_restricted(f"the task {task.spec.name!r}", ways, trusted)
        if source.corpus and is_restricted_name(source.corpus):
            refuse_restricted(f"the corpus {source.corpus!r}", ways, trusted)

    @cached_property
    def is_restricted(self) -> bool:
        """Whether a task or a corpus of the config is restricted."""
        return any(map(_is_closed, self.tasks)) or any(
            is_restricted_name(corpus) for corpus in corpora(self.config, self.tasks)
        )

    def unlike(self) -> list[str]:
        """Return how the models of a pair are asked differently, one sentence per difference."""
        facts = {n: self.models[n].facts() for p in self.pairs for n in (p.biomedical, p.general)}
        return [line for pair in self.pairs for line in differences(pair, facts)]

    def check_supported(self) -> None:
        """Refuse, before the first answer, pairs and models that the analysis would refuse."""
        for pair in self.pairs:
            members = (pair.biomedical, pair.general)
            check_alike(pair, {name: self.models[name].facts() for name in members})
        for name, model in self.models.items():
            self.check_abilities(name, model)

    def check_abilities(self, name: str, model: Model) -> None:
        """Check that a model behind a server supports what the tasks and its writings need."""
        if not isinstance(model, Checked):
            return
        asked = {Asked(task.scoring, bool(task.info.cue)) for task in self.tasks}
        config, mine = self.config, (name, EACH)
        if any(arm.filter is not None and arm.filter.by in mine for arm in config.arms):
            asked.add(Asked("letters", False))
        writes = [
            *config.queries.values(),
            *(w for a in config.arms for w in (a.write, a.rounds) if w),
        ]
        if any(spec.by in mine for spec in writes):
            asked.add(Asked("generate", False))
        model.check_abilities(asked)

    def missing(self) -> list[str]:
        """Return the commands that build missing parts; checks recipes and cards."""
        check_depths(self.config, self.tasks)
        for corpus in corpora(self.config, self.tasks):
            load_card(corpus)
        return commands(self.config, self.tasks)


def _is_closed(task: TaskPart) -> bool:
    return task.info.data_use == RESTRICTED
