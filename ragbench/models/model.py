"""What a model is to an experiment, and what a config says of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ragbench.base import home
from ragbench.base.devices import Device, Dtype
from ragbench.base.records import Message, OptionScores, Reply, Scoring
from ragbench.models.served.endpoint import Endpoint, parse

# What one of the two backends of the package does not read; a backend from outside may read all.
UNREAD = {
    "hf": ("url", "tokenizer", "context", "concurrency", "timeout_s", "retries", "api_key_env"),
    "server": ("path", "adapter", "revision", "dtype", "device", "trust_remote_code"),
}


class ModelSpec(BaseModel):
    """One entry of a config's ``models``.

    Attributes:
        name: The model's name in every table.
        backend: A registered backend.
        path: ``package:NAME/FILE``, a local folder or a ``.gguf`` file.
        model: An id on the model hub, or the name that a server knows; one of ``path`` and
            ``model`` is needed, unless ``base`` and ``adapter`` say where the weights are.
        adapter: A folder with a PEFT adapter in safetensors, or ``package:NAME/FOLDER``.
        revision: The hub revision.
        kind: Whether it is a biomedical or a general model.
        base: The name of the general model that a biomedical one was made from.
        format: ``auto`` uses the chat template where the tokenizer has one.
        dtype: ``auto`` is bfloat16 where the hardware has it.
        device: ``auto`` takes the GPU where there is one.
        trust_remote_code: Whether code in the model's repository may run.
        url: The base address of a server, such as ``http://host:8000/v1``, or several.
        tokenizer: Where a server's tokenizer lies: a folder, ``package:NAME/FILE`` or a hub id.
        context: How many tokens a server's model takes, where the server does not tell.
        concurrency: How many requests a server gets at a time; 4 by default.
        timeout_s: Seconds that a server's whole answer may take; 600 by default.
        retries: How often a request that failed is made again; 4 by default.
        api_key_env: The name of the environment variable that holds the server's key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    backend: str = "hf"
    path: str | None = None
    model: str | None = None
    adapter: str | None = None
    revision: str | None = None
    kind: Literal["general", "biomedical"] = "general"
    base: str | None = None
    format: Literal["auto", "chat", "plain"] = "auto"
    dtype: Dtype = "auto"
    device: Device = "auto"
    trust_remote_code: bool = False
    url: str | tuple[str, ...] | None = None
    tokenizer: str | None = None
    context: int | None = Field(None, gt=0)
    concurrency: int | None = Field(None, gt=0, le=256)
    timeout_s: float | None = Field(None, gt=0, le=86_400)
    retries: int | None = Field(None, ge=0, le=20)
    api_key_env: str | None = None

    _name = field_validator("name")(home.legal_name)

    @field_validator("url")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if value == ():
            raise ValueError("the list of addresses is empty")
        for address in [value] if isinstance(value, str) else value or ():
            parse(address)
        return value

    @model_validator(mode="after")
    def _keys_of_backend(self) -> ModelSpec:
        default = {name: field.default for name, field in type(self).model_fields.items()}
        for key in UNREAD.get(self.backend, ()):
            if getattr(self, key) != default[key]:
                raise ValueError(f"the backend `{self.backend}` does not read `{key}`")
        if self.backend == "server" and (self.url is None or self.model is None):
            raise ValueError(
                "the backend `server` needs `url`, such as http://host:8000/v1, and `model`, the "
                "name that the server knows"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        from_base = self.adapter is not None and self.base is not None
        if self.path is not None and self.model is not None:
            raise ValueError("give one of `path` (this machine) and `model` (hub id), not both")
        if self.path is None and self.model is None and not from_base:
            raise ValueError("give one of `path` (this machine) and `model` (hub id)")
        if (self.kind == "biomedical") != (self.base is not None):
            raise ValueError("`kind: biomedical` and `base:` go together")
        return self

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where prompts are sent; none where the model runs on this machine."""
        urls = (self.url,) if isinstance(self.url, str) else self.url or ()
        return tuple(parse(url) for url in urls)

    @property
    def reference(self) -> str:
        """What the weights are found by."""
        return self.path or self.model or ""

    def with_weights_of(self, base: ModelSpec) -> ModelSpec:
        """Return the spec of an adapter with the weights of its base, where it names none."""
        if self.path is not None or self.model is not None:
            return self
        return self.model_copy(
            update={"path": base.path, "model": base.model, "revision": base.revision}
        )


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


class Model(Protocol):
    """Renders prompts, scores options and replies; loads its weights on first use."""

    def __init__(self, spec: ModelSpec) -> None: ...

    @property
    def context_tokens(self) -> int:
        """How many tokens a prompt and its reply may have."""

    def digest(self) -> str:
        """Return the identity of weights, number format and prompt format."""

    def facts(self) -> dict[str, object]:
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

        Args:
            prompt: A rendered prompt.
            options: The option texts.

        Returns:
            Sums of natural log-probabilities, with token counts and seconds.

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
