"""The config of an experiment: one YAML file, overrides, and every default in one place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from ragbench.base import home
from ragbench.base.endpoint import trusted_origin
from ragbench.base.errors import UsageError, near
from ragbench.base.records import Mode, Scoring
from ragbench.base.yamlfile import Document, Keys, check, from_mapping, load
from ragbench.experiment.config.arm_checks import check_runnables
from ragbench.experiment.config.overrides import override_all
from ragbench.experiment.config.prices import PriceSpec, gather_prices
from ragbench.experiment.config.prompt_format import PromptFormat, in_formats
from ragbench.experiment.config.samples import listed, model_entry, sample_of
from ragbench.experiment.config.spec import (
    CLOSED_BOOK,
    LEAST_BUDGET,
    WRITTEN,
    AnalysisSpec,
    ArmSpec,
    IndexSpec,
    PackingSpec,
    Part,
    TaskSpec,
)
from ragbench.experiment.config.written import QuerySpec
from ragbench.models.cards import join_cards
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.config import CROSS_ENCODER, EACH
from ragbench.runfolder.settings import AVERAGE


def _model(value: Any) -> Any:
    return model_entry(value, {*ModelSpec.model_fields, "card"})


class Config(Part):
    """One experiment.

    Attributes:
        name: Name of the run folder.
        description: Free text.
        seed: Seed for every random draw.
        corpora: Corpora to build in addition to those that the indexes need.
        indexes: Recipes over corpora, by the names that arms use.
        queries: Texts that models write to search with, by the names that arms use.
        models: Models to compare; ``card:NAME`` adds a model card and its base.
        prompt_format: ``chat`` or ``plain`` for every model without a ``format``, or ``both`` to
            ask each in both; ``auto`` is chat if the tokenizer has a template.
        tasks: Questions to ask.
        arms: Ways to ask each question: without passages, or with those of a retriever or control.
        scoring: How answers are taken; by default as each task says.
        reply_limit: Maximum tokens of a generated reply, reasoning included; by default as each
            task says.
        mode: ``correct``, or the rules of a published harness.
        metrics: Options by the name of a metric, such as the encoder of ``bertscore_f1``.
        not_built: Parts of the experiment that ragbench does not support yet; shown by the plan.
        packing: How passages get into prompts.
        analysis: How results are analysed, and what the run is designed to test.
        trusted_endpoints: Servers, as ``https://HOST:PORT``, that may receive restricted data in
            addition to servers on this machine; ``https://*.gpu.hospital.example`` is every host
            directly below that name, and ``ray://ADDRESS`` a machine of a Ray cluster.
        prices: Prices by the name of a model, of a million tokens or of an hour; an entry of
            ``models`` may have its own as ``price``.
        currency: Label of prices and costs.
        max_cost: Cost at which the run stops asking, with exit code 6; the same command with a
            higher one resumes it.
        reply_cache: Whether answers are stored in ``replies/`` for later runs, and taken from
            there; ``restricted`` stores those to restricted data too.
    """

    name: str
    description: str = ""
    seed: int = Field(17, ge=0, lt=2**63)
    corpora: tuple[str, ...] = ()
    indexes: dict[str, IndexSpec] = Field(default_factory=dict)
    queries: dict[str, QuerySpec] = Field(default_factory=dict)
    models: tuple[Annotated[ModelSpec, BeforeValidator(_model)], ...] = Field(min_length=1)
    prompt_format: PromptFormat = "auto"
    tasks: tuple[TaskSpec, ...] = Field(min_length=1)
    arms: tuple[ArmSpec, ...] = Field(min_length=1)
    scoring: Scoring | None = None
    reply_limit: int | None = Field(None, gt=0)
    mode: Mode = "correct"
    metrics: dict[str, dict[str, Any]] = Field(default_factory=dict)
    not_built: tuple[str, ...] = ()
    packing: PackingSpec = PackingSpec()
    analysis: AnalysisSpec = AnalysisSpec()
    trusted_endpoints: tuple[str, ...] = ()
    prices: dict[str, PriceSpec] = Field(default_factory=dict)
    currency: str = Field("USD", min_length=1, max_length=12)
    max_cost: float | None = Field(None, gt=0, allow_inf_nan=False)
    reply_cache: bool | Literal["restricted"] = False

    _name = field_validator("name")(home.legal_name)

    @field_validator("models", "tasks", "arms", mode="before")
    @classmethod
    def _is_list(cls, value: Any, info: ValidationInfo) -> Any:
        return listed(value, info.field_name or "")

    @field_validator("trusted_endpoints")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(trusted_origin, value))

    @model_validator(mode="after")
    def _whole(self) -> Config:
        """Return the config with one arm per k and adapters on the weights of their base."""
        named = {model.name: model for model in self.models}
        models = tuple(
            model.with_weights_of(named[model.base]) if model.base in named else model
            for model in self.models
        )
        arms = tuple(arm for entry in self.arms for arm in entry.each())
        return self.model_copy(update={"models": models, "arms": arms})

    def in_formats(self) -> Config:
        """Return the config with every model in the format, or formats, of ``prompt_format``."""
        models = in_formats(self.models, self.prompt_format)
        names = [model.name for model in models]
        reference = self.packing.tokenizer
        if reference is not None and reference not in names:
            reference = f"{reference}-chat"
        packing = self.packing.model_copy(update={"tokenizer": reference})
        priced = {model.name: self._price(model.name) for model in models}
        prices = {name: price for name, price in priced.items() if price is not None}
        queries = {key: spec.in_formats(names) for key, spec in self.queries.items()}
        arms = tuple(arm.in_formats(names) for arm in self.arms)
        update = {"models": models, "packing": packing, "prices": prices, "queries": queries}
        return self.model_copy(update=update | {"arms": arms})

    def _price(self, name: str) -> PriceSpec | None:
        """Return the price of a model by its name with or without its format."""
        stems = (name, name.removesuffix("-chat"), name.removesuffix("-plain"))
        return next((self.prices[stem] for stem in stems if stem in self.prices), None)

    def with_budget(self, tokens: int) -> Config:
        """Return the config with a budget of passages."""
        packing = self.packing.model_copy(update={"budget_tokens": tokens})
        return self.model_copy(update={"packing": packing})

    def budget(self, arm: ArmSpec) -> int:
        """Return the maximum tokens of passages in the prompts of an arm."""
        return arm.budget_tokens or self.packing.budget_tokens or LEAST_BUDGET

    def reference_model(self) -> ModelSpec:
        """Return the model whose tokenizer counts passages."""
        if self.packing.tokenizer:
            return next(m for m in self.models if m.name == self.packing.tokenizer)
        return next((m for m in self.models if m.kind == "general"), self.models[0])


def load_config(
    reference: str | Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Config, Document]:
    """Return a checked config, and the document that it was read from.

    Args:
        reference: Path of a YAML file, the name of one in ``configs/``, the package or the
            current folder, or the contents of one.
        overrides: ``key=value`` texts; they win over the environment, which wins over the file.
    """
    document = _document(reference)
    join_cards(document)  # so that an override can reach into a card
    override_all(document, overrides, os.environ)
    join_cards(document)  # cards that overrides name
    gather_prices(document)
    config = check(Config, document, sample=sample_of)
    _check_references(config, document)
    spread = config.in_formats()
    _check_unique("models", spread, document)
    return spread, document


def _document(reference: str | Mapping[str, Any]) -> Document:
    if isinstance(reference, Mapping):
        return from_mapping(reference, what="config")
    path = home.expand(reference)
    if path.suffix not in (".yaml", ".yml") and "/" not in reference:
        try:
            path = home.find_yaml("configs", reference, what="config")
        except UsageError:
            path = Path(f"{reference}.yaml")
            if not path.is_file():
                raise
    return load(path)


def _check_references(config: Config, document: Document) -> None:
    """Refuse unknown names and repeated names."""
    for field in ("models", "tasks", "arms"):
        _check_unique(field, config, document)
    models = [model.name for model in config.models]
    for index, model in enumerate(config.models):
        _check_free(model.name, model.name in (EACH, CROSS_ENCODER), document, ("models", index))
        if model.base is not None:
            _must_be_among(model.base, models, "model", document, ("models", index, "base"))
        if model.options.weights is not None and not model.reference:
            raise UsageError(
                f"neither {model.name!r} nor its base says where the weights are",
                where=document.where(("models", index)),
                fix="give the model or its base a `path` or `model`",
            )
    if config.packing.tokenizer is not None:
        _must_be_among(
            config.packing.tokenizer, models, "model", document, ("packing", "tokenizer")
        )
    _check_prices(config, document)
    for name in config.indexes:
        home.check_name(name, what="an index")
    for name, queries in config.queries.items():
        home.check_name(name, what="queries")
        _check_free(name, name == "documents" or name.isdigit(), document, ("queries", name))
        _check_writer(queries.by, config, document, ("queries", name, "by"))
    _check_arms(config, document)
    check_runnables(config.arms, config.indexes, document)
    _check_primary(config, document)


def _check_free(name: str, taken: bool, document: Document, keys: Keys) -> None:
    """Refuse a name that ragbench itself uses where this one would be written."""
    if taken:
        raise UsageError(
            f"the name {name!r} has another meaning in {keys[0]}",
            where=document.where(keys),
            fix="use another name",
        )


def _check_prices(config: Config, document: Document) -> None:
    names = [model.name for model in config.models]
    for name in config.prices:
        _must_be_among(name, names, "model", document, ("prices", name))
    for model in config.models if config.max_cost is not None else ():
        if model.name not in config.prices and model.sends_to() != ():
            raise UsageError(
                f"`max_cost` needs the price of every model behind a server, and {model.name!r} "
                "has none",
                where=document.where(("max_cost",)),
                fix=f"add `prices: {{{model.name}: {{input: ..., output: ...}}}}`",
            )


def _check_primary(config: Config, document: Document) -> None:
    primary, keys = config.analysis.primary, ("analysis", "primary")
    if primary.arm is not None:
        arms = [arm.name for arm in config.arms if not arm.control and arm.name != CLOSED_BOOK]
        _must_be_among(primary.arm, arms, "retrieval arm", document, (*keys, "arm"))
    tasks = [task.name for task in config.tasks]
    tasks += [AVERAGE] if len(tasks) > 1 else []
    for place, task in enumerate(primary.tasks):
        _must_be_among(task, tasks, "task", document, (*keys, "tasks", place))


def _check_unique(field: str, config: Config, document: Document) -> None:
    names = [member.name for member in getattr(config, field)]
    for index, name in enumerate(names):
        if name in names[:index]:
            as_written = len(names) == len(document.value[field])
            line = document.where((field, index) if as_written else (field,))
            raise UsageError(f"two {field} have the name {name!r}", where=line)


def _check_arms(config: Config, document: Document) -> None:
    tasks = [task.name for task in config.tasks]
    entries = [(i, size) for i, entry in enumerate(_entries(document)) for size in range(entry)]
    others = [arm.name for arm in config.arms if arm.kind in ("retriever", WRITTEN)]
    written = {arm.name: arm for arm in config.arms if arm.write is not None}
    for (index, _), arm in zip(entries, config.arms, strict=True):
        if arm.retriever is not None:
            keys: Keys = ("arms", index, "retriever")
            _must_be_among(arm.retriever, config.indexes, "index", document, keys)
        if arm.run_file is not None and arm.name in config.indexes:
            raise UsageError(
                f"the arm {arm.name!r} of a run file has the name of an index",
                where=document.where(("arms", index)),
                fix="give the arm another name",
            )
        for place, part in enumerate(arm.fuse):
            _must_be_among(part, config.indexes, "index", document, ("arms", index, "fuse", place))
        if len({config.indexes[part].corpus for part in arm.fuse}) > 1:
            raise UsageError(
                "the fused retrievers search different corpora",
                where=document.where(("arms", index, "fuse")),
                fix="fuse indexes over one corpus",
            )
        if arm.like is not None:
            keys = ("arms", index, "like")
            _must_be_among(arm.like, others, "arm with a retriever", document, keys)
            if arm.like in written:
                _check_imitation(arm, written[arm.like], document, keys)
        if arm.queries is not None:
            keys = ("arms", index, "queries")
            _must_be_among(arm.queries, config.queries, "entry of `queries`", document, keys)
        if arm.write is not None:
            _check_writer(arm.write.by, config, document, ("arms", index, "write", "by"))
        if arm.rounds is not None:
            _check_writer(arm.rounds.by, config, document, ("arms", index, "rounds", "by"))
            if arm.name in config.queries:
                raise UsageError(
                    f"the arm {arm.name!r} with `rounds` has the name of an entry of `queries`",
                    where=document.where(("arms", index)),
                    fix="give the arm another name",
                )
        if arm.filter is not None and arm.filter.by != CROSS_ENCODER:
            keys = ("arms", index, "filter", "by")
            _check_writer(arm.filter.by, config, document, keys, further=(CROSS_ENCODER,))
        for place, task in enumerate(arm.tasks):
            _must_be_among(task, tasks, "task", document, ("arms", index, "tasks", place))


def _check_writer(
    by: str, config: Config, document: Document, keys: Keys, *, further: Sequence[str] = ()
) -> None:
    """Refuse a writer that is neither a model of the config nor every model."""
    names = [*(model.name for model in config.models), EACH, *further]
    _must_be_among(by, names, "model", document, keys)


def _check_imitation(arm: ArmSpec, like: ArmSpec, document: Document, keys: Keys) -> None:
    """Refuse a control that needs a corpus of an arm whose passages a model writes."""
    if arm.control == "random" and like.corpus is None:
        raise UsageError(
            f"the arm {arm.name!r} draws passages from a corpus, and {like.name!r} has none",
            where=document.where(keys),
            fix=f"add `corpus: NAME` to the arm {like.name!r}",
        )
    if arm.control not in ("random", "shuffled"):
        raise UsageError(
            f"`control: {arm.control}` needs the ranking of a corpus, and the passages of "
            f"{like.name!r} are written by a model",
            where=document.where(keys),
            fix="imitate an arm with a retriever, or use `control: random` or `shuffled`",
        )


def _entries(document: Document) -> list[int]:
    """Return how many arms each entry of the file makes."""
    lists = [
        [entry.get("k"), entry.get("place")] if isinstance(entry, dict) else []
        for entry in document.value["arms"]
    ]
    return [next((len(x) for x in found if isinstance(x, list)), 1) for found in lists]


def _must_be_among(
    name: str, known: Iterable[str], what: str, document: Document, keys: Keys
) -> None:
    if name not in set(known):
        raise UsageError(
            f"there is no {what} {name!r}", where=document.where(keys), fix=near(name, known)
        )
