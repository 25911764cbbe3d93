"""The tasks, models and pairs of a config, created on first use."""

from __future__ import annotations

from functools import cached_property

from ragbench.base.pairs import Pair, check_alike, differences, pairs_of
from ragbench.base.yamlfile import Document
from ragbench.corpora.card import load_card
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.trust import first_untrusted, refuse_restricted
from ragbench.experiment.grid.building import check_depths, commands
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.questions import task_part
from ragbench.experiment.grid.sources import corpora, corpora_of
from ragbench.models.model import Asked, Checked, Model
from ragbench.models.spec import make_model


class Grid:
    """A config with the tasks and models that it names; ``document`` locates errors."""

    def __init__(self, config: Config, document: Document) -> None:
        self.config = config
        self.document = document

    @cached_property
    def tasks(self) -> list[TaskPart]:
        """Tasks with their questions; DataError if a task has none, or a repeated id."""
        return [task_part(self.config, self.document, i) for i in range(len(self.config.tasks))]

    @cached_property
    def models(self) -> dict[str, Model]:
        """Models by name; neither weights are loaded nor servers contacted yet."""
        self.check_trust()  # no model exists before this check
        return {spec.name: make_model(spec) for spec in self.config.models}

    @cached_property
    def pairs(self) -> list[Pair]:
        """The biomedical models with their bases."""
        return pairs_of((spec.name, spec.base) for spec in self.config.models)

    @cached_property
    def reference_model(self) -> Model:
        """Model whose tokenizer counts passages."""
        return self.models[self.config.reference_model().name]

    def check_trust(self) -> None:
        """Refuse restricted data for models that would send it to an untrusted server.

        Raises:
            UsageError: A task or a corpus is restricted and a model is not trusted with it.
        """
        untrusted = first_untrusted(self.config.models, self.config.trusted_endpoints)
        if untrusted is not None:
            refuse_restricted(
                untrusted,
                tasks={task.spec.name: task.info.data_use for task in self.tasks},
                corpora=corpora_of(self.config, self.tasks),
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
        for model in self.models.values():
            self.check_abilities(model)

    def check_abilities(self, model: Model) -> None:
        """Check that a model behind a server supports what the tasks need."""
        if isinstance(model, Checked):
            model.check_abilities({Asked(t.scoring, bool(t.info.cue)) for t in self.tasks})

    def missing(self) -> list[str]:
        """Return the commands that build missing parts; checks recipes and cards."""
        check_depths(self.config, self.tasks)
        for corpus in corpora(self.config, self.tasks):
            load_card(corpus)
        return commands(self.config, self.tasks)
