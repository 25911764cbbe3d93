"""What a model is to an experiment, and what a config says of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from ragbench.base import home
from ragbench.base.errors import BackendError, UsageError, near
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply, Scoring
from ragbench.models import models
from ragbench.models.served.endpoint import Endpoint

R = TypeVar("R")


class BackendOptions(BaseModel):
    """Base of the keys that a backend adds to an entry of ``models``.

    A key that a backend does not declare is an error. A key that changes no answer may be
    declared with ``Field(exclude=True)``: it is then no part of the run's identity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def weights(self) -> Weights | None:
        """Place of the weights; None for a backend that is given none."""
        return None

    @property
    def stated_context(self) -> int | None:
        """Context in tokens, where the config states it."""
        return None

    def with_weights_of(self, base: BackendOptions) -> BackendOptions:
        """Return the options with the weights of the base model, where they name none."""
        return self


@dataclass(frozen=True, slots=True)
class Weights:
    """Where weights are found: a path or hub id, empty where none is given; and an adapter."""

    reference: str
    adapter: str | None = None


Options = TypeVar("Options", bound=BackendOptions)


class ModelSpec(BaseModel):
    """One entry of a config's ``models``; in a config the backend's keys are flat beside these.

    Attributes:
        name: The model's name in every table.
        backend: A registered backend.
        kind: Whether it is a biomedical or a general model.
        base: The name of the general model that a biomedical one was made from.
        format: ``auto`` uses the chat template where there is one.
        options: The keys of the backend, checked by its ``Options``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    backend: str = "hf"
    kind: Literal["general", "biomedical"] = "general"
    base: str | None = None
    format: Literal["auto", "chat", "plain"] = "auto"
    options: SerializeAsAny[BackendOptions] = BackendOptions()

    _name = field_validator("name")(home.legal_name)

    @model_validator(mode="before")
    @classmethod
    def _keys_of_backend(cls, value: Any) -> Any:
        """Move the keys that are not common into ``options``, checked by the backend."""
        if not isinstance(value, dict):
            return value
        common = {key: value[key] for key in cls.model_fields if key in value}
        options = common.pop("options", None)
        if isinstance(options, BackendOptions):
            return value
        backend = common.get("backend", cls.model_fields["backend"].default)
        if backend not in models:
            what, known = f"there is no {backend!r} among the backends", models.names()
            raise _refusal("backend", value, what, near(str(backend), known))
        kind = options_of(backend)
        own = {key: item for key, item in value.items() if key not in common}
        known = [field.alias or name for name, field in kind.model_fields.items()]
        for key in own:
            if key not in known:
                what = f"the backend `{backend}` has no key {key!r}"
                names = [*known, *(name for name in cls.model_fields if name != "options")]
                raise _refusal(key, value, what, near(str(key), names))
        return common | {"options": kind.model_validate(own)}

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        common: dict[str, Any] = handler(self)
        options: dict[str, Any] = common.pop("options", {})
        return common | options

    @model_validator(mode="after")
    def _has_base(self) -> ModelSpec:
        if (self.kind == "biomedical") != (self.base is not None):
            raise ValueError("`kind: biomedical` and `base:` go together")
        return self

    def read(self, kind: type[Options]) -> Options:
        """Return the options as those of a backend.

        Raises:
            TypeError: They are of another backend.
        """
        if not isinstance(self.options, kind):
            raise TypeError(f"{self.name} has the keys of the backend {self.backend!r}")
        return self.options

    @property
    def reference(self) -> str:
        """What the weights are found by; empty where there are none."""
        return self.options.weights.reference if self.options.weights else ""

    def sends_to(self) -> tuple[Endpoint, ...] | None:
        """Return where the backend sends prompts; None where it does not say."""
        declared = getattr(models.get(self.backend), "sends_to", None)  # a class from outside
        return None if declared is None else declared(self.options)

    def with_weights_of(self, base: ModelSpec) -> ModelSpec:
        """Return the spec of an adapter with the weights of its base, where it names none."""
        return self.model_copy(update={"options": self.options.with_weights_of(base.options)})


def options_of(backend: str) -> type[BackendOptions]:
    """Return the class of a backend's keys.

    Raises:
        UsageError: The backend declares none.
    """
    found = getattr(models.get(backend), "Options", None)
    if not (isinstance(found, type) and issubclass(found, BackendOptions)):
        raise UsageError(
            f"the backend {backend!r} does not declare its keys",
            where=models.find(backend),
            fix="give the class an `Options`, made from ragbench.models.model.BackendOptions",
        )
    return found


def _refusal(key: str, value: dict[str, Any], what: str, fix: str) -> ValidationError:
    # A context may not be formatted into the message, for a key may hold braces.
    error = PydanticCustomError("extra_forbidden", "{what}", {"what": what, "fix": fix})
    detail = InitErrorDetails(type=error, loc=(key,), input=value.get(key))
    return ValidationError.from_exception_data("ModelSpec", [detail])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a task asks of a model.

    Attributes:
        scoring: How its answers are taken.
        begun: Whether its prompts end with what the reply is begun with.
    """

    scoring: Scoring
    begun: bool


