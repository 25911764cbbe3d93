"""An entry of a config's ``models``: common keys, and those of its backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from pydantic import (
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
from ragbench.base.endpoint import Endpoint, declares_reach
from ragbench.base.errors import UsageError, near
from ragbench.base.yamlfile import Fields
from ragbench.models import models
from ragbench.models.model import Model


class BackendOptions(Fields):
    """Base of the keys that a backend adds to an entry of ``models``.

    An undeclared key is an error. A key that changes no answer may be declared with
    ``Field(exclude=True)``; it is then not part of the run's identity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def weights(self) -> Weights | None:
        """Location of the weights; None for a backend without weights."""
        return None

    @property
    def stated_context(self) -> int | None:
        """Context in tokens, if the config states it."""
        return None

    @property
    def stated_rate(self) -> float | None:
        """Questions a second that the model answers, if the config states it."""
        return None

    @property
    def declare_reach(self) -> str:
        """How the config says where prompts are sent, where it can; empty otherwise."""
        return ""

    def with_weights_of(self, base: BackendOptions) -> BackendOptions:
        """Return the options with the weights of the base model, if they name none."""
        return self


@dataclass(frozen=True, slots=True)
class Weights:
    """Location of weights: a path or hub id, empty if none is given, and an adapter."""

    reference: str
    adapter: str | None = None


Options = TypeVar("Options", bound=BackendOptions)


class ModelSpec(Fields):
    """One entry of a config's ``models``, where the backend's keys are next to these.

    Attributes:
        name: The model's name in every table.
        backend: A registered backend.
        kind: Whether the model is a general one or a biomedical one with a ``base``.
        base: Name of the general model that a biomedical one was made from.
        format: ``auto`` uses the chat template if there is one.
        options: Keys of the backend, checked by its ``Options``.
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
        """Move the keys of the backend into ``options``, checked by the backend."""
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
            TypeError: They belong to another backend.
        """
        if not isinstance(self.options, kind):
            raise TypeError(f"{self.name} has the keys of the backend {self.backend!r}")
        return self.options

    @property
    def reference(self) -> str:
        """Hub id or path of the weights; empty if there is none."""
        return self.options.weights.reference if self.options.weights else ""

    def sends_to(self) -> tuple[Endpoint, ...] | None:
        """Return the servers that the backend sends prompts to; None if it does not say."""
        backend = cast("type[Backend]", models.get(self.backend))
        return backend.sends_to(self.options) if declares_reach(backend, backend) else None

    def with_weights_of(self, base: ModelSpec) -> ModelSpec:
        """Return an adapter's spec with the weights of its base, if it names none."""
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
            fix="give the class an `Options`, a subclass of ragbench.models.spec.BackendOptions",
        )
    return found


def _refusal(key: str, value: dict[str, Any], what: str, fix: str) -> ValidationError:
    # The message is a parameter because a key may contain braces.
    error = PydanticCustomError("extra_forbidden", "{what}", {"what": what, "fix": fix})
    detail = InitErrorDetails(type=error, loc=(key,), input=value.get(key))
    return ValidationError.from_exception_data("ModelSpec", [detail])


class Backend(Model, Protocol):
    """A registered class of models."""

    Options: ClassVar[type[BackendOptions]]

    def __init__(self, spec: ModelSpec) -> None: ...

    @classmethod
    def sends_to(cls, options: Any) -> tuple[Endpoint, ...] | None:
        """Return the servers that prompts are sent to, known before any prompt is sent.

        ``options`` has the type ``Options``. No endpoint means that no data leaves this process.
        None means unknown; restricted data is then refused. A subclass of one of ragbench's
        backends must declare it itself.
        """


def make_model(spec: ModelSpec) -> Model:
    """Return the model of an entry; no weights are loaded and no server is contacted."""
    return cast("type[Backend]", models.get(spec.backend))(spec)
