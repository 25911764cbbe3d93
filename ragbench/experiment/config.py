"""The config of an experiment: one YAML file, overrides, and every default in one place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ragbench import home
from ragbench.errors import UsageError, near
from ragbench.models.model import ModelSpec
from ragbench.yamlfile import Document, Keys, check, load, parse_value

ENVIRONMENT = "RAGBENCH_SET_"
TASK_CORPUS = "task"
CLOSED_BOOK = "closed-book"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IndexSpec(_Part):
    """One entry of ``indexes``: a recipe over a corpus; ``task`` is each task's own corpus."""

    recipe: str
    corpus: str = TASK_CORPUS


class TaskSpec(_Part):
    """One entry of ``tasks``; ``task`` names the registered task where ``name`` is a label."""

    name: str
    task: str = ""
    limit: int | None = Field(None, gt=0)
    options: dict[str, Any] = {}

    _name = field_validator("name")(home.legal_name)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _kind(self) -> TaskSpec:
        return self if self.task else self.model_copy(update={"task": self.name})


class ArmSpec(_Part):
    """One entry of ``arms``.

    Attributes:
        name: The arm's name in every table; by default ``RETRIEVER-K`` or ``CONTROL-LIKE``.
        retriever: A key of ``indexes``, with ``k``.
        k: How many passages are asked for.
        control: ``random``, with ``like``.
        like: The arm whose delivered length a control imitates.
    """

    name: str = ""
    retriever: str | None = None
    k: int | None = Field(None, gt=0, le=1000)
    control: Literal["random"] | None = None
    like: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _named(self) -> ArmSpec:
        if self.name:
            home.legal_name(self.name)
            return self
        parts = (self.control, self.like) if self.control else (self.retriever, self.k)
        return self.model_copy(update={"name": f"{parts[0]}-{parts[1]}"})

    @model_validator(mode="after")
    def _shape(self) -> ArmSpec:
        if self.name == CLOSED_BOOK and self.kind != CLOSED_BOOK:
            raise ValueError("the name closed-book is for the arm without passages")
        if self.control is not None:
            if self.like is None or self.retriever is not None or self.k is not None:
                raise ValueError("a control takes `like: ARM`, and neither `retriever` nor `k`")
        elif self.retriever is not None:
            if self.k is None or self.like is not None:
                raise ValueError("an arm with a `retriever` takes `k`, and no `like`")
        elif self.name != CLOSED_BOOK or self.k is not None or self.like is not None:
            raise ValueError("an arm is `closed-book`, or has a `retriever`, or has a `control`")
        return self

    @property
    def kind(self) -> str:
        """The registered arm that carries this entry out."""
        return self.control or ("retriever" if self.retriever else CLOSED_BOOK)


class PackingSpec(_Part):
    """How passages get into prompts.

    Attributes:
        budget_tokens: The most tokens of passages in any prompt.
        tokenizer: The model whose tokenizer counts them; the first general model by default.
    """

    budget_tokens: int = Field(2048, gt=0)
    tokenizer: str | None = None


class AnalysisSpec(_Part):
    """How results are analysed."""

    alpha: float = Field(0.05, gt=0, lt=1)
    resamples: int = Field(10_000, ge=100)


class Config(_Part):
    """One experiment.

    Attributes:
        name: The run folder's name.
        description: For people.
        seed: Of every draw.
        corpora: Corpora to build beside those that the indexes need.
        indexes: Recipes over corpora, under the names that arms use.
        models: Who answers.
        tasks: What is asked.
        arms: What a question is given.
        scoring: How replies are taken; ``options`` scores each option's text.
        mode: How they are scored.
        packing: How passages get into prompts.
        analysis: How results are analysed.
    """

    name: str
    description: str = ""
    seed: int = Field(17, ge=0, lt=2**63)
    corpora: tuple[str, ...] = ()
    indexes: dict[str, IndexSpec] = {}
    models: tuple[ModelSpec, ...] = Field(min_length=1)
    tasks: tuple[TaskSpec, ...] = Field(min_length=1)
    arms: tuple[ArmSpec, ...] = Field(min_length=1)
    scoring: Literal["options"] = "options"
    mode: Literal["correct"] = "correct"
    packing: PackingSpec = PackingSpec()
    analysis: AnalysisSpec = AnalysisSpec()

    _name = field_validator("name")(home.legal_name)

    def reference_model(self) -> ModelSpec:
        """Return the model whose tokenizer counts passages."""
        if self.packing.tokenizer:
            return next(m for m in self.models if m.name == self.packing.tokenizer)
        return next((m for m in self.models if m.kind == "general"), self.models[0])

    def corpus_of(self, index: IndexSpec, default_corpus: str) -> str:
        """Return the corpus that an index entry means for a task."""
        return default_corpus if index.corpus == TASK_CORPUS else index.corpus


