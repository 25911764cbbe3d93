"""The tasks, models and pairs of a config, made when first asked for."""

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
    """A config with what it names.

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
        return [task_part(self.config, self.document, i) for i in range(len(self.config.tasks))]

    @cached_property
    def models(self) -> dict[str, Model]:
        """The models by name, their weights not yet loaded, and their servers not yet asked."""
        self.check_trust()  # so that no model can be had, and none asked, before
        return {spec.name: make_model(spec) for spec in self.config.models}

    @cached_property
    def pairs(self) -> list[Pair]:
        """The biomedical models with their bases."""
        return pairs_of((spec.name, spec.base) for spec in self.config.models)

    @cached_property
    def reference_model(self) -> Model:
        """The model whose tokenizer counts passages."""
        return self.models[self.config.reference_model().name]

    def check_trust(self) -> None:
        """Refuse restricted data for models that would send it where it may not go.

        Raises:
            UsageError: A task or a corpus is restricted, and a model is not trusted with it.
        """
        untrusted = first_untrusted(self.config.models, self.config.trusted_endpoints)
        if untrusted is not None:
            refuse_restricted(
                untrusted,
                tasks={task.spec.name: task.info.data_use for task in self.tasks},
                corpora=corpora_of(self.config, self.tasks),
            )

    def unlike(self) -> list[str]:
        """Return in what the models of a pair are asked differently, a sentence each."""
        facts = {n: self.models[n].facts() for p in self.pairs for n in (p.biomedical, p.general)}
        return [line for pair in self.pairs for line in differences(pair, facts)]

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

    def missing(self) -> list[str]:
        """Return the commands that would build what is not built; checks recipes and cards."""
        check_depths(self.config, self.tasks)
        for corpus in corpora(self.config, self.tasks):
            load_card(corpus)
        return commands(self.config, self.tasks)