@runtime_checkable
class Checked(Protocol):
    """A model that must be asked first what it can do, as one behind a server."""

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse what the model cannot do, before the first question.

        Args:
            asked: What the tasks ask.

        Raises:
            PrerequisiteError: It cannot be reached, or cannot do this.
        """


@dataclass(frozen=True, slots=True)
class Choice:
    """A rendered prompt, and the texts that are scored as its reply."""

    prompt: str
    options: Sequence[str]


class Model(Protocol):
    """Renders prompts, scores options and replies; loads its weights on first use."""

    @property
    def is_chat(self) -> bool:
        """Whether prompts are a chat's, special tokens included."""

    @property
    def concurrency(self) -> int:
        """How many batches may be asked at a time."""

    @property
    def context_tokens(self) -> int:
        """How many tokens a prompt and its reply may have."""

    def digest(self) -> str:
        """Return the identity of weights, number format and prompt format."""

    def facts(self) -> ModelFacts:
        """Return what the run folder records of the model."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as the model reads it, up to where its reply begins."""

    def continuation(self, option: str) -> str:
        """Return an option as the text that follows the prompt."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, special tokens apart."""

    def release(self) -> None:
        """Give the weights' memory back; they are loaded again on the next use."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option as the reply to a rendered prompt.

        Raises:
            BackendError: The model failed on this prompt.
        """

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's own reply to a rendered prompt, decoded greedily.

        Args:
            prompt: A rendered prompt.
            limit: The most tokens of the reply, a reasoning trace included.

        Returns:
            The reply, with its tokens, how it ended, and seconds.

        Raises:
            BackendError: The model failed on this prompt.
        """

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or the error that it ended in, in the items' order."""

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or the error that it ended in, in their order."""


class Backend(Model, Protocol):
    """The class of a model, as it is registered."""

    Options: ClassVar[type[BackendOptions]]

    def __init__(self, spec: ModelSpec) -> None: ...

    @classmethod
    def sends_to(cls, options: Any) -> tuple[Endpoint, ...] | None:
        """Return the servers that prompts are sent to, before any is.

        Args:
            options: The keys of an entry, of the type ``Options``.

        Returns:
            No endpoint where nothing leaves this process; None where it is not known, and
            restricted data is then refused.
        """


class OneByOne(ABC):
    """Base of a backend that answers one prompt at a time: its batches are loops."""

    concurrency: int = 1

    @abstractmethod
    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option, as in ``Model``."""

    @abstractmethod
    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the reply, as in ``Model``."""

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or the error that it ended in, in the items' order."""
        return [_or_error(partial(self.score_options, i.prompt, i.options)) for i in items]

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or the error that it ended in, in their order."""
        return [_or_error(partial(self.generate, prompt, limit=limit)) for prompt in items]


def _or_error(ask: Callable[[], R]) -> R | BackendError:
    try:
        return ask()
    except BackendError as error:
        return error