def load_config(reference: str, overrides: Sequence[str] = ()) -> tuple[Config, Document]:
    """Read, override and check a config.

    Args:
        reference: A path of a YAML file, or the name of one in ``configs/`` or the package.
        overrides: ``key=value`` texts; they win over the environment, which wins over the file.

    Returns:
        The config and the document it was read from.
    """
    path = home.expand(reference)
    if path.suffix not in (".yaml", ".yml") and "/" not in reference:
        path = home.find_yaml("configs", reference, what="config")
    document = load(path)
    for text, origin in [*_from_environment(os.environ), *((o, f"--set {o}") for o in overrides)]:
        _override(document, text, origin)
    config = check(Config, document)
    _check_references(config, document)
    return config, document


def _from_environment(environment: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield overrides such as RAGBENCH_SET_tasks__0__limit=5."""
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT):
            key = name.removeprefix(ENVIRONMENT).replace("__", ".")
            yield f"{key}={environment[name]}", f"the environment variable {name}"


def _override(document: Document, text: str, origin: str) -> None:
    """Set one value; list members go by position or by their ``name``."""
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{text!r} is not key=value", where=origin, fix="write --set seed=3")
    place: Any = document.value
    keys: list[str | int] = []
    parts = key.split(".")
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if isinstance(place, dict):
            keys.append(part)
            if not last:
                place = place.setdefault(part, {})
            else:
                place[part] = parse_value(raw)
        elif isinstance(place, list):
            index = _member(place, ".".join(parts[position:]), part, origin)
            keys.append(index)
            if last:
                place[index] = parse_value(raw)
            elif isinstance(place[index], str):
                place[index] = {"name": place[index]}
                place = place[index]
            else:
                place = place[index]
        else:
            raise UsageError(f"there is nothing under {'.'.join(map(str, keys))!r}", where=origin)
    document.origins[tuple(keys)] = origin


def _member(members: list[Any], rest: str, part: str, origin: str) -> int:
    names = [m.get("name") if isinstance(m, dict) else m for m in members]
    if part in names:
        return names.index(part)
    if part.isascii() and part.isdigit() and int(part) < len(members):
        return int(part)
    raise UsageError(
        f"there is no member {part!r} (of {rest!r})",
        where=origin,
        fix=f"use a position from 0 to {len(members) - 1}, or a name: "
        + ", ".join(str(n) for n in names if n),
    )


def _check_references(config: Config, document: Document) -> None:
    """Refuse names that lead nowhere, and names given twice."""
    for field in ("models", "tasks", "arms"):
        names = [member.name for member in getattr(config, field)]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise UsageError(
                    f"two {field} have the name {name!r}", where=document.where((field, index))
                )
    models = [model.name for model in config.models]
    for index, model in enumerate(config.models):
        if model.base is not None:
            _must_be_among(model.base, models, "model", document, ("models", index, "base"))
    if config.packing.tokenizer is not None:
        _must_be_among(
            config.packing.tokenizer, models, "model", document, ("packing", "tokenizer")
        )
    for name in config.indexes:
        home.check_name(name, what="an index")
    for index, arm in enumerate(config.arms):
        if arm.retriever is not None:
            _must_be_among(
                arm.retriever, config.indexes, "index", document, ("arms", index, "retriever")
            )
        if arm.like is not None:
            others = [a.name for a in config.arms if a.retriever is not None]
            _must_be_among(
                arm.like, others, "arm with a retriever", document, ("arms", index, "like")
            )


def _must_be_among(
    name: str, known: Iterable[str], what: str, document: Document, keys: Keys
) -> None:
    if name not in set(known):
        raise UsageError(
            f"there is no {what} {name!r}", where=document.where(keys), fix=near(name, known)
        )
